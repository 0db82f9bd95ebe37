"""The running JupyterLab: its record, starting it, asking whether it answers, and stopping it for good."""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import json
import os
import secrets
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from lab_helpers.base import commands, settings, waiting
from lab_helpers.base.errors import LabError
from lab_helpers.base.files import write_atomically
from lab_helpers.cli import console
from lab_helpers.notebooks import places

START_TIMEOUT_S = 90.0
"""Seconds for JupyterLab to answer; 2 are usual, a cold disk takes 20."""

STOP_TIMEOUT_S = 20.0
"""Seconds for JupyterLab to end its kernels and itself before it is killed."""

_SAME_START_S = 0.05
"""Two readings of a process's start time agree within this; a reused pid is further off."""

WORKSPACE = "start"
"""The window layout that ``up`` opens: notebook 00 on the left, a terminal on the right."""

# A session's label would make the server (and all its kernels) one session's thing to sweep; a token of the user's
# would win over ours.
_UNSET = (settings.LABEL_VARIABLE, "JUPYTER_TOKEN", "JUPYTER_NO_CONFIG", "JPY_SESSION_NAME", "JPY_PARENT_PID")


class PortTakenError(LabError):
    """Another program listens on the port."""


class ServerError(LabError):
    """JupyterLab does not start, or does not stop."""


