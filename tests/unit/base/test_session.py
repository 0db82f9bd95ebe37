"""Session identity: pure parts. What it makes on the machine is in tests/system/test_session.py."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil
import pytest

from lab_helpers.base import session as sessions
from lab_helpers.base import settings
from lab_helpers.base.session import Session, SessionError


@pytest.fixture
def run_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(settings, "RUN_DIRECTORY", tmp_path)
    return tmp_path


def record(session: str, pid: int, started: float) -> None:
    folder = sessions.directory(session)
    folder.mkdir(parents=True)
    owner = {"session": session, "pid": pid, "started": started, "notebook": "01", "environment": {}}
    (folder / "owner.json").write_text(json.dumps(owner))


def test_labels_and_names() -> None:
    mine = Session("ab12cd", "01")
    assert mine.label == "lab.session=ab12cd"
    assert mine.labels("container") == {"lab.session": "ab12cd", "lab.kind": "container", "lab.notebook": "01"}
    assert Session("ab12cd").labels("container") == {"lab.session": "ab12cd", "lab.kind": "container"}
    assert mine.name("web") == "lab-ab12cd-web"
    assert mine.interface_name("veth0") == "labab12cd-veth0"


def test_interface_names_stop_at_15_characters() -> None:
    with pytest.raises(SessionError, match="16 characters"):
        Session("ab12cd").interface_name("bridge")


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("/home/me/labs/01_cgroups.ipynb", "01"),
        ("00_start_here.ipynb", "00"),
        ("notes.ipynb", ""),
        ("", ""),
        ("/labs/01_cgroups.ipynb/console", ""),
        ("/01_x/other.ipynb", ""),
    ],
)
def test_notebook_number(path: str, number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", path)
    assert sessions.notebook_number() == number


@pytest.mark.parametrize("wanted", ["short", "toolong1", "ABCDEF", "ab-cde", "../../x", "ab12c\n", "ab12cd\n"])
def test_a_bad_session_id_is_refused(wanted: str, monkeypatch: pytest.MonkeyPatch, run_directory: Path) -> None:
    monkeypatch.setattr(sessions, "_current", None)
    monkeypatch.setenv("LAB_SESSION", wanted)
    with pytest.raises(SessionError) as caught:
        sessions.current()
    assert repr(wanted) in caught.value.message
    assert list(run_directory.iterdir()) == []


def test_a_living_owner_is_alive(run_directory: Path) -> None:
    record("ab12cd", os.getpid(), psutil.Process().create_time())
    found = sessions.owner("ab12cd")
    assert found is not None
    assert found.alive
    assert [owner.session for owner in sessions.owners()] == ["ab12cd"]


def test_a_reused_pid_is_another_process(run_directory: Path) -> None:
    record("ab12cd", os.getpid(), psutil.Process().create_time() - 1000)
    found = sessions.owner("ab12cd")
    assert found is not None
    assert not found.alive


def test_a_pid_that_is_gone_is_dead(run_directory: Path) -> None:
    record("ab12cd", 2**22 + 1, 0)
    found = sessions.owner("ab12cd")
    assert found is not None
    assert not found.alive


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"session": "ab12cd"}', "null"])
def test_a_broken_record_is_no_owner(text: str, run_directory: Path) -> None:
    sessions.directory("ab12cd").mkdir(parents=True)
    (sessions.directory("ab12cd") / "owner.json").write_text(text)
    assert sessions.owner("ab12cd") is None
    assert list(sessions.owners()) == []


def test_no_sessions_at_all(run_directory: Path) -> None:
    assert list(sessions.owners()) == []
    assert sessions.sweep_dead() == []


def test_what_sweeps_is_not_labelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_LABEL", "lab.session=ab12cd")
    monkeypatch.setenv("LAB_SESSION", "ab12cd")
    environment = sessions._sweep_environment({"LAB_HOME": "/elsewhere"})
    assert not {"LAB_LABEL", "LAB_SESSION"} & set(environment)
    assert environment["LAB_HOME"] == "/elsewhere"
    assert environment["PYTHONPATH"].split(os.pathsep)[0] == str(settings.PROJECT)
