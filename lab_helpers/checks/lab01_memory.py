"""Notebook 01, memory: a limit that holds swap too, and the one of three containers that holds the memory."""

from __future__ import annotations

import secrets

from lab_helpers.base import session, units, waiting
from lab_helpers.checks import live
from lab_helpers.checks.definition import Exercise, Solution, WrongAnswer
from lab_helpers.checks.outcome import NotStarted, NotYet, Outcome
from lab_helpers.containers import BUSYBOX, Container, run
from lab_helpers.kernel.cgroups import memory

LIMIT = 64 * units.MIB
CAP = 96 * units.MIB
BALLAST = 48 * units.MIB
THREE = ("red", "green", "blue")


def judge_limit(limit_bytes: int | None) -> str:
    """Say what a limit is, if it is 64 MiB.

    Raises:
        NotYet: it is another one; the usual slips are named.
    """
    expected = f"the limit is 64 MiB, {LIMIT} bytes"
    if limit_bytes is None:
        raise NotYet(
            observed="its cgroup has no memory limit",
            expected=expected,
            likely_slip="the container was started without `--memory`, or a container of another name got it",
            hint="`docker run --memory` sets the limit; the engine writes it into the container's cgroup.",
        )
    if limit_bytes == LIMIT:
        return f"the limit is {limit_bytes} bytes, 64 MiB"
    slip = "another number, or another unit: Docker's `k`, `m` and `g` are powers of 1024"
    if 63_900_000 <= limit_bytes <= 64_000_000:
        slip = "64 million is counted in thousands: a MiB is 1024 x 1024 bytes"
    elif limit_bytes == 64 * units.GIB:
        slip = "`g` for `m`: that is a thousand times more"
    raise NotYet(
        observed=f"the limit is {limit_bytes} bytes, {units.format_bytes(limit_bytes)}",
        expected=expected,
        likely_slip=slip,
        hint="Compare the number in the cgroup with 64 x 1024 x 1024.",
    )


def judge_swap(swap_max_bytes: int | None) -> str:
    """Say that there is no swap.

    Raises:
        NotYet: there is some; the usual slip is Docker's default.
    """
    if swap_max_bytes == 0:
        return "it may use no swap"
    if swap_max_bytes is None:
        observed, slip = "its swap is not limited", "`--memory-swap -1` means: as much as there is"
    else:
        observed = f"it may use {units.format_bytes(swap_max_bytes)} of swap"
        slip = "without `--memory-swap`, Docker gives as much swap again as memory"
    raise NotYet(
        observed=observed,
        expected="no swap: the limit is a limit",
        likely_slip=slip,
        hint="`--memory-swap` is memory and swap together. What must it be, so that nothing is left for swap?",
    )


def small_is_limited() -> str:
    """The container `small` runs, and may use 64 MiB of memory."""
    return judge_limit(live.cgroup_of(live.running_container("small")).memory.read().max_bytes)


def small_has_no_swap() -> str:
    """It may use no swap."""
    figures = live.cgroup_of(live.running_container("small")).memory
    if not figures.path(memory.SWAP_MAX).exists():
        return "this kernel does not count swap, so there is nothing to limit"
    return judge_swap(figures.read().swap_max_bytes)


def _run_small(options: str) -> str:
    return (
        "docker rm --force lab-$LAB_SESSION-small >/dev/null 2>&1 || true\n"
        f'docker run --detach --label "$LAB_LABEL" --name lab-$LAB_SESSION-small {options} '
        "lab/busybox:1 sleep 3600 >/dev/null"
    )


SMALL = Exercise(
    id="cg-01",
    title="64 MiB and no swap",
    task=(
        "Start a container named `lab-$LAB_SESSION-small` from `lab/busybox:1` that may use 64 MiB of memory and "
        "no swap."
    ),
    checks=(small_is_limited, small_has_no_swap),
    hints=(
        "Two options of `docker run` begin with `--memory`. You need both.",
        "`--memory` limits memory; `--memory-swap` limits memory and swap added together.",
        "If both are the same number, nothing is left for swap: `--memory 64m --memory-swap 64m`.",
    ),
    solution=Solution(
        _run_small("--memory 64m --memory-swap 64m"),
        why=(
            "The engine turns the first into memory.max. The second is a sum, so the engine subtracts: 64 MiB - 64 "
            "MiB = 0 goes into memory.swap.max. (v1 keeps the sum itself, in memory.memsw.limit_in_bytes.) Without "
            "it the container gets another 64 MiB of swap, and a program that leaks becomes slow long before it is "
            "killed."
        ),
    ),
    reset=lambda: live.remove_container("small"),
    wrong_answers=(
        WrongAnswer(_run_small("--memory 64m"), says="as much swap again"),
        WrongAnswer(_run_small("--memory 64000000 --memory-swap 64000000"), says="counted in thousands"),
    ),
    language="bash",
)


def start_three() -> None:
    """Start three containers; one, chosen by chance, fills 48 MiB of its /dev/shm, which is memory."""
    heavy = secrets.choice(THREE)
    fill = f"dd if=/dev/zero of=/dev/shm/ballast bs=1M count={BALLAST // units.MIB} 2>/dev/null; exec sleep 3600"
    for word in THREE:
        run(BUSYBOX, ["sh", "-c", fill] if word == heavy else ["sleep", "3600"], name=word)
    waiting.wait_until(
        lambda: max(used().values()) >= BALLAST, what=f"{session.current().name(heavy)} to fill 48 MiB", timeout_s=60
    )


