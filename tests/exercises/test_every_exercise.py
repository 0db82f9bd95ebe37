"""Each exercise: untouched "not started"; each wrong answer gets its own message; the solution passes, twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_helpers.base import session as sessions
from lab_helpers.base import settings
from lab_helpers.checks import registry, verify
from lab_helpers.checks.outcome import State

pytestmark = pytest.mark.shared_session
REGISTRY = registry.current()
EXERCISES = sorted(REGISTRY.exercises)
PREDICTIONS = sorted(REGISTRY.predictions)
NOTEBOOK_OF = {exercise.id: lab.notebook for lab in REGISTRY.labs for exercise in lab.exercises}


def wanted(name: str, config: pytest.Config) -> bool:
    chosen = config.getoption("--notebook")
    return not chosen or NOTEBOOK_OF[name] in chosen


def text_of(pattern: str) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in Path(settings.PROJECT, "labs").glob(pattern))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", [name for name in EXERCISES if wanted(name, metafunc.config)])


def test_every_exercise_does_what_it_declares(name: str, notebook_session: sessions.Session) -> None:
    exercise = REGISTRY.exercise(name)
    notebook_session.notebook = NOTEBOOK_OF[name]
    outcomes = verify.verify(exercise)
    states = [outcome.state for outcome in outcomes]
    assert states[0] is State.NOT_STARTED
    assert states[-3:] == [State.CORRECT, State.CORRECT, State.NOT_STARTED]
    assert states[1:-3] == [State.NOT_YET] * len(exercise.wrong_answers)


def test_every_hint_says_something(name: str) -> None:
    exercise = REGISTRY.exercise(name)
    assert exercise.wrong_answers, "without a wrong answer nothing shows that the check can fail"
    assert len(exercise.hints) == 3
    assert all(callable(hint) or hint.strip() for hint in exercise.hints)


def test_each_wrong_answer_has_a_message_of_its_own(name: str) -> None:
    messages = [wrong.says for wrong in REGISTRY.exercise(name).wrong_answers]
    assert len(set(messages)) == len(messages)


def test_every_exercise_and_prediction_is_in_its_notebook(name: str) -> None:
    sources = text_of(f"{NOTEBOOK_OF[name]}_*.ipynb")
    assert f'exercise(\\"{name}\\")' in sources
    assert f"%%exercise {name}" in sources


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_every_prediction_is_complete_and_asked(prediction: str) -> None:
    assert verify.faults_of_prediction(REGISTRY.prediction(prediction)) == []
    sources = text_of("*.ipynb")
    assert f'predict(\\"{prediction}\\")' in sources


def test_notebook_01_has_what_it_promises() -> None:
    lab = next(lab for lab in REGISTRY.labs if lab.notebook == "01")
    assert len(lab.exercises) >= 8
    assert len(lab.predictions) >= 6


def test_every_notebook_with_exercises_exists() -> None:
    assert REGISTRY.labs, "the registry is empty: no exercise would be tested"
    for lab in REGISTRY.labs:
        assert list(Path(settings.PROJECT, "labs").glob(f"{lab.notebook}_*.ipynb")), lab.notebook
