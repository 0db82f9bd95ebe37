"""Who made what: the session's id, its labels, its folders, and the watchdog that outlives a killed kernel.

A session is one running notebook (or one command). Everything it makes carries ``lab.session=<id>``, so that it can be
found and removed even when the process that made it was killed. Two sessions on one box never touch each other.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import string
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import psutil

from lab_helpers.base import settings, sweeping
from lab_helpers.base.errors import LabError
from lab_helpers.base.files import remove_tree, write_atomically

ID_LENGTH = 6
_ID = re.compile(r"[a-z0-9]{6}")
_NOTEBOOK = re.compile(r"(\d\d)_[^/]*\.ipynb$")
_ALPHABET = string.ascii_lowercase + string.digits
_START_TOLERANCE_S = 0.05
"""Two readings of a process's start time agree within this; a reused pid is further off."""

_SWEEPING = "LAB_SWEEPING"
"""Set in a sweep's own process: importing this library there must not start another one."""

# The watchdog waits on the inherited pidfd (a pid could be reused), then becomes the sweep. It runs isolated (-I -S):
# it must start fast and import nothing of ours.
_WATCHDOG = "import os, select, sys; select.select([int(sys.argv[1])], [], []); os.execv(sys.argv[2], sys.argv[2:])"


class SessionError(LabError):
    """A session cannot be had."""


@dataclass(frozen=True)
class Owner:
    """The process that a session belongs to, as recorded under the run directory.

    Attributes:
        session: The session's id.
        pid: Process id of the owner.
        started: The owner's start time, seconds since the epoch: with the pid it names a process for good.
        notebook: Number of the notebook, or "".
        environment: Where its things are: LAB_HOME and DOCKER_HOST, as far as they were set.
    """

    session: str
    pid: int
    started: float
    notebook: str
    environment: dict[str, str]

    @property
    def alive(self) -> bool:
        """The process is still there, and is the same."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _START_TOLERANCE_S
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


@dataclass
class Session:
    """One notebook's (or command's) identity.

    Attributes:
        id: Six characters, ``[a-z0-9]``.
        notebook: Number of the notebook, such as ``01``, or "".
    """

    id: str
    notebook: str = ""

    @property
    def label(self) -> str:
        """``lab.session=<id>``, as ``docker --label`` and LAB_LABEL want it."""
        return f"{settings.LABEL}={self.id}"

    def labels(self, kind: str) -> dict[str, str]:
        """Return the labels for something of this kind."""
        labels = {settings.LABEL: self.id, "lab.kind": kind}
        return {**labels, "lab.notebook": self.notebook} if self.notebook else labels

    def name(self, word: str) -> str:
        """Return ``lab-<id>-<word>``: the name of something of this session."""
        return f"lab-{self.id}-{word}"

    def interface_name(self, word: str) -> str:
        """Return a name for a network interface: the kernel allows 15 characters (IFNAMSIZ - 1).

        Raises:
            SessionError: the word is longer than 5 characters.
        """
        name = f"lab{self.id}-{word}"
        if len(name) > 15:
            raise SessionError(
                f"interface name {name} has {len(name)} characters",
                reference="interface-name-too-long",
                why="the kernel stops at 15 (IFNAMSIZ)",
                next_step=f"use a word of at most 5 characters instead of {word!r}",
            )
        return name

    @property
    def directory(self) -> Path:
        """Sockets, mount points and small files of this session, in memory."""
        return directory(self.id)

    @property
    def scratch(self) -> Path:
        """Files of this session that are too large for memory. Made when first asked for."""
        path = settings.scratch() / self.id
        path.mkdir(parents=True, exist_ok=True)
        return path


def sessions_directory() -> Path:
    """Return the folder of session records."""
    return settings.RUN_DIRECTORY / "sessions"


def directory(session: str) -> Path:
    """Return the folder of one session."""
    return sessions_directory() / session


def notebook_number(path: str | None = None) -> str:
    """Return the number of the notebook that runs, "" if it is not known.

    Jupyter names the notebook in JPY_SESSION_NAME.
    """
    match = _NOTEBOOK.search(path or os.environ.get("JPY_SESSION_NAME", ""))
    return match[1] if match else ""


def new_id() -> str:
    """Draw a session id. It has a digit, so that somebody's own ``lab-router`` never looks like one of ours."""
    drawn = ""
    while not any(character.isdigit() for character in drawn):
        drawn = "".join(secrets.choice(_ALPHABET) for _ in range(ID_LENGTH))
    return drawn


_current: Session | None = None


def current() -> Session:
    """Return this process's session; the first call begins it.

    It records its owner, starts the watchdog, and labels every process started from here on through LAB_LABEL. If
    LAB_SESSION names a session that lives, this process joins it.

    Raises:
        SessionError: LAB_SESSION is no session id, or the record cannot be written (not root).
    """
    global _current  # noqa: PLW0603 - a process has one session
    if _current is None:
        _current = _begin()
    return _current


