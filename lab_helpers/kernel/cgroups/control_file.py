"""One control, two file names: what v2 calls ``memory.max`` v1 calls ``memory.limit_in_bytes``.

Each controller lists its files here as data; the code that reads and writes them and the table that the notebook shows
(``names``) both come from that list.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from lab_helpers.kernel.cgroups import files
from lab_helpers.kernel.cgroups.errors import (
    ControllerNotEnabledError,
    FileMissingError,
    KernelFileError,
    no_such_cgroup,
)
from lab_helpers.kernel.cgroups.hierarchy import HANDED_DOWN

if TYPE_CHECKING:
    from lab_helpers.kernel.cgroups.cgroup import Cgroup


@dataclass(frozen=True)
class ControlFile:
    """One control of a controller.

    Attributes:
        v2: File in cgroup v2; "" if v2 has none.
        v1: File in cgroup v1; "" if v1 has none.
        meaning: One line.
        since: Linux version that brought the v2 file.
        v1_controller: v1 hierarchy that holds the file, where it is not the controller's own (``cpuacct``).
    """

    v2: str
    v1: str
    meaning: str
    since: str
    v1_controller: str = ""


class Controller:
    """A controller's files in one cgroup."""

    name: ClassVar[str]
    files: ClassVar[tuple[ControlFile, ...]]

    def __init__(self, cgroup: Cgroup) -> None:
        self.cgroup = cgroup

    def path(self, control: ControlFile) -> Path:
        """Return where a control's file is on this machine.

        Raises:
            ControllerMissingError: the machine lacks the controller.
            FileMissingError: this version of cgroups has no such control.
        """
        name = control.v2 if self.cgroup.version == 2 else control.v1
        if not name:
            other = control.v1 or control.v2
            raise FileMissingError(
                f"cgroup v{self.cgroup.version} has no counterpart of {other}",
                reference="no-such-control",
                why=f"{other} ({control.meaning}) exists only in cgroup v{3 - self.cgroup.version}",
                next_step="go on with the next cell; cgroups.table() shows both versions side by side",
            )
        return self.cgroup.directory(control.v1_controller or self.name) / name

    def read_text(self, control: ControlFile) -> str:
        """Return the text of a control's file.

        Raises:
            ControllerNotEnabledError: v2: the parent did not hand the controller down.
            FileMissingError: the kernel is too old, or this cgroup has no such file.
            KernelFileError: the kernel refused.
        """
        path = self.path(control)
        try:
            return files.read(path)
        except KernelFileError as error:
            raise self._explain(error, control) from error

    def read_optional(self, control: ControlFile) -> str | None:
        """Return the text of a control's file, or None where this kernel or version has none."""
        try:
            return self.read_text(control)
        except FileMissingError:
            return None

    def write_text(self, control: ControlFile, data: str | int) -> None:
        """Write to a control's file.

        Raises:
            ControllerNotEnabledError: v2: the parent did not hand the controller down.
            FileMissingError: the kernel is too old, or this cgroup has no such file.
            KernelFileError: the kernel refused.
        """
        path = self.path(control)
        try:
            files.write(path, data)
        except KernelFileError as error:
            raise self._explain(error, control) from error

    def _explain(self, error: KernelFileError, control: ControlFile) -> Exception:
        if error.errno != errno.ENOENT:
            return error
        if not error.path.parent.is_dir():
            return no_such_cgroup(self.cgroup.name, error.path.parent)
        if self.cgroup.version == 2 and self.name in HANDED_DOWN:
            handed = error.path.parent.parent / "cgroup.subtree_control"
            if handed.exists() and self.name not in files.read(handed).split():
                return ControllerNotEnabledError(
                    f"cannot use {control.v2} in {self.cgroup.name}",
                    reference=f"{self.name}-not-enabled",
                    why=f'the parent\'s cgroup.subtree_control lacks "{self.name}": {handed}',
                    next_step=f"echo +{self.name} > {handed}    (the parent must hold no processes itself)",
                )
        return FileMissingError(
            f"this kernel has no {error.path.name} in {self.cgroup.name}",
            reference="no-such-control",
            why=f"{control.v2 or control.v1} came with Linux {control.since}; some kernels are built without it"
            if self.cgroup.version == 2
            else f"{control.v1} is not in this kernel's cgroup v1",
            next_step="compare with `uname -r`; go on with the next cell",
        )
