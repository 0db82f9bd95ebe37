from __future__ import annotations

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from lab_helpers.checks import record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "progress.json"


def _one_more(entry: record.Entry) -> record.Entry:
    return replace(entry, attempts=entry.attempts + 1)


def _many(path: Path) -> None:
    for _ in range(20):
        record.FileStore(path).update("a", _one_more)


def test_what_is_written_is_read(path: Path) -> None:
    assert record.FileStore(path).read() == ({}, "")

    record.FileStore(path).update("cg-01", lambda entry: replace(entry, state="correct", hints=2))

    entry = record.FileStore(path).read()[0]["cg-01"]
    assert (entry.state, entry.hints) == ("correct", 2)
    assert entry.changed.endswith("+00:00")


def test_two_notebooks_at_once_lose_nothing(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_many, args=(path,)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()

    assert record.FileStore(path).read()[0]["a"].attempts == 40


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"version": 2, "entries": {}}', '{"version": 1, "entries": {"a": {"attempts": "x"}}}', "\udcff"],
)
def test_a_damaged_file_is_set_aside_and_said(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_bytes(text.encode(errors="surrogateescape"))

    remark = record.FileStore(path).update("a", _one_more)

    assert "could not be read" in remark
    aside = list(path.parent.glob("progress.damaged-*.json"))
    assert [one.read_bytes() for one in aside] == [text.encode(errors="surrogateescape")]
    assert str(aside[0]) in remark
    assert json.loads(path.read_text())["entries"]["a"]["attempts"] == 1


def test_unknown_fields_of_a_later_version_are_dropped(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"version": 1, "entries": {"a": {"attempts": 3, "colour": "red"}}}')

    assert record.FileStore(path).read() == ({"a": record.Entry(attempts=3)}, "")


def test_a_state_folder_that_cannot_be_written_is_a_remark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "file"))

    assert "progress could not be saved" in record.note("a", _one_more)
    assert "progress could not be read" in record.read()[1]


def test_solving_leaves_the_learners_progress_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAB_SOLVE", "1")

    assert record.note("a", _one_more) == ""
    assert record.read()[0]["a"].attempts == 1
    assert not (tmp_path / "home").exists()
