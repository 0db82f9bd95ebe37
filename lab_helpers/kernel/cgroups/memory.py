"""Memory: limits, protection, swap, use, and the OOM kills that the kernel counted."""

from __future__ import annotations

from dataclasses import dataclass

from lab_helpers.kernel.cgroups.control_file import ControlFile, Controller
from lab_helpers.kernel.cgroups.formats import format_max, parse_flat, parse_max

MAX = ControlFile(
    "memory.max", "memory.limit_in_bytes", "hard limit: beyond it the kernel reclaims, then kills (OOM)", "4.5"
)
HIGH = ControlFile(
    "memory.high", "", "brake: beyond it processes are slowed down and reclaimed from, not killed", "4.5"
)
LOW = ControlFile(
    "memory.low", "memory.soft_limit_in_bytes", "reservation: left alone as long as others have memory to give", "4.5"
)
MIN = ControlFile("memory.min", "", "hard reservation: never reclaimed", "4.18")
SWAP_MAX = ControlFile(
    "memory.swap.max", "memory.memsw.limit_in_bytes", "limit of swap (v1: of memory and swap together)", "4.5"
)
CURRENT = ControlFile("memory.current", "memory.usage_in_bytes", "memory in use now", "4.5")
PEAK = ControlFile("memory.peak", "memory.max_usage_in_bytes", "most memory ever in use", "5.19")
SWAP_CURRENT = ControlFile(
    "memory.swap.current", "memory.memsw.usage_in_bytes", "swap in use now (v1: memory and swap together)", "4.5"
)
EVENTS = ControlFile(
    "memory.events", "memory.oom_control", "how often limits were hit, and how many processes were killed", "4.5"
)
FAILCNT = ControlFile("", "memory.failcnt", "how often the limit was hit (v2: the line max of memory.events)", "")
OOM_GROUP = ControlFile("memory.oom.group", "", "1: an OOM kill takes the whole cgroup instead of one process", "4.19")
STAT = ControlFile(
    "memory.stat", "memory.stat", "what the memory is used for: anonymous, page cache, kernel, ...", "4.5"
)


@dataclass(frozen=True)
class MemoryEvents:
    """Counters since the cgroup was made; None where this version does not count.

    Attributes:
        low: Reclaimed in spite of memory.low.
        high: Slowed down because memory.high was passed.
        max: Hit memory.max (v1: memory.failcnt).
        oom: Could not reclaim enough, so that the OOM killer was asked.
        oom_kill: Processes that the OOM killer ended (v1: since Linux 4.13).
        oom_group_kill: Times that the whole cgroup was killed (Linux 5.17+).
    """

    low: int | None
    high: int | None
    max: int | None
    oom: int | None
    oom_kill: int | None
    oom_group_kill: int | None


@dataclass(frozen=True)
class MemoryFigures:
    """The memory of a cgroup; a limit of None means none, any other None that this version or kernel has no such file.

    Attributes:
        current_bytes: In use now, page cache and kernel memory included.
        max_bytes: Hard limit.
        high_bytes: Soft limit.
        low_bytes: Reservation.
        min_bytes: Hard reservation.
        peak_bytes: Most ever in use.
        swap_current_bytes: Swap in use.
        swap_max_bytes: Limit of swap alone.
        events: Counters.
        oom_group: Whether an OOM kill takes the whole cgroup.
    """

    current_bytes: int
    max_bytes: int | None
    high_bytes: int | None
    low_bytes: int | None
    min_bytes: int | None
    peak_bytes: int | None
    swap_current_bytes: int | None
    swap_max_bytes: int | None
    events: MemoryEvents
    oom_group: bool | None


def parse_events(text: str) -> MemoryEvents:
    """Read v2's memory.events."""
    counted = parse_flat(text)
    return MemoryEvents(*(counted.get(key) for key in ("low", "high", "max", "oom", "oom_kill", "oom_group_kill")))


def parse_events_v1(failcnt: str, oom_control: str) -> MemoryEvents:
    """Read v1's memory.failcnt and memory.oom_control."""
    return MemoryEvents(None, None, int(failcnt), None, parse_flat(oom_control).get("oom_kill"), None)


