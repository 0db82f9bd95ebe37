"""The table of labs from their first cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab_helpers.notebooks import catalogue
from lab_helpers.notebooks.source import NotebookError

FIRST = """# 01 · Control groups

**Question:** Who stops a container that wants too much?

**Time:** 60 to 90 minutes
"""


def notebook(first: str, *code: str) -> dict[str, Any]:
    cells: list[dict[str, Any]] = [{"cell_type": "markdown", "id": "title", "metadata": {}, "source": first}]
    cells += [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": text, "outputs": [], "execution_count": None}
        for n, text in enumerate(code)
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def place(folder: Path, **notebooks: dict[str, Any]) -> Path:
    for name, content in notebooks.items():
        (folder / f"{name.removeprefix('n')}.ipynb").write_text(json.dumps(content))
    return folder


def test_a_row_is_read_from_the_notebook() -> None:
    code = (
        'q = lab.exercise("cg-01")\nq.check()',
        "exercise('cg-02')",
        'exercise("cg-01").hint()',
        'p = predict("p1")',
    )
    lab = catalogue.describe(notebook(FIRST, *code), Path("01_cgroups.ipynb"))
    assert lab.number == "01"
    assert lab.title == "Control groups"
    assert lab.question == "Who stops a container that wants too much?"
    assert lab.minutes == "60 to 90"
    assert lab.exercises == ("cg-01", "cg-02")
    assert lab.predictions == ("p1",)


@pytest.mark.parametrize(
    ("first", "title", "question", "minutes"),
    [
        ("# Start here\n\nThe question: what is it?\n\nabout 10 minutes", "Start here", "what is it?", "10"),
        ("# 00 Start here\n> **Question** What?\n*45\N{EN DASH}60 min*", "Start here", "What?", "45 to 60"),
        ("# 2019 and today", "2019 and today", "", ""),
    ],
)
def test_the_first_cell_may_be_written_in_some_ways(first: str, title: str, question: str, minutes: str) -> None:
    lab = catalogue.describe(notebook(first), Path("00_start.ipynb"))
    assert (lab.title, lab.question, lab.minutes) == (title, question, minutes)


def test_a_notebook_without_a_title_is_refused() -> None:
    with pytest.raises(NotebookError, match=r"01_x\.ipynb has no title"):
        catalogue.describe(notebook("no heading"), Path("01_x.ipynb"))


@pytest.mark.parametrize("number", ["1", "01", "01_cgroups", "01_cgroups.ipynb", "labs/01_cgroups.ipynb"])
def test_a_notebook_is_found_by_number_or_name(tmp_path: Path, number: str) -> None:
    place(tmp_path, n00_start=notebook(FIRST), n01_cgroups=notebook(FIRST))
    assert catalogue.find(number, tmp_path).name == "01_cgroups.ipynb"


def test_a_wrong_number_lists_what_there_is(tmp_path: Path) -> None:
    place(tmp_path, n00_start=notebook(FIRST), n01_cgroups=notebook(FIRST))
    with pytest.raises(catalogue.UnknownNotebookError) as caught:
        catalogue.find("42", tmp_path)
    assert caught.value.why == "there are: 00_start, 01_cgroups"
    assert caught.value.next_step == "./lab run 00"
    with pytest.raises(catalogue.UnknownNotebookError) as caught:
        catalogue.find("cgroup", tmp_path)
    assert caught.value.next_step == "./lab run 01"


def test_the_readme_keeps_its_words_and_gets_the_table(tmp_path: Path) -> None:
    rows = catalogue.labs(place(tmp_path, n01_cgroups=notebook(FIRST.replace("wants", "wants a|b"), 'exercise("a")')))
    before = f"# Title\n{catalogue.BEGIN}\nold\n{catalogue.END}\ntail\n"
    after = catalogue.with_table(before, rows)
    assert after.startswith(f"# Title\n{catalogue.BEGIN}\n| |")
    assert after.endswith(f"\n{catalogue.END}\ntail\n")
    assert (
        "| 01 | [Control groups](labs/01_cgroups.ipynb) | Who stops a container that wants a\\|b too much? |" in after
    )
    assert "old" not in after
    assert catalogue.with_table(after, rows) == after


def test_a_readme_without_the_marks_is_refused() -> None:
    with pytest.raises(NotebookError, match="no place for the table"):
        catalogue.with_table("# Title\n", [])
