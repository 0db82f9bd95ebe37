"""Writing files so that a crash leaves the old one or the new one, and removing folders that hold mounts never."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from lab_helpers.base.errors import LabError


class MountedError(LabError):
    """A folder cannot be removed because something is mounted below it."""


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file through a temporary one beside it and a rename (atomic on POSIX).

    Raises:
        OSError: the folder cannot be written, or the disk is full; the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def mount_points_below(folder: Path) -> list[str]:
    """Return the mount points at or below a folder, deepest first."""
    points = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if point == str(folder) or point.startswith(f"{folder}/"):
            points.append(point)
    return sorted(points, key=len, reverse=True)


def remove_tree(folder: Path) -> None:
    """Remove a folder and what is in it; a missing one is a success.

    Raises:
        MountedError: something is mounted in it. Removing through a mount would delete what is not ours.
        OSError: a file cannot be removed.
    """
    mounted = mount_points_below(folder)
    if mounted:
        raise MountedError(
            f"{folder} is not removed: {', '.join(mounted)} is mounted there",
            reference="still-mounted",
            why="removing files through a mount would delete the other file system's files",
            next_step=f"umount {mounted[0]}, then run `./lab sweep` again",
        )
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)
