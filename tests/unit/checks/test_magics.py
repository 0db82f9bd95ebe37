from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lab_helpers.checks import bodies, expect

if TYPE_CHECKING:
    from conftest import World

    from lab_helpers.checks.registry import Registry


def cell(ipython: Any, text: str) -> object:
    """Run a cell as a notebook does; its errors come back."""
    done = ipython.run_cell(text)
    done.raise_error()
    return done.result


def test_an_answer_cell_without_an_answer_runs_nothing(
    ipython: Any, labs: Registry, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cell(ipython, "%%exercise toy-01\n# your answer\n") is None

    assert capsys.readouterr().out == "toy-01: not started. Write 64 into the file `limit`.\n"
    assert not world.file.exists()


def test_an_answer_runs_as_a_cell_does(ipython: Any, labs: Registry, world: World) -> None:
    assert cell(ipython, f"%%exercise toy-01\nopen({str(world.file)!r}, 'w').write('64')\n") == 2
    assert cell(ipython, "exercise('toy-01').check().correct") is True


def test_the_exercise_decides_the_language_and_the_first_line_overrides(
    ipython: Any, labs: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    cell(ipython, "%%exercise toy-02\necho $((6*7))\n")
    assert capsys.readouterr().out == "42\n"

    cell(ipython, "%%exercise toy-02\n#!python\nprint(6 * 7)\n")
    assert capsys.readouterr().out == "42\n"

    cell(ipython, "%%exercise toy-01\n#!bash\necho $((6*7))\n")
    assert capsys.readouterr().out == "42\n"


def test_solving_runs_the_reference_solution_instead(
    ipython: Any, labs: Registry, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAB_SOLVE", "1")
    cell(ipython, "%%exercise toy-01\nraise RuntimeError('the learner')\n")
    cell(ipython, "%%exercise toy-02\nexit 1\n")

    assert world.file.read_text() == "64"
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "toy-01: LAB_SOLVE=1, the reference solution runs"
    assert "toy-02: LAB_SOLVE=1, the reference solution runs\n    " in out
    assert out.endswith("\nfrom-the-solution\n")


def test_a_wrong_id_in_the_magic(ipython: Any, labs: Registry) -> None:
    with pytest.raises(Exception, match="did you mean 'toy-01'"):
        cell(ipython, "%%exercise toy-1\nx = 1\n")


def test_an_error_in_an_answer_is_the_learners_own(ipython: Any, labs: Registry) -> None:
    with pytest.raises(ZeroDivisionError):
        cell(ipython, "%%exercise toy-01\n1 / 0\n")


EXPECTED = [
    "%%expect ZeroDivisionError\n1 / 0",
    "%%expect ArithmeticError 'by zero'\n1 / 0",
    "%%expect cell-command-failed 'No such file'\n#!bash\ncat /nonexistent",
    "%%expect exit=3\n#!bash\nexit 3",
    "%%expect CellCommandError\n#!bash\nfalse",
]


@pytest.mark.parametrize("text", EXPECTED)
def test_a_planned_failure_passes(ipython: Any, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cell(ipython, text) is None
    assert "✔ failed as announced: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("%%expect ZeroDivisionError\n1 / 1", "expected-error-missing"),
        ("%%expect exit=3\n#!bash\ntrue", "expected-error-missing"),
        ("%%expect ZeroDivisionError 'by one'\n1 / 0", "expected-error-differs"),
        ("%%expect KeyError\n1 / 0", "expected-error-differs"),
        ("%%expect exit=3\n#!bash\nexit 4", "expected-error-differs"),
        ("%%expect\n1 / 0", "bad-expectation"),
        ("%%expect A 'b\n1 / 0", "bad-expectation"),
    ],
)
def test_a_planned_failure_must_happen_and_match(ipython: Any, text: str, reference: str) -> None:
    with pytest.raises(expect.ExpectationError) as caught:
        cell(ipython, text)

    assert caught.value.reference == reference


def test_a_bash_failure_keeps_its_output() -> None:
    with pytest.raises(bodies.CellCommandError) as caught:
        bodies.run_bash(bodies.Half("echo early\nfalse"))

    assert "early" in expect.everything_said(caught.value)


def test_names_are_offered_and_never_overwritten(ipython: Any) -> None:
    ipython.user_ns["sh"] = "mine"
    ipython.run_line_magic("reload_ext", "lab_helpers")

    assert ipython.user_ns["sh"] == "mine"
    assert callable(ipython.user_ns["progress"])
    ipython.user_ns.pop("sh")
