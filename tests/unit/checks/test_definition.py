from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lab_helpers.base.errors import LabError
from lab_helpers.checks.definition import criterion, look, settle
from lab_helpers.checks.outcome import NotYet, State

if TYPE_CHECKING:
    from conftest import World

    from lab_helpers.checks.definition import Exercise


def test_criterion_is_the_first_line_of_the_docstring() -> None:
    def capped() -> None:
        """It is capped.

        More for readers of the source.
        """

    assert criterion(capped) == "It is capped."
    assert criterion(lambda: None) == "<lambda>"


def test_untouched_wrong_and_right(exercise: Exercise, world: World) -> None:
    assert look(exercise).state is State.NOT_STARTED

    world.file.write_text("65536")
    outcome = look(exercise)
    assert outcome.state is State.NOT_YET
    assert [row.state for row in outcome.rows] == [State.CORRECT, State.NOT_YET]
    assert outcome.rows[1].likely_slip == "the unit is MiB, not KiB"

    world.file.write_text("64")
    assert look(exercise).correct


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (LabError("engine is gone", reference="r", why="it died", next_step="start it"), "next: start it"),
        (PermissionError(13, "Permission denied", "/sys/x"), "./lab doctor"),
        (KeyError("memory"), "fault of its own: KeyError"),
    ],
)
def test_a_check_that_crashes_does_not_blame_the_learner(exercise: Exercise, error: Exception, words: str) -> None:
    def crashes() -> None:
        """It is there."""
        raise error

    outcome = look(replace(exercise, checks=(*exercise.checks, crashes)))

    assert outcome.state is State.COULD_NOT_LOOK
    assert words in outcome.rows[-1].observed
    assert "nothing about your answer" in repr(outcome)


def test_settle_looks_again_until_it_is_right(exercise: Exercise) -> None:
    looks = []

    def comes_late() -> str:
        """It comes."""
        looks.append(1)
        if len(looks) < 3:
            raise NotYet(observed="not there", expected="there")
        return "there"

    outcome = settle(replace(exercise, checks=(comes_late,), settle_s=5))

    assert outcome.correct
    assert len(looks) == 3


def test_settle_gives_up_in_time_with_the_last_look(exercise: Exercise) -> None:
    def never() -> None:
        """It comes."""
        raise NotYet(observed="not there", expected="there")

    outcome = settle(replace(exercise, checks=(never,), settle_s=0.3))

    assert outcome.state is State.NOT_YET
    assert outcome.notes == ("looked again for 0.3 s",)


def test_settle_does_not_wait_for_what_was_not_started(exercise: Exercise) -> None:
    outcome = settle(replace(exercise, settle_s=60))

    assert outcome.state is State.NOT_STARTED
