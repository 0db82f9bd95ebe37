"""JupyterLab's record, port and command line; tests/system/test_up.py starts it."""

from __future__ import annotations

import json
import os
import socket
import threading
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from lab_helpers.cli import server
from lab_helpers.notebooks import places

SERVER = server.Server(
    pid=os.getpid(),
    started=psutil.Process().create_time(),
    address="127.0.0.1",
    port=8888,
    token="secret",  # noqa: S106 - not one
    project="/nowhere",
    log="/nowhere/log",
)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(places, "directory", lambda: tmp_path)
    return tmp_path


def record(directory: Path, value: server.Server) -> None:
    (directory / "server.json").write_text(json.dumps(vars(value)))


def test_a_living_server_is_found_by_its_record(directory: Path) -> None:
    assert server.running() is None
    record(directory, SERVER)
    assert server.running() == SERVER


@pytest.mark.parametrize("change", [{"started": SERVER.started - 100}, {"pid": 2**22 + 1}])
def test_a_process_with_the_same_number_is_not_the_server(directory: Path, change: dict[str, float]) -> None:
    record(directory, replace(SERVER, **change))
    assert server.running() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_broken_record_counts_as_none(directory: Path, text: str) -> None:
    (directory / "server.json").write_text(text)
    assert server.running() is None


def test_a_taken_port_is_said_with_its_owner_and_the_next_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(server.PortTakenError, match=rf"port {port} is taken: process {os.getpid()} ") as caught:
            server.check_port("127.0.0.1", port)
        free = int(caught.value.next_step.removeprefix("./lab up --port "))
        assert free != port
        server.check_port("127.0.0.1", free)
    server.check_port("127.0.0.1", port)


def test_an_address_of_another_machine_is_a_clear_error() -> None:
    with pytest.raises(server.ServerError, match=r"cannot listen on 192\.0\.2\.1:8888"):
        server.check_port("192.0.2.1", 8888)


def test_the_command_line_has_no_token_and_drops_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    line = server.command_line("127.0.0.1", 9999)
    assert line[0] == "env"
    assert "LAB_LABEL" in line
    assert "JUPYTER_TOKEN" in line
    assert not any("token=" in word.lower() for word in line)
    assert "--ServerApp.port=9999" in line
    assert ("--allow-root" in line) == (os.geteuid() == 0)


def test_the_address_opens_notebook_00_if_it_is_there(tmp_path: Path) -> None:
    assert SERVER.url == "http://127.0.0.1:8888/lab/tree/labs?token=secret"
    (tmp_path / "labs").mkdir()
    (tmp_path / "labs" / "00_start_here.ipynb").touch()
    assert replace(SERVER, project=str(tmp_path)).url == "http://127.0.0.1:8888/lab/workspaces/start?token=secret"


def test_the_printed_address_is_loopback_behind_a_forwarded_port() -> None:
    everywhere = replace(SERVER, address="0.0.0.0")  # noqa: S104 - only written down
    assert everywhere.url.startswith("http://127.0.0.1:8888/")
    assert not server.on_loopback(everywhere)
    assert server.on_loopback(SERVER)


def test_the_second_waits_and_says_so(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []

    def second() -> None:
        with server.exclusive():
            order.append("second")

    with server.exclusive():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]
    assert "another ./lab up or ./lab down is at work" in capsys.readouterr().err
