"""environment/engine.sh starts an engine again after the last one was killed with everything it had started."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lab_helpers.base import settings

SCRIPT = settings.PROJECT / "environment" / "engine.sh"
AGAIN_WITHIN_S = 12.0
"""Well below the 15 s for which dockerd waits in vain for a containerd whose pid file is stale."""


@pytest.fixture
def place() -> Iterator[Path]:
    """Give a folder with a short name: the path of a socket may have 107 characters."""
    folder = Path(tempfile.mkdtemp(prefix="lab-engine-", dir="/tmp"))
    yield folder
    running = engine_of(folder)
    for process in running:
        with contextlib.suppress(psutil.NoSuchProcess):  # dockerd ends its containerd as well, and may be quicker
            process.terminate()
    psutil.wait_procs(running, timeout=20)
    left = engine_of(folder)
    for mount in reversed(Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()):
        if mount.split()[1].startswith(f"{folder}/"):
            subprocess.run(["umount", mount.split()[1]], check=True)
    shutil.rmtree(folder)
    assert not left


def engine_of(folder: Path) -> list[psutil.Process]:
    """Return the dockerd of a folder and its containerd."""
    found = []
    for process in psutil.process_iter(["name", "cmdline", "status"]):
        ours = any(str(folder) in word for word in process.info["cmdline"] or ())
        if ours and process.info["name"] in ("dockerd", "containerd"):
            found.append(process)
    return found


def start(place: Path) -> subprocess.CompletedProcess[str]:
    # In a network namespace of its own: `--bridge none` removes docker0, which here would be another engine's.
    options = ["--bridge", "none", "--iptables=false"]
    where = ["--socket", place / "s", "--data", place / "data", "--run", place / "run"]
    return subprocess.run(
        ["unshare", "--net", SCRIPT, *where, "--", *options],
        env={**os.environ, "LAB_HOME": str(place / "home")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("killed", [("dockerd",), ("dockerd", "containerd")])
def test_a_killed_engine_starts_again_at_once(place: Path, killed: tuple[str, ...]) -> None:
    first = start(place)
    assert first.returncode == 0, first.stderr
    assert {process.name() for process in engine_of(place)} == {"dockerd", "containerd"}
    for process in engine_of(place):
        if process.name() in killed:
            process.send_signal(signal.SIGKILL)

    began = time.monotonic()
    second = start(place)

    assert second.returncode == 0, second.stderr
    assert "started" in second.stdout
    assert time.monotonic() - began < AGAIN_WITHIN_S


def test_a_pid_file_of_somebody_else_does_not_keep_it_from_starting(place: Path) -> None:
    folder = place / "run" / "exec" / "containerd"
    folder.mkdir(parents=True)
    (folder / "containerd.pid").write_text(str(os.getpid()))
    (place / "run" / "dockerd.pid").write_text(str(os.getpid()))

    began = time.monotonic()
    done = start(place)

    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < AGAIN_WITHIN_S
