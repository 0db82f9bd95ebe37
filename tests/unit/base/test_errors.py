"""Errors carry message, reference, why and next step, wherever they go."""

from __future__ import annotations

import copy
import pickle

import pytest

from lab_helpers.base import commands
from lab_helpers.base.errors import LabError


def error(**more: str) -> LabError:
    return LabError(
        "cannot set memory.max", reference="memory-not-enabled", why="it is off", next_step="turn it on", **more
    )


def test_it_shows_three_lines() -> None:
    expected = "memory-not-enabled: cannot set memory.max\nwhy:  it is off\nnext: turn it on"
    assert str(error()) == expected
    assert str(error(link="man 7 cgroups")) == f"{expected}\nmore: man 7 cgroups"


def test_a_notebook_shows_the_lines_instead_of_a_traceback() -> None:
    assert error()._render_traceback_() == [f"LabError: {error()}"]


@pytest.mark.parametrize("how", [copy.copy, lambda found: pickle.loads(pickle.dumps(found))])  # noqa: S301 - our own
def test_it_survives_copying_with_its_subclass_and_data(how: object) -> None:
    completed = commands.Completed(("false",), 1, "out", "err", 0.1)
    original = commands.CommandError("m", reference="r", why="w", next_step="n", completed=completed)
    found = how(original)  # type: ignore[operator]
    assert type(found) is commands.CommandError
    assert found.completed == completed
    assert str(found) == str(original)
