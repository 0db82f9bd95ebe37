from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab_helpers.checks import learner, record
from lab_helpers.checks.guess import Guess, UnknownOptionError

if TYPE_CHECKING:
    from lab_helpers.checks.definition import Prediction
    from lab_helpers.checks.registry import Registry


def test_the_question_shows_its_options_and_not_the_answer(prediction: Prediction) -> None:
    text = repr(Guess(prediction)) + Guess(prediction)._repr_html_()

    assert "a) It refuses." in text
    assert "memory.events" not in text


@pytest.mark.parametrize("letter", ["a", "b", " B "])
def test_answering_gives_no_verdict(prediction: Prediction, letter: str) -> None:
    said = repr(Guess(prediction).answer(letter))

    assert "Recorded" in said
    assert "predicted" not in said
    assert "memory.events" not in said


def test_dots_mean_not_answered_yet(prediction: Prediction) -> None:
    guess = Guess(prediction)

    assert "Not answered yet" in repr(guess.answer(...))
    assert "Answer first" in repr(guess.explain())
    assert record.read()[0] == {}


def test_explanation_of_a_right_and_of_a_tempting_answer(prediction: Prediction) -> None:
    guess = Guess(prediction)
    guess.answer("b")
    assert repr(guess.explain()).splitlines()[1] == "  As you said: b) It kills."

    guess.answer("a")
    told = repr(guess.explain())
    assert "It is: b) It kills." in told
    assert "Why a) fails: malloc never fails here." in told
    assert "`memory.events` counts it." in told


def test_a_wrong_letter_is_an_error_with_the_options(prediction: Prediction) -> None:
    with pytest.raises(UnknownOptionError, match=r"a\) It refuses.; b\) It kills."):
        Guess(prediction).answer("c")


def test_an_answer_survives_a_new_kernel(prediction: Prediction, labs: Registry) -> None:
    Guess(prediction).answer("a")

    assert Guess(prediction).chosen == "a"
    assert "a: other than predicted" in repr(learner.progress())


def test_solving_answers_the_dots_and_spoils_nothing(prediction: Prediction, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_SOLVE", "1")
    guess = Guess(prediction)

    said = guess.answer(...)

    assert "It kills" not in repr(said) + said._repr_html_()
    assert "As you said: b)" in repr(guess.explain())
