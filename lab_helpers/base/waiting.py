"""Waiting for a state, with a deadline and the last state seen in the error."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import tenacity

from lab_helpers.base.errors import LabError
from lab_helpers.base.units import format_duration

T = TypeVar("T")


class WaitTimeoutError(LabError):
    """The state did not come; the message holds the last one seen."""


def wait_until(
    probe: Callable[[], T],
    *,
    what: str,
    timeout_s: float = 10.0,
    interval_s: float = 0.05,
    state: Callable[[], object] | None = None,
    next_step: str = "look at the last state above; run the cell again once its cause is gone",
) -> T:
    """Call ``probe`` until it returns something true, and return that.

    Args:
        probe: Looks once; its exceptions pass through.
        what: What is waited for, as a phrase: "the container to be OOM-killed".
        timeout_s: Deadline in seconds, monotonic clock.
        interval_s: First pause in seconds; it doubles up to half a second.
        state: Describes the state for the error; without it the probe's last result is shown.
        next_step: The error's advice.

    Raises:
        WaitTimeoutError: the deadline passed.
    """
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_delay(timeout_s),
        wait=tenacity.wait_exponential(multiplier=interval_s, exp_base=1.5, max=0.5),
        retry=tenacity.retry_if_result(lambda result: not result),
    )
    try:
        return retrying(probe)
    except tenacity.RetryError as error:
        last = state() if state else error.last_attempt.result()
        raise WaitTimeoutError(
            f"waited {format_duration(timeout_s)} for {what}",
            reference="wait-timeout",
            why=f"last state seen: {last}",
            next_step=next_step,
        ) from error
