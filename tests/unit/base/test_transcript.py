"""The transcript: what was done, in words a learner can type."""

from __future__ import annotations

import threading

import pytest

from lab_helpers.base import transcript


def test_a_line_can_be_typed() -> None:
    assert transcript.shell_line(["echo", "a b", "$x", "it's"]) == """echo 'a b' '$x' 'it'"'"'s'"""


def test_a_secret_is_never_shown() -> None:
    secret = transcript.Secret("token")
    assert transcript.shell_line(["login", secret]) == "login ***"
    assert repr([secret]) == "['***']"
    assert secret == "token"  # noqa: S105 - but it is used


def test_recording_collects_what_is_inside() -> None:
    transcript.note("read", "cat /before")
    with transcript.record() as acts:
        transcript.note("write", "echo 1 > /inside")
    transcript.note("read", "cat /after")
    assert acts == [transcript.Line("write", "echo 1 > /inside")]
    assert transcript.lines()[-1].text == "cat /after"


def test_recording_ends_with_an_error_too() -> None:
    def failing() -> None:
        with transcript.record():
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        failing()
    with transcript.record() as acts:
        pass
    assert acts == []


def test_threads_do_not_write_into_each_others_recording() -> None:
    with transcript.record() as acts:
        thread = threading.Thread(target=transcript.note, args=("read", "cat /elsewhere"))
        thread.start()
        thread.join()
    assert acts == []


def test_only_the_last_acts_are_kept() -> None:
    for number in range(transcript.KEPT + 5):
        transcript.note("read", str(number))
    assert len(transcript.lines()) == transcript.KEPT
    assert transcript.lines()[-1].text == str(transcript.KEPT + 4)
