"""Mounts, from ``/proc/PID/mountinfo``: what is mounted where, with which options."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo.

    Attributes:
        mount_id: Unique while the mount exists.
        parent_id: The mount that this one sits on.
        device: ``major:minor`` of the file system.
        root: Folder of the file system that is mounted ("/" unless it is a bind mount or a cgroup namespace).
        mount_point: Where it is mounted.
        options: Options of this mount.
        propagation: Such as ``shared:7``; empty for a private mount.
        filesystem: Type, such as ``overlay`` or ``cgroup2``.
        source: Device, or a word that means little (``none``).
        super_options: Options of the file system itself: a v1 hierarchy's controllers, an overlay's layers.
    """

    mount_id: int
    parent_id: int
    device: str
    root: str
    mount_point: Path
    options: tuple[str, ...]
    propagation: tuple[str, ...]
    filesystem: str
    source: str
    super_options: tuple[str, ...]


def unescape(text: str) -> str:
    r"""Undo the kernel's octal escapes: a blank in a path is written ``\040``.

    >>> unescape(r"/mnt/my\040disk")
    '/mnt/my disk'
    """
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """Read the text of a mountinfo file.

    Source: man 5 proc, "/proc/pid/mountinfo" (Linux 2.6.26+).
    """
    mounts: list[Mount] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        # A variable number of propagation fields ends with a single hyphen.
        head, _, tail = line.partition(" - ")
        mount_id, parent_id, device, root, point, options, *propagation = head.split(" ")
        filesystem, source, super_options = (*tail.split(" ", 2), "", "")[:3]
        mounts.append(
            Mount(
                mount_id=int(mount_id),
                parent_id=int(parent_id),
                device=device,
                root=unescape(root),
                mount_point=Path(unescape(point)),
                options=tuple(options.split(",")),
                propagation=tuple(word for word in propagation if word),
                filesystem=filesystem,
                source=unescape(source),
                # A comma inside a value is escaped too, so split before unescaping.
                super_options=tuple(unescape(option) for option in super_options.split(",")),
            )
        )
    return tuple(mounts)


def read_mounts(pid: int | str = "self") -> tuple[Mount, ...]:
    """Return the mounts in the mount namespace of a process.

    Raises:
        FileNotFoundError: there is no such process.

    Equivalent: cat /proc/PID/mountinfo
    """
    return parse_mountinfo(Path(f"/proc/{pid}/mountinfo").read_text(encoding="utf-8", errors="surrogateescape"))


def below(directory: Path, mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
    """Return the mounts at or below a folder, the last mounted first (the order to unmount in)."""
    return tuple(
        mount for mount in reversed(mounts) if mount.mount_point == directory or directory in mount.mount_point.parents
    )
