"""Layers of an overlay file system, read from its mount options."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lab_helpers.kernel.mounts import Mount, read_mounts


@dataclass(frozen=True)
class Overlay:
    """One overlay mount.

    Attributes:
        merged: Where the union is mounted, as the process that owns the mount sees it.
        lower: Read-only layers, the topmost first.
        upper: The writable layer; None for a read-only overlay.
        work: The kernel's own folder beside the upper layer.
    """

    merged: Path
    lower: tuple[Path, ...]
    upper: Path | None
    work: Path | None

    @property
    def layers(self) -> tuple[Path, ...]:
        """All layers, the one that wins first."""
        return ((self.upper,) if self.upper else ()) + self.lower


def layers_of(mount: Mount) -> Overlay:
    r"""Read lowerdir, upperdir and workdir of an overlay mount.

    A colon in a layer's own path is escaped as ``\:``. Kernels from 6.8 on may list one ``lowerdir+=`` per layer
    instead of one list.

    Raises:
        ValueError: the mount is no overlay.

    Equivalent: grep overlay /proc/self/mountinfo
    Source: kernel guide "Overlay Filesystem" (Linux 3.18+).
    """
    if mount.filesystem != "overlay":
        raise ValueError(f"{mount.mount_point} is {mount.filesystem}, not overlay")
    lower: list[Path] = []
    single: dict[str, Path] = {}
    for option in mount.super_options:
        key, _, value = option.partition("=")
        if key == "lowerdir":
            lower += [Path(part.replace("\\:", ":")) for part in re.split(r"(?<!\\):+", value) if part]
        elif key == "lowerdir+":
            lower.append(Path(value))
        elif key in ("upperdir", "workdir"):
            single[key] = Path(value)
    return Overlay(mount.mount_point, tuple(lower), single.get("upperdir"), single.get("workdir"))


def of_process(pid: int | str) -> Overlay | None:
    """Return the overlay that is a process's root file system, or None when its root is something else.

    The layers' paths are those of the mount namespace in which the overlay was mounted: the engine's.

    Raises:
        FileNotFoundError: there is no such process.
    """
    root = Path("/")
    # The last mount on "/" is the one on top.
    for mount in reversed(read_mounts(pid)):
        if mount.mount_point == root:
            return layers_of(mount) if mount.filesystem == "overlay" else None
    return None
