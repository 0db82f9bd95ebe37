"""Reading and writing .ipynb files, and the few facts about cells that every other file here asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lab_helpers.base import settings
from lab_helpers.base.errors import LabError
from lab_helpers.base.files import write_atomically

Notebook = dict[str, Any]
"""A notebook of format 4.5 as JSON has it; texts are lists of lines."""

Cell = dict[str, Any]


class NotebookError(LabError):
    """A file that is no notebook of ours."""


def folder() -> Path:
    """Return where the labs' notebooks are."""
    return settings.PROJECT / "labs"


def paths(place: Path | None = None) -> list[Path]:
    """Return the notebooks of a folder (default: labs/), in the order of their numbers."""
    return sorted((place or folder()).glob("[0-9][0-9]_*.ipynb"))


def parse(text: str, name: str) -> Notebook:
    """Read the text of a notebook.

    Args:
        text: JSON.
        name: What to call it in errors.

    Raises:
        NotebookError: it is not JSON, or no notebook of format 4.5 or later.
    """
    try:
        notebook = json.loads(text)
    except ValueError as error:
        raise _refuse(name, f"it is not JSON: {error}") from error
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise _refuse(name, "it has no list of cells")
    version = (notebook.get("nbformat", 0), notebook.get("nbformat_minor", 0))
    if version < (4, 5):
        raise _refuse(name, f"its format is {version[0]}.{version[1]}; cells have ids since 4.5")
    return notebook


def _refuse(name: str, why: str) -> NotebookError:
    return NotebookError(
        f"{name} is no notebook of format 4.5",
        reference="bad-notebook",
        why=why,
        next_step="open it in JupyterLab and save it, or take the committed one back: git checkout -- labs",
    )


def read(path: Path) -> Notebook:
    """Read a notebook file.

    Raises:
        NotebookError: it is no notebook of format 4.5 or later.
        OSError: it cannot be read.
    """
    return parse(path.read_text(encoding="utf-8"), path.name)


def render(notebook: Notebook) -> str:
    """Return a notebook as the text to commit: sorted keys, one indent, a final newline."""
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def write(path: Path, notebook: Notebook) -> None:
    """Write a notebook file, the old one or the new one whatever happens."""
    write_atomically(path, render(notebook))


def as_node(notebook: Notebook) -> Any:  # noqa: ANN401 - nbformat has no types
    """Return a notebook as nbformat, nbclient and nbconvert want it: attributes, and each text one string."""
    import nbformat  # noqa: PLC0415 - costs a second on a cold disk, and only running a notebook needs it

    return nbformat.reads(json.dumps(notebook), as_version=nbformat.NO_CONVERT)  # type: ignore[no-untyped-call]


def from_node(node: Any) -> Notebook:  # noqa: ANN401 - nbformat has no types
    """Return nbformat's notebook as JSON has it."""
    import nbformat  # noqa: PLC0415 - see as_node

    text = nbformat.writes(node, version=nbformat.NO_CONVERT)  # type: ignore[no-untyped-call]
    return parse(text, "the executed notebook")


def joined(text: str | list[str]) -> str:
    """Return a text that the format allows as one string or as lines."""
    return text if isinstance(text, str) else "".join(text)


def split(text: str) -> list[str]:
    """Return a text as the list of lines that makes small diffs."""
    return text.splitlines(keepends=True)


def source(cell: Cell) -> str:
    """Return a cell's text."""
    return joined(cell.get("source", ""))


def tags(cell: Cell) -> list[str]:
    """Return a cell's tags."""
    return list(cell.get("metadata", {}).get("tags", []))


def code_cells(notebook: Notebook) -> list[Cell]:
    """Return the code cells, in order."""
    return [cell for cell in notebook["cells"] if cell.get("cell_type") == "code"]
