"""The cgroups of this session: ``lab-<id>`` and what is below it."""

from __future__ import annotations

import os
from pathlib import Path

from lab_helpers.base import session
from lab_helpers.kernel.cgroups.cgroup import PREFIX, Cgroup
from lab_helpers.kernel.cgroups.folders import hand_down

VARIABLES = {
    f"CG_{name.upper()}": name for name in ("memory", "cpu", "cpuacct", "blkio", "pids", "cpuset", "freezer", "devices")
}
"""Shell variable -> v1 controller."""


def session_cgroup() -> Cgroup:
    """Return the cgroup of this session, ``lab-<id>``, ready for children; make it if it is not there.

    Raises:
        KernelFileError: the kernel refused: not root, or a read-only mount.
    """
    mine = Cgroup.at(f"{PREFIX}{session.current().id}").create()
    if mine.version == 2:
        hand_down(mine.directory())
    return mine


def paths() -> dict[str, Path]:
    """Return the folders of the session's cgroup by the name of a shell variable; make it if it is not there.

    v2: ``CG``. v1: ``CG_MEMORY``, ``CG_CPU`` and so on; and ``CG``, the v2 folder beside them on a hybrid machine. A
    controller that this machine lacks has no variable, so that using it is a clear error ("unbound variable").
    """
    mine = session_cgroup()
    found = {"CG": mine.unified} if mine.unified else {}
    if mine.version == 1:
        found.update({name: mine.directories[old] for name, old in VARIABLES.items() if old in mine.directories})
    return found


def export_paths() -> dict[str, Path]:
    """Put the folders of the session's cgroup into the environment, for shell commands of any cell.

    Equivalent: export CG=/sys/fs/cgroup/lab-<id>
    """
    found = paths()
    for name in ("CG", *VARIABLES):
        os.environ.pop(name, None)
    os.environ.update({name: str(path) for name, path in found.items()})
    return found


def create(name: str) -> Cgroup:
    """Make a cgroup below this session's, fresh: one of that name from an earlier run of the cell is removed first.

    Args:
        name: A plain word, such as ``demo``.

    Raises:
        CgroupError: the name is no plain folder name.
        KernelFileError: the kernel refused.

    Equivalent: mkdir /sys/fs/cgroup/lab-<id>/demo    (v1: one in each /sys/fs/cgroup/CONTROLLER/)
    """
    former = open_cgroup(name)
    if former.exists:
        former.kill()
        former.delete()
    return session_cgroup().child(name)


def open_cgroup(name: str) -> Cgroup:
    """Return a cgroup of this session by its name, as it is."""
    return Cgroup.at(f"{PREFIX}{session.current().id}/{name}")
