"""What lint looks at, and that each of its checks can fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab_helpers.base import settings
from lab_helpers.cli import lint
from lab_helpers.notebooks import catalogue, source

UNTIDY = {
    "cells": [
        {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# 00 Start"},
        {"cell_type": "code", "id": "a", "metadata": {"x": 1}, "source": "1", "outputs": [], "execution_count": 7},
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.fixture
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "labs"
    folder.mkdir()
    monkeypatch.setattr(source, "folder", lambda: folder)
    monkeypatch.setattr(catalogue, "readme", lambda: tmp_path / "README.md")
    return folder


def test_shell_scripts_are_found_by_suffix_and_by_first_line(tmp_path: Path) -> None:
    scripts = {"a.sh": "echo", "lab": "#!/usr/bin/env bash\n", "init": "#!/bin/busybox sh\n", "b": "#!/bin/sh -e\n"}
    others = {"c.py": "#!/usr/bin/python3\n", "d": "text", ".venv/e.sh": "echo", ".git/f.sh": "echo"}
    for name, text in {**scripts, **others}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "link.sh").symlink_to("a.sh")
    found = {path.name for path in lint.shell_scripts(tmp_path)}
    assert found == set(scripts)


def test_the_projects_own_scripts_are_among_them() -> None:
    found = {str(path.relative_to(settings.PROJECT)) for path in lint.shell_scripts()}
    assert {"lab", ".ci/run", "environment/provision.sh"} <= found


def test_an_untidy_notebook_is_named_and_mended(labs: Path) -> None:
    path = labs / "00_start.ipynb"
    path.write_text(json.dumps(UNTIDY))
    assert lint.notebooks() == "00_start.ipynb: not in normal form; ./lab lint --fix writes it"
    assert lint.notebooks(fix=True) == ""
    assert lint.notebooks() == ""


def test_a_notebook_that_breaks_a_convention_stays_refused(labs: Path) -> None:
    (labs / "00_start.ipynb").write_text(json.dumps(UNTIDY).replace('"x": 1', '"tags": ["x"]'))
    assert "unknown tag x" in lint.notebooks(fix=True)
    (labs / "00_start.ipynb").write_text("{")
    assert "00_start.ipynb is no notebook" in lint.notebooks()


def test_no_notebooks_are_a_complaint(labs: Path) -> None:
    assert lint.notebooks() == "there are no notebooks in labs/"


def test_an_old_table_in_the_readme_is_named_and_mended(labs: Path) -> None:
    (labs / "00_start.ipynb").write_text(json.dumps(UNTIDY))
    assert "README.md" in lint.readme()
    catalogue.readme().write_text(f"{catalogue.BEGIN}\n{catalogue.END}\n")
    assert lint.readme() == "its table of labs is old; ./lab lint --fix writes it"
    assert lint.readme(fix=True) == ""
    assert lint.readme() == ""


def test_a_tool_complains_with_what_it_printed() -> None:
    assert lint.tool("ruff", "--version")() == ""
    assert "unrecognized" in lint.tool("ruff", "nonsense")()
    assert "is not installed" in lint.tool("no-such-tool-here")()


def test_verdicts_come_with_their_time_and_one_failure_does_not_stop_the_others() -> None:
    chosen = [lint.Check("bad", lambda: "broken"), lint.Check("good", lambda: "")]
    found = {verdict.name: verdict for verdict in lint.run_checks(chosen)}
    assert found["bad"].complaint == "broken"
    assert found["good"].complaint == ""
    assert all(verdict.duration_s >= 0 for verdict in found.values())


def test_every_check_of_the_house_is_there() -> None:
    names = {check.name for check in lint.checks()}
    assert names == {
        "ruff check",
        "ruff format",
        "mypy --strict",
        "import-linter",
        "notebooks",
        "shellcheck",
        "README table",
    }
