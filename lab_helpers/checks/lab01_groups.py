"""Notebook 01, by hand: ten tasks at most, and a frozen group."""

from __future__ import annotations

from lab_helpers.checks import live
from lab_helpers.checks.definition import Exercise, Solution, WrongAnswer
from lab_helpers.checks.outcome import NotStarted, NotYet
from lab_helpers.kernel import cgroups, procfs

MOST = 10


def judge_pids(limit: int | None) -> str:
    """Say that at most ten tasks are allowed.

    Raises:
        NotYet: another number, or none.
    """
    if limit == MOST:
        return f"pids.max is {limit}"
    raise NotYet(
        observed=f"pids.max is {'max: no limit' if limit is None else limit}",
        expected=f"pids.max is {MOST}",
        likely_slip="the group was made and its limit not yet written" if limit is None else "another number",
        hint="The limit is one number in one file of the group.",
    )


def few_allows_ten() -> str:
    """The cgroup `few` allows ten tasks (processes and threads)."""
    return judge_pids(live.group("few").pids.read().max)


def few_is_used() -> str:
    """A process is in it."""
    inside = live.group("few").pids.read().current
    if inside:
        return f"pids.current is {inside}"
    raise NotYet(
        observed="pids.current is 0",
        expected="at least one process lives in `few`",
        likely_slip="a limit without a process limits nobody: processes stay where they are until they are moved",
        hint="Start something in the background (`sleep 600 >/dev/null 2>&1 &`); its PID is `$!`.",
    )


FEW = Exercise(
    id="cg-06",
    title="Ten at most",
    task=(
        "Make a cgroup `few` below your session's ($CG; v1: $CG_PIDS) that allows ten processes and threads in all, "
        "and put a `sleep 600` into it."
    ),
    checks=(few_allows_ten, few_is_used),
    hints=(
        "Three acts: make the folder, write the limit, write a PID.",
        "Files: pids.max and cgroup.procs. A background process must not keep the cell's output: send it to /dev/null.",
        "`sleep 600 >/dev/null 2>&1 &`, then `echo $! > $CG/few/cgroup.procs` (v1: $CG_PIDS/few/cgroup.procs).",
    ),
    solution=Solution(
        "mkdir -p $CG/few\n"
        "echo 10 > $CG/few/pids.max\n"
        "sleep 600 >/dev/null 2>&1 &\n"
        "echo $! > $CG/few/cgroup.procs\n"
        "# --- on cgroup v1 ---\n"
        "mkdir -p $CG_PIDS/few\n"
        "echo 10 > $CG_PIDS/few/pids.max\n"
        "sleep 600 >/dev/null 2>&1 &\n"
        "echo $! > $CG_PIDS/few/cgroup.procs",
        why=(
            "The kernel counts processes and threads of a group and of all groups below it, and refuses fork and "
            "clone with EAGAIN when the count would pass pids.max. Moving a process in is never refused: the limit "
            "stops growth, not arrival."
        ),
    ),
    reset=lambda: live.remove_group("few"),
    wrong_answers=(
        WrongAnswer(
            "mkdir -p $CG/few\necho 10 > $CG/few/pids.max\n"
            "# --- on cgroup v1 ---\nmkdir -p $CG_PIDS/few\necho 10 > $CG_PIDS/few/pids.max",
            says="limits nobody",
        ),
        WrongAnswer(
            (
                "mkdir -p $CG/few\n"
                "sleep 600 >/dev/null 2>&1 &\n"
                "echo $! > $CG/few/cgroup.procs\n"
                "# --- on cgroup v1 ---\n"
                "mkdir -p $CG_PIDS/few\n"
                "sleep 600 >/dev/null 2>&1 &\n"
                "echo $! > $CG_PIDS/few/cgroup.procs"
            ),
            says="its limit not yet written",
        ),
    ),
    language="cgroup",
)


def start_guest() -> None:
    """Make the cgroup `guest` with a process in it."""
    cgroups.create("guest").start(["sleep", "3600"])


def judge_freezer(states: tuple[str, ...], freezer: str) -> str:
    """Say that a group is frozen and its processes live.

    Args:
        states: The letter of each process: S sleeping, T stopped by a signal, D uninterruptible.
        freezer: What the group's freezer says: THAWED, FREEZING or FROZEN.

    Raises:
        NotStarted: everything runs.
        NotYet: something else was done to it.
    """
    expected = "the group is frozen, and its process is still there"
    if not states:
        raise NotYet(
            observed="nobody is in the group any more",
            expected=expected,
            likely_slip="the process was killed: a frozen process can go on later, a killed one cannot",
            hint="Run `.prepare()` for a new guest. No signal is needed at all.",
        )
    if freezer == "FREEZING":
        raise NotYet(
            observed="the group is freezing: not every process has stopped",
            expected=expected,
            likely_slip="none: a process that waits for a disk stops when its wait is over",
        )
    if freezer == "FROZEN":
        return f"frozen, with {len(states)} process inside (/proc shows {states[0]}: there is no letter for frozen)"
    if "T" in states:
        raise NotYet(
            observed="its process is in state T, and the group is not frozen",
            expected=expected,
            likely_slip=(
                "SIGSTOP stopped it: the process, its parent and `kill -CONT` can tell, and a new one would run"
            ),
            hint="The freezer is a file of the group, not a signal to a process.",
        )
    raise NotStarted("the group is not frozen", hint="Which file did `docker pause` change in section 8?")


def guest_is_frozen() -> str:
    """The cgroup `guest` is frozen, and its process lives."""
    found = live.group("guest")
    return judge_freezer(_states(found.processes()), found.freezer.read().state)


def _states(pids: tuple[int, ...]) -> tuple[str, ...]:
    found = []
    for pid in pids:
        try:
            found.append(procfs.status(pid).state)
        except FileNotFoundError:  # it ended between the two looks
            continue
    return tuple(found)


FREEZE = Exercise(
    id="cg-08",
    title="Freeze the guest",
    task="Stop everything in the cgroup `guest` below your session's, without a signal, so that it could go on later.",
    checks=(guest_is_frozen,),
    hints=(
        "Docker is not involved here, but the file is the one that Docker uses.",
        "cgroup v2 has cgroup.freeze and takes 1 or 0; v1 has freezer.state and takes FROZEN or THAWED.",
        "`echo 1 > $CG/guest/cgroup.freeze` (v1: `echo FROZEN > $CG_FREEZER/guest/freezer.state`).",
    ),
    solution=Solution(
        "echo 1 > $CG/guest/cgroup.freeze\n# --- on cgroup v1 ---\necho FROZEN > $CG_FREEZER/guest/freezer.state",
        why=(
            "The kernel stops every process of the group on its way back from the kernel, and lets new ones join "
            "the stop. No signal is delivered, so there is nothing to catch or to ignore. 0 (v1: THAWED) lets "
            "them go on where they were."
        ),
    ),
    reset=lambda: live.remove_group("guest"),
    wrong_answers=(
        WrongAnswer(
            (
                "kill -STOP $(cat $CG/guest/cgroup.procs)\n"
                "# --- on cgroup v1 ---\n"
                "kill -STOP $(cat $CG_FREEZER/guest/cgroup.procs)"
            ),
            says="SIGSTOP stopped it",
        ),
        WrongAnswer(
            (
                "kill -KILL $(cat $CG/guest/cgroup.procs)\n"
                "# --- on cgroup v1 ---\n"
                "kill -KILL $(cat $CG_FREEZER/guest/cgroup.procs)"
            ),
            says="was killed",
        ),
    ),
    language="cgroup",
    settle_s=3.0,
    prepare=start_guest,
)
