"""The number of processes and threads: what stops a fork bomb."""

from __future__ import annotations

from dataclasses import dataclass

from lab_helpers.kernel.cgroups.control_file import ControlFile, Controller
from lab_helpers.kernel.cgroups.formats import format_max, parse_flat, parse_max

MAX = ControlFile("pids.max", "pids.max", "most processes and threads; beyond it fork fails with EAGAIN", "4.3")
CURRENT = ControlFile("pids.current", "pids.current", "processes and threads now", "4.3")
PEAK = ControlFile("pids.peak", "pids.peak", "most there ever were", "6.1")
EVENTS = ControlFile("pids.events", "pids.events", "how often a fork was refused", "4.8")


@dataclass(frozen=True)
class PidsFigures:
    """The processes of a cgroup and of those below it, threads counted.

    Attributes:
        current: Now.
        max: Limit; None: no limit.
        peak: Most ever; None on kernels before 6.1.
        refused: Forks that failed because of the limit.
    """

    current: int
    max: int | None
    peak: int | None
    refused: int


class Pids(Controller):
    """The pids controller of one cgroup; v1 and v2 use the same names.

    v2 and v1: pids.max, pids.current, pids.peak, pids.events.
    """

    name = "pids"
    files = (MAX, CURRENT, PEAK, EVENTS)

    def set_max(self, limit: int | None) -> None:
        """Let no more processes and threads than this be made here.

        A process that is moved in is never refused: the limit stops fork, not ``cgroup.procs``.

        Args:
            limit: Number of processes and threads; None: no limit.

        Raises:
            ControllerNotEnabledError: v2: the parent's cgroup.subtree_control lacks ``pids``.

        Equivalent: echo 20 > pids.max
        Source: kernel cgroup-v2 guide, "PID Interface Files" (Linux 4.3+).
        """
        self.write_text(MAX, format_max(limit))

    def read(self) -> PidsFigures:
        """Return all figures of this controller.

        Raises:
            ControllerNotEnabledError: v2: the parent's cgroup.subtree_control lacks ``pids``.
        """
        peak = self.read_optional(PEAK)
        return PidsFigures(
            current=int(self.read_text(CURRENT)),
            max=parse_max(self.read_text(MAX)),
            peak=None if peak is None else int(peak),
            refused=parse_flat(self.read_text(EVENTS)).get("max", 0),
        )
