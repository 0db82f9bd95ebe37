"""On a real cgroup v2 kernel: the kernel notebooks, the whole life of their exercises, the controllers' own tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab_helpers.base import settings
from lab_helpers.checks import registry

KERNEL_NOTEBOOKS = ("00", "01")
TOURS = ("labs", "exercises")
Results = Callable[[str], Any]


@pytest.mark.parametrize("tour", TOURS)
def test_everything_passed_there(guest: Results, tour: str) -> None:
    found = guest(tour)
    bad = {name: fate for name, fate in found.cases.items() if fate != "passed"}
    assert found.cases
    assert not bad, found.tail
    assert found.returncode == 0, found.tail


def test_it_was_cgroup_v2(guest: Results) -> None:
    assert guest("labs").properties["cgroup_version"] == "2"


@pytest.mark.parametrize("number", KERNEL_NOTEBOOKS)
def test_each_kernel_notebook_ran_there(guest: Results, number: str) -> None:
    notebook = next(Path(settings.PROJECT, "labs").glob(f"{number}_*.ipynb"))
    ran = [name for name in guest("labs").cases if notebook.name.removesuffix(".ipynb") in name and " run" in name]
    assert len(ran) == notebook.read_text(encoding="utf-8").count('"cell_type": "code"')


def exercises() -> list[str]:
    return [
        exercise.id for lab in registry.current().labs if lab.notebook in KERNEL_NOTEBOOKS for exercise in lab.exercises
    ]


def test_there_are_exercises() -> None:
    assert exercises()


@pytest.mark.parametrize("identity", exercises())
def test_each_exercise_was_failed_and_solved_there(guest: Results, identity: str) -> None:
    """Untouched, each wrong answer, the solution, the solution again; and solved as a cell of its notebook."""
    lives = [fate for name, fate in guest("exercises").cases.items() if name.endswith(f"declares[{identity}]")]
    assert lives == ["passed"]
    cells = [fate for name, fate in guest("labs").cases.items() if name.endswith(f"{identity}-check")]
    assert cells == ["passed"]
