"""The cell magics of the notebooks: ``%%exercise ID``, ``%%cgroup`` and ``%%expect NAME "words"``."""

from __future__ import annotations

from typing import Any

from lab_helpers.base import settings
from lab_helpers.checks import bodies, display, expect, learner, registry, shell

_NAMES: dict[str, Any] = {
    "exercise": learner.exercise,
    "predict": learner.predict,
    "progress": learner.progress,
    "sh": shell.sh,
}


def exercise_cell(line: str, cell: str) -> object:
    """Run a learner's answer; with LAB_SOLVE=1 run the reference solution in its place.

    An answer cell without an answer runs nothing and says so.

    Raises:
        UnknownExerciseError: there is no such exercise; the error lists the closest ids.
        CellCommandError: a line of a bash answer failed.
    """
    asked = registry.current().exercise(line.strip())
    if settings.solve():
        solution = asked.solution
        display.say(f"{asked.id}: LAB_SOLVE=1, the reference solution runs")
        for code_line in solution.code.strip().splitlines():
            display.say(f"    {code_line}")
        language = bodies.language_of(solution.code, solution.language or asked.language)
        return bodies.run_body(solution.code, language)
    if bodies.untouched(cell):
        display.say(f"{asked.id}: not started. {asked.task}")
        return None
    return bodies.run_body(cell, bodies.language_of(cell, asked.language))


def cgroup_cell(_line: str, cell: str) -> None:
    """Run bash against the session's cgroup directories.

    The cell stops at the first line that fails. ``$CG`` is the session's cgroup on v2; on v1 ``$CG_MEMORY``,
    ``$CG_CPU`` … are its directories, and the lines below ``# --- on cgroup v1 ---`` run.

    Raises:
        CellCommandError: a line failed; it says which.
    """
    bodies.run_cgroup(cell)


def expect_cell(line: str, cell: str) -> None:
    """Run a cell that must fail as announced; anything else fails the cell.

    The body is Python, or bash with ``#!bash`` or ``#!cgroup`` as its first line (or a cell magic of its own).

    Raises:
        ExpectationError: nothing failed, or something else did.
    """
    expected = expect.parse(line)
    try:
        bodies.run_body(cell, bodies.language_of(cell, "python"))
    except Exception as error:
        if not expected.matches(error):
            raise expect.other_raised(expected, error) from error
        display.say(f"{display.SYMBOLS['expected error']} failed as announced: {expect.headline(error)}")
        return
    raise expect.nothing_raised(expected)


def load_ipython_extension(ipython: Any) -> None:  # noqa: ANN401 - IPython has no types
    """Register the magics, and offer exercise, predict, progress and sh where those names are free."""
    ipython.register_magic_function(exercise_cell, "cell", "exercise")
    ipython.register_magic_function(cgroup_cell, "cell", "cgroup")
    ipython.register_magic_function(expect_cell, "cell", "expect")
    ipython.push({name: value for name, value in _NAMES.items() if name not in ipython.user_ns}, interactive=False)
