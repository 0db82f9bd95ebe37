"""The few formats that cgroup files use, as pure functions.

The kernel's guide names them: single values, flat keyed (``oom_kill 1``), nested keyed (``8:0 rbytes=1 wbytes=2``).
Source: kernel cgroup-v2 guide, "Interface Files".
"""

from __future__ import annotations

NO_LIMIT_V1 = 1 << 62
"""v1 writes "no limit" as the largest number of whole pages; anything near it means none."""


def parse_max(text: str) -> int | None:
    r"""Read a number or ``max``, which is no limit: None. v1 says it with -1 or a number near 2**63.

    >>> parse_max("max\n") is None, parse_max("67108864\n")
    (True, 67108864)
    """
    word = text.strip()
    if word == "max":
        return None
    number = int(word)
    return None if number < 0 or number >= NO_LIMIT_V1 else number


def format_max(value: int | None) -> str:
    """Write a limit the v2 way: None is ``max``."""
    return "max" if value is None else str(value)


def parse_flat(text: str) -> dict[str, int]:
    r"""Read lines of a key and a number.

    >>> parse_flat("low 0\noom_kill 1\n")
    {'low': 0, 'oom_kill': 1}
    """
    found: dict[str, int] = {}
    for line in text.splitlines():
        key, _, value = line.rpartition(" ")
        if key:
            found[key] = int(value)
    return found


def parse_nested(text: str) -> dict[str, dict[str, str]]:
    r"""Read lines of a key and several ``name=value``; a key without values is left out.

    >>> parse_nested("8:0 rbps=max wbps=1048576\n")
    {'8:0': {'rbps': 'max', 'wbps': '1048576'}}
    """
    found: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        key, *pairs = line.split()
        values = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        if values:
            found[key] = values
    return found


def parse_blkio(text: str) -> dict[str, dict[str, int]]:
    r"""Read v1's ``8:0 Read 4096`` lines, device by device; the sum over all devices is left out.

    >>> parse_blkio("8:0 Read 4096\n8:0 Write 0\nTotal 4096\n")
    {'8:0': {'Read': 4096, 'Write': 0}}
    """
    found: dict[str, dict[str, int]] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3:
            found.setdefault(words[0], {})[words[1]] = int(words[2])
    return found


def parse_cpu_max(text: str) -> tuple[int | None, int]:
    r"""Read v2's ``cpu.max``: quota in microseconds (None: no limit) and period in microseconds.

    >>> parse_cpu_max("50000 100000\n"), parse_cpu_max("max 100000\n")
    ((50000, 100000), (None, 100000))
    """
    quota, period = text.split()
    return parse_max(quota), int(period)


def parse_list(text: str) -> tuple[int, ...]:
    r"""Read a list of CPUs or memory nodes.

    >>> parse_list("0-2,5\n"), parse_list("\n")
    ((0, 1, 2, 5), ())
    """
    found: set[int] = set()
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(found))


def format_list(numbers: tuple[int, ...] | list[int] | set[int]) -> str:
    """Write a list of CPUs the kernel's way.

    >>> format_list((0, 1, 2, 5))
    '0-2,5'
    """
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)
