"""The command line's own behaviour: help, errors, exit statuses."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from typing import Any

import click
import pytest

from lab_helpers.base import settings
from lab_helpers.base.errors import LabError
from lab_helpers.cli import __main__ as program


def lab(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "lab_helpers.cli", *arguments]
    return subprocess.run(argv, cwd=settings.PROJECT, capture_output=True, text=True, timeout=60, check=False)


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    def fail(*_arguments: Any, **_options: Any) -> None:
        raise error

    monkeypatch.setattr(program.cli, "main", fail)
    return program.main([])


@pytest.fixture(autouse=True)
def _signals() -> Any:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_help_is_instant_and_names_every_command() -> None:
    times = []
    for _ in range(5):
        before = os.times()
        completed = lab("--help")
        after = os.times()
        # Its own processor time: the clock's would measure what else this machine does.
        times.append(sum(after[2:4]) - sum(before[2:4]))
    assert completed.returncode == 0
    listed = [line.split()[0] for line in completed.stdout.splitlines() if line.startswith("  ") and line.split()]
    assert [name for name in program.COMMANDS if name not in listed] == []
    assert min(times) < 0.3, f"--help took {min(times):.2f} s of processor time"


@pytest.mark.parametrize("name", sorted(program.COMMANDS))
def test_every_command_in_the_help_exists_and_has_help(name: str) -> None:
    command = program.cli.get_command(click.Context(program.cli), name)
    assert command is not None
    assert command.name == name
    assert command.help


def test_help_loads_no_command() -> None:
    code = (
        "import sys; from lab_helpers.cli import __main__ as m; m.main(['--help']); "
        "print(sorted(n for n in sys.modules if n.startswith(('lab_helpers.cli.', 'docker', 'rich', 'nbclient'))))"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code], cwd=settings.PROJECT, capture_output=True, text=True, timeout=60, check=True
    )
    assert completed.stdout.splitlines()[-1] == "['lab_helpers.cli.__main__']"


def test_an_unknown_command_is_bad_usage() -> None:
    completed = lab("upp")
    assert completed.returncode == 2
    assert "No such command 'upp'" in completed.stderr


def test_a_clear_error_has_three_lines_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = LabError("no [bold] engine", reference="no-engine", why="it sleeps", next_step="wake it")
    assert raising(monkeypatch, error) == 1
    assert capsys.readouterr().err.splitlines() == ["no-engine: no [bold] engine", "why:  it sleeps", "next: wake it"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    assert raising(monkeypatch, OSError(number, os.strerror(number), "/var/lib/lab/x")) == 1
    said = capsys.readouterr().err
    assert said.startswith("disk-full: /var/lib/lab/x")
    assert "next: " in said


def test_an_error_of_the_program_stays_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="broken"):
        raising(monkeypatch, OSError(errno.EIO, "broken"))
    with pytest.raises(ZeroDivisionError):
        raising(monkeypatch, ZeroDivisionError())


def test_ctrl_c_is_130_and_the_end_of_input_1(monkeypatch: pytest.MonkeyPatch) -> None:
    assert raising(monkeypatch, KeyboardInterrupt()) == 130
    pressed = click.Abort()
    pressed.__cause__ = KeyboardInterrupt()
    assert raising(monkeypatch, pressed) == 130
    assert raising(monkeypatch, click.Abort()) == 1


def test_missing_rights_are_a_clear_error_only_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    error = PermissionError(errno.EACCES, "Permission denied", "/run/lab")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    known = program.as_lab_error(error)
    assert known is not None
    assert known.reference == "root-required"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert program.as_lab_error(error) is None
