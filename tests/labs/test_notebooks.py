"""What holds for every notebook before it is run; conftest.py collects and runs the notebooks themselves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from lab_helpers.base import settings
from lab_helpers.kernel import cgroups

LABS = settings.PROJECT / "labs"
KNOWN_TAGS = {"nbval-ignore-output", "nbval-skip", "raises-exception", "nbval-raises-exception", "cgroup-v2-output"}
STRICT_SHARE = 0.3
"""At least this part of a notebook's code cells is compared with its saved output: else strict means little."""


def code(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_there_are_notebooks_without_a_gap() -> None:
    numbers = [path.name[:2] for path in sorted(LABS.glob("*.ipynb"))]
    assert len(numbers) >= 2, f"labs/ holds {numbers}"
    assert numbers == [f"{number:02}" for number in range(len(numbers))]


def test_every_tag_means_something(notebook: Path, cells: list[dict[str, Any]]) -> None:
    tags = {tag for cell in cells for tag in cell["metadata"].get("tags", [])}
    unknown = {tag for tag in tags - KNOWN_TAGS if not tag.startswith("skip-")}
    assert not unknown, f"{notebook.name}: tags that nothing reads: {sorted(unknown)}"


def test_no_planned_failure_goes_unmatched(notebook: Path, cells: list[dict[str, Any]]) -> None:
    # A raising cell aborts "Run All" in the browser, so planned failures are %%expect cells, which require and match.
    raising = [
        cell["id"]
        for cell in code(cells)
        if {"raises-exception", "nbval-raises-exception"} & set(cell["metadata"].get("tags", []))
    ]
    assert not raising, f"{notebook.name}: use %%expect in {raising}"


def test_strict_comparison_has_substance(notebook: Path, cells: list[dict[str, Any]]) -> None:
    ran = [cell for cell in code(cells) if cell["outputs"]]
    compared = [cell for cell in ran if "nbval-ignore-output" not in cell["metadata"].get("tags", [])]
    everywhere = [cell for cell in compared if "cgroup-v2-output" not in cell["metadata"].get("tags", [])]
    assert len(compared) >= STRICT_SHARE * len(code(cells)), f"{notebook.name}: {len(compared)} of {len(code(cells))}"
    assert everywhere, f"{notebook.name}: nothing is compared on cgroup v1"


def test_it_begins_and_ends_as_every_lab(notebook: Path, cells: list[dict[str, Any]]) -> None:
    sources = ["".join(cell["source"]) for cell in code(cells)]
    number = notebook.name[:2]
    assert any(re.search(rf"lab\.start\([\"']{number}[\"']\)", source) for source in sources[:3])
    assert "lab.stop()" in sources[-1]


def test_no_cell_mentions_a_session(notebook: Path) -> None:
    # A saved output with a session id, a container id or a checkout's path would be one machine's.
    text = notebook.read_text(encoding="utf-8")
    assert "lab.session=<session>" in text or "lab.session=" not in re.sub(r"lab\.session=[<{$]", "", text)
    assert str(settings.PROJECT) not in text


@pytest.mark.no_session_check
def test_this_machine_says_which_cgroup_version_it_compares(record_property: Any) -> None:
    version = cgroups.version()
    record_property("cgroup_version", version)
    assert version in (1, 2)
