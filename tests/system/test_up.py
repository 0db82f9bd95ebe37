"""``./lab up`` and ``./lab down`` for real, beside whatever runs on this machine.

The tests have a mount namespace with its own /run/lab/jupyter, where the running JupyterLab is recorded, and their own
LAB_HOME: a JupyterLab that a person has open is neither found nor stopped.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lab_helpers.base import settings, waiting
from lab_helpers.cli import server

URL = re.compile(r"^http://127\.0\.0\.1:(\d+)/lab\S*\?token=([0-9a-f]{48})$", re.MULTILINE)
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Place:
    """A view of this machine in which no JupyterLab of ours runs yet."""

    def __init__(self, home: Path, hold: subprocess.Popen[str]) -> None:
        self.home = home
        self.hold = hold
        self.environment = {**os.environ, "LAB_HOME": str(home), "NO_COLOR": "1"}
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "LAB_BIND"):
            self.environment.pop(name, None)

    def argv(self, *arguments: str) -> list[str]:
        enter = ["nsenter", f"--mount=/proc/{self.hold.pid}/ns/mnt", f"--wd={settings.PROJECT}"]
        return [*enter, sys.executable, "-m", "lab_helpers.cli", *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(*arguments), env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def lab(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(*arguments), env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )

    def inside(self, *argv: str) -> str:
        enter = ["nsenter", f"--mount=/proc/{self.hold.pid}/ns/mnt"]
        return subprocess.run([*enter, *argv], capture_output=True, text=True, timeout=20, check=True).stdout

    def record(self) -> dict[str, Any]:
        return dict(json.loads(self.inside("cat", "/run/lab/jupyter/server.json")))

    def servers(self) -> list[psutil.Process]:
        """JupyterLabs of this place, by their environment."""
        mine = []
        for process in psutil.process_iter(["cmdline"]):
            try:
                ours = process.environ().get("LAB_HOME") == str(self.home)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if ours and "jupyterlab" in (process.info["cmdline"] or []):
                mine.append(process)
        return mine


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    # slave: what is unmounted outside is unmounted here as well, so that nothing of others' is kept busy.
    script = (
        "mkdir -p /run/lab/jupyter && mount -t tmpfs lab-test /run/lab/jupyter && echo ready && exec sleep infinity"
    )
    argv = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", script]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as hold:
        made = Place(tmp_path_factory.mktemp("home"), hold)
        try:
            assert hold.stdout is not None
            assert hold.stdout.readline() == "ready\n"
            yield made
        finally:
            for process in made.servers():
                process.kill()
            hold.kill()


@pytest.fixture
def nothing_up(place: Place) -> Place:
    """The place, with no JupyterLab in it, whichever tests were chosen before."""
    if place.servers():
        assert place.lab("down").returncode == 0
    return place


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def parts(completed: subprocess.CompletedProcess[str]) -> tuple[str, str]:
    match = URL.search(completed.stdout)
    assert match, f"no address in: {completed.stdout!r}, {completed.stderr!r}"
    return match[1], match[2]


@pytest.fixture(scope="module")
def lab(place: Place) -> Iterator[subprocess.CompletedProcess[str]]:
    completed = place.lab("up", "--detach", "--no-browser", "--port", str(free_port()))
    assert completed.returncode == 0, completed.stderr
    yield completed
    place.lab("down")


def ask(lab: subprocess.CompletedProcess[str], path: str, method: str = "GET", **headers: str) -> Any:
    port, token = parts(lab)
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        method=method,
        data=b"{}" if method == "POST" else None,
        headers={"Authorization": f"token {token}", **headers},
    )
    with OPENER.open(request, timeout=30) as response:
        return json.loads(response.read() or b"null")


def test_up_prints_an_address_that_answers(lab: subprocess.CompletedProcess[str]) -> None:
    assert lab.stdout.count("\n") == 1
    assert "JupyterLab is up after" in lab.stderr
    assert ask(lab, "/api/status")["kernels"] == 0


def test_the_token_is_asked_for_and_only_root_can_read_it(place: Place, lab: subprocess.CompletedProcess[str]) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(lab, "/api/contents", Authorization="token wrong")
    assert caught.value.code == 403
    for name in ("server.json", "token"):
        assert place.inside("stat", "-c", "%a %U", f"/run/lab/jupyter/{name}") == "600 root\n"
    assert place.inside("stat", "-c", "%a", "/run/lab/jupyter") == "700\n"
    process = psutil.Process(place.record()["pid"])
    token = parts(lab)[1]
    assert token not in " ".join(process.cmdline())
    assert token not in process.environ().values()


def test_another_sites_page_is_refused(lab: subprocess.CompletedProcess[str]) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(lab, "/api/status", Host="evil.example")
    assert caught.value.code == 403


def test_it_listens_on_loopback_only_and_kernels_on_no_port(
    place: Place, lab: subprocess.CompletedProcess[str]
) -> None:
    kernel = ask(lab, "/api/kernels", "POST")
    root = psutil.Process(place.record()["pid"])
    try:
        waiting.wait_until(
            lambda: [child for child in root.children(recursive=True) if "ipykernel_launcher" in child.cmdline()],
            what="the kernel's process",
            timeout_s=30,
        )
        family = [root, *root.children(recursive=True)]
        listening = {
            (process.pid, connection.laddr)
            for process in family
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {(root.pid, ("127.0.0.1", int(parts(lab)[0])))}
    finally:
        ask(lab, f"/api/kernels/{kernel['id']}", "DELETE")


def test_it_is_quiet_and_has_our_settings(place: Place, lab: subprocess.CompletedProcess[str]) -> None:
    # An override becomes the default of its schema.
    schemas = {one["id"]: one["schema"].get("properties", {}) for one in ask(lab, "/lab/api/settings")["settings"]}
    overrides = json.loads(
        (settings.PROJECT / "environment/jupyter/labconfig/default_setting_overrides.json").read_text()
    )
    for plugin, values in overrides.items():
        assert {name: schemas[plugin][name]["default"] for name in values} == values
    assert overrides["@jupyterlab/apputils-extension:kernels-settings"]["commsOverSubshells"] == "disabled"
    assert ask(lab, "/lab/api/workspaces/start")["data"]["terminal:1"]
    log = (place.home / "log" / "jupyter.log").read_text()
    assert "Extension Manager is 'readonly'" in log
    assert "jupyter_resource_usage | extension was successfully loaded" in log


def test_a_second_up_finds_everything_there(place: Place, lab: subprocess.CompletedProcess[str]) -> None:
    again = place.lab("up", "--no-browser")
    assert again.returncode == 0
    assert again.stdout == lab.stdout
    assert "is up already" in again.stderr
    assert len(place.servers()) == 1


def test_down_stops_it_with_its_kernels_and_twice_is_fine(place: Place, lab: subprocess.CompletedProcess[str]) -> None:
    ask(lab, "/api/kernels", "POST")
    root = psutil.Process(place.record()["pid"])
    family = [root, *root.children(recursive=True)]
    stopped = place.lab("down")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert "JupyterLab is stopped" in stopped.stderr
    assert [process for process in family if not server.gone(process)] == []
    assert place.inside("ls", "/run/lab/jupyter").split() == ["lock", "runtime"]
    again = place.lab("down")
    assert again.returncode == 0
    assert "JupyterLab does not run" in again.stderr


def test_two_at_once_make_one(nothing_up: Place) -> None:
    port = str(free_port())
    both = [nothing_up.start("up", "--detach", "--no-browser", "--port", port) for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    try:
        assert [process.returncode for process in both] == [0, 0], said
        assert said[0][0] == said[1][0] != ""
        words = said[0][1] + said[1][1]
        assert "another ./lab up or ./lab down is at work; waiting for it" in words
        assert "is up already" in words
        assert len(nothing_up.servers()) == 1
    finally:
        assert nothing_up.lab("down").returncode == 0


def test_a_taken_port_is_a_clear_error(nothing_up: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = nothing_up.lab("up", "--detach", "--no-browser", "--port", str(port))
    assert refused.returncode == 1
    lines = refused.stderr.splitlines()
    assert lines[0].startswith(f"port-taken: port {port} is taken: process {os.getpid()} ")
    assert [line.split(":")[0] for line in lines[1:]] == ["why", "next"]
    assert nothing_up.servers() == []


def test_an_address_that_is_not_ours_is_a_clear_error(nothing_up: Place) -> None:
    nothing_up.environment["LAB_BIND"] = "192.0.2.1"
    try:
        refused = nothing_up.lab("up", "--detach", "--no-browser")
    finally:
        del nothing_up.environment["LAB_BIND"]
    assert refused.returncode == 1
    assert refused.stderr.startswith("address-not-ours: cannot listen on 192.0.2.1:8888")


def test_a_machine_that_is_not_ready_is_said_and_nothing_stays(nothing_up: Place) -> None:
    nothing_up.inside("mount", "-t", "tmpfs", "-o", "size=8m", "lab-test", str(nothing_up.home))
    try:
        refused = nothing_up.lab("up", "--detach", "--no-browser", "--port", str(free_port()))
        assert refused.returncode == 1
        assert refused.stderr.startswith("machine-not-ready: disk: ")
        assert "\nnext: LAB_HOME=" in refused.stderr
        assert nothing_up.servers() == []
    finally:
        nothing_up.inside("umount", str(nothing_up.home))


def test_without_root_it_says_so() -> None:
    argv = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        sys.executable,
        "-m",
        "lab_helpers.cli",
        "up",
    ]
    refused = subprocess.run(argv, cwd=settings.PROJECT, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        "root-required: ./lab up needs root",
        "why:  making cgroups, namespaces and mounts is root's, and kernels inherit JupyterLab's user",
        "next: sudo ./lab up",
    ]


def test_a_server_that_dies_at_once_is_said_with_its_last_words(nothing_up: Place) -> None:
    config = nothing_up.home / "state/jupyter/config/jupyter_server_config.py"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("import sys; sys.exit('the config says no')\n")
    try:
        refused = nothing_up.lab("up", "--detach", "--no-browser", "--port", str(free_port()))
    finally:
        config.unlink()
    assert refused.returncode == 1
    assert refused.stderr.startswith("jupyterlab-ended: JupyterLab ended with exit status 1")
    assert "the config says no" in refused.stderr
    assert nothing_up.servers() == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_in_the_foreground_a_signal_stops_everything(nothing_up: Place, number: signal.Signals, status: int) -> None:
    with nothing_up.start("up", "--no-browser", "--port", str(free_port())) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert URL.match(process.stdout.readline())
        while "Ctrl-C stops it" not in process.stderr.readline():
            assert process.poll() is None
        time.sleep(0.05)  # from its last word to its waiting; nothing outside shows that moment
        process.send_signal(number)
        _, words = process.communicate(timeout=60)
    assert process.returncode == status
    assert "stopping JupyterLab" in words
    assert nothing_up.servers() == []
    assert nothing_up.inside("ls", "/run/lab/jupyter").split() == ["lock", "runtime"]


def test_down_ends_an_up_in_the_foreground(nothing_up: Place) -> None:
    with nothing_up.start("up", "--no-browser", "--port", str(free_port())) as process:
        assert process.stdout is not None
        assert URL.match(process.stdout.readline())
        assert nothing_up.lab("down").returncode == 0
        _, words = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "JupyterLab was stopped" in words
