"""What is refused in a notebook, each with its own sentence."""

from __future__ import annotations

from typing import Any

import pytest

from lab_helpers.notebooks.conventions import MAX_CODE_LINES, code_lines, problems


def cell(text: str = "x", identity: str = "a", tags: list[str] | None = None) -> dict[str, Any]:
    return {"cell_type": "code", "id": identity, "metadata": {"tags": tags or []}, "source": text}


LONG = "\n".join(f"x = {number}" for number in range(MAX_CODE_LINES + 1))


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        ([cell(identity="")], "it needs an id"),
        ([cell(identity="a b")], "it needs an id"),
        ([cell(), cell()], "2 cells have this id"),
        ([cell(tags=["nbval-skp"])], "unknown tag nbval-skp"),
        ([cell(tags=["nbval-skip"])], "nbval-skip needs a tag with the reason"),
        ([cell(LONG)], "11 lines of code, 10 at most"),
    ],
)
def test_each_problem_has_its_sentence(cells: list[dict[str, Any]], complaint: str) -> None:
    found = problems({"cells": cells})
    assert len(found) == 1
    assert complaint in found[0]


def test_a_good_notebook_has_no_problem() -> None:
    cells = [
        cell(),
        cell(identity="b", tags=["nbval-skip", "skip-needs-graalvm"]),
        cell(identity="c", tags=["cgroup-v2-output"]),
    ]
    assert problems({"cells": cells}) == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", 0),
        ("# only a comment\n\n", 0),
        ("%%exercise cg-01\na = 1\n\nb = 2  # why", 2),
        ("%%cgroup\necho 1\n# --- on cgroup v1 ---\necho 1\necho 2\necho 3", 3),
        ("%%cgroup\necho 1\necho 2\n# --- on cgroup v1 ---\necho 1", 2),
    ],
)
def test_code_lines_are_those_that_run(text: str, lines: int) -> None:
    assert code_lines(cell(text)) == lines