def _begin() -> Session:
    wanted = os.environ.get("LAB_SESSION", "")
    if wanted and not _ID.fullmatch(wanted):
        raise SessionError(
            f"LAB_SESSION is {wanted!r}",
            reference="bad-session-id",
            why="a session id has six characters from a-z and 0-9: it becomes part of names",
            next_step="unset LAB_SESSION, or take an id that `./lab sweep --dry-run` lists",
        )
    session = Session(wanted or new_id(), notebook_number())
    existing = owner(session.id)
    if existing is None or not existing.alive:
        _own(session)
    os.environ["LAB_SESSION"] = session.id
    os.environ[settings.LABEL_VARIABLE] = session.label
    return session


def _own(session: Session) -> None:
    environment = {key: os.environ[key] for key in ("LAB_HOME", "DOCKER_HOST") if key in os.environ}
    record = {
        "session": session.id,
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
        "notebook": session.notebook,
        "environment": environment,
    }
    try:
        session.directory.mkdir(parents=True, exist_ok=True)
        write_atomically(session.directory / "owner.json", json.dumps(record))
    except PermissionError as error:
        raise SessionError(
            f"cannot write {session.directory}: {error.strerror}",
            reference="session-needs-root",
            why="cgroups, namespaces and the Docker engine need root, and so does the record of what was made",
            next_step="start JupyterLab with `./lab up`, which asks for root",
        ) from error
    _watch(session)


def sweep_command(session: str) -> list[str]:
    """Return the command that sweeps one session."""
    return [sys.executable, "-m", "lab_helpers.sweep", session]


def _sweep_environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """Return a sweep's environment: without the label, since what sweeps must not be swept."""
    environment = {**os.environ, **(extra or {})}
    for key in (settings.LABEL_VARIABLE, "LAB_SESSION"):
        environment.pop(key, None)
    environment[_SWEEPING] = "1"
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(settings.PROJECT), environment.get("PYTHONPATH")]))
    return environment


def _watch(session: Session) -> None:
    """Start the watchdog: it sweeps this session when this process is gone, however it went."""
    pidfd = os.pidfd_open(os.getpid())
    try:
        _spawn(
            [sys.executable, "-I", "-S", "-c", _WATCHDOG, str(pidfd), *sweep_command(session.id)],
            _sweep_environment(),
            pass_fds=(pidfd,),
        )
    finally:
        os.close(pidfd)


_spawned: list[subprocess.Popen[bytes]] = []
"""Kept, so that Python does not complain of children that are meant to outlive it."""


def _sweep_log() -> BinaryIO:
    """Open the log of sweeps; a full disk must not keep a sweep from running."""
    try:
        settings.log().mkdir(parents=True, exist_ok=True)
        return (settings.log() / "sweep.log").open("ab")
    except OSError:
        return Path(os.devnull).open("ab")


def _spawn(argv: list[str], environment: dict[str, str], pass_fds: tuple[int, ...] = ()) -> None:
    # Not through commands.start: the watchdog is no act on the machine that a transcript should show.
    with _sweep_log() as log:
        _spawned.append(
            subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd="/",
                start_new_session=True,
                pass_fds=pass_fds,
            )
        )


def owner(session: str) -> Owner | None:
    """Return who owns a session, or None if there is no (readable) record."""
    try:
        record = json.loads((directory(session) / "owner.json").read_text())
        return Owner(**record)
    except (FileNotFoundError, PermissionError, ValueError, TypeError):
        return None


def owners() -> Iterator[Owner]:
    """Yield the recorded owners of all sessions, dead or alive."""
    try:
        names = sorted(path.name for path in sessions_directory().iterdir())
    except (FileNotFoundError, PermissionError):
        return
    for name in names:
        found = owner(name)
        if found:
            yield found


def sweep_dead() -> list[str]:
    """Start a sweep for each session whose owner is dead, and return their ids at once.

    The watchdog does this within seconds; this is for the watchdogs that were killed as well. Costs one listing of a
    folder in memory if there is nothing to do. Does nothing without root.
    """
    if os.geteuid() != 0 or os.environ.get(_SWEEPING):
        return []
    dead = [found for found in owners() if not found.alive]
    for found in dead:
        _spawn(sweep_command(found.session), _sweep_environment(found.environment))
    return [found.session for found in dead]


def _find_directories(session: str | None) -> list[sweeping.Item]:
    parents = [parent for parent in (sessions_directory(), settings.scratch()) if parent.is_dir()]
    return [
        sweeping.Item("directory", str(path), path.name)
        for parent in parents
        for path in sorted(parent.iterdir())
        if session in (None, path.name) and _ID.fullmatch(path.name) and not _in_use(path.name)
    ]


def _in_use(session: str) -> bool:
    if _current is not None and session == _current.id:
        return True
    found = owner(session)
    return found is not None and found.alive and found.pid != os.getpid()


def _remove_directory(item: sweeping.Item) -> None:
    remove_tree(Path(item.name))


DIRECTORIES = sweeping.Kind("directory", 90, _find_directories, _remove_directory)
"""The folders of sessions. Those of a living process stay, even in a forced sweep: they hold its record."""
