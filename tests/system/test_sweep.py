"""The sweep on a real kernel and engine: exactly what carries the label, safe twice, survivors named."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab_helpers import containers
from lab_helpers.base import session as sessions
from lab_helpers.base import settings
from lab_helpers.kernel import cgroups
from lab_helpers.sweep import KINDS, sweep

Leftovers = Callable[[str | None], set[str]]


def run(*argv: str) -> str:
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def make_everything(session: sessions.Session) -> subprocess.Popen[bytes]:
    """Make one thing of every kind that a sweep knows."""
    containers.run(command=["sleep", "600"], name="web")
    run("docker", "network", "create", "--label", session.label, session.name("net"))
    run("docker", "volume", "create", "--label", session.label, session.name("vol"))
    cgroups.create("demo/inner")
    run("ip", "netns", "add", session.name("ns"))
    run("ip", "link", "add", session.interface_name("br"), "type", "bridge")
    run("ip", "link", "add", f"x{session.id}", "type", "bridge")
    run("ip", "link", "set", f"x{session.id}", "alias", session.label)
    run("iptables", "-A", "OUTPUT", "-d", "192.0.2.1", "-m", "comment", "--comment", session.label, "-j", "RETURN")
    run("nft", "add", "table", "inet", f"lab_{session.id}")
    (session.directory / "mnt").mkdir()
    run("mount", "-t", "tmpfs", "tmpfs", str(session.directory / "mnt"))
    disk = session.scratch / "disk.img"
    run("truncate", "--size=8M", str(disk))
    run("losetup", "--find", str(disk))
    return subprocess.Popen(["sleep", "600"], start_new_session=True)


ALL_KINDS = {kind.name for kind in KINDS} - {"directory"}  # its own folder is spared while the process lives


def test_every_kind_is_found_and_removed_and_twice_is_safe(
    session: sessions.Session, engine: Any, leftovers: Leftovers
) -> None:
    child = make_everything(session)
    seen = leftovers(session.id)
    listed = sweep(session.id, dry_run=True)
    assert {item.kind for item in listed.found} == ALL_KINDS
    assert {item.session for item in listed.found} == {session.id}
    assert leftovers(session.id) == seen, "a dry run must change nothing"

    report = sweep(session.id)
    assert report.clean, str(report)
    assert {item.kind for item in report.found} == ALL_KINDS
    assert child.wait(5) == -9
    left = {thing for thing in leftovers(session.id) if "directory" not in thing}
    assert left == set()

    again = sweep(session.id)
    assert again.clean
    assert again.found == ()


@pytest.fixture
def lookalikes(engine: Any) -> Iterator[list[Callable[[], bool]]]:
    """Make things of somebody else that look like ours; each is given as a question: is it still there?"""
    word = secrets.token_hex(3)
    container = run("docker", "run", "--detach", "--name", f"lab-{word}x-web", "lab/busybox:1", "sleep", "600")
    labelled = run("docker", "run", "--detach", "--label", "lab.image=mine", "lab/busybox:1", "sleep", "600")
    root = Path("/sys/fs/cgroup/cgroup.procs")
    tree = root.parent if root.exists() else Path("/sys/fs/cgroup/pids")
    group = tree / f"lab-{word}x"
    group.mkdir()
    run("ip", "netns", "add", f"laboratory-{word}")
    run("ip", "link", "add", f"lb{word}-br", "type", "bridge")
    rule = ["OUTPUT", "-d", "192.0.2.2", "-m", "comment", "--comment", f"lab.sessions={word}", "-j", "RETURN"]
    run("iptables", "-A", *rule)
    environment = {key: value for key, value in os.environ.items() if key not in ("LAB_LABEL", "LAB_SESSION")}
    process = subprocess.Popen(["sleep", "600"], env={**environment, "LAB_LABELS": f"lab.session={word}"})
    scratch = settings.scratch() / f"{word}-mine"
    scratch.mkdir(parents=True)

    def engine_has(identity: str) -> bool:
        return run("docker", "inspect", "--format", "{{.State.Running}}", identity) == "true"

    yield [
        lambda: engine_has(container),
        lambda: engine_has(labelled),
        group.is_dir,
        Path(f"/run/netns/laboratory-{word}").exists,
        lambda: f"lb{word}-br" in Path("/proc/net/dev").read_text(),
        lambda: f"lab.sessions={word}" in run("iptables-save"),
        lambda: process.poll() is None,
        scratch.is_dir,
    ]
    process.kill()
    process.wait()
    run("docker", "rm", "--force", container, labelled)
    group.rmdir()
    run("ip", "netns", "delete", f"laboratory-{word}")
    run("ip", "link", "delete", f"lb{word}-br")
    run("iptables", "-D", *rule)
    scratch.rmdir()


def test_nothing_else_is_touched(session: sessions.Session, lookalikes: list[Callable[[], bool]]) -> None:
    child = make_everything(session)
    assert [there() for there in lookalikes] == [True] * len(lookalikes)
    named = {item.session for item in sweep(dry_run=True).found}
    assert session.id in named
    assert sweep(session.id).clean
    child.wait(5)
    assert [there() for there in lookalikes] == [True] * len(lookalikes)


def test_another_session_is_not_touched(session: sessions.Session, start_session: Any, leftovers: Leftovers) -> None:
    other = start_session()
    before = leftovers(other.id)
    assert before
    assert sweep(session.id).clean
    assert leftovers(other.id) == before
    other.process.kill()
    other.process.wait()
    assert sweep(other.id).clean


def test_a_survivor_is_named_and_goes_when_its_cause_is_gone(session: sessions.Session) -> None:
    stranger = sessions.Session("zz9zz9")
    stuck = stranger.scratch / "stuck"
    stuck.write_text("x")
    run("chattr", "+i", str(stuck))
    try:
        report = sweep(stranger.id)
        assert not report.clean
        assert [item.name for item in report.survivors] == [str(stranger.scratch)]
        assert "not permitted" in str(report)
        assert "still there: directory" in str(report)
    finally:
        run("chattr", "-i", str(stuck))
    assert sweep(stranger.id).clean
    assert not stuck.exists()


def test_an_engine_that_does_not_answer_is_no_clean_sweep(
    session: sessions.Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cgroups.create("demo")
    with socket.socket(socket.AF_UNIX) as deaf:  # bound, not listening: connecting is refused at once
        deaf.bind(str(tmp_path / "docker.sock"))
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
        report = sweep(session.id)
        assert set(report.skipped) == {"container", "network", "volume"}
        assert not report.clean
        assert "could not look for container" in str(report)
        assert "cgroup" in {item.kind for item in report.found}, "the rest is swept all the same"
        monkeypatch.undo()


def test_the_command_reports_data_for_programs(session: sessions.Session, engine: Any) -> None:
    containers.run(command=["sleep", "600"], name="web")
    done = subprocess.run(
        [sys.executable, "-m", "lab_helpers.cli", "sweep", "--dry-run", "--json"],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(settings.PROJECT)},
    )
    data = json.loads(done.stdout)
    assert data["dry_run"] is True
    assert {"kind": "container", "name": session.name("web"), "session": session.id} in data["found"]
