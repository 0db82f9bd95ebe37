"""Where cgroups are mounted, in which version, and which controllers there are.

In 2019 a machine had one hierarchy for each controller (cgroup v1): ``/sys/fs/cgroup/memory``, ``/sys/fs/cgroup/cpu``
and so on, or ``/cgroup/memory`` on the oldest. Today it has one for all (cgroup v2): ``/sys/fs/cgroup``. A hybrid
machine has v1 for the controllers and an empty v2 hierarchy beside them, at ``/sys/fs/cgroup/unified``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from lab_helpers.base.session import sessions_directory
from lab_helpers.kernel.cgroups import files
from lab_helpers.kernel.cgroups.errors import CgroupsNotMountedError, ControllerMissingError, KernelFileError
from lab_helpers.kernel.mounts import Mount, read_mounts

Version = Literal[1, 2]

EIGHT = ("memory", "cpu", "io", "pids", "cpuset", "freezer", "devices", "net_prio")
"""The talk's eight, by their names of today."""

V1_NAMES = {"io": "blkio"}
"""Controllers that v1 calls otherwise."""

V1_COMPANIONS = {"cpu": ("cpu", "cpuacct")}
"""v1 splits CPU time in two: limits in one controller, accounting in another."""

HANDED_DOWN = ("cpuset", "cpu", "io", "memory", "pids")
"""v2 controllers that a parent hands to its children by cgroup.subtree_control.

The freezer is part of v2's core (Linux 5.2), devices are an eBPF program (4.15), network priority left.
"""

