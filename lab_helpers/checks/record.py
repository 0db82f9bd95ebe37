"""The learner's progress: a small JSON file on this machine, read and written by nobody else.

``$LAB_HOME/state/progress.json`` is replaced as a whole, under a lock, so that two notebooks can write at once and a
full disk loses nothing. A file that cannot be read is set aside, and the learner is told.
With ``LAB_SOLVE=1`` progress stays in memory: a test run never touches the learner's.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from lab_helpers.base import settings
from lab_helpers.base.files import write_atomically

VERSION = 1


@dataclass(frozen=True)
class Entry:
    """What is remembered of one exercise or prediction.

    Attributes:
        state: The last verdict; ``correct`` stays.
        attempts: Checks of something that had been started.
        hints: The highest hint asked for, 0 to 3.
        solution_shown: The solution was looked at before the answer was correct.
        answer: The letter chosen (predictions).
        changed: When, in UTC, ISO 8601.
    """

    state: str = "not started"
    attempts: int = 0
    hints: int = 0
    solution_shown: bool = False
    answer: str = ""
    changed: str = ""


Change = Callable[[Entry], Entry]


class Store(Protocol):
    """Where entries are kept."""

    def read(self) -> tuple[dict[str, Entry], str]:
        """Return all entries by id, and a remark for the learner ("" for none)."""
        ...

    def update(self, name: str, change: Change) -> str:
        """Change one entry; return a remark for the learner ("" for none)."""
        ...


@dataclass
class MemoryStore:
    """Progress that ends with this process: for LAB_SOLVE=1."""

    entries: dict[str, Entry] = field(default_factory=dict)

    def read(self) -> tuple[dict[str, Entry], str]:
        """Return all entries; there is never a remark."""
        return dict(self.entries), ""

    def update(self, name: str, change: Change) -> str:
        """Change one entry."""
        self.entries[name] = change(self.entries.get(name, Entry()))
        return ""


@dataclass(frozen=True)
class FileStore:
    """Progress in a JSON file."""

    path: Path

    def read(self) -> tuple[dict[str, Entry], str]:
        """Return all entries and, if the file was damaged, where it was put.

        Raises:
            OSError: the folder cannot be read or written.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}, ""
        except UnicodeDecodeError:
            return {}, self._set_aside("it is not text")
        try:
            return _parse(text), ""
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return {}, self._set_aside(str(error))

    def update(self, name: str, change: Change) -> str:
        """Change one entry, under the lock.

        Raises:
            OSError: the folder cannot be written, or the disk is full; the former file is whole.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            entries, remark = self.read()
            now = datetime.now(UTC).isoformat(timespec="seconds")
            entries[name] = Entry(**{**asdict(change(entries.get(name, Entry()))), "changed": now})
            self._replace(entries)
        return remark

    def _replace(self, entries: dict[str, Entry]) -> None:
        document = {"version": VERSION, "entries": {name: asdict(entry) for name, entry in entries.items()}}
        write_atomically(self.path, json.dumps(document, indent=1, sort_keys=True) + "\n")

    def _set_aside(self, why: str) -> str:
        aside = self.path.with_name(f"{self.path.stem}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}.json")
        self.path.replace(aside)
        return f"the progress file could not be read ({why}); it is kept as {aside}, and a new one was begun"


def _parse(text: str) -> dict[str, Entry]:
    document = json.loads(text)
    if document["version"] != VERSION:
        raise ValueError(f"its version is {document['version']!r}, not {VERSION}")
    known = {one.name: one.type for one in fields(Entry)}
    entries = {}
    for name, stored in document["entries"].items():
        entry = Entry(**{key: value for key, value in stored.items() if key in known})
        if not isinstance(entry.state, str) or not isinstance(entry.attempts, int) or not isinstance(entry.hints, int):
            raise TypeError(f"the entry of {name} is not what this program writes")
        entries[name] = entry
    return entries


_solved = MemoryStore()


def store() -> Store:
    """Return where progress goes now: the learner's file, or memory with LAB_SOLVE=1."""
    return _solved if settings.solve() else FileStore(settings.state() / "progress.json")


def note(name: str, change: Change) -> str:
    """Record a change; a progress file that cannot be written is a remark, never a failed exercise."""
    try:
        return store().update(name, change)
    except OSError as error:
        return f"progress could not be saved: {error.strerror or error} ({error.filename or 'state folder'})"


def read() -> tuple[dict[str, Entry], str]:
    """Return all entries and a remark; a progress file that cannot be read is a remark as well."""
    try:
        return store().read()
    except OSError as error:
        return {}, f"progress could not be read: {error.strerror or error} ({error.filename or 'state folder'})"
