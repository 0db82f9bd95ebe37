"""Accounting: what a cgroup has used, limits or not. This is what a bill is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab_helpers.kernel.cgroups.io import IoStat

if TYPE_CHECKING:
    from lab_helpers.kernel.cgroups.cgroup import Cgroup

_MEMORY_KEYS = {
    "anonymous_bytes": ("anon", "total_rss"),
    "page_cache_bytes": ("file", "total_cache"),
    "kernel_stack_bytes": ("kernel_stack", "kernel_stack"),
    "page_faults": ("pgfault", "total_pgfault"),
    "major_page_faults": ("pgmajfault", "total_pgmajfault"),
}


@dataclass(frozen=True)
class MemoryUse:
    """What memory is used for; None where this version does not say.

    Attributes:
        anonymous_bytes: Heaps and stacks: what cannot be dropped (v2 ``anon``, v1 ``rss``).
        page_cache_bytes: File contents: what can (v2 ``file``, v1 ``cache``).
        kernel_stack_bytes: Stacks of its threads inside the kernel; v2 only.
        page_faults: Pages that had to be provided.
        major_page_faults: Of those, the ones that had to wait for a disk.
    """

    anonymous_bytes: int | None
    page_cache_bytes: int | None
    kernel_stack_bytes: int | None
    page_faults: int | None
    major_page_faults: int | None


@dataclass(frozen=True)
class Account:
    """What a cgroup and those below it have used since it was made.

    Attributes:
        cpu_us: CPU time in microseconds.
        user_us: Of it in programs.
        system_us: Of it in the kernel.
        memory_bytes: Memory in use now.
        memory: What for.
        io: Bytes and operations, by device number.
    """

    cpu_us: int
    user_us: int
    system_us: int
    memory_bytes: int
    memory: MemoryUse
    io: dict[str, IoStat]


def memory_use(stat: dict[str, int], version: int) -> MemoryUse:
    """Pick the common figures out of memory.stat, which v1 and v2 word differently."""
    return MemoryUse(**{name: stat.get(keys[0] if version == 2 else keys[1]) for name, keys in _MEMORY_KEYS.items()})


def account(cgroup: Cgroup) -> Account:
    """Return what a cgroup has used.

    Raises:
        ControllerNotEnabledError: v2: the parent did not hand a controller down.

    Equivalent: cat cpu.stat memory.current memory.stat io.stat    (v1: cpuacct.usage*, memory.usage_in_bytes,
        memory.stat, blkio.throttle.io_*_recursive)
    """
    used = cgroup.cpu.stat()
    return Account(
        cpu_us=used.usage_us,
        user_us=used.user_us,
        system_us=used.system_us,
        memory_bytes=cgroup.memory.current_bytes(),
        memory=memory_use(cgroup.memory.stat(), cgroup.version),
        io=cgroup.io.stat(),
    )
