"""A cgroup: a folder that the kernel fills with files, and the processes in it.

On v2 a cgroup is one folder. On v1 it is a folder of the same name in the hierarchy of each controller (and, on a
hybrid machine, in the v2 hierarchy, which has the pressure files). ``Cgroup`` is the same to use in both.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self

from lab_helpers.base import commands, waiting
from lab_helpers.kernel.cgroups import files, hierarchy
from lab_helpers.kernel.cgroups.cpu import Cpu
from lab_helpers.kernel.cgroups.cpuset import Cpuset
from lab_helpers.kernel.cgroups.devices import Devices
from lab_helpers.kernel.cgroups.errors import (
    CgroupBusyError,
    KernelFileError,
    NotOurCgroupError,
    no_such_cgroup,
)
from lab_helpers.kernel.cgroups.folders import (
    checked_parts,
    deepest_first,
    fill_cpuset,
    hand_down,
    parse_membership,
    pids_of,
    processes_in,
    subfolders,
)
from lab_helpers.kernel.cgroups.freezer import Freezer
from lab_helpers.kernel.cgroups.io import Io
from lab_helpers.kernel.cgroups.memory import Memory
from lab_helpers.kernel.cgroups.net_prio import NetPrio
from lab_helpers.kernel.cgroups.pids import Pids
from lab_helpers.kernel.cgroups.pressure import CgroupPressure

if TYPE_CHECKING:
    import subprocess

PREFIX = "lab-"
"""First letters of the name of every cgroup that the kit makes."""

UNIFIED = "unified"
"""Key of the v2 folder among a cgroup's folders."""

# The shell moves itself in (0 means "the writer") and becomes the command: it is inside from its first instruction.
# $0 is not quoted, so that the shell expands the * that stands for v1's controllers.
_ENTER = 'for file in $0; do echo 0 > $file || exit 125; done; exec "$@"'
_DELETE_TIMEOUT_S = 2.0
_KILL_TIMEOUT_S = 5.0