class Memory(Controller):
    """The memory controller of one cgroup.

    v2: memory.max, memory.high, memory.low, memory.min, memory.swap.max, memory.current, memory.peak, memory.events.
    v1: memory.limit_in_bytes, memory.soft_limit_in_bytes, memory.memsw.*, memory.usage_in_bytes, memory.failcnt,
    memory.oom_control.
    """

    name = "memory"
    files = (MAX, HIGH, LOW, MIN, SWAP_MAX, CURRENT, PEAK, SWAP_CURRENT, EVENTS, FAILCNT, OOM_GROUP, STAT)

    def set_max(self, limit_bytes: int | None) -> None:
        """Cap the memory of all processes in this cgroup.

        Args:
            limit_bytes: Hard limit in bytes, rounded down to whole pages; None: no limit.

        Raises:
            ControllerNotEnabledError: v2: the parent's cgroup.subtree_control lacks ``memory``.
            KernelFileError: v1: EBUSY when the memory in use cannot be brought below the limit. v2 kills instead.

        Equivalent: echo 268435456 > memory.max    (v1: memory.limit_in_bytes)
        Source: kernel cgroup-v2 guide, "Memory Interface Files" (Linux 4.5+).
        """
        if self.cgroup.version == 1:
            self._make_room_for(limit_bytes)
        self._write_limit(MAX, limit_bytes)

    def set_high(self, limit_bytes: int | None) -> None:
        """Slow the processes down beyond this amount, instead of killing one.

        Args:
            limit_bytes: Soft limit in bytes; None: no limit.

        Raises:
            FileMissingError: v1 has no such file.

        Equivalent: echo 134217728 > memory.high    (v1: none)
        Source: kernel cgroup-v2 guide, "Memory Interface Files" (Linux 4.5+).
        """
        self._write_limit(HIGH, limit_bytes)

    def set_low(self, reservation_bytes: int) -> None:
        """Reserve memory as far as possible; Docker's ``--memory-reservation``.

        Args:
            reservation_bytes: Amount in bytes.

        Equivalent: echo 67108864 > memory.low    (v1: memory.soft_limit_in_bytes)
        Source: kernel cgroup-v2 guide, "Memory Interface Files" (Linux 4.5+).
        """
        self.write_text(LOW, reservation_bytes)

    def set_min(self, reservation_bytes: int) -> None:
        """Reserve memory for certain.

        Args:
            reservation_bytes: Amount in bytes.

        Raises:
            FileMissingError: v1 has no such file.

        Equivalent: echo 67108864 > memory.min    (v1: none)
        Source: kernel cgroup-v2 guide, "Memory Interface Files" (Linux 4.18+).
        """
        self.write_text(MIN, reservation_bytes)

    def set_swap_max(self, limit_bytes: int | None) -> None:
        """Cap the swap of this cgroup; 0 keeps it out of swap.

        v1 limits memory and swap together, so the memory limit is added there and must be set first.

        Args:
            limit_bytes: Limit of swap alone, in bytes; None: no limit.

        Raises:
            FileMissingError: the kernel was built or started without swap accounting.

        Equivalent: echo 0 > memory.swap.max    (v1: memory.memsw.limit_in_bytes = memory + swap)
        Source: kernel cgroup-v2 guide, "Memory Interface Files" (Linux 4.5+).
        """
        if self.cgroup.version == 1 and limit_bytes is not None:
            memory = parse_max(self.read_text(MAX))
            limit_bytes = None if memory is None else memory + limit_bytes
        self._write_limit(SWAP_MAX, limit_bytes)

    def set_oom_group(self, *, whole: bool) -> None:
        """Let an OOM kill take the whole cgroup, so that no half of a program stays behind.

        Args:
            whole: True: everything in it dies; False: one process.

        Raises:
            FileMissingError: v1 has no such file.

        Equivalent: echo 1 > memory.oom.group    (v1: none)
        Source: kernel cgroup-v2 guide, "Memory Interface Files" (Linux 4.19+).
        """
        self.write_text(OOM_GROUP, int(whole))

    def current_bytes(self) -> int:
        """Return the memory in use now, in bytes.

        Equivalent: cat memory.current    (v1: memory.usage_in_bytes)
        """
        return int(self.read_text(CURRENT))

    def events(self) -> MemoryEvents:
        """Return how often limits were hit and how many processes were killed.

        Equivalent: cat memory.events    (v1: memory.failcnt memory.oom_control)
        """
        if self.cgroup.version == 2:
            return parse_events(self.read_text(EVENTS))
        return parse_events_v1(self.read_text(FAILCNT), self.read_text(EVENTS))

    def stat(self) -> dict[str, int]:
        """Return what the memory is used for, in bytes (and some counters of events).

        Equivalent: cat memory.stat
        """
        return parse_flat(self.read_text(STAT))

    def read(self) -> MemoryFigures:
        """Return all figures of this controller.

        Raises:
            ControllerNotEnabledError: v2: the parent's cgroup.subtree_control lacks ``memory``.
        """
        limit = parse_max(self.read_text(MAX))
        swap_current, swap_max = self._optional(SWAP_CURRENT), self._optional(SWAP_MAX)
        current = self.current_bytes()
        if self.cgroup.version == 1:
            # v1 counts memory and swap together: take the memory off again.
            swap_current = None if swap_current is None else max(0, swap_current - current)
            swap_max = None if swap_max is None or limit is None else max(0, swap_max - limit)
        group = self._optional(OOM_GROUP)
        return MemoryFigures(
            current_bytes=current,
            max_bytes=limit,
            high_bytes=self._optional(HIGH),
            low_bytes=self._optional(LOW),
            min_bytes=self._optional(MIN),
            peak_bytes=self._optional(PEAK),
            swap_current_bytes=swap_current,
            swap_max_bytes=swap_max,
            events=self.events(),
            oom_group=None if group is None else bool(group),
        )

    def _optional(self, control: ControlFile) -> int | None:
        text = self.read_optional(control)
        return None if text is None else parse_max(text)

    def _write_limit(self, control: ControlFile, limit_bytes: int | None) -> None:
        none = "max" if self.cgroup.version == 2 else "-1"
        self.write_text(control, none if limit_bytes is None else format_max(limit_bytes))

    def _make_room_for(self, limit_bytes: int | None) -> None:
        """v1 refuses a memory limit above the limit of memory and swap together: raise that one first."""
        together = self._optional(SWAP_MAX)
        if together is not None and (limit_bytes is None or limit_bytes > together):
            self._write_limit(SWAP_MAX, limit_bytes)
