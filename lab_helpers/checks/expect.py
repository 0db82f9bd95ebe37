"""Planned failures: an error that a cell announces must occur, and must match, or the cell fails."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from lab_helpers.base.errors import LabError


class ExpectationError(LabError):
    """A planned failure did not happen, or another one did."""


@dataclass(frozen=True)
class Expectation:
    """What a cell announces.

    Attributes:
        name: An error's class name (``OSError``, base classes count), a kit error's reference
            (``kernel-file-ebusy``), or ``exit=137`` for the exit status of a bash cell.
        fragment: Words that its message or its output must contain, "" for any.
    """

    name: str
    fragment: str = ""

    def matches(self, error: BaseException) -> bool:
        """Tell whether this is the error that was announced."""
        return self._names(error) and self.fragment in everything_said(error)

    def _names(self, error: BaseException) -> bool:
        if self.name.startswith("exit="):
            return str(getattr(error, "returncode", None)) == self.name.removeprefix("exit=")
        if self.name == getattr(error, "reference", None):
            return True
        return any(self.name in (one.__name__, f"{one.__module__}.{one.__name__}") for one in type(error).__mro__)

    def __str__(self) -> str:
        return f"{self.name} with {self.fragment!r}" if self.fragment else self.name


def parse(line: str) -> Expectation:
    """Read the line of ``%%expect NAME "fragment"``.

    Raises:
        ExpectationError: it names nothing, or too much.
    """
    try:
        words = shlex.split(line)
    except ValueError:
        words = []
    if not 1 <= len(words) <= 2:
        raise ExpectationError(
            f"cannot read `%%expect {line}`",
            reference="bad-expectation",
            why="it takes an error's name or reference, and words of its message in quotes",
            next_step='write it like: %%expect OSError "Device or resource busy"',
        )
    return Expectation(*words)


def everything_said(error: BaseException) -> str:
    """Return an error's message, with the output of the command that failed."""
    completed = getattr(error, "completed", None)
    output = getattr(error, "output", None) or (f"{completed.stdout}{completed.stderr}" if completed else "")
    return f"{error}\n{output}"


def headline(error: BaseException) -> str:
    """Say an error in one line."""
    text = error.message if isinstance(error, LabError) else str(error)
    return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}".rstrip(": ")


def nothing_raised(expected: Expectation) -> ExpectationError:
    """Make the error for a planned failure that did not happen."""
    return ExpectationError(
        f"this cell announces {expected}, and nothing failed",
        reference="expected-error-missing",
        why="the failure is what the step teaches; here the system let it pass",
        next_step="run the cells above again, in order; then run `./lab doctor`",
    )


def other_raised(expected: Expectation, error: BaseException) -> ExpectationError:
    """Make the error for a failure that is not the planned one."""
    return ExpectationError(
        f"this cell announces {expected}, and this came instead: {headline(error)}",
        reference="expected-error-differs",
        why=everything_said(error).strip(),
        next_step="run the cells above again, in order; then run `./lab doctor`",
    )