@dataclass(frozen=True)
class Server:
    """A JupyterLab that ``./lab up`` started.

    Attributes:
        pid: Its process id.
        started: Its start time, seconds since the epoch: with the pid it names a process for good.
        address: What it listens on.
        port: TCP port.
        token: What lets a browser in.
        project: The checkout it serves.
        log: Its log file.
    """

    pid: int
    started: float
    address: str
    port: int
    token: str
    project: str
    log: str

    def process(self) -> psutil.Process | None:
        """Return the process, or None if it is gone: a process with the same number is not it."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.started) < _SAME_START_S and not gone(process):
                return process
        except psutil.NoSuchProcess:
            pass
        return None

    @property
    def url(self) -> str:
        """What to open in a browser; the browser is on this machine, or arrives through a forwarded port."""
        page = (
            f"workspaces/{WORKSPACE}" if (Path(self.project) / "labs" / "00_start_here.ipynb").exists() else "tree/labs"
        )
        return f"{self._base}/lab/{page}?token={self.token}"

    @property
    def _base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(self, path: str, *, method: str = "GET", body: str | None = None) -> bytes:
        """Ask the server something, as its owner.

        Raises:
            OSError: it does not answer, or refuses (urllib's errors are OSErrors).
        """
        host = "127.0.0.1" if self.address in ("0.0.0.0", "127.0.0.1", "") else self.address  # noqa: S104 - compared, not bound
        request = urllib.request.Request(
            f"http://{host}:{self.port}{path}",
            data=body.encode() if body is not None else None,
            method=method,
            # The server answers to loopback's name only, whatever address it listens on.
            headers={"Authorization": f"token {self.token}", "Host": f"127.0.0.1:{self.port}"},
        )
        # No proxy: a proxy's variable must not send loopback's requests to another machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as response:
            return bytes(response.read())

    def answers(self) -> bool:
        """Tell whether it answers, and to our token: another server on this port would not."""
        try:
            self.request("/api/status")
        except (OSError, urllib.error.HTTPError):
            return False
        return True


def gone(process: psutil.Process) -> bool:
    """Tell whether a process has ended; one that only waits to be reaped has."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _record() -> Path:
    return places.directory() / "server.json"


def _token_file() -> Path:
    return places.directory() / "token"


@contextmanager
def exclusive() -> Iterator[None]:
    """Let one ``up`` or ``down`` at a time through; the second waits and says so."""
    places.directory().mkdir(parents=True, exist_ok=True, mode=0o700)
    with (places.directory() / "lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.say("another ./lab up or ./lab down is at work; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def running() -> Server | None:
    """Return the JupyterLab that runs, or None."""
    try:
        server = Server(**json.loads(_record().read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return server if server.process() else None


def check_port(address: str, port: int) -> None:
    """Make sure that the port is free.

    Raises:
        PortTakenError: another program listens there; the error names it if the kernel tells.
        ServerError: the address is not one of this machine's.
    """
    try:
        _bind(address, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise ServerError(
                f"cannot listen on {address}:{port}: {error.strerror}",
                reference="address-not-ours",
                why="LAB_BIND is an address of this machine; leave it out except in the Vagrant VM",
                next_step="unset LAB_BIND, then ./lab up",
            ) from error
        raise PortTakenError(
            f"port {port} is taken{_listener(port)}",
            reference="port-taken",
            why="two programs cannot listen on one address and port",
            next_step=f"./lab up --port {free_port(address, port)}",
        ) from error


def _bind(address: str, port: int) -> None:
    """Listen for a moment, as JupyterLab will; a port whose connections only wait to be forgotten is free."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
        probe.listen(1)


def _listener(port: int) -> str:
    """Return ``: process 4711 (python3 -m http.server)`` if the kernel tells, else an empty text."""
    for connection in psutil.net_connections("tcp"):
        listens = connection.status == psutil.CONN_LISTEN and getattr(connection.laddr, "port", None) == port
        if listens and connection.pid:
            try:
                command = " ".join(psutil.Process(connection.pid).cmdline())[:80]
            except psutil.NoSuchProcess:
                command = "it has just ended"
            return f": process {connection.pid} ({command})"
    return ""


def free_port(address: str, after: int) -> int:
    """Return the next port that can be listened on."""
    candidates: list[int] = [*range(after + 1, min(after + 100, 65536)), *range(8888, 8988)]
    for port in candidates:
        try:
            _bind(address, port)
        except OSError:
            continue
        return port
    return candidates[-1]


def command_line(address: str, port: int) -> list[str]:
    """Return what starts JupyterLab; the rest of its settings is in environment/jupyter."""
    argv = ["env"]
    for name in _UNSET:
        argv += ["-u", name]
    argv += [sys.executable, "-m", "jupyterlab", "--no-browser"]
    argv += ["--allow-root"] if os.geteuid() == 0 else []
    argv += [
        f"--ServerApp.ip={address}",
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={settings.PROJECT}",
        f"--FileContentsManager.preferred_dir={settings.PROJECT / 'labs'}",
    ]
    return argv


def start(port: int) -> Server:
    """Start JupyterLab and wait until it answers.

    Raises:
        PortTakenError: the port is in use.
        ServerError: it ended at once, or does not answer; the error holds the end of its log.
    """
    server, process = launch(port)
    try:
        wait(server, process)
    except BaseException:
        stop(server)
        raise
    return server


def launch(port: int) -> tuple[Server, subprocess.Popen[bytes]]:
    """Start JupyterLab and record it; it does not answer yet.

    Raises:
        PortTakenError: the port is in use.
        ServerError: the address is not one of this machine's.
    """
    address = settings.bind()
    check_port(address, port)
    token = secrets.token_hex(24)
    for folder in (places.directory(), places.kept(), settings.log()):
        folder.mkdir(parents=True, exist_ok=True)
    places.directory().chmod(0o700)
    # By a file: a token on the command line or in a variable can be read by others, and every kernel would inherit it.
    write_atomically(_token_file(), token, mode=0o600)
    log = settings.log() / "jupyter.log"
    log.unlink(missing_ok=True)
    # LAB_SESSION of the caller's own choice is kept; one that came with a label is another session's.
    inherited = {"LAB_SESSION": ""} if settings.LABEL_VARIABLE in os.environ else {}
    environment = {**places.environment(), **inherited, "JUPYTER_TOKEN_FILE": str(_token_file())}
    process = commands.start(command_line(address, port), env=environment, cwd=settings.PROJECT, log=log)
    server = Server(
        pid=process.pid,
        started=psutil.Process(process.pid).create_time(),
        address=address,
        port=port,
        token=token,
        project=str(settings.PROJECT),
        log=str(log),
    )
    write_atomically(_record(), json.dumps(asdict(server)), mode=0o600)
    return server, process


def wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    """Wait until JupyterLab answers, and lay out its first window.

    Raises:
        ServerError: it ended, or does not answer; the error holds the end of its log.
    """

    def ready() -> bool:
        if process.poll() is not None:
            raise ServerError(
                f"JupyterLab ended with exit status {process.returncode}",
                reference="jupyterlab-ended",
                why=log_tail(server),
                next_step=f"read {server.log}, then ./lab up",
            )
        return server.answers()

    waiting.wait_until(
        ready,
        what=f"JupyterLab to answer on port {server.port}",
        timeout_s=START_TIMEOUT_S,
        state=lambda: log_tail(server),
        next_step=f"read {server.log}, then ./lab up",
    )
    _lay_out(server)


def _lay_out(server: Server) -> None:
    """Give JupyterLab our window layout, unless the learner has one already."""
    path = f"/lab/api/workspaces/{WORKSPACE}"
    known: dict[str, Any] = json.loads(server.request(path))
    if not known.get("data"):
        layout = settings.PROJECT / "environment" / "jupyter" / "start.jupyterlab-workspace"
        server.request(path, method="PUT", body=layout.read_text(encoding="utf-8"))


def log_tail(server: Server, lines: int = 8) -> str:
    """Return the end of JupyterLab's log."""
    try:
        text = Path(server.log).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return "no log"
    return "\n      ".join(text.strip().splitlines()[-lines:]) or "it said nothing"


def stop(server: Server) -> None:
    """End JupyterLab and its kernels and terminals; one that is gone already is a success.

    Raises:
        ServerError: it is still there after SIGKILL.
    """
    process = server.process()
    if process:
        # Direct children only: below the kernels are the watchdogs, which clean up after them and end by themselves.
        children = process.children()
        _end([process], first_timeout_s=STOP_TIMEOUT_S)
        _end(children, first_timeout_s=2.0)
    forget()


def forget() -> None:
    """Remove the record of a JupyterLab that is gone."""
    for path in (_record(), _token_file()):
        path.unlink(missing_ok=True)


def _end(processes: list[psutil.Process], first_timeout_s: float) -> None:
    def all_gone() -> bool:
        return all(gone(process) for process in processes)

    for act, timeout_s in (("terminate", first_timeout_s), ("kill", 5.0)):
        for process in processes:
            try:
                if not gone(process):
                    getattr(process, act)()
            except psutil.NoSuchProcess:
                continue
        try:
            waiting.wait_until(all_gone, what="JupyterLab to end", timeout_s=timeout_s)
        except waiting.WaitTimeoutError:
            continue
        return
    left = [process for process in processes if not gone(process)]
    raise ServerError(
        f"process {', '.join(str(process.pid) for process in left)} is still there after SIGKILL",
        reference="jupyterlab-survives",
        why="the kernel does not end a process that waits for a device",
        next_step="./lab down again; if it stays, restart the machine",
    )


def on_loopback(server: Server) -> bool:
    """Tell whether only programs of this machine can reach the server."""
    try:
        return ipaddress.ip_address(server.address).is_loopback
    except ValueError:
        return server.address == "localhost"