_MAIN = frozenset({"memory", "cpu", "cpuacct", "pids", "cpuset", "blkio"})
_FLAGS = frozenset({"rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "favordynmods", "none", "all"})


@dataclass(frozen=True)
class Hierarchy:
    """One mounted tree of cgroups.

    Attributes:
        version: 1 or 2.
        controllers: v1: those of the mount options; v2: those of its ``cgroup.controllers``.
        mount_point: Its root folder.
        root: The cgroup that is mounted there: "/", or deeper inside a container.
        name: v1: the word of ``name=``, such as ``systemd``; else "".
    """

    version: Version
    controllers: tuple[str, ...]
    mount_point: Path
    root: str = "/"
    name: str = ""

    def path_of(self, cgroup: str) -> Path | None:
        """Turn a path of ``/proc/PID/cgroup`` into a folder; None if the mount does not reach there."""
        if self.root == "/":
            return self.mount_point / cgroup.lstrip("/")
        if cgroup == self.root or cgroup.startswith(self.root + "/"):
            return self.mount_point / cgroup[len(self.root) :].lstrip("/")
        return None


@dataclass(frozen=True)
class Hierarchies:
    """All mounted trees of cgroups."""

    v1: tuple[Hierarchy, ...]
    unified: Hierarchy | None

    @property
    def version(self) -> Version:
        """1 if the main controllers are in v1 hierarchies, else 2. A v2 machine may mount net_prio beside."""
        return 1 if any(_MAIN.intersection(hierarchy.controllers) for hierarchy in self.v1) else 2

    @property
    def hybrid(self) -> bool:
        """v1 has the controllers and v2 is mounted too."""
        return self.version == 1 and self.unified is not None

    def of_session(self, session: str) -> Hierarchies:
        """Leave out what other sessions mounted for themselves, which goes when they go.

        Args:
            session: Id of the session whose own mounts stay; "" leaves all of them out.
        """
        mounts = sessions_directory()

        def kept(tree: Hierarchy) -> bool:
            above = tree.mount_point.parents
            return mounts not in above or bool(session and mounts / session in above)

        return Hierarchies(tuple(filter(kept, self.v1)), self.unified)

    @cached_property
    def by_controller(self) -> dict[str, Hierarchy]:
        """Controller -> its hierarchy, under the names of the version in force; the first mount wins."""
        trees = (*reversed(self.v1), self.unified) if self.version == 2 and self.unified else tuple(reversed(self.v1))
        return {name: tree for tree in trees for name in tree.controllers}


def parse_hierarchies(mounts: tuple[Mount, ...]) -> Hierarchies:
    """Pick the cgroup mounts out of all mounts; v2's controllers are no mount options, so ``read`` adds them."""
    trees: list[Hierarchy] = []
    unified: Hierarchy | None = None
    for mount in mounts:
        if mount.filesystem == "cgroup2" and unified is None:
            unified = Hierarchy(2, (), mount.mount_point, mount.root)
        elif mount.filesystem == "cgroup":
            name = next((word[5:] for word in mount.super_options if word.startswith("name=")), "")
            controllers = tuple(word for word in mount.super_options if word and word not in _FLAGS and "=" not in word)
            trees.append(Hierarchy(1, controllers, mount.mount_point, mount.root, name))
    return Hierarchies(tuple(trees), unified)


def read() -> Hierarchies:
    """Return the hierarchies of this machine.

    Raises:
        CgroupsNotMountedError: there are none.

    Equivalent: grep cgroup /proc/self/mountinfo
    """
    found = parse_hierarchies(read_mounts())
    if not found.v1 and not found.unified:
        raise CgroupsNotMountedError(
            "no cgroup hierarchy is mounted",
            reference="cgroups-not-mounted",
            why="something must mount the kernel's cgroup file system; usually systemd does so at boot",
            next_step="mount -t cgroup2 none /sys/fs/cgroup",
        )
    if found.unified:
        try:
            offered = files.read(found.unified.mount_point / "cgroup.controllers").split()
        except KernelFileError:  # a mount that was hidden by another one, or is being taken away
            offered = []
        found = replace(found, unified=replace(found.unified, controllers=tuple(offered)))
    return found


def version() -> Version:
    """Return 2 on a machine whose controllers are in cgroup v2, 1 where they are in v1 (hybrid included).

    Equivalent: stat -f -c %T /sys/fs/cgroup    (cgroup2fs: 2, tmpfs: 1)
    """
    return read().version


@dataclass(frozen=True)
class ControllerState:
    """What this machine has of one controller.

    Attributes:
        name: Today's name, such as ``io``.
        available: It can be used.
        where: Root folder of its hierarchy; None if it is not mounted.
        detail: How it is there, or what is missing.
    """

    name: str
    available: bool
    where: Path | None
    detail: str


def parse_compiled(text: str) -> frozenset[str]:
    """Read ``/proc/cgroups``: the v1 controllers that are compiled in and not switched off at boot."""
    rows = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return frozenset(row[0] for row in rows if len(row) == 4 and row[3] == "1")


def controllers() -> tuple[ControllerState, ...]:
    """Return the state of the talk's eight controllers on this machine.

    Equivalent: cat /proc/cgroups /sys/fs/cgroup/cgroup.controllers
    """
    trees = read()
    compiled = parse_compiled(files.read(Path("/proc/cgroups"))) if Path("/proc/cgroups").exists() else frozenset()
    return tuple(_state(name, trees, compiled) for name in EIGHT)


_V2_INSTEAD = {
    "freezer": (True, "part of cgroup v2's core: cgroup.freeze"),
    "devices": (True, "an eBPF program of type cgroup_device instead of files"),
    "net_prio": (False, "left out of cgroup v2; nftables can match a cgroup instead"),
}


def _state(name: str, trees: Hierarchies, compiled: frozenset[str]) -> ControllerState:
    if trees.version == 2:
        where = trees.unified.mount_point if trees.unified else None
        offered = bool(trees.unified and name in trees.unified.controllers)
        plain = (offered, "cgroup v2" if offered else "not in cgroup.controllers")
        available, detail = _V2_INSTEAD.get(name, plain)
        return ControllerState(name, available=available, where=where, detail=detail)
    old = V1_NAMES.get(name, name)
    if old in trees.by_controller:
        return ControllerState(name, available=True, where=trees.by_controller[old].mount_point, detail="cgroup v1")
    detail = "not in this kernel" if old not in compiled else "compiled in, not mounted"
    mounted_when_used = name == "net_prio" and old in compiled
    if mounted_when_used:
        detail += ": the kit mounts it when it is used"
    return ControllerState(name, available=mounted_when_used, where=None, detail=detail)


def missing(name: str) -> ControllerMissingError:
    """Make the error for a controller that this machine lacks."""
    old = V1_NAMES.get(name, name)
    return ControllerMissingError(
        f"this machine has no {name} controller",
        reference=f"{name.replace('_', '-')}-missing",
        why=f"no mounted cgroup v1 hierarchy carries {old}: it is not compiled into this kernel, was switched off at "
        "boot, or is not mounted",
        next_step="go on with the next section, or use the lab's virtual machine (`vagrant up`), which has all of them",
    )
