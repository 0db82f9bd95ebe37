"""What can go wrong with a cgroup.

CgroupError
├── CgroupsNotMountedError     no hierarchy is mounted
├── ControllerMissingError     this kernel lacks the controller, or nothing mounts it
├── ControllerNotEnabledError  v2: the parent's cgroup.subtree_control lacks it
├── FileMissingError           this kernel, or this cgroup version, has no such file
├── KernelFileError            the kernel refused a read or a write; path, data and errno are kept
├── CgroupBusyError            a cgroup that still holds processes cannot be removed
└── NotOurCgroupError          a cgroup that the kit did not make is not removed or emptied
"""

from __future__ import annotations

import errno as codes
import os
from pathlib import Path

from lab_helpers.base.errors import LabError

_REASONS = {
    codes.EINVAL: "the kernel cannot use that value: wrong form, or outside what the file accepts",
    codes.ERANGE: "the number is outside what the file accepts",
    codes.EBUSY: "the kernel cannot do it while something is in use: on v2 a cgroup with processes cannot hand "
    "controllers down, on v1 a memory limit cannot go below what it fails to reclaim",
    codes.ENOSPC: "on v1 a process may enter a cpuset only when cpuset.cpus and cpuset.mems are set",
    codes.ESRCH: "no such process: it ended before it could be moved",
    codes.EACCES: "the file is read-only, or the process is not root",
    codes.EPERM: "the kernel does not allow it to this process, or a parent cgroup does not permit it",
    codes.EROFS: "the cgroup file system is mounted read-only, as it is inside most containers",
    codes.ENODEV: "there is no such device or CPU, or the cgroup is being removed",
    codes.EOPNOTSUPP: "the kernel knows the file but the function is off or does not fit this kind of cgroup",
    codes.ENOENT: "the file is not there",
}


class CgroupError(LabError):
    """Something about a cgroup that cannot be done."""


class CgroupsNotMountedError(CgroupError):
    """No cgroup hierarchy is mounted."""


class ControllerMissingError(CgroupError):
    """This kernel lacks a controller, or nothing mounts it."""


class ControllerNotEnabledError(CgroupError):
    """cgroup v2: the parent did not hand the controller down."""


class FileMissingError(CgroupError):
    """This kernel, or this version of cgroups, has no such file."""


class CgroupBusyError(CgroupError):
    """A cgroup that still holds processes cannot be removed."""


class NotOurCgroupError(CgroupError):
    """A cgroup that the kit did not make is neither emptied nor removed."""


class KernelFileError(CgroupError):
    """The kernel refused to read or write one of its files.

    Attributes:
        path: The file.
        data: What was written; None for a read.
        errno: The kernel's error number.
    """

    def __init__(self, path: Path, data: str | None, error: OSError) -> None:
        self.path = path
        self.data = data
        self.errno = error.errno or 0
        name = codes.errorcode.get(self.errno, str(self.errno))
        deed = f"read {path}" if data is None else f"write {data!r} to {path}"
        super().__init__(
            f"cannot {deed}: {name} ({os.strerror(self.errno)})",
            reference=f"kernel-file-{name.lower()}",
            why=_REASONS.get(self.errno, "the kernel gives no more than the error number"),
            next_step=f"look at `cat {path}`, correct the value and run the cell again"
            if path.exists()
            else "run `./lab doctor`: it shows which controllers this machine has",
        )


def no_such_cgroup(name: str, folder: Path) -> FileMissingError:
    """Make the error for a cgroup that is not there."""
    return FileMissingError(
        f"there is no cgroup {name}",
        reference="no-such-cgroup",
        why=f"{folder} does not exist: it was not made yet, or was removed",
        next_step="run the cell that creates it, then this one again",
    )
