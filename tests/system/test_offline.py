"""The proof that the tests have no network: no way out of their namespace, neither from a process nor a container.

``./lab test`` sets LAB_OFFLINE and runs this file where all the other host suites run. Run by hand, it makes a
namespace of its own and looks there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab_helpers.base import settings
from lab_helpers.cli.offline import namespace_name, offline_engine, remove_dead, way_out

DOCUMENTATION_ADDRESS = "192.0.2.1"
"""TEST-NET-1 (RFC 5737): nobody's, so that a test that gets out harms no one."""

CONNECT = f"""
import errno, json, socket, time
began = time.monotonic()
try:
    socket.create_connection(("{DOCUMENTATION_ADDRESS}", 80), timeout=5)
    said = "connected"
except OSError as error:
    said = errno.errorcode.get(error.errno, str(error))
print(json.dumps([said, time.monotonic() - began]))
"""


@dataclass(frozen=True)
class Inside:
    """Where the tests run, or a namespace like it."""

    enter: list[str]
    environment: dict[str, str]

    def run(self, *argv: str) -> str:
        return subprocess.run(
            [*self.enter, *argv], check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **self.environment}
        ).stdout


@pytest.fixture(scope="module")
def inside() -> Iterator[Inside]:
    if os.environ.get("LAB_OFFLINE"):
        yield Inside([], {})
        return
    with offline_engine() as engine:
        yield Inside(list(engine.enter), engine.environment)


def test_only_loopback_bridges_and_veths_are_there(inside: Inside) -> None:
    listed = [line.split(":")[0].strip() for line in inside.run("cat", "/proc/net/dev").splitlines()[2:]]
    shown = json.loads(inside.run("ip", "-json", "-details", "link", "show"))
    assert sorted(listed) == sorted(link["ifname"] for link in shown)
    kinds = {link.get("linkinfo", {}).get("info_kind", link["link_type"]) for link in shown}
    assert "loopback" in kinds
    assert kinds <= {"loopback", "bridge", "veth"}


def test_there_is_no_default_route(inside: Inside) -> None:
    destinations = [line.split()[1] for line in inside.run("cat", "/proc/net/route").splitlines()[1:]]
    assert "00000000" not in destinations
    assert inside.run("ip", "-6", "route", "show", "default") == ""


def test_a_process_cannot_leave(inside: Inside) -> None:
    said, seconds = json.loads(inside.run(sys.executable, "-c", CONNECT))
    assert said == "ENETUNREACH"
    assert seconds < 1, "it must fail at once, not by a timeout, which a slow network would give too"


def test_a_container_cannot_leave(inside: Inside) -> None:
    # Its own default route leads to the bridge; there the kernel finds no way on and says so by ICMP.
    said, seconds = json.loads(
        inside.run("docker", "run", "--rm", "--label", "lab.image=test", "lab/python:1", "python3", "-c", CONNECT)
    )
    assert said in ("ENETUNREACH", "EHOSTUNREACH")
    assert seconds < 4


def test_loopback_works(inside: Inside) -> None:
    program = "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())"
    inside.run(sys.executable, "-c", program)


def test_the_tests_themselves_know_whether_there_is_a_way_out() -> None:
    # In ./lab test there must be none; elsewhere the same look-up must find one, or it would prove nothing.
    found = way_out()
    assert (found is None) == bool(os.environ.get("LAB_OFFLINE")), found


def test_nothing_is_left_of_an_engine_that_was_killed() -> None:
    program = (
        "import sys\nfrom lab_helpers.cli.offline import offline_engine\n"
        "with offline_engine(images=False) as engine:\n"
        "    print(engine.run.name.removeprefix('offline-'), flush=True)\n    sys.stdin.read()\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(settings.PROJECT)},
    )
    if owner.stdout is None:
        raise ValueError("no pipe")
    identity = owner.stdout.readline().strip()
    owner.kill()
    owner.communicate()
    namespace = Path("/run/netns", namespace_name(identity))
    run = settings.RUN_DIRECTORY / f"offline-{identity}"
    assert namespace.exists()
    began = time.monotonic()
    assert identity in remove_dead()
    assert time.monotonic() - began < 30
    assert not namespace.exists()
    assert not run.exists()
    assert not (settings.scratch() / run.name).exists()
    assert str(run) not in Path("/proc/self/mountinfo").read_text()
    daemons = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(run).encode() in _read(path)]
    assert daemons == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
