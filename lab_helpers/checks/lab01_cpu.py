"""Notebook 01, CPU time: a weight of four to one, and a quota halved while the program runs."""

from __future__ import annotations

from pathlib import Path

from lab_helpers.checks import live
from lab_helpers.checks.definition import Exercise, Solution, WrongAnswer
from lab_helpers.checks.outcome import NotStarted, NotYet
from lab_helpers.containers import BUSYBOX, Container, run
from lab_helpers.kernel.cgroups import Cgroup, cpu
from lab_helpers.kernel.cgroups.formats import parse_max

RATIO = 4
NOTE = "the run that was prepared"


def weight(found: Cgroup) -> int:
    """Return cpu.weight (v1: cpu.shares), as the file says."""
    return int(found.cpu.read_text(cpu.WEIGHT))


def has_quota(found: Cgroup) -> bool:
    """Tell whether cpu.max (v1: cpu.cfs_quota_us) sets a limit."""
    return parse_max(found.cpu.read_text(cpu.MAX).split()[0]) is not None


def judge_weights(gold: int, iron: int, *, quota: bool) -> str:
    """Say that gold weighs four times as much as iron.

    Raises:
        NotYet: another ratio, or a quota was set instead.
    """
    observed = f"gold weighs {gold}, iron {iron}"
    if gold == RATIO * iron:
        return observed
    if quota:
        slip = "a quota was set: it holds even when the CPU is idle; a weight only decides who waits"
    elif iron > gold:
        slip = "the other way round: the larger number gets more"
    elif gold == iron:
        slip = "both still have the default"
    else:
        slip = "another ratio: only the quotient of the two numbers counts"
    raise NotYet(
        observed=observed + (", and a quota is set" if quota else ""),
        expected="gold's weight is four times iron's",
        likely_slip=slip,
        hint="The file is cpu.weight (v1: cpu.shares); a new group begins with 100 (v1: 1024).",
    )


def weights_are_four_to_one() -> str:
    """The cgroups `gold` and `iron` have weights of four to one."""
    gold, iron = live.group("gold"), live.group("iron")
    return judge_weights(weight(gold), weight(iron), quota=has_quota(gold) or has_quota(iron))


def nothing_is_capped() -> str:
    """Neither has a quota: a lone group may use the whole CPU."""
    capped = [word for word in ("gold", "iron") if has_quota(live.group(word))]
    if capped:
        raise NotYet(
            observed=f"cpu.max (v1: cpu.cfs_quota_us) of {' and '.join(capped)} is set",
            expected="no quota",
            likely_slip="a quota caps a group even when nobody else wants the CPU",
        )
    return "no quota"


_GOLD_AND_IRON_V1 = "mkdir -p $CG_CPU/gold $CG_CPU/iron"

WEIGHTS = Exercise(
    id="cg-03",
    title="Gold before iron",
    task=(
        "Make two cgroups below your session's ($CG; v1: $CG_CPU), `gold` and `iron`: when both want the CPU, gold "
        "gets four times as much; when only one does, it may have all."
    ),
    checks=(weights_are_four_to_one, nothing_is_capped),
    hints=(
        "It is about who gets more when CPUs are short, not about a limit.",
        "A new group weighs 100 in cpu.weight (v1: 1024 in cpu.shares). Only the ratio counts.",
        "Leave iron as it is, and write 400 into gold's cpu.weight (v1: 4096 into cpu.shares).",
    ),
    solution=Solution(
        "mkdir -p $CG/gold $CG/iron\n"
        "echo 400 > $CG/gold/cpu.weight\n"
        "# --- on cgroup v1 ---\n"
        f"{_GOLD_AND_IRON_V1}\n"
        "echo 4096 > $CG_CPU/gold/cpu.shares",
        why=(
            "Each CPU divides its time among the groups that want to run on it, in proportion to their weights: "
            "400 to 100. A group that does not want to run takes no part, so its share goes to the others: nothing "
            "is wasted. A quota would waste it."
        ),
    ),
    reset=lambda: live.remove_group("gold", "iron"),
    wrong_answers=(
        WrongAnswer(
            "mkdir -p $CG/gold $CG/iron\n"
            "echo 80000 100000 > $CG/gold/cpu.max; echo 20000 100000 > $CG/iron/cpu.max\n"
            "# --- on cgroup v1 ---\n"
            f"{_GOLD_AND_IRON_V1}\n"
            "echo 80000 > $CG_CPU/gold/cpu.cfs_quota_us; echo 20000 > $CG_CPU/iron/cpu.cfs_quota_us",
            says="a quota was set",
        ),
        WrongAnswer(
            "mkdir -p $CG/gold $CG/iron\n"
            "echo 400 > $CG/iron/cpu.weight\n"
            "# --- on cgroup v1 ---\n"
            f"{_GOLD_AND_IRON_V1}\n"
            "echo 4096 > $CG_CPU/iron/cpu.shares",
            says="the other way round",
        ),
    ),
    language="cgroup",
)


