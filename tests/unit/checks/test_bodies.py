from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lab_helpers.checks import bodies, shell

if TYPE_CHECKING:
    from pathlib import Path

    from lab_helpers.checks.definition import Language

CELL = """echo 64M > "$CG/demo/memory.max"
cat "$CG/demo/memory.max"
# --- on cgroup v1 ---
echo 64M > "$CG_MEMORY/demo/memory.limit_in_bytes"
cat "$CG_MEMORY/demo/memory.limit_in_bytes"
"""


@pytest.mark.parametrize(
    ("body", "untouched"),
    [
        ("", True),
        ("\n  \n", True),
        ("# your answer here\n", True),
        ("# a\n...\n", True),
        ("#!bash\n# here\n", True),
        ("x = 1", False),
        ("# a\nx", False),
        ("pass", False),
    ],
)
def test_untouched(body: str, untouched: bool) -> None:
    assert bodies.untouched(body) is untouched


@pytest.mark.parametrize(
    ("body", "language"),
    [
        ("x = 1", "cgroup"),
        ("#!bash\necho", "bash"),
        ("\n#!/bin/bash\necho", "bash"),
        ("#!/usr/bin/env python3\n1", "python"),
        ("#!cgroup\necho", "cgroup"),
        ("# bash", "cgroup"),
    ],
)
def test_language_of_the_first_line(body: str, language: Language) -> None:
    assert bodies.language_of(body, "cgroup") == language


def test_each_machine_gets_its_half() -> None:
    two, one = bodies.half_for(CELL, 2), bodies.half_for(CELL, 1)

    assert "memory.max" in two.code
    assert "CG_MEMORY" not in two.code
    assert one.code.startswith('echo 64M > "$CG_MEMORY')
    assert CELL.splitlines()[one.first_line - 1] == one.code.splitlines()[0]
    assert bodies.half_for("echo hi", 1) == bodies.half_for("echo hi", 2) == bodies.Half("echo hi")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (1, "exit status 1"),
        (137, "exit status 137 (128 + 9: SIGKILL)"),
        (-9, "signal 9 (SIGKILL)"),
        (255, "exit status 255"),
    ],
)
def test_exit_status_in_words(status: int, words: str) -> None:
    assert bodies.exit_status(status) == words


def test_bash_shows_both_streams_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert bodies.run_bash(bodies.Half("echo a; echo b >&2; echo c")) == "a\nb\nc\n"
    assert capsys.readouterr().out == "a\nb\nc\n"


@pytest.mark.parametrize(
    ("code", "line", "status"),
    [
        ("echo a\nfalse\necho b", 2, 1),
        ("echo a\nif true; then\n  ls /nonexistent\nfi", 3, 2),
        ("true\nfalse | cat", 2, 1),
        ("f() {\n  cat /nonexistent\n}\nf", 2, 1),
        ("echo\nexit 3", None, 3),
        ("true\nkill -9 $$", None, -9),
        ("true\nsh -c 'kill -9 $$'", 2, 137),
    ],
)
def test_a_failing_line_is_named_and_ends_the_cell(
    code: str, line: int | None, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(bodies.CellCommandError) as caught:
        bodies.run_bash(bodies.Half(code, first_line=11))

    assert caught.value.returncode == status
    assert caught.value.line == (line + 10 if line else None)
    if line:
        assert code.splitlines()[line - 1].strip() in str(caught.value)
    assert "b" not in capsys.readouterr().out.split()


def test_an_unset_variable_is_an_error() -> None:
    with pytest.raises(bodies.CellCommandError, match="unbound variable"):
        bodies.run_bash(bodies.Half("echo $NO_SUCH_THING"))


def test_environment_reaches_the_cell() -> None:
    assert bodies.run_bash(bodies.Half('echo "$CG"'), {"CG": "/sys/fs/cgroup/x"}) == "/sys/fs/cgroup/x\n"


def test_python_runs_in_the_notebooks_namespace(ipython: Any) -> None:
    assert bodies.run_python("toy = 20\ntoy + 1") == 21
    assert ipython.user_ns["toy"] == 20
    assert bodies.run_python("toy = 1") is None


def test_sh_shows_the_command_first(capsys: pytest.CaptureFixture[str]) -> None:
    ran = shell.sh("echo one | tr o 0\necho two")

    assert capsys.readouterr().out == "$ echo one | tr o 0\n> echo two\n0ne\ntwo\n"
    assert (ran.returncode, ran.lines) == (0, ["0ne", "two"])


def test_sh_raises_unless_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(bodies.CellCommandError, match="exit status 1"):
        shell.sh("false | cat")

    assert shell.sh("false", check=False).returncode == 1
    assert "[exit status 1]" in capsys.readouterr().out


def test_nothing_of_the_cell_is_left_in_the_session_folder(tmp_path: Path) -> None:
    bodies.run_bash(bodies.Half("true"))

    assert list((tmp_path / "run" / "sessions" / "toytoy").iterdir()) == []
