"""The one door for subprocesses."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from lab_helpers.base import commands, transcript


def test_it_returns_both_streams_and_the_status() -> None:
    done = commands.run(["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert 0 < done.duration_s < 10


def test_a_failure_repeats_its_last_words() -> None:
    with pytest.raises(commands.CommandError) as caught:
        commands.run(["sh", "-c", "echo the reason >&2; exit 3"])
    error = caught.value
    assert error.completed.returncode == 3
    assert error.reference == "command-failed"
    assert error.why == "the reason"
    assert "exit status 3" in error.message


def test_a_missing_program_says_so() -> None:
    with pytest.raises(commands.CommandNotFoundError) as caught:
        commands.run(["no-such-program-here"])
    assert caught.value.completed.returncode == 127
    assert "./lab doctor" in caught.value.next_step


def test_arguments_are_never_a_shell_line() -> None:
    assert commands.run(["printf", "%s", "$HOME; `id` * ?"]).stdout == "$HOME; `id` * ?"


def test_standard_input_is_given_or_closed() -> None:
    assert commands.run(["cat"], stdin="hello").stdout == "hello"
    assert commands.run(["cat"]).stdout == ""


def test_variables_are_added_to_the_environment(tmp_path: Path) -> None:
    done = commands.run(["sh", "-c", "echo $WORD $HOME; pwd"], env={"WORD": "word"}, cwd=tmp_path)
    assert done.stdout.split("\n")[:2] == [f"word {os.environ.get('HOME', '')}".rstrip(), str(tmp_path)]


def test_bytes_that_are_no_text_do_not_stop_it() -> None:
    assert "�" in commands.run(["printf", r"\377ok"]).stdout


def children_named(word: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line:
            found.append(line)
    return found


@pytest.mark.parametrize("streamed", [False, True])
def test_a_time_limit_kills_the_children_too(streamed: bool, tmp_path: Path) -> None:
    marker = f"61.{os.getpid()}{int(streamed)}"
    lines: list[str] = []
    began = time.monotonic()
    with pytest.raises(commands.CommandTimeoutError) as caught:
        commands.run(
            ["sh", "-c", f"echo begun; sleep {marker} & sleep {marker}; wait"],
            timeout_s=0.5,
            on_line=lines.append if streamed else None,
        )
    assert time.monotonic() - began < 10
    assert caught.value.why == "its last words: begun"
    assert not children_named(f"sleep {marker}")
    assert lines == (["begun"] if streamed else [])


def test_lines_come_as_they_are_printed() -> None:
    came: list[tuple[str, float]] = []
    commands.run(
        ["sh", "-c", "echo one; sleep 0.4; echo two >&2"], on_line=lambda line: came.append((line, time.monotonic()))
    )
    assert [line for line, _ in came] == ["one", "two"]
    assert came[1][1] - came[0][1] > 0.2


def test_secrets_are_used_and_not_shown() -> None:
    with transcript.record() as acts, pytest.raises(commands.CommandError) as caught:
        commands.run(["sh", "-c", 'test "$0" = "open-$1" && exit 7', transcript.Secret("open-sesame"), "sesame"])
    assert caught.value.completed.returncode == 7
    assert "open-sesame" not in str(caught.value)
    assert "***" in str(caught.value)
    assert all("open-sesame" not in act.text for act in acts)


def test_polling_stays_out_of_the_transcript() -> None:
    with transcript.record() as acts:
        commands.run(["true"], quiet=True)
        commands.run(["true", "a b"])
    assert [act.text for act in acts] == ["true 'a b'"]


def test_a_background_command_is_reaped(tmp_path: Path) -> None:
    process = commands.start(["sh", "-c", "echo hello; exit 4"], log=tmp_path / "log")
    deadline = time.monotonic() + 5
    while process.returncode is None and time.monotonic() < deadline:
        time.sleep(0.01)
    # Read through /proc, not through wait(): the thread must have reaped it.
    assert not Path(f"/proc/{process.pid}").exists()
    assert process.returncode == 4
    assert (tmp_path / "log").read_text() == "hello\n"


def test_a_background_program_that_is_missing_says_so() -> None:
    with pytest.raises(commands.CommandNotFoundError):
        commands.start(["no-such-program-here"])


def test_which_knows_the_sbin_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert commands.which("ip") is not None
    assert commands.which("no-such-program-here") is None


def test_a_child_left_in_the_background_does_not_hold_up_a_streamed_command() -> None:
    seen: list[str] = []
    completed = commands.run(["bash", "-c", "sleep 30 & echo pid $!; printf 'no newline'"], on_line=seen.append)
    child = int(seen[0].split()[1])
    try:
        assert seen[1:] == ["no newline"]
        assert completed.duration_s < 15
        os.kill(child, 0)  # it still runs
    finally:
        os.kill(child, signal.SIGKILL)