def _three() -> dict[str, Container]:
    found = {word: live.find_container(word) for word in THREE}
    there = {word: container for word, container in found.items() if container and container.status == "running"}
    if len(there) < len(THREE):
        raise NotStarted(
            "the three containers are not all running",
            hint="Run the cell with `.prepare()` first: it starts red, green and blue.",
        )
    return there


def used() -> dict[str, int]:
    """Return the memory in use, in bytes, of the three containers."""
    return {word: live.cgroup_of(container).memory.current_bytes() for word, container in _three().items()}


def _limits() -> dict[str, int | None]:
    limits = {word: live.cgroup_of(container).memory.read().max_bytes for word, container in _three().items()}
    if not any(limits.values()):
        raise NotStarted(
            "none of the three has a memory limit",
            hint="First find out which one it is: each container's cgroup counts its memory. Then limit that one.",
        )
    return limits


def judge_heavy(in_use: dict[str, int], limits: dict[str, int | None]) -> str:
    """Say that the container that holds the most is capped at 96 MiB.

    Raises:
        NotYet: it is not.
    """
    heavy = max(in_use, key=lambda word: in_use[word])
    holds = f"`{heavy}` holds {units.format_bytes(in_use[heavy])}"
    limit = limits[heavy]
    if limit == CAP:
        return f"{holds} and is capped at 96 MiB"
    limited = ", ".join(f"`{word}`" for word, value in limits.items() if value is not None)
    raise NotYet(
        observed=f"{holds} and has {'no limit' if limit is None else f'a limit of {units.format_bytes(limit)}'}; "
        f"limited: {limited}",
        expected="the one that holds the most is capped at 96 MiB",
        likely_slip="the limit went to another container" if limit is None else "another number: 96m is 96 MiB",
        hint="Compare memory.current (v1: memory.usage_in_bytes) of the three, or the MEM column of `docker stats`.",
    )


def judge_others(in_use: dict[str, int], limits: dict[str, int | None]) -> str:
    """Say that the other two are free.

    Raises:
        NotYet: one of them is limited.
    """
    heavy = max(in_use, key=lambda word: in_use[word])
    innocent = [word for word, limit in limits.items() if word != heavy and limit is not None]
    if not innocent:
        return "the other two have no limit"
    raise NotYet(
        observed=f"limited as well: {', '.join(f'`{word}`' for word in innocent)}",
        expected="the other two keep no limit",
        likely_slip="all were limited to be safe, or the first guess was left limited; the innocent pay for it",
        hint="Run `.prepare()` to begin again, and limit one only.",
    )


def heavy_is_capped() -> str:
    """The one of `red`, `green`, `blue` that holds the most memory is capped at 96 MiB."""
    limits = _limits()
    return judge_heavy(used(), limits)


def others_are_free() -> str:
    """The other two run without a limit."""
    limits = _limits()
    return judge_others(used(), limits)


def _after_looking(outcome: Outcome) -> str:
    first = outcome.first_open
    if first and "not all running" in first.observed:
        return "Run the cell with `.prepare()` first."
    return "Do not guess from names: each container's cgroup counts the memory that its processes hold."


WHICH = Exercise(
    id="cg-02",
    title="Which of the three?",
    task=(
        "In Python: one of the containers `lab-$LAB_SESSION-red`, `-green` and `-blue` holds most of the memory: find "
        "it by its cgroup's own counter and cap it at 96 MiB while it runs; leave the other two as they are."
    ),
    checks=(heavy_is_capped, others_are_free),
    hints=(
        _after_looking,
        "`containers.get(name).kernel.cgroup.memory.read().current_bytes` reads the counter of one container.",
        'Take the one with the largest counter, and call `.update(memory="96m")` on it.',
    ),
    solution=Solution(
        "from lab_helpers import containers\n"
        "from lab_helpers.base import session\n"
        'three = [containers.get(session.current().name(word)) for word in ("red", "green", "blue")]\n'
        "heavy = max(three, key=lambda one: one.kernel.cgroup.memory.current_bytes())\n"
        'heavy.update(memory="96m")',
        why=(
            "memory.current (v1: memory.usage_in_bytes) is kept by the kernel for each cgroup, page by page. The "
            "memory here is in no heap: it is files in /dev/shm, a tmpfs, and the cgroup that first touches a page "
            "of it pays for it. `docker update` writes the new limit into the same file while the processes run."
        ),
    ),
    reset=lambda: live.remove_container(*THREE),
    wrong_answers=(
        WrongAnswer(
            "from lab_helpers import containers\n"
            "from lab_helpers.base import session\n"
            'for word in ("red", "green", "blue"):\n'
            '    containers.get(session.current().name(word)).update(memory="96m")',
            says="the innocent pay for it",
        ),
        WrongAnswer(
            "from lab_helpers import containers\n"
            "from lab_helpers.base import session\n"
            'three = [containers.get(session.current().name(word)) for word in ("red", "green", "blue")]\n'
            "light = min(three, key=lambda one: one.kernel.cgroup.memory.current_bytes())\n"
            'light.update(memory="96m")',
            says="the limit went to another container",
        ),
    ),
    prepare=start_three,
)
