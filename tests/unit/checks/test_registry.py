from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lab_helpers.checks.definition import Lab
from lab_helpers.checks.registry import DuplicateIdError, Registry, UnknownExerciseError, current

if TYPE_CHECKING:
    from lab_helpers.checks.definition import Exercise, Prediction


def test_wrong_id_lists_the_close_ones(exercise: Exercise) -> None:
    found = Registry([Lab("90", "T", (exercise, replace(exercise, id="other-07")))])

    with pytest.raises(UnknownExerciseError, match=r"did you mean 'toy-01'\?") as caught:
        found.exercise("toy-1")

    assert caught.value.reference == "unknown-exercise"


def test_wrong_id_without_a_close_one_lists_all(exercise: Exercise) -> None:
    with pytest.raises(UnknownExerciseError, match="the ids are: toy-01"):
        Registry([Lab("90", "T", (exercise,))]).exercise("zzz")


def test_wrong_prediction(prediction: Prediction) -> None:
    with pytest.raises(UnknownExerciseError, match="unknown-prediction"):
        Registry([Lab("90", "T", (), (prediction,))]).prediction("toy-01")


def test_an_id_belongs_to_one_notebook(exercise: Exercise, prediction: Prediction) -> None:
    with pytest.raises(DuplicateIdError, match="toy-01"):
        Registry([Lab("90", "T", (exercise,)), Lab("91", "U", (exercise,))])
    with pytest.raises(DuplicateIdError, match="toy-p1"):
        Registry([Lab("90", "T", (), (prediction, prediction))])


def test_the_real_labs_load() -> None:
    assert all(lab.notebook.isdigit() for lab in current().labs)


def test_importing_the_room_is_cheap() -> None:
    code = (
        "import sys, lab_helpers.checks; print([m for m in ('docker', 'ipywidgets', 'anywidget') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
