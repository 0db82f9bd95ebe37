"""``sh("docker run ...")``: a command as a learner would type it, shown before it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab_helpers.base import commands, session
from lab_helpers.checks.bodies import CellCommandError, exit_status, show_line


@dataclass(frozen=True)
class Ran:
    """A command that ended. A notebook shows nothing for it: its output is above already.

    Attributes:
        command: What ran.
        returncode: Its exit status; negative: the signal that ended it.
        stdout: What it printed, both streams in the order they came.
    """

    command: str
    returncode: int
    stdout: str = field(repr=False)

    @property
    def lines(self) -> list[str]:
        """The output, line by line."""
        return self.stdout.splitlines()

    def _ipython_display_(self) -> None:
        """Show nothing."""


def sh(command: str, *, check: bool = True, timeout_s: float | None = None) -> Ran:
    """Print a shell command, run it with bash, show its output as it comes.

    Commands are always shown, so that a learner can leave the kit and type them.

    Args:
        command: A line of shell; pipes and variables work, and a failure anywhere in a pipe counts (pipefail).
        check: Raise when it fails; False where the failure is what the cell shows.
        timeout_s: Seconds after which it is killed.

    Raises:
        CellCommandError: it failed and ``check`` is set.
        CommandTimeoutError: it took longer than ``timeout_s``.

    Equivalent: the command itself, in a terminal
    """
    session.current()  # what the command starts must carry the session's label
    for number, line in enumerate(command.strip().splitlines()):
        show_line(f"{'>' if number else '$'} {line}")
    done = commands.run(
        ["bash", "-o", "pipefail", "-c", command, "sh"], check=False, timeout_s=timeout_s, on_line=show_line
    )
    if done.returncode != 0 and check:
        raise CellCommandError(returncode=done.returncode, line=None, text=f"`{command.strip()}`", output=done.stdout)
    if done.returncode != 0:
        show_line(f"[{exit_status(done.returncode)}]")
    return Ran(command, done.returncode, done.stdout)