class Cgroup:
    """One cgroup in all its hierarchies.

    Attributes:
        name: Its path below the mount point, such as ``lab-k3x9ab/demo``; "/" for the root.
        version: 1 or 2.
        directories: v1: controller -> folder; the v2 folder, where there is one, under ``unified``.
    """

    def __init__(self, name: str, directories: Mapping[str, Path], version: hierarchy.Version) -> None:
        self.name = name
        self.version = version
        self._directories = dict(directories)

    def __repr__(self) -> str:
        return f"Cgroup({self.name!r}, v{self.version})"

    @classmethod
    def at(cls, name: str) -> Cgroup:
        """Return the cgroup of that name, whether or not it exists.

        Args:
            name: Path below the mount point, such as ``lab-k3x9ab/demo``.

        Raises:
            CgroupError: the name has empty or ``..`` parts.
            CgroupsNotMountedError: this machine has no cgroups.
        """
        parts = checked_parts(name)
        trees = hierarchy.read().of_session(parts[0].removeprefix(PREFIX))
        plain = "/".join(parts)
        if trees.version == 2 and trees.unified:
            return cls(plain, {UNIFIED: trees.unified.mount_point / plain}, 2)
        found = {name: tree.mount_point / plain for name, tree in trees.by_controller.items()}
        if trees.unified:
            found[UNIFIED] = trees.unified.mount_point / plain
        return cls(plain, found, 1)

    @classmethod
    def of_process(cls, pid: int | str) -> Cgroup:
        """Return the cgroup that a process is in.

        Raises:
            FileNotFoundError: there is no such process.

        Equivalent: cat /proc/PID/cgroup
        """
        trees = hierarchy.read().of_session("")
        paths = parse_membership(Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8", errors="surrogateescape"))
        found: dict[str, Path] = {}
        for controller, tree in trees.by_controller.items():
            path = tree.path_of(paths[controller]) if tree.version == 1 and controller in paths else None
            if path:
                found[controller] = path
        unified = trees.unified.path_of(paths[""]) if trees.unified and "" in paths else None
        if unified:
            found[UNIFIED] = unified
        main = paths.get("", "/") if trees.version == 2 else paths.get("memory", paths.get("cpu", "/"))
        return cls(main.strip("/") or "/", found, trees.version)

    # -- the controllers -------------------------------------------------------------------------------------------

    @cached_property
    def memory(self) -> Memory:
        """Memory limits, use and OOM kills."""
        return Memory(self)

    @cached_property
    def cpu(self) -> Cpu:
        """CPU time: weight, quota and throttling."""
        return Cpu(self)

    @cached_property
    def io(self) -> Io:
        """Block I/O limits and counters."""
        return Io(self)

    @cached_property
    def pids(self) -> Pids:
        """The number of processes."""
        return Pids(self)

    @cached_property
    def cpuset(self) -> Cpuset:
        """Which CPUs and memory nodes."""
        return Cpuset(self)

    @cached_property
    def freezer(self) -> Freezer:
        """Stopping and resuming all processes at once."""
        return Freezer(self)

    @cached_property
    def devices(self) -> Devices:
        """Which device files may be used."""
        return Devices(self)

    @cached_property
    def net_prio(self) -> NetPrio:
        """The priority of outgoing packets."""
        return NetPrio(self)

    @cached_property
    def pressure(self) -> CgroupPressure:
        """Pressure stall information: how long its processes waited."""
        return CgroupPressure(self)

    # -- folders ---------------------------------------------------------------------------------------------------

    @property
    def directories(self) -> Mapping[str, Path]:
        """The folders of this cgroup, by v1 controller; v2's under ``unified``."""
        return MappingProxyType(self._directories)

    def directory(self, controller: str = "memory") -> Path:
        """Return the folder with a controller's files.

        Args:
            controller: Today's name (``io``) or v1's (``blkio``). On v2 all are the same folder.

        Raises:
            ControllerMissingError: this machine lacks the controller.
        """
        if self.version == 2:
            return self._directories[UNIFIED]
        name = hierarchy.V1_NAMES.get(controller, controller)
        if name not in self._directories:
            raise hierarchy.missing(controller)
        return self._directories[name]

    @property
    def unified(self) -> Path | None:
        """The v2 folder: the cgroup itself on v2, the one beside the controllers on a hybrid machine, else None."""
        return self._directories.get(UNIFIED)

    def add_directory(self, controller: str, path: Path) -> None:
        """Take in the folder of a v1 hierarchy that was mounted later (``net_prio``)."""
        self._directories[controller] = path

    @property
    def exists(self) -> bool:
        """Whether the folder is there, in any hierarchy."""
        return any(path.is_dir() for path in self._folders())

    def _folders(self) -> tuple[Path, ...]:
        """Each folder once: on v1 two controllers can share a hierarchy."""
        return tuple(dict.fromkeys(self._directories.values()))

    def _present(self) -> tuple[Path, ...]:
        """The folders that are there: a learner may have made this cgroup in one v1 hierarchy only."""
        found = tuple(path for path in self._folders() if path.is_dir())
        if not found:
            raise no_such_cgroup(self.name, self.directory() if self.version == 2 else self._folders()[0])
        return found

    def children(self) -> tuple[Cgroup, ...]:
        """Return the cgroups directly below this one.

        Equivalent: ls -d /sys/fs/cgroup/NAME/*/
        """
        names = sorted({name for folder in self._folders() for name in subfolders(folder)})
        return tuple(self._child(name) for name in names)

    def _child(self, name: str) -> Cgroup:
        below = {controller: folder / name for controller, folder in self._directories.items()}
        return Cgroup(f"{self.name.strip('/')}/{name}".lstrip("/"), below, self.version)

    # -- making and removing ---------------------------------------------------------------------------------------

    def create(self) -> Self:
        """Make the folder in every hierarchy; what exists already stays as it is.

        On v2 the controllers are handed down from the root to the parent first. On v1 a new cpuset is empty and lets
        no process in, so it gets its parent's CPUs and memory nodes; ``cgroup.clone_children`` does so for those below.

        Raises:
            KernelFileError: the kernel refused.

        Equivalent: echo "+cpu +memory +pids +io +cpuset" > ../cgroup.subtree_control; mkdir NAME
        """
        depth = len(self.name.split("/"))
        for folder in self._folders():
            ancestors = [*reversed(folder.parents[:depth])]
            for above, path in zip(ancestors, [*ancestors[1:], folder], strict=True):
                if self.version == 2:
                    hand_down(above)
                files.make_directory(path)
        if self.version == 1 and "cpuset" in self._directories:
            folder = self._directories["cpuset"]
            for path in [*reversed(folder.parents[: depth - 1]), folder]:
                fill_cpuset(path)
        return self

    def child(self, name: str) -> Cgroup:
        """Make a cgroup below this one and return it. On v2 this one must hold no processes itself.

        Raises:
            CgroupError: the name is no plain folder name.
            KernelFileError: the kernel refused.
        """
        first, *rest = checked_parts(name)
        if rest:
            return self.child(first).child("/".join(rest))
        made = self._child(first)
        if self.version == 2:
            hand_down(self.directory())
        for folder in made._folders():  # noqa: SLF001 - another object of this class
            files.make_directory(folder)
        if self.version == 1 and "cpuset" in made.directories:
            fill_cpuset(made.directories["cpuset"])
        return made

    def delete(self) -> None:
        """Remove this cgroup and those below it, children first; one that is gone already is a success.

        A process that just ended can hold its cgroup for a moment, so EBUSY is tried again for two seconds.

        Raises:
            CgroupBusyError: processes are still inside.
            NotOurCgroupError: the kit did not make it.

        Equivalent: rmdir NAME
        """
        self._ours("remove")
        self.net_prio.forget()
        for folder in self._folders():
            for path in deepest_first(folder):
                self._remove(path)

    def _remove(self, path: Path) -> None:
        def gone() -> bool:
            try:
                files.remove_directory(path)
            except OSError as error:
                if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
                    raise KernelFileError(path, None, error) from error
                return False
            return True

        try:
            waiting.wait_until(gone, what=f"{path} to be free", timeout_s=_DELETE_TIMEOUT_S, interval_s=0.01)
        except waiting.WaitTimeoutError as error:
            inside = processes_in(path)
            raise CgroupBusyError(
                f"cannot remove {path}: {len(inside)} processes are inside" if inside else f"cannot remove {path}",
                reference="cgroup-busy",
                why=f"the kernel keeps a cgroup that is in use; PIDs: {', '.join(map(str, inside)) or 'unknown'}",
                next_step="call .kill() on it first, or move its processes to another cgroup",
            ) from error

    def __enter__(self) -> Self:
        return self.create()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self.delete()

    # -- processes -------------------------------------------------------------------------------------------------

    def add(self, pid: int) -> None:
        """Move a process into this cgroup, in every hierarchy. Children that it makes later start here too.

        Memory that it holds already stays charged to the cgroup it came from.

        Raises:
            KernelFileError: ESRCH: no such process; EBUSY on v2: this cgroup hands controllers down.

        Equivalent: echo PID > cgroup.procs
        """
        for folder in self._present():
            files.write(folder / "cgroup.procs", pid)

    def processes(self) -> tuple[int, ...]:
        """Return the processes in this cgroup, without those below it; zombies are not listed.

        Equivalent: cat cgroup.procs
        """
        return tuple(sorted({pid for folder in self._folders() for pid in pids_of(folder)}))

    def all_processes(self) -> tuple[int, ...]:
        """Return the processes in this cgroup and in those below it."""
        return tuple(sorted({pid for folder in self._folders() for pid in processes_in(folder)}))

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        timeout_s: float | None = None,
        env: Mapping[str, str] | None = None,
    ) -> commands.Completed:
        """Run a command inside this cgroup to its end. It is inside from its first instruction.

        Args:
            argv: Program and arguments.
            check: Raise when the exit status is not 0. A process that the OOM killer ended has status -9.
            timeout_s: Seconds after which it is killed.
            env: Variables on top of the present environment.

        Raises:
            CommandError: it ended with a non-zero exit status and ``check`` is set.

        Equivalent: sh -c 'echo 0 > cgroup.procs; exec COMMAND'
        """
        return commands.run(self.entering(argv), check=check, timeout_s=timeout_s, env=env)

    def start(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, log: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command inside this cgroup and leave it running in the background.

        Args:
            argv: Program and arguments.
            env: Variables on top of the present environment.
            log: File for what it prints; None throws it away.

        Returns:
            The process, already inside.

        Raises:
            CommandNotFoundError: there is no shell.
            WaitTimeoutError: it did not get inside.
        """
        process = commands.start(self.entering(argv), env=env, log=log)
        waiting.wait_until(
            lambda: process.returncode is not None or self._entered(process.pid),
            what=f"process {process.pid} to be inside {self.name}",
            timeout_s=_KILL_TIMEOUT_S,
            interval_s=0.005,
        )
        return process

    def _entered(self, pid: int) -> bool:
        """Every hierarchy has it, and the shell has become the command."""
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return _ENTER.encode() not in words and all(pid in pids_of(folder) for folder in self._present())

    def entering(self, argv: Sequence[str]) -> list[str]:
        """Return the command line that enters this cgroup and then becomes ``argv``.

        Raises:
            FileMissingError: the cgroup does not exist.
            CgroupError: its name holds letters that a shell would read otherwise.
        """
        checked_parts(self.name)
        tops: dict[Path, list[Path]] = {}
        for folder in self._present():
            # /sys/fs/cgroup/memory/lab-x/demo -> /sys/fs/cgroup
            tops.setdefault(folder.parents[len(self.name.split("/"))], []).append(folder)
        words: list[str] = []
        for top, folders in tops.items():
            alike = all(folder == top / folder.relative_to(top).parts[0] / self.name for folder in folders)
            several = alike and len(folders) > 1
            words += [f"{top}/*/{self.name}/cgroup.procs"] if several else [f"{path}/cgroup.procs" for path in folders]
        return ["sh", "-c", _ENTER, " ".join(words), *argv]

    def kill(self) -> None:
        """Kill every process in this cgroup and below, and wait until they are gone; none there is a success.

        v2 does it in one write, so that no fork escapes. v1 has no such file: freeze, so that nobody forks, send the
        signals, thaw (a frozen process of v1 dies only then), and again until nobody is left.

        Raises:
            WaitTimeoutError: processes survive, waiting for a disk for example.
            NotOurCgroupError: the kit did not make it.

        Equivalent: echo 1 > cgroup.kill
        Source: kernel cgroup-v2 guide, "cgroup.kill" (Linux 5.14+).
        """
        self._ours("kill the processes of")
        waiting.wait_until(
            self._kill_once,
            what=f"the processes of {self.name} to end",
            timeout_s=_KILL_TIMEOUT_S,
            interval_s=0.01,
            state=lambda: f"still there: {self.all_processes()}",
        )

    def _kill_once(self) -> bool:
        inside = self.all_processes()
        if not inside:
            return True
        at_once = self.unified / "cgroup.kill" if self.version == 2 and self.unified else None
        if at_once and at_once.exists():
            files.write(at_once, 1)
        else:
            self._set_frozen("FROZEN")
            for pid in self.all_processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self._set_frozen("THAWED")
        return not self.all_processes()

    def _set_frozen(self, word: str) -> None:
        """v1 only; a kernel older than 5.14 with v2 has to do without."""
        folder = self._directories.get("freezer")
        for path in deepest_first(folder) if self.version == 1 and folder else ():
            if (path / "freezer.state").exists():
                files.write(path / "freezer.state", word)

    def _ours(self, deed: str) -> None:
        if not self.name.startswith(PREFIX):
            raise NotOurCgroupError(
                f"refusing to {deed} {self.name}",
                reference="not-our-cgroup",
                why=f"the kit made no cgroup of that name: ours begin with {PREFIX}",
                next_step="use the tool that made it: docker stop for a container, systemctl stop for a service",
            )
