"""Pressure stall information (PSI): the share of time in which processes waited for CPU, memory or I/O.

A limit says what is allowed and a counter what was used; pressure says what it cost.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lab_helpers.kernel.cgroups import files
from lab_helpers.kernel.cgroups.errors import FileMissingError, KernelFileError

if TYPE_CHECKING:
    from lab_helpers.kernel.cgroups.cgroup import Cgroup

Resource = Literal["cpu", "memory", "io"]


@dataclass(frozen=True)
class Stall:
    """One line of a pressure file.

    Attributes:
        avg10_percent: Share of the last 10 seconds spent waiting.
        avg60_percent: Of the last minute.
        avg300_percent: Of the last five minutes.
        total_us: Waiting in all, in microseconds.
    """

    avg10_percent: float
    avg60_percent: float
    avg300_percent: float
    total_us: int


@dataclass(frozen=True)
class Pressure:
    """Pressure on one resource.

    Attributes:
        some: At least one process waited.
        full: All of them did, so that nothing got done; None where the kernel does not count it (CPU before 5.13).
    """

    some: Stall
    full: Stall | None


def parse_pressure(text: str) -> Pressure:
    r"""Read a pressure file.

    >>> parse_pressure("some avg10=1.50 avg60=0.30 avg300=0.06 total=215007\n").some.avg10_percent
    1.5

    Source: kernel guide "PSI - Pressure Stall Information" (Linux 4.20+).
    """
    stalls: dict[str, Stall] = {}
    for line in text.splitlines():
        word, *pairs = line.split()
        values = dict(pair.split("=") for pair in pairs)
        stalls[word] = Stall(
            float(values["avg10"]), float(values["avg60"]), float(values["avg300"]), int(values["total"])
        )
    return Pressure(stalls["some"], stalls.get("full"))


def machine(resource: Resource) -> Pressure:
    """Return the pressure on the whole machine.

    Raises:
        FileMissingError: the kernel has no PSI, or it is switched off.

    Equivalent: cat /proc/pressure/RESOURCE
    """
    return _read(Path("/proc/pressure") / resource)


def _read(path: Path) -> Pressure:
    try:
        return parse_pressure(files.read(path))
    except KernelFileError as error:
        if error.errno not in (errno.ENOENT, errno.EOPNOTSUPP):
            raise
        raise FileMissingError(
            f"no pressure figures at {path}",
            reference="no-pressure",
            why="PSI is compiled out or switched off: some distributions need psi=1 on the kernel's command line",
            next_step="go on with the next cell; in the lab's virtual machine it is on",
        ) from error


class CgroupPressure:
    """The pressure files of one cgroup.

    v2: cpu.pressure, memory.pressure, io.pressure. v1 has none; on a hybrid machine they are in the v2 hierarchy.
    """

    def __init__(self, cgroup: Cgroup) -> None:
        self.cgroup = cgroup

    def read(self, resource: Resource) -> Pressure:
        """Return the pressure on one resource.

        Args:
            resource: ``cpu``, ``memory`` or ``io``.

        Raises:
            FileMissingError: v1 without a v2 hierarchy beside it, or PSI is off.

        Equivalent: cat memory.pressure
        Source: kernel cgroup-v2 guide, "memory.pressure" (Linux 4.20+).
        """
        folder = self.cgroup.unified
        if folder is None:
            raise FileMissingError(
                f"no pressure figures for {self.cgroup.name}",
                reference="no-pressure",
                why="cgroup v1 has no pressure files, and this machine mounts no v2 hierarchy beside it",
                next_step=f"pressure.machine({resource!r}) shows the whole machine's",
            )
        return _read(folder / f"{resource}.pressure")
