"""The one door for subprocesses: argv lists in, facts out, every line in the transcript."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab_helpers.base import transcript
from lab_helpers.base.errors import LabError

TAIL_LINES = 12
"""Lines of output that an error repeats."""

POLL_S = 0.05
"""How often a silent command is asked whether it has ended, in seconds."""


@dataclass(frozen=True)
class Completed:
    """A command that ended.

    Attributes:
        argv: What ran.
        returncode: Its exit status; negative: the signal that ended it.
        stdout: What it printed.
        stderr: What it complained of.
        duration_s: How long it took, in seconds.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    duration_s: float


class CommandError(LabError):
    """A command ended with a non-zero exit status; ``completed`` has both streams."""

    def __init__(self, message: str, *, reference: str, why: str, next_step: str, completed: Completed) -> None:
        super().__init__(message, reference=reference, why=why, next_step=next_step)
        self.completed = completed


class CommandNotFoundError(CommandError):
    """The program is not installed."""


class CommandTimeoutError(CommandError):
    """The command did not end in time and was killed."""


def _tail(text: str) -> str:
    return "\n      ".join(text.strip().splitlines()[-TAIL_LINES:])


def _not_found(argv: Sequence[str], error: OSError) -> CommandNotFoundError:
    return CommandNotFoundError(
        f"cannot start {argv[0]}: {error.strerror}",
        reference="command-not-found",
        why=f"{argv[0]} is not installed, or not on PATH",
        next_step="run `./lab doctor`, then the command it prints",
        completed=Completed(tuple(argv), 127, "", str(error), 0.0),
    )


def run(
    argv: Sequence[str],
    *,
    check: bool = True,
    stdin: str | None = None,
    timeout_s: float | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    quiet: bool = False,
) -> Completed:
    """Run a command to its end.

    Args:
        argv: Program and arguments; never a shell string.
        check: Raise when the exit status is not 0.
        stdin: Text for its standard input; None closes it.
        timeout_s: Seconds after which the command and its children are killed.
        env: Variables on top of the present environment.
        cwd: Folder to run in.
        on_line: Called with each line of both streams as it comes; ``stdout`` then holds both, in order.
        quiet: Leave it out of the transcript (for polling).

    Raises:
        CommandNotFoundError: the program is not there.
        CommandTimeoutError: it took longer than ``timeout_s``.
        CommandError: it ended with a non-zero exit status and ``check`` is set.
    """
    if not quiet:
        transcript.note("command", transcript.shell_line(argv))
    began = time.monotonic()
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if on_line else subprocess.PIPE,
            env={**os.environ, **env} if env else None,
            cwd=cwd,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        if not isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise _not_found(argv, error) from error
    try:
        if on_line:
            stdout, stderr = _stream(process, on_line, stdin, timeout_s), ""
        else:
            stdout, stderr = process.communicate(stdin, timeout_s)
    except subprocess.TimeoutExpired as error:
        _kill_group(process)
        out, err = (error.output, "") if on_line else process.communicate()
        process.wait()
        completed = Completed(tuple(argv), -signal.SIGKILL, out or "", err or "", time.monotonic() - began)
        raise CommandTimeoutError(
            f"`{transcript.shell_line(argv)}` did not end within {timeout_s:g} s",
            reference="command-timeout",
            why=f"its last words: {_tail(completed.stdout + completed.stderr) or 'none'}",
            next_step="run the line in a terminal and watch where it stops",
            completed=completed,
        ) from error
    except BaseException:
        _kill_group(process)
        process.wait()
        raise
    completed = Completed(tuple(argv), process.returncode, stdout, stderr, time.monotonic() - began)
    if check and completed.returncode != 0:
        raise CommandError(
            f"`{transcript.shell_line(argv)}` ended with exit status {completed.returncode}",
            reference="command-failed",
            why=_tail(completed.stderr) or _tail(completed.stdout) or "it said nothing",
            next_step="correct what it says; the line can be tried in a terminal",
            completed=completed,
        )
    return completed


def _stream(
    process: subprocess.Popen[str], on_line: Callable[[str], None], stdin: str | None, timeout_s: float | None
) -> str:
    if process.stdout is None:
        raise ValueError("a streamed command needs its output as a pipe")
    timed_out = threading.Event()

    def expire() -> None:
        timed_out.set()
        _kill_group(process)

    timer = threading.Timer(timeout_s, expire) if timeout_s else None
    if timer:
        timer.daemon = True
        timer.start()
    collected: list[str] = []
    try:
        if process.stdin:
            process.stdin.write(stdin or "")
            process.stdin.close()
        for line in _lines(process, process.stdout.fileno()):
            collected.append(line + "\n")
            on_line(line)
        process.wait()
    finally:
        if timer:
            timer.cancel()
    if timed_out.is_set():
        raise subprocess.TimeoutExpired(process.args, timeout_s or 0.0, "".join(collected))
    return "".join(collected)


def _lines(process: subprocess.Popen[str], pipe: int) -> Iterator[str]:
    """Yield what the command prints, line by line, until it has ended.

    Not until the pipe has: a child left in the background (``sleep 600 &``) inherits it and may hold it for long.
    """
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            ended = process.poll() is not None  # asked before the look, so that nothing it wrote is missed
            if not selector.select(0 if ended else POLL_S):
                if ended:
                    break
                continue
            data = os.read(pipe, 65536)
            if not data:
                break
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")


def _kill_group(process: subprocess.Popen[str]) -> None:
    """Kill the command and the children it started (it leads a process group of its own)."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    log: Path | None = None,
    pass_fds: Iterable[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a command that goes on in the background, in a session of its own.

    A thread reaps it: a kernel restarted with an un-reaped child runs no exit handlers.

    Args:
        argv: Program and arguments.
        env: Variables on top of the present environment.
        cwd: Folder to run in.
        log: File for both streams; None throws them away.
        pass_fds: File descriptors to keep open in the child.

    Raises:
        CommandNotFoundError: the program is not there.
    """
    transcript.note("command", transcript.shell_line(argv) + " &")
    output = log.open("ab") if log else None
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output or subprocess.DEVNULL,
            stderr=subprocess.STDOUT if output else subprocess.DEVNULL,
            env={**os.environ, **env} if env else None,
            cwd=cwd,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
        )
    except FileNotFoundError as error:
        raise _not_found(argv, error) from error
    finally:
        if output:
            output.close()
    threading.Thread(target=process.wait, name=f"reap-{process.pid}", daemon=True).start()
    return process


def which(program: str) -> Path | None:
    """Return where a program is installed, or None; the sbin folders count, which a learner's PATH often lacks."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    found = shutil.which(program, path=path)
    return Path(found) if found else None
