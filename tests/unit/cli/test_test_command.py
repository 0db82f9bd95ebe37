"""``./lab test`` counts honestly: what pytest wrote, and what it could not write."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from lab_helpers.base import settings
from lab_helpers.cli import test as command

JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="6" time="1.0">
<testcase classname="a" name="good" time="0.1" />
<testcase classname="a" name="good too"><properties><property name="seconds" value="1"/></properties></testcase>
<testcase classname="a" name="bad"><failure message="x">x</failure></testcase>
<testcase classname="a" name="untidy"><error message="teardown">x</error></testcase>
<testcase classname="a" name="bad and untidy"><failure message="x">x</failure><error message="y">y</error></testcase>
<testcase classname="a" name="not here"><skipped type="pytest.skip" message="no such kernel">x</skipped></testcase>
</testsuite></testsuites>"""


def test_each_test_counts_once() -> None:
    outcome = command.read_junit("unit", JUNIT)
    assert (outcome.passed, outcome.failed, outcome.skipped) == (2, 3, 1)
    assert outcome.reasons == ["a.not here: no such kernel"]


@pytest.mark.parametrize(
    ("returncode", "junit", "failed"),
    [
        (0, '<testsuites><testsuite><testcase name="a"/></testsuite></testsuites>', 0),
        (1, JUNIT, 3),
        (1, '<testsuites><testsuite><testcase name="a"/></testsuite></testsuites>', 1),  # a broken session fixture
        (2, None, 1),  # interrupted
        (-9, None, 1),  # killed
        (5, "<testsuites><testsuite/></testsuites>", 1),  # nothing collected
        (0, "<testsuites><testsuite/></testsuites>", 1),  # nothing ran and nobody minded
    ],
)
def test_a_run_that_ended_badly_is_never_good(returncode: int, junit: str | None, failed: int) -> None:
    assert command.judge("unit", returncode, junit, 1.0).failed == failed


def test_the_last_line_is_the_total_alone(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = [command.Outcome("unit", 1.0, 100, 0, 0), command.Outcome("labs", 2.0, 23, 1, 1, ["x: no such kernel"])]
    shown = io.StringIO()
    command.summary(outcomes, 3.0, Console(file=shown))
    assert capsys.readouterr().out.splitlines()[-1] == "123 passed, 1 failed, 1 skipped"
    assert "no such kernel" in shown.getvalue()


def test_every_suite_is_a_folder_and_every_folder_a_suite() -> None:
    folders = {
        path.name for path in (settings.PROJECT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"
    }
    assert folders == {suite.name for suite in command.SUITES}


def test_options_reach_pytest() -> None:
    labs = next(suite for suite in command.SUITES if suite.name == "labs")
    argv = command.pytest_argv(labs, notebooks=["01"], no_skip=True, extra=["-x"])
    assert argv[argv.index("--notebook") + 1] == "01"
    assert {"--no-skip", "-x", "tests/labs"} <= set(argv)
    unit = next(suite for suite in command.SUITES if suite.name == "unit")
    assert "--notebook" not in command.pytest_argv(unit, notebooks=["01"], no_skip=False)


def test_a_suite_inherits_neither_a_session_nor_a_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LAB_SESSION", "LAB_LABEL", "LAB_SOLVE", "https_proxy"):
        monkeypatch.setenv(name, "x")
    inside = command.environment(command.Engine(tmp_path, tmp_path))
    assert not {"LAB_SESSION", "LAB_LABEL", "LAB_SOLVE", "https_proxy"} & set(inside)
    assert inside["DOCKER_HOST"] == f"unix://{tmp_path}/docker.sock"
    outside = command.environment(None)
    assert "LAB_OFFLINE" not in outside
    assert outside["https_proxy"] == "x"  # the microVM's kernel may have to be fetched


def test_the_microvm_needs_no_namespace() -> None:
    assert [suite.name for suite in command.SUITES if not suite.offline] == ["microvm"]


def test_what_ran_in_the_microvm_is_counted_by_tour(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command, "INSIDE", tmp_path)
    for tour in ("labs", "exercises"):
        (tmp_path / tour).mkdir()
        (tmp_path / tour / "junit.xml").write_text(
            "<testsuites><testcase/><testcase><failure/></testcase></testsuites>"
        )
    found = command.inside()
    assert [(row.name, row.passed, row.failed) for row in found] == [
        ("in the microvm: exercises", 1, 1),
        ("in the microvm: labs", 1, 1),
    ]
