"""Notebook 01, break and fix: a container that ends by itself, and does not say why."""

from __future__ import annotations

from lab_helpers.base import session, waiting
from lab_helpers.checks import live
from lab_helpers.checks.definition import Exercise, Solution, WrongAnswer
from lab_helpers.checks.outcome import NotStarted, NotYet
from lab_helpers.containers import BUSYBOX, Container, run

WORKERS = 12
PIDS_LIMIT = 8
ENOUGH = WORKERS + 2
TOO_MANY = 1000

# The program starts its workers, then waits for them. Where a fork fails it says something useless, stays ten seconds
# (long enough to be looked at; `read` is a builtin, for nothing can be forked any more) and ends with status 1.
_PROGRAM = f"""
sh -c 'for n in $(seq {WORKERS}); do sleep 3600 & done; echo scorekeeper: ready; wait' 2>/dev/null
echo "scorekeeper: start-up failed"
exec sh -c 'read -t 10 answer; exit 1'
"""


def start_patient() -> None:
    """Start the container that will not stay up, and wait until it has failed for the first time."""
    patient = run(
        BUSYBOX, ["sh", "-c", _PROGRAM], name="patient", memory="128m", pids_limit=PIDS_LIMIT, stdin_open=True
    )
    waiting.wait_until(
        lambda: "failed" in patient.logs(), what=f"{session.current().name('patient')} to fall ill", timeout_s=60
    )


def _patient() -> Container:
    found = live.find_container("patient")
    if found is None:
        raise NotStarted("there is no patient", hint="Run the cell with `.prepare()` first.")
    return found


def judge_patient(*, alive: bool, workers: int, refused: int, limit: int | None, asked: tuple[int, int]) -> str:
    """Say that the program is up, with all its workers.

    Args:
        alive: The container runs.
        workers: Worker processes that are there.
        refused: Forks that its cgroup refused since it started.
        limit: pids.max of its cgroup, or of its configuration when it does not run; None: no limit.
        asked: Memory and pids limit in the container's configuration, as the engine has them.

    Raises:
        NotStarted: nothing was changed yet.
        NotYet: it is still ill.
    """
    expected = f"it runs, with all {WORKERS} workers"
    memory_bytes, pids = asked
    if alive and workers >= WORKERS and not refused:
        return expected
    if pids == PIDS_LIMIT and memory_bytes == 128 * 1024 * 1024:
        raise NotStarted(
            "the patient is as it was: its start-up fails",
            hint="Start it again and look within ten seconds: which counter of its cgroup is not 0 that should be?",
        )
    if pids == PIDS_LIMIT:
        raise NotYet(
            observed=f"its memory limit is now {memory_bytes} bytes, and {workers} of {WORKERS} workers are there",
            expected=expected,
            likely_slip="memory was never short: memory.events counted no OOM kill",
            hint="Read the other counters too: pids.events, cpu.stat, io.stat.",
        )
    if not alive:
        raise NotYet(
            observed="its configuration was changed, and it does not run",
            expected=expected,
            likely_slip="the new limit waits for a start",
            hint="`docker start lab-$LAB_SESSION-patient`",
        )
    raise NotYet(
        observed=f"pids.max is {limit}, {refused} forks were refused, {workers} of {WORKERS} workers are there",
        expected=expected,
        likely_slip=(
            "the limit counts every process and thread, the first shell included, so the workers' number is too small"
        )
        if limit is not None and limit < ENOUGH
        else "the limit was raised under a program that had already failed: it tries only at its start",
        hint="Count: one shell that waits, one that starts the workers, and the workers. Then start it again.",
    )


def patient_is_well() -> str:
    """The container `patient` runs, with all its twelve workers."""
    patient = _patient()
    found = patient.inspect()
    host = found["HostConfig"]
    asked = (int(host.get("Memory") or 0), int(host.get("PidsLimit") or 0))
    if not found["State"]["Pid"]:
        return judge_patient(alive=False, workers=0, refused=0, limit=asked[1], asked=asked)
    pids = live.cgroup_of(patient).pids.read()
    return judge_patient(
        alive=True, workers=max(0, pids.current - 2), refused=pids.refused, limit=pids.max, asked=asked
    )


def limit_is_kept() -> str:
    """Its limit on tasks is raised, not removed (1000 at most): the next fork bomb must not reach the machine."""
    asked = int(_patient().inspect()["HostConfig"].get("PidsLimit") or 0)
    if asked == PIDS_LIMIT:
        patient_is_well()
    if 0 < asked <= TOO_MANY:
        return f"pids limit {asked}"
    raise NotYet(
        observed="no limit" if asked <= 0 else f"pids limit {asked}",
        expected="a limit with room for the workers, far below the machine's",
        likely_slip="the limit was taken away instead of raised: the symptom is gone, and so is the protection",
        hint="Choose a number somewhat above what the program needs.",
    )


PATIENT = Exercise(
    id="cg-11",
    title="Why does it die?",
    task=(
        "The container `lab-$LAB_SESSION-patient` ends ten seconds after each start: find out why from the kernel's "
        "counters, and make it stay up with all its twelve workers and a limit that is raised, not removed."
    ),
    checks=(patient_is_well, limit_is_kept),
    hints=(
        "The program's own words do not help. The kernel refused it something, and the kernel counts refusals.",
        (
            "While it is up (ten seconds after `docker start`), read memory.events, cpu.stat and pids.events of "
            "its cgroup. The kernel log has a line about it, too."
        ),
        (
            "pids.events says how often a fork was refused; pids.max says at how many. Raise it with `docker "
            "update --pids-limit`, then `docker start` or `docker restart` it."
        ),
    ),
    solution=Solution(
        "docker update --pids-limit 64 lab-$LAB_SESSION-patient >/dev/null\n"
        "docker restart --time 1 lab-$LAB_SESSION-patient >/dev/null",
        why=(
            "pids.events says `max` 1: a fork was refused. memory.events is all zeros, so memory was never the "
            "problem, and exit status 1 says that the program gave up by itself (a killed one has 137). It needs "
            "14 processes (12 workers and two shells) and was allowed 8. Raised, not removed: the limit is there "
            "for the day on which a bug forks for ever."
        ),
    ),
    reset=lambda: live.remove_container("patient"),
    wrong_answers=(
        WrongAnswer(
            "docker update --memory 512m --memory-swap 512m lab-$LAB_SESSION-patient >/dev/null\n"
            "docker restart --time 1 lab-$LAB_SESSION-patient >/dev/null",
            says="memory was never short",
        ),
        WrongAnswer(
            "docker update --pids-limit -1 lab-$LAB_SESSION-patient >/dev/null\n"
            "docker restart --time 1 lab-$LAB_SESSION-patient >/dev/null",
            says="taken away instead of raised",
        ),
        WrongAnswer(
            "docker update --pids-limit 12 lab-$LAB_SESSION-patient >/dev/null\n"
            "docker restart --time 1 lab-$LAB_SESSION-patient >/dev/null",
            says="the first shell included",
        ),
    ),
    language="bash",
    settle_s=6.0,
    prepare=start_patient,
)
