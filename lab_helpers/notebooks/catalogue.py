"""The table of labs, read from the notebooks themselves, and its copy in the README."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab_helpers.base import settings
from lab_helpers.base.files import write_atomically
from lab_helpers.notebooks.source import Notebook, NotebookError, code_cells, paths, read, source

BEGIN = "<!-- labs: this table is generated from the notebooks by ./lab lint --fix -->"
END = "<!-- end of labs -->"

_TITLE = re.compile(r"^#\s+(?:\d\d(?!\d)\s*[·:.-]?\s*)?(.+?)\s*$", re.MULTILINE)
_QUESTION = re.compile(r"^[-*>\s]*(?:\*\*)?(?:The )?[Qq]uestion[.:]?(?:\*\*)?[.:]?\s*(.+?)\s*$", re.MULTILINE)
_MINUTES = re.compile(r"(\d+)(?:\s*(?:to|-|\u2013)\s*(\d+))?\s*min", re.IGNORECASE)
_EXERCISE = re.compile(r"\bexercise\(\s*[\"']([\w-]+)[\"']")
_PREDICTION = re.compile(r"\bpredict\(\s*[\"']([\w-]+)[\"']")


class UnknownNotebookError(NotebookError):
    """There is no notebook with that number."""


@dataclass(frozen=True)
class Lab:
    """One notebook as the table shows it.

    Attributes:
        number: Two digits.
        title: Its first heading.
        question: What it answers; "" if its first cell asks none.
        minutes: How long it takes, in minutes, as written: ``10`` or ``60 to 90``; "" if its first cell does not say.
        exercises: Ids, in order.
        predictions: Ids, in order.
        path: Its file.
    """

    number: str
    title: str
    question: str
    minutes: str
    exercises: tuple[str, ...]
    predictions: tuple[str, ...]
    path: Path


def describe(notebook: Notebook, path: Path) -> Lab:
    """Read a notebook's row from its first Markdown cell and its code.

    Raises:
        NotebookError: its first cell is no Markdown cell with a heading.
    """
    first = notebook["cells"][0] if notebook["cells"] else {}
    text = source(first) if first.get("cell_type") == "markdown" else ""
    title = _TITLE.search(text)
    if not title:
        raise NotebookError(
            f"{path.name} has no title",
            reference="notebook-without-title",
            why="its first cell is to be Markdown: `# title`, then the question and the time",
            next_step=f"give {path.name} such a first cell",
        )
    question = _QUESTION.search(text)
    minutes = _MINUTES.search(text)
    code = "\n".join(source(cell) for cell in code_cells(notebook))
    return Lab(
        number=path.name[:2],
        title=title[1],
        question=_plain(question[1]) if question else "",
        minutes=" to ".join(filter(None, minutes.groups())) if minutes else "",
        exercises=tuple(dict.fromkeys(_EXERCISE.findall(code))),
        predictions=tuple(dict.fromkeys(_PREDICTION.findall(code))),
        path=path,
    )


def _plain(text: str) -> str:
    return text.strip("*_ ")


def labs(place: Path | None = None) -> list[Lab]:
    """Return all labs of a folder (default: labs/).

    Raises:
        NotebookError: one of them cannot be read.
    """
    return [describe(read(path), path) for path in paths(place)]


def find(number: str, place: Path | None = None) -> Path:
    """Return the notebook with this number.

    Args:
        number: ``01``, ``1``, or the file's name.
        place: Folder; default labs/.

    Raises:
        UnknownNotebookError: there is none; the error lists what there is.
    """
    there = paths(place)
    wanted = Path(number).name
    wanted = wanted.zfill(2) if wanted.isdecimal() else wanted
    for path in there:
        if wanted in (path.name[:2], path.name, path.stem):
            return path
    close = difflib.get_close_matches(wanted, [path.stem for path in there], n=1)
    raise UnknownNotebookError(
        f"there is no notebook {number}",
        reference="unknown-notebook",
        why="there are: " + (", ".join(path.stem for path in there) or "none"),
        next_step=f"./lab run {close[0][:2] if close else there[0].name[:2]}" if there else "get the labs folder back",
    )


def table(rows: Sequence[Lab]) -> str:
    """Return the Markdown table of the labs."""
    lines = [
        "| | lab | the question it answers | minutes | exercises | predictions |",
        "|---|---|---|---|---|---|",
    ]
    for lab in rows:
        title = f"[{lab.title}](labs/{lab.path.name})"
        cells = (lab.number, title, lab.question, lab.minutes, len(lab.exercises), len(lab.predictions))
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def with_table(readme: str, rows: Sequence[Lab]) -> str:
    """Return the README with its table brought up to date.

    Raises:
        NotebookError: the two marks are not there.
    """
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise NotebookError(
            "README.md has no place for the table of labs",
            reference="readme-without-table",
            why=f"the table goes between the lines {BEGIN} and {END}",
            next_step="put both lines back where the table belongs, then ./lab lint --fix",
        )
    return f"{head}{BEGIN}\n{table(rows)}\n{END}{tail}"


def readme() -> Path:
    """Return the README's path."""
    return settings.PROJECT / "README.md"


def readme_is_current() -> bool:
    """Tell whether the README's table is what the notebooks say."""
    text = readme().read_text(encoding="utf-8")
    return text == with_table(text, labs())


def update_readme() -> None:
    """Write the table into the README."""
    write_atomically(readme(), with_table(readme().read_text(encoding="utf-8"), labs()))
