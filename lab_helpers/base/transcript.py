"""What the kit did to the machine, in words a learner can type.

Both doors write here: ``commands`` (argv) and the kernel file writer. A notebook shows it, so that nothing a helper
does stays hidden.
"""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

Entry = Literal["command", "write", "read"]

KEPT = 500
"""Entries kept; older ones are forgotten."""


class Secret(str):
    """An argument that is used but never shown: transcripts and errors print ``***`` in its place."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


@dataclass(frozen=True)
class Line:
    """One act: what kind it was, and the shell line that does the same."""

    kind: Entry
    text: str


_everything: deque[Line] = deque(maxlen=KEPT)
_recorder: ContextVar[list[Line] | None] = ContextVar("lab_transcript", default=None)


def shell_line(argv: Sequence[str]) -> str:
    """Write argv as the line a person would type, secrets hidden."""
    return " ".join("***" if isinstance(word, Secret) else shlex.quote(word) for word in argv)


def note(kind: Entry, text: str) -> None:
    """Record one act."""
    line = Line(kind, text)
    _everything.append(line)
    active = _recorder.get()
    if active is not None:
        active.append(line)


def lines() -> list[Line]:
    """Return what was done in this process, oldest first (the last ``KEPT`` acts)."""
    return list(_everything)


@contextmanager
def record() -> Iterator[list[Line]]:
    """Collect what is done inside the block.

    >>> with record() as acts:
    ...     note("write", "echo 1 > /sys/fs/cgroup/demo/cgroup.freeze")
    >>> acts[0].text
    'echo 1 > /sys/fs/cgroup/demo/cgroup.freeze'
    """
    collected: list[Line] = []
    token = _recorder.set(collected)
    try:
        yield collected
    finally:
        _recorder.reset(token)
