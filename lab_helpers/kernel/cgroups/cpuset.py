"""Pinning: which CPUs the processes may run on, and which memory nodes they may allocate from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab_helpers.kernel.cgroups.control_file import ControlFile, Controller
from lab_helpers.kernel.cgroups.formats import format_list, parse_list

CPUS = ControlFile("cpuset.cpus", "cpuset.cpus", "CPUs that are asked for", "5.0")
MEMS = ControlFile("cpuset.mems", "cpuset.mems", "memory nodes (NUMA) that are asked for", "5.0")
EFFECTIVE_CPUS = ControlFile("cpuset.cpus.effective", "cpuset.effective_cpus", "CPUs that are granted", "5.0")
EFFECTIVE_MEMS = ControlFile("cpuset.mems.effective", "cpuset.effective_mems", "memory nodes that are granted", "5.0")


@dataclass(frozen=True)
class CpusetFigures:
    """Numbers of CPUs and memory nodes.

    Attributes:
        cpus: Asked for; empty on v2: the parent's.
        mems: Asked for; empty on v2: the parent's.
        effective_cpus: Granted. ``Cpus_allowed_list`` of each process says the same.
        effective_mems: Granted.
    """

    cpus: tuple[int, ...]
    mems: tuple[int, ...]
    effective_cpus: tuple[int, ...]
    effective_mems: tuple[int, ...]


class Cpuset(Controller):
    """The cpuset controller of one cgroup.

    v2: cpuset.cpus, cpuset.mems, cpuset.cpus.effective, cpuset.mems.effective.
    v1: cpuset.cpus, cpuset.mems, cpuset.effective_cpus, cpuset.effective_mems; empty files let no process in.
    """

    name = "cpuset"
    files = (CPUS, MEMS, EFFECTIVE_CPUS, EFFECTIVE_MEMS)

    def set_cpus(self, cpus: Iterable[int]) -> None:
        """Let the processes run on these CPUs only; running ones move at once.

        Args:
            cpus: Numbers of CPUs; none of them on v2: the parent's.

        Raises:
            ControllerNotEnabledError: v2: the parent's cgroup.subtree_control lacks ``cpuset``.
            KernelFileError: ERANGE, EINVAL or EACCES: no such CPU, or (v1) the parent does not have it.

        Equivalent: echo 0-1 > cpuset.cpus
        Source: kernel cgroup-v2 guide, "Cpuset Interface Files" (Linux 5.0+).
        """
        self.write_text(CPUS, self._line(cpus))

    def set_mems(self, mems: Iterable[int]) -> None:
        """Let the processes allocate from these memory nodes only.

        Args:
            mems: Numbers of NUMA nodes; a small machine has node 0 only.

        Raises:
            ControllerNotEnabledError: v2: the parent's cgroup.subtree_control lacks ``cpuset``.
            KernelFileError: EINVAL: no such node.

        Equivalent: echo 0 > cpuset.mems
        Source: kernel cgroup-v2 guide, "Cpuset Interface Files" (Linux 5.0+).
        """
        self.write_text(MEMS, self._line(mems))

    @staticmethod
    def _line(numbers: Iterable[int]) -> str:
        # A write of no bytes never reaches the kernel's handler; an empty line clears the list.
        return format_list(set(numbers)) or "\n"

    def read(self) -> CpusetFigures:
        """Return all figures of this controller.

        Raises:
            ControllerNotEnabledError: v2: the parent's cgroup.subtree_control lacks ``cpuset``.
        """
        return CpusetFigures(*(parse_list(self.read_text(control)) for control in self.files))
