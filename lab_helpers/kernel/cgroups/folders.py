"""The folders of cgroups: their names, what is in them, and what a new one needs before it can be used."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from lab_helpers.kernel.cgroups import files, hierarchy
from lab_helpers.kernel.cgroups.errors import CgroupError, KernelFileError

_PART = re.compile(r"^[A-Za-z0-9_.:@-]+$")


def checked_parts(name: str) -> list[str]:
    """Split a cgroup's name into its folders.

    Raises:
        CgroupError: a part is empty, would name another folder, or holds letters that a shell would read otherwise.
    """
    parts = name.strip("/").split("/")
    if not all(_PART.match(part) for part in parts) or {".", ".."}.intersection(parts):
        raise CgroupError(
            f"{name!r} names no cgroup",
            reference="bad-cgroup-name",
            why="a cgroup is a folder: the parts of its name have letters, digits and _ . - : @, and are not . or ..",
            next_step="give a plain word such as demo",
        )
    return parts


def parse_membership(text: str) -> dict[str, str]:
    r"""Read ``/proc/PID/cgroup``: v1 controller -> path; the v2 path under "".

    >>> parse_membership("4:cpu,cpuacct:/docker/1f\n0::/demo\n")
    {'cpu': '/docker/1f', 'cpuacct': '/docker/1f', '': '/demo'}
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            found[name] = path.removesuffix(" (deleted)")
    return found


def hand_down(above: Path) -> None:
    """Let the cgroups below a v2 cgroup use the controllers that it has itself.

    A controller that cannot be handed down is left out: using it then raises ControllerNotEnabledError, which says how
    to switch it on.

    Equivalent: echo "+cpu +memory +pids +io +cpuset" > cgroup.subtree_control
    Source: kernel cgroup-v2 guide, "Enabling and Disabling" (Linux 4.5+).
    """
    control = above / "cgroup.subtree_control"
    offered = files.read(above / "cgroup.controllers").split()
    handed = files.read(control).split()
    wanted = [f"+{name}" for name in hierarchy.HANDED_DOWN if name in offered and name not in handed]
    if not wanted:
        return
    try:
        files.write(control, " ".join(wanted))
    except KernelFileError:
        # All or nothing is the kernel's rule for one write, so each gets its own chance.
        for word in wanted:
            try:
                files.write(control, word)
            except KernelFileError:
                continue


def fill_cpuset(folder: Path) -> None:
    """On v1 give an empty cpuset what its parent has, and let those below it inherit the same when they are made.

    Equivalent: cat ../cpuset.cpus > cpuset.cpus; cat ../cpuset.mems > cpuset.mems; echo 1 > cgroup.clone_children
    """
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not files.read(folder / name).strip():
            files.write(folder / name, files.read(folder.parent / name).strip())
    clone = folder / "cgroup.clone_children"
    if files.read(clone).strip() != "1":
        files.write(clone, 1)


def subfolders(folder: Path) -> list[str]:
    """Return the names of the cgroups directly below; none if the folder is gone."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def deepest_first(folder: Path) -> list[Path]:
    """Return a folder and all below it in the order in which they can be removed."""
    found: list[Path] = []
    for name in sorted(subfolders(folder)):
        found += deepest_first(folder / name)
    return [*found, folder]


def pids_of(folder: Path) -> list[int]:
    """Return the processes in one folder; none if it is gone."""
    try:
        return [int(line) for line in files.read_raw(folder / "cgroup.procs").split()]
    except OSError as error:
        # ENODEV: removed under our eyes; EOPNOTSUPP: a threaded cgroup, whose processes its parent lists.
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP):
            return []
        raise


def processes_in(folder: Path) -> tuple[int, ...]:
    """Return the processes in a folder and in all below it."""
    return tuple(sorted({pid for path in deepest_first(folder) for pid in pids_of(path)}))
