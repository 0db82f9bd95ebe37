"""Block I/O: a limit for each device in bytes and operations a second, and what was read and written."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from lab_helpers.kernel.cgroups.control_file import ControlFile, Controller
from lab_helpers.kernel.cgroups.errors import CgroupError
from lab_helpers.kernel.cgroups.formats import format_max, parse_blkio, parse_max, parse_nested

MAX = ControlFile(
    "io.max", "blkio.throttle.read_bps_device", "limits of a device: rbps wbps riops wiops (v1: a file for each)", "4.5"
)
RBPS = ControlFile("", "blkio.throttle.read_bps_device", "bytes read a second (v2: rbps of io.max)", "")
WBPS = ControlFile("", "blkio.throttle.write_bps_device", "bytes written a second (v2: wbps of io.max)", "")
RIOPS = ControlFile("", "blkio.throttle.read_iops_device", "reads a second (v2: riops of io.max)", "")
WIOPS = ControlFile("", "blkio.throttle.write_iops_device", "writes a second (v2: wiops of io.max)", "")
STAT = ControlFile("io.stat", "blkio.throttle.io_service_bytes_recursive", "bytes read and written, by device", "4.5")
OPERATIONS = ControlFile("", "blkio.throttle.io_serviced_recursive", "reads and writes, by device (v2: in io.stat)", "")

_LIMITS = {"rbps": RBPS, "wbps": WBPS, "riops": RIOPS, "wiops": WIOPS}


@dataclass(frozen=True)
class IoMax:
    """The limits of one device; None: no limit.

    Attributes:
        rbps: Bytes read a second.
        wbps: Bytes written a second.
        riops: Reads a second.
        wiops: Writes a second.
    """

    rbps: int | None = None
    wbps: int | None = None
    riops: int | None = None
    wiops: int | None = None


@dataclass(frozen=True)
class IoStat:
    """What went to and from one device.

    Attributes:
        read_bytes: Bytes read.
        written_bytes: Bytes written.
        reads: Operations.
        writes: Operations.
    """

    read_bytes: int = 0
    written_bytes: int = 0
    reads: int = 0
    writes: int = 0


@dataclass(frozen=True)
class IoFigures:
    """Limits and counters, each by device number such as ``8:0``."""

    max: dict[str, IoMax]
    stat: dict[str, IoStat]


def device_number(path: Path | str) -> str:
    """Return ``major:minor`` of a block device, or of the one that holds a file.

    For a file on a partition or an overlay this is the number of that file system; ``io.max`` wants a whole disk.

    Raises:
        FileNotFoundError: there is no such path.

    Equivalent: lsblk -no MAJ:MIN DEVICE
    """
    facts = Path(path).stat()
    number = facts.st_rdev if stat.S_ISBLK(facts.st_mode) else facts.st_dev
    return f"{os.major(number)}:{os.minor(number)}"


def parse_io_max(text: str) -> dict[str, IoMax]:
    """Read v2's io.max."""
    return {
        device: IoMax(**{key: parse_max(value) for key, value in limits.items() if key in _LIMITS})
        for device, limits in parse_nested(text).items()
    }


def parse_io_max_v1(texts: dict[str, str]) -> dict[str, IoMax]:
    """Read v1's four blkio.throttle files, given by v2's words for them."""
    found: dict[str, dict[str, int | None]] = {}
    for key, text in texts.items():
        for line in text.splitlines():
            device, value = line.split()
            found.setdefault(device, {})[key] = int(value)
    return {device: IoMax(**limits) for device, limits in found.items()}


def parse_io_stat(text: str) -> dict[str, IoStat]:
    """Read v2's io.stat."""
    return {
        device: IoStat(*(int(values.get(key, 0)) for key in ("rbytes", "wbytes", "rios", "wios")))
        for device, values in parse_nested(text).items()
    }


