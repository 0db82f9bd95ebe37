"""Reading and writing notebook files."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_helpers.notebooks import source

GOOD = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not JSON"),
        ("[]", "no list of cells"),
        ('{"cells": 3}', "no list of cells"),
        (GOOD.replace('"nbformat_minor": 5', '"nbformat_minor": 4'), "its format is 4.4"),
    ],
)
def test_what_is_no_notebook_is_refused_by_name(text: str, why: str) -> None:
    with pytest.raises(source.NotebookError, match=r"x\.ipynb is no notebook") as caught:
        source.parse(text, "x.ipynb")
    assert why in caught.value.why


def test_texts_may_be_one_string_or_lines() -> None:
    assert source.source({"source": ["a\n", "b"]}) == source.source({"source": "a\nb"}) == "a\nb"
    assert source.split("a\nb\n") == ["a\n", "b\n"]


def test_written_files_have_sorted_keys_and_a_last_newline(tmp_path: Path) -> None:
    source.write(tmp_path / "x.ipynb", source.parse(GOOD, "x"))
    text = (tmp_path / "x.ipynb").read_text()
    assert text.startswith('{\n "cells"')
    assert text.endswith("}\n")


def test_only_numbered_notebooks_are_labs(tmp_path: Path) -> None:
    for name in ("01_b.ipynb", "00_a.ipynb", "scratch.ipynb", "02_c.txt"):
        (tmp_path / name).write_text(GOOD)
    assert [path.name for path in source.paths(tmp_path)] == ["00_a.ipynb", "01_b.ipynb"]
