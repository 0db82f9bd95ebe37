from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from lab_helpers.checks.definition import Solution, WrongAnswer
from lab_helpers.checks.outcome import State
from lab_helpers.checks.verify import ExerciseFaultError, faults_of_declaration, faults_of_prediction, verify

if TYPE_CHECKING:
    from conftest import World

    from lab_helpers.checks.definition import Exercise, Prediction


def test_a_sound_exercise(exercise: Exercise, world: World, ipython: Any) -> None:
    assert [outcome.state for outcome in verify(exercise)] == [
        State.NOT_STARTED,
        State.NOT_YET,
        State.NOT_YET,
        State.CORRECT,
        State.CORRECT,
        State.NOT_STARTED,
    ]
    assert not world.file.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"solution": Solution("1", "nothing")}, "after the solution it is 'not started'"),
        ({"wrong_answers": (WrongAnswer("1", says="x"),)}, "it is 'not started', not 'not yet'"),
        ({"wrong_answers": (WrongAnswer("1/0", says="x"),)}, "crashed"),
        ({"checks": ()}, "it has no checks"),
        ({"checks": (lambda: None,)}, "no docstring"),
        ({"hints": ("a", " ", "c")}, "a hint is empty"),
        ({"hints": ("a", "b", "b")}, "given twice"),
        ({"wrong_answers": ()}, "no wrong answer"),
        ({"solution": Solution("# nothing", "why")}, "no code or no why"),
        ({"reset": lambda: None}, "not 'not started'"),
    ],
)
def test_an_unsound_exercise_is_refused(exercise: Exercise, ipython: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ExerciseFaultError, match=message):
        verify(replace(exercise, **change))


def test_a_wrong_answer_must_get_its_own_message(exercise: Exercise, ipython: Any) -> None:
    first = exercise.wrong_answers[0]

    with pytest.raises(ExerciseFaultError, match="is not told 'another'"):
        verify(replace(exercise, wrong_answers=(replace(first, says="another"),)))


def test_a_solution_that_works_only_once_is_refused(exercise: Exercise, world: World, ipython: Any) -> None:
    once = Solution(f"import os\nopen({str(world.file)!r}, 'a').write('64')", "appends")

    with pytest.raises(ExerciseFaultError, match="ran again"):
        verify(replace(exercise, solution=once))


def test_predictions(prediction: Prediction) -> None:
    assert faults_of_prediction(prediction) == []
    assert faults_of_prediction(replace(prediction, answer="z"))
    assert faults_of_prediction(replace(prediction, options={"b": "x"}, tempting={}))
    assert faults_of_prediction(replace(prediction, tempting={"b": "right one"}))


def test_the_toy_declaration_is_complete(exercise: Exercise) -> None:
    assert faults_of_declaration(exercise) == []
