"""Waiting: a deadline, and the last state in the error."""

from __future__ import annotations

import time

import pytest

from lab_helpers.base.waiting import WaitTimeoutError, wait_until


def test_it_returns_what_the_probe_found() -> None:
    answers = iter([None, [], "here"])
    assert wait_until(lambda: next(answers), what="it", interval_s=0.001) == "here"


def test_it_looks_once_even_without_time() -> None:
    assert wait_until(lambda: True, what="it", timeout_s=0)


def test_the_deadline_holds_and_the_error_has_the_last_state() -> None:
    began = time.monotonic()
    with pytest.raises(WaitTimeoutError) as caught:
        wait_until(list, what="the moon", timeout_s=0.3, state=lambda: "new moon", next_step="look up")
    assert 0.2 < time.monotonic() - began < 3
    assert caught.value.message == "waited 300 ms for the moon"
    assert caught.value.why == "last state seen: new moon"
    assert caught.value.next_step == "look up"


def test_without_a_state_the_last_result_is_shown() -> None:
    with pytest.raises(WaitTimeoutError, match="last state seen: 0"):
        wait_until(lambda: 0, what="more", timeout_s=0.05)


def test_an_error_of_the_probe_passes_through_at_once() -> None:
    calls = []

    def probe() -> bool:
        calls.append(1)
        raise KeyError("gone")

    with pytest.raises(KeyError):
        wait_until(probe, what="it", timeout_s=5)
    assert len(calls) == 1