def _note(container: Container) -> Path:
    """Return a file in the container's memory: it is gone after a restart, for /dev/shm is made anew."""
    return Path(f"/proc/{live.main_pid(container)}/root/dev/shm/note")


def start_worker() -> None:
    """Start a container with half a CPU, and leave a note in it that only this run of it has."""
    worker = run(BUSYBOX, ["sleep", "3600"], name="worker", cpus=0.5)
    _note(worker).write_text(NOTE, encoding="utf-8")


def judge_quota(quota_us: int | None, period_us: int, shares_changed: bool) -> str:
    """Say that the quota is a quarter of a CPU.

    Args:
        quota_us: CPU time in each period, in microseconds; None: no limit.
        period_us: Length of a period, in microseconds.
        shares_changed: The weight is not the default any more.

    Raises:
        NotStarted: nothing was changed.
        NotYet: it is another quota.
    """
    cpus = None if quota_us is None else quota_us / period_us
    observed = f"{quota_us} of {period_us} microseconds: {cpus:g} CPU" if cpus is not None else "no quota"
    if cpus == 0.25:
        return observed
    if cpus == 0.5 and period_us == cpu.DEFAULT_PERIOD_US and not shares_changed:
        raise NotStarted(
            f"worker still has {observed}",
            hint="`docker update` changes limits of a running container; or write into its cgroup's file yourself.",
        )
    if cpus == 0.5 and shares_changed:
        slip = "the weight was changed: a weight is no limit, it only decides who waits"
    elif cpus == 0.5:
        slip = "quota and period were both halved, so the quotient is the same"
    elif cpus is None:
        slip = "the quota was taken away"
    else:
        slip = "another amount: half of 0.5 CPU is 0.25 CPU"
    raise NotYet(observed=observed, expected="0.25 CPU: a quarter of each period", likely_slip=slip)


def worker_has_a_quarter() -> str:
    """The container `worker` may use a quarter of a CPU."""
    worker = live.running_container("worker")
    figures = live.cgroup_of(worker).cpu.read()
    asked = int(worker.inspect()["HostConfig"].get("CpuShares") or 0)
    return judge_quota(figures.quota_us, figures.period_us, shares_changed=asked not in (0, cpu.DEFAULT_SHARES))


def worker_kept_running() -> str:
    """It is still the run that was prepared: nothing was restarted."""
    worker = live.running_container("worker")
    worker_has_a_quarter()
    try:
        kept = _note(worker).read_text(encoding="utf-8") == NOTE
    except FileNotFoundError:
        kept = False
    if not kept:
        raise NotYet(
            observed="the note that was left in its memory is gone",
            expected="the same process, with a new limit",
            likely_slip="a new container was started, or the old one restarted: the program lost its state",
            hint=(
                "A limit is a file: it can change under a running process. Run `.reset()` and `.prepare()`, then "
                "try `docker update`."
            ),
        )
    return "its memory still holds the note"


HALVE = Exercise(
    id="cg-04",
    title="Half, while it runs",
    task="The container `lab-$LAB_SESSION-worker` may use half a CPU: halve that while it runs.",
    checks=(worker_has_a_quarter, worker_kept_running),
    hints=(
        "Limits are files: they can change while the processes in the group run.",
        "`docker update` takes most of the options of `docker run` that set limits.",
        "`docker update --cpus 0.25 NAME`; or write `25000 100000` into its cpu.max (v1: 25000 into cpu.cfs_quota_us).",
    ),
    solution=Solution(
        "docker update --cpus 0.25 lab-$LAB_SESSION-worker >/dev/null",
        why=(
            "The engine writes 25000 microseconds of each 100000 into cpu.max (v1: cpu.cfs_quota_us). From the "
            "next period on the scheduler uses the new number; the process never notices. That is what an "
            "autoscaler does when it resizes a container in place."
        ),
    ),
    reset=lambda: live.remove_container("worker"),
    wrong_answers=(
        WrongAnswer("docker update --cpu-shares 512 lab-$LAB_SESSION-worker >/dev/null", says="a weight is no limit"),
        WrongAnswer(
            "docker rm --force lab-$LAB_SESSION-worker >/dev/null\n"
            'docker run --detach --label "$LAB_LABEL" --name lab-$LAB_SESSION-worker --cpus 0.25 '
            "lab/busybox:1 sleep 3600 >/dev/null",
            says="a new container was started",
        ),
    ),
    language="bash",
    prepare=start_worker,
)
