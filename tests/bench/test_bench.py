"""The benchmark measures what it says, with the fewest runs: the promises themselves are judged by ``./lab bench``."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from lab_helpers.cli import bench

FIGURES = bench.load_figures()
SLACK = 10
"""A test machine may be busy; ten times a promise is a fault all the same."""


@pytest.mark.parametrize("name", bench.NAMES)
def test_each_figure_is_measured(name: str, engine: Any, session: Any, tmp_path: Any) -> None:
    # The session fixture is the benchmark's session: what it leaves is seen.
    measured = dict(FIGURES.measures(0.01, tmp_path))[name]()
    with Console().capture() as capture:
        Console().print(bench.table([measured]))
    print(capture.get(), bench.table([measured]).row_count)  # noqa: T201 - figures are to be seen
    assert measured.runs == 1
    assert measured.reference is None or measured.reference >= 0
    assert 0 <= measured.judged < SLACK * measured.target


def figure(ours: float, reference: float | None, *, relative: bool) -> Any:
    return FIGURES.Figure("x", ours, "s", 1.05, 3, relative=relative, reference=reference, beside="y")


@pytest.mark.parametrize(
    ("ours", "reference", "relative", "kept"),
    [(1.0, None, False, True), (1.06, None, False, False), (2.0, 2.0, True, True), (2.2, 2.0, True, False)],
)
def test_a_promise_is_judged(ours: float, reference: float | None, relative: bool, kept: bool) -> None:
    assert figure(ours, reference, relative=relative).kept is kept


def test_both_sides_are_measured_in_turn_after_a_warm_up() -> None:
    order: list[str] = []

    def side(name: str) -> float:
        order.append(name)
        return float(len(order))

    ours, other = FIGURES.interleaved(lambda: side("a"), lambda: side("b"), 3)
    assert "".join(order) == "abababab"
    assert (ours, other) == (5.0, 6.0)
