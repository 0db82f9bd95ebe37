"""What a gauge has seen: one sample a look, rates worked out from the kernel's counters."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from lab_helpers.widgets.facts import Usage

KEPT = 480
"""Samples kept: two minutes at 4 Hz."""


@dataclass(frozen=True)
class Sample:
    """One look.

    Attributes:
        at_s: Seconds since the first look.
        usage: What was read.
        cpus: CPUs used on average since the look before; None at the first.
        throttled_ms: Milliseconds a second for which the cgroup was throttled, summed over its CPUs.
        oom: Processes killed for want of memory since the look before.
    """

    at_s: float
    usage: Usage
    cpus: float | None
    throttled_ms: float
    oom: int

    def as_point(self) -> list[float | None]:
        """Return the numbers the browser draws, in the order that gauge.js knows."""
        usage = self.usage
        return [
            round(self.at_s, 2),
            usage.memory_bytes,
            usage.memory_max_bytes,
            None if self.cpus is None else round(self.cpus, 3),
            usage.cpu_limit,
            round(self.throttled_ms, 1),
            usage.memory_pressure,
            usage.cpu_pressure,
            self.oom,
            usage.oom_kills,
            usage.pids,
            usage.pids_max,
        ]


class History:
    """The last samples of one cgroup."""

    def __init__(self) -> None:
        self.samples: deque[Sample] = deque(maxlen=KEPT)
        self._began: float | None = None
        self._last: tuple[float, Usage] | None = None

    def add(self, now_s: float, usage: Usage) -> Sample:
        """Take one look in.

        Args:
            now_s: A clock that never goes back, in seconds.
            usage: What was read.
        """
        if self._began is None:
            self._began = now_s
        cpus, throttled_ms, oom = None, 0.0, 0
        if self._last is not None:
            elapsed = max(now_s - self._last[0], 1e-6)
            before = self._last[1]
            used = _grown(before.cpu_us, usage.cpu_us)
            cpus = None if usage.cpu_us is None else used / 1e6 / elapsed
            throttled_ms = _grown(before.throttled_us, usage.throttled_us) / 1e3 / elapsed
            oom = _grown(before.oom_kills, usage.oom_kills)
        sample = Sample(now_s - self._began, usage, cpus, throttled_ms, oom)
        self._last = (now_s, usage)
        self.samples.append(sample)
        return sample

    @property
    def last(self) -> Sample | None:
        """The latest sample."""
        return self.samples[-1] if self.samples else None


def _grown(before: int | None, now: int | None) -> int:
    # A counter that went back belongs to a new cgroup of the same name.
    return max(0, now - before) if before is not None and now is not None else 0
