from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lab_helpers.checks import learner, record
from lab_helpers.checks.attempt import Attempt, NotCorrectError
from lab_helpers.checks.outcome import NotStarted, State

if TYPE_CHECKING:
    from conftest import World

    from lab_helpers.checks.definition import Exercise
    from lab_helpers.checks.registry import Registry


def test_check_sees_an_answer_however_it_was_given(exercise: Exercise, world: World) -> None:
    attempt = Attempt(exercise)
    assert attempt.check().state is State.NOT_STARTED

    world.file.write_text("64")

    assert attempt.check().correct


def test_hints_come_in_order_and_stay(exercise: Exercise) -> None:
    attempt = Attempt(exercise)

    assert attempt.hint().given == ("Make the file first.",)
    assert attempt.hint().given == ("Make the file first.", "Use `write_text`.")
    third = attempt.hint()
    assert len(third.given) == 3
    assert ".solution()" in third.remark
    assert attempt.hint().given == third.given


def test_the_first_hint_fits_what_is_there_now(exercise: Exercise, world: World) -> None:
    attempt = Attempt(exercise)
    world.file.write_text("65536")
    assert attempt.hint().given == ("Look at the unit again.",)

    world.file.write_text("63")
    assert attempt.hint().given[0] == "Make the file first."


def test_a_hint_can_be_a_function_of_what_was_seen(exercise: Exercise) -> None:
    def nothing() -> None:
        """It is there."""
        raise NotStarted("nothing")

    asking = replace(
        exercise, checks=(nothing,), hints=(lambda outcome: f"You have {outcome.rows[0].observed}.", "b", "c")
    )

    assert Attempt(asking).hint().given == ("You have nothing.",)


def test_a_failed_check_raises_when_solving(exercise: Exercise, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_SOLVE", "1")
    with pytest.raises(NotCorrectError, match="not started"):
        Attempt(exercise).check()

    world.file.write_text("64")
    assert Attempt(exercise).check().correct


def test_reset_begins_again_and_is_safe_twice(exercise: Exercise, world: World) -> None:
    attempt = Attempt(exercise)
    world.file.write_text("64")
    attempt.hint()

    attempt.reset()
    attempt.reset()

    assert attempt.check().state is State.NOT_STARTED
    assert len(attempt.hint().given) == 1


def test_prepare_makes_the_starting_state_afresh(exercise: Exercise, world: World) -> None:
    made = replace(exercise, prepare=lambda: world.file.write_text("65536") and None)
    world.file.write_text("old")

    Attempt(made).prepare()

    assert world.file.read_text() == "65536"
    assert "nothing to prepare" in repr(Attempt(exercise).prepare())


def test_solution_shows_code_and_why(exercise: Exercise) -> None:
    shown = Attempt(exercise).solution()

    assert shown.code.startswith("%%exercise toy-01\n")
    assert "why: it is 64" in repr(shown)
    assert "write_text" in shown._repr_html_()


def test_progress_is_remembered_honestly(labs: Registry, world: World) -> None:
    attempt = learner.exercise("toy-01")
    attempt.check()
    assert record.read()[0]["toy-01"].attempts == 0

    world.file.write_text("63")
    attempt.check()
    attempt.hint()
    attempt.solution()
    world.file.write_text("64")
    attempt.check()
    attempt.reset()
    attempt.check()

    entry = record.read()[0]["toy-01"]
    assert (entry.state, entry.attempts, entry.hints, entry.solution_shown) == ("correct", 2, 1, True)
    text = repr(learner.progress())
    assert "90 Toys: 1 of 2 exercises correct, 0 of 1 predictions answered" in text
    assert "2 attempts, 1 hint, after the solution" in text
    assert "toy-02" in text
    assert learner.progress("91").labs == ()


def test_asking_twice_gives_the_same_attempt(labs: Registry) -> None:
    assert learner.exercise("toy-01") is learner.exercise("toy-01")
    assert learner.predict("toy-p1") is learner.predict("toy-p1")