def parse_io_stat_v1(service_bytes: str, serviced: str) -> dict[str, IoStat]:
    """Read v1's counters of bytes and of operations."""
    amounts, operations = parse_blkio(service_bytes), parse_blkio(serviced)
    return {
        device: IoStat(
            amounts.get(device, {}).get("Read", 0),
            amounts.get(device, {}).get("Write", 0),
            operations.get(device, {}).get("Read", 0),
            operations.get(device, {}).get("Write", 0),
        )
        for device in amounts.keys() | operations.keys()
    }


class Io(Controller):
    """The block I/O controller of one cgroup; v1 calls it blkio.

    v2: io.max, io.stat. v1: blkio.throttle.{read,write}_{bps,iops}_device, blkio.throttle.io_service_bytes_recursive,
    blkio.throttle.io_serviced_recursive.

    Only v2 knows whose a delayed write is (it joins io and memory). On v1 a limit holds for direct I/O and for reads;
    what the kernel writes back later from the page cache runs free.
    """

    name = "io"
    files = (MAX, RBPS, WBPS, RIOPS, WIOPS, STAT, OPERATIONS)

    def set_max(
        self,
        device: str,
        *,
        rbps: int | None = None,
        wbps: int | None = None,
        riops: int | None = None,
        wiops: int | None = None,
    ) -> None:
        """Limit one device; what is not given, or None, has no limit.

        Args:
            device: ``major:minor`` of a whole disk (``device_number`` finds it).
            rbps: Bytes read a second.
            wbps: Bytes written a second.
            riops: Reads a second.
            wiops: Writes a second.

        Raises:
            CgroupError: the device number is not ``major:minor``.
            ControllerNotEnabledError: v2: the parent's cgroup.subtree_control lacks ``io``.
            KernelFileError: ENODEV: no such disk, or a partition.

        Equivalent: echo "7:0 wbps=1048576" > io.max    (v1: echo "7:0 1048576" > blkio.throttle.write_bps_device)
        Source: kernel cgroup-v2 guide, "IO Interface Files" (Linux 4.5+).
        """
        major, _, minor = device.partition(":")
        if not (major.isdigit() and minor.isdigit()):
            raise CgroupError(
                f"{device!r} is no device number",
                reference="bad-device-number",
                why="the kernel knows a disk by major:minor, such as 8:0",
                next_step="take device_number('/dev/...'), or a number that `lsblk` shows",
            )
        wanted = {"rbps": rbps, "wbps": wbps, "riops": riops, "wiops": wiops}
        if self.cgroup.version == 2:
            self.write_text(MAX, " ".join([device, *(f"{key}={format_max(value)}" for key, value in wanted.items())]))
            return
        present = self.limits().get(device, IoMax())
        for key, value in wanted.items():
            if value != getattr(present, key):
                # 0 takes a limit away in v1.
                self.write_text(_LIMITS[key], f"{device} {value or 0}")

    def limits(self) -> dict[str, IoMax]:
        """Return the limits by device.

        Equivalent: cat io.max    (v1: blkio.throttle.*_device)
        """
        if self.cgroup.version == 2:
            return parse_io_max(self.read_text(MAX))
        return parse_io_max_v1({key: self.read_text(control) for key, control in _LIMITS.items()})

    def stat(self) -> dict[str, IoStat]:
        """Return what was read and written, by device.

        Equivalent: cat io.stat    (v1: blkio.throttle.io_service_bytes_recursive, blkio.throttle.io_serviced_recursive)
        """
        if self.cgroup.version == 2:
            return parse_io_stat(self.read_text(STAT))
        return parse_io_stat_v1(self.read_text(STAT), self.read_text(OPERATIONS))

    def read(self) -> IoFigures:
        """Return all figures of this controller.

        Raises:
            ControllerNotEnabledError: v2: the parent's cgroup.subtree_control lacks ``io``.
        """
        return IoFigures(self.limits(), self.stat())
