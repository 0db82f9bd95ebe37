"""A scratch disk: a file that the kernel treats as a block device. I/O limits are tried on it, never on a real disk."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lab_helpers.base import commands, session
from lab_helpers.base.errors import LabError
from lab_helpers.base.units import MIB, format_bytes
from lab_helpers.kernel.cgroups.io import device_number

if TYPE_CHECKING:
    from lab_helpers.kernel.cgroups import Cgroup

_COPIED = re.compile(r"^(\d+) bytes.*copied, ([0-9.e+-]+) s", re.MULTILINE)
_DELETED = " (deleted)"


class ScratchDiskError(LabError):
    """A scratch disk cannot be made or measured."""


@dataclass(frozen=True)
class Throughput:
    """How fast something was written or read.

    Attributes:
        count_bytes: How much.
        duration_s: In how long, in seconds, as dd itself measured.
    """

    count_bytes: int
    duration_s: float

    @property
    def bytes_per_s(self) -> float:
        """Bytes a second."""
        return self.count_bytes / self.duration_s

    @property
    def mib_per_s(self) -> float:
        """MiB (1048576 bytes) a second."""
        return self.bytes_per_s / MIB

    def __str__(self) -> str:
        return f"{format_bytes(self.count_bytes)} in {self.duration_s:.2f} s: {self.mib_per_s:.1f} MiB/s"


def parse_dd(text: str) -> Throughput:
    """Read the last line of GNU dd in the C locale.

    >>> parse_dd("8388608 bytes (8.4 MB, 8.0 MiB) copied, 4.00 s, 2.1 MB/s")
    Throughput(count_bytes=8388608, duration_s=4.0)

    Raises:
        ScratchDiskError: dd said something else.
    """
    match = _COPIED.search(text)
    if not match:
        raise ScratchDiskError(
            "dd did not say how much it copied",
            reference="dd-output",
            why=f"expected a line `N bytes ... copied, S s`, got: {text.strip() or 'nothing'}",
            next_step="run the line in a terminal and read what dd says",
        )
    return Throughput(int(match[1]), float(match[2]))


class ScratchDisk:
    """A loop device on a file in the session's scratch folder; the file's path is its label.

    Use it as a context manager, or ``start()`` and ``stop()`` in different cells.

    Attributes:
        size_bytes: Its size.
        file: The file behind it.
    """

    def __init__(self, name: str = "disk", size_bytes: int = 64 * MIB) -> None:
        self.size_bytes = size_bytes
        self.file = session.current().scratch / f"{name}.img"
        self._device: Path | None = None

    def start(self) -> Self:
        """Make the file and the device; a second call changes nothing.

        Raises:
            ScratchDiskError: the disk is full, or the kernel gives no loop device.

        Equivalent: fallocate -l 64M FILE; losetup --find --show FILE
        """
        if self._device:
            return self
        for left in devices_of(self.file):
            detach(left)
        try:
            with self.file.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self.size_bytes)
        except OSError as error:
            self.file.unlink(missing_ok=True)
            raise ScratchDiskError(
                f"cannot make {self.file} of {format_bytes(self.size_bytes)}: {os.strerror(error.errno or 0)}",
                reference="scratch-disk-space",
                why="the scratch disk is a file of that size under LAB_HOME",
                next_step=f"make room (df -h {self.file.parent}), then run the cell again",
            ) from error
        try:
            shown = commands.run(["losetup", "--find", "--show", str(self.file)])
        except commands.CommandError as error:
            self.file.unlink(missing_ok=True)
            raise ScratchDiskError(
                "the kernel gives no loop device",
                reference="loop-device",
                why=error.completed.stderr.strip() or "losetup failed",
                next_step="run `modprobe loop`, then the cell again; inside a container loop devices are not available",
            ) from error
        self._device = Path(shown.stdout.strip())
        return self

    def stop(self) -> None:
        """Detach the device and remove the file; gone already is a success.

        Equivalent: losetup --detach DEVICE; rm FILE
        """
        for path in devices_of(self.file):
            detach(path)
        self._device = None
        self.file.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def device(self) -> Path:
        """The device file, such as ``/dev/loop0``.

        Raises:
            ScratchDiskError: it was not started.
        """
        if self._device is None:
            raise ScratchDiskError(
                "the scratch disk has no device yet",
                reference="scratch-disk-stopped",
                why="start() makes it, stop() takes it away",
                next_step="call .start() on it first",
            )
        return self._device

    @property
    def number(self) -> str:
        """Its device number, such as ``7:0``: the key of ``io.max``."""
        return device_number(self.device)

    def write(self, cgroup: Cgroup, count_bytes: int = 8 * MIB, block_bytes: int = 64 * 1024) -> Throughput:
        """Write to the disk from inside a cgroup, past the page cache, and measure.

        Args:
            cgroup: Whose limit holds.
            count_bytes: How much to write; no more than the disk holds.
            block_bytes: Size of one write, a multiple of 4096.

        Equivalent: dd if=/dev/zero of=DEVICE bs=64K count=128 oflag=direct
        """
        return self._copy(cgroup, ["if=/dev/zero", f"of={self.device}", "oflag=direct"], count_bytes, block_bytes)

    def read(self, cgroup: Cgroup, count_bytes: int = 8 * MIB, block_bytes: int = 64 * 1024) -> Throughput:
        """Read from the disk from inside a cgroup, past the page cache, and measure.

        Args:
            cgroup: Whose limit holds.
            count_bytes: How much to read; no more than the disk holds.
            block_bytes: Size of one read, a multiple of 4096.

        Equivalent: dd if=DEVICE of=/dev/null bs=64K count=128 iflag=direct
        """
        return self._copy(cgroup, [f"if={self.device}", "of=/dev/null", "iflag=direct"], count_bytes, block_bytes)

    def _copy(self, cgroup: Cgroup, words: list[str], count_bytes: int, block_bytes: int) -> Throughput:
        count = min(count_bytes, self.size_bytes) // block_bytes
        done = cgroup.run(["dd", *words, f"bs={block_bytes}", f"count={count}"], env={"LC_ALL": "C"})
        return parse_dd(done.stderr)


def backing_files() -> dict[Path, Path]:
    """Return loop device -> the file behind it, of all loop devices in use.

    Equivalent: losetup --list --output NAME,BACK-FILE
    """
    found: dict[Path, Path] = {}
    for path in sorted(Path("/sys/block").glob("loop*/loop/backing_file")):
        try:
            name = path.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n")
        except OSError:  # detached since the folder was read
            continue
        found[Path("/dev") / path.parts[3]] = Path(name.removesuffix(_DELETED))
    return found


def devices_of(file: Path) -> tuple[Path, ...]:
    """Return the loop devices that have this file behind them."""
    return tuple(device for device, behind in backing_files().items() if behind == file)


def detach(device: Path) -> None:
    """Take a loop device off its file; gone already is a success.

    Raises:
        CommandError: losetup refused, and the device is still there.

    Equivalent: losetup --detach DEVICE
    """
    try:
        commands.run(["losetup", "--detach", str(device)])
    except commands.CommandError:
        if device in backing_files():
            raise
