"""Notebook 01, pinning: one CPU and no other."""

from __future__ import annotations

from lab_helpers.checks import live
from lab_helpers.checks.definition import Exercise, Solution, WrongAnswer
from lab_helpers.checks.lab01_cpu import has_quota
from lab_helpers.checks.outcome import NotStarted, NotYet
from lab_helpers.containers import BUSYBOX, run
from lab_helpers.kernel import procfs
from lab_helpers.kernel.cgroups.formats import format_list


def start_pinned() -> None:
    """Start a container that may run on every CPU."""
    run(BUSYBOX, ["sleep", "3600"], name="pinned")


def judge_pin(allowed: str, everywhere: str, *, asked: bool, quota: bool) -> str:
    """Say that a process may run on CPU 0 only.

    Args:
        allowed: Its Cpus_allowed_list.
        everywhere: The same of a process that nobody pinned.
        asked: Its cgroup names CPUs itself.
        quota: Its cgroup has a CPU quota.

    Raises:
        NotStarted: nothing was changed.
        NotYet: it may run elsewhere.
    """
    observed = f"Cpus_allowed_list of its process is {allowed}"
    if allowed == "0" and asked:
        return observed
    if allowed == everywhere and quota:
        raise NotYet(
            observed=f"{observed}, and it has a CPU quota",
            expected="its process may run on CPU 0 and on no other",
            likely_slip="a quota says how much CPU time, not on which CPU",
            hint="`--cpus` and `--cpuset-cpus` are different controllers.",
        )
    if allowed == everywhere:
        raise NotStarted(f"{observed}: every CPU", hint="Which controller chooses CPUs? Look at section 7 again.")
    raise NotYet(
        observed=observed,
        expected="its process may run on CPU 0 and on no other",
        likely_slip="CPUs are counted from 0, and the list names numbers, not an amount",
        hint="`--cpuset-cpus 1` means the CPU with the number 1, the second.",
    )


def pinned_runs_on_cpu_0() -> str:
    """The process of the container `pinned` may run on CPU 0 only."""
    pinned = live.running_container("pinned")
    cgroup = live.cgroup_of(pinned)
    allowed = procfs.status(live.main_pid(pinned)).cpus_allowed_list
    granted = cgroup.cpuset.read()
    if format_list(granted.effective_cpus) != allowed:
        raise NotYet(
            observed=f"the cgroup grants CPU {format_list(granted.effective_cpus)}, the process may run on {allowed}",
            expected="the cgroup decides, for every process in it",
            likely_slip="`taskset` moved one process; its cgroup still allows every CPU",
        )
    return judge_pin(allowed, procfs.status(1).cpus_allowed_list, asked=granted.cpus == (0,), quota=has_quota(cgroup))


PIN = Exercise(
    id="cg-07",
    title="On CPU 0 and nowhere else",
    task="Pin the running container `lab-$LAB_SESSION-pinned` to CPU 0.",
    checks=(pinned_runs_on_cpu_0,),
    hints=(
        "A quota limits time; you want to limit places.",
        "The controller is cpuset, and `docker update` knows it.",
        "`docker update --cpuset-cpus 0 NAME`: a list of CPU numbers, counted from 0.",
    ),
    solution=Solution(
        "docker update --cpuset-cpus 0 lab-$LAB_SESSION-pinned >/dev/null",
        why=(
            "The engine writes the list into cpuset.cpus. The kernel moves every process of the group at once and "
            "shows the result as Cpus_allowed_list. Databases and real-time programs use this to keep their caches "
            "warm."
        ),
    ),
    reset=lambda: live.remove_container("pinned"),
    wrong_answers=(
        WrongAnswer("docker update --cpus 1 lab-$LAB_SESSION-pinned >/dev/null", says="not on which CPU"),
        WrongAnswer("docker update --cpuset-cpus 1 lab-$LAB_SESSION-pinned >/dev/null", says="counted from 0"),
    ),
    language="bash",
    prepare=start_pinned,
)
