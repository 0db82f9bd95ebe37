"""A session on a real kernel: whatever ends its process, nothing of it is left, and nobody else's thing is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from lab_helpers.base import session as sessions
from lab_helpers.base import settings
from lab_helpers.base.waiting import wait_until

Leftovers = Callable[[str | None], set[str]]
Wait = Callable[[str], float]


def watchdog_of(pid: int) -> psutil.Process:
    children = psutil.Process(pid).children()
    return next(child for child in children if "lab_helpers.sweep" in child.cmdline())


KINDS = {"container", "cgroup", "network namespace", "interface", "mount", "directory", "process"}


def kinds(things: set[str]) -> set[str]:
    return {kind for kind in KINDS for thing in things if thing.split(": ")[1].startswith(kind)}


def runs(pid: int) -> bool:
    """Tell whether a process runs. A zombie does not: it waits for its new parent to read its exit status."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("how", ["killed", "terminated", "ended"])
def test_nothing_is_left_however_the_process_ends(
    how: str, engine: Any, start_session: Any, leftovers: Leftovers, wait_for_nothing: Wait, record_property: Any
) -> None:
    running = start_session()
    assert kinds(leftovers(running.id)) == KINDS
    if how == "ended":
        running.process.stdin.close()
    else:
        running.process.send_signal(signal.SIGKILL if how == "killed" else signal.SIGTERM)
    running.process.wait(10)
    record_property("seconds", round(wait_for_nothing(running.id), 2))
    assert not runs(int(running.words[0]))


def test_two_sessions_do_not_touch_each_other(
    engine: Any, start_session: Any, leftovers: Leftovers, wait_for_nothing: Wait
) -> None:
    first, second = start_session(), start_session()
    assert first.id != second.id
    before = leftovers(second.id)
    first.process.kill()
    first.process.wait()
    wait_for_nothing(first.id)
    assert leftovers(second.id) == before
    second.process.kill()
    second.process.wait()
    wait_for_nothing(second.id)


def test_import_sweeps_what_a_killed_watchdog_left(
    engine: Any, start_session: Any, leftovers: Leftovers, wait_for_nothing: Wait
) -> None:
    running = start_session()
    watchdog_of(running.process.pid).kill()
    running.process.kill()
    running.process.wait()
    assert kinds(leftovers(running.id)) == KINDS, "without its watchdog it should still be here"
    environment = {**os.environ, "PYTHONPATH": str(settings.PROJECT)}
    subprocess.run([sys.executable, "-c", "import lab_helpers"], check=True, env=environment, cwd="/")
    wait_for_nothing(running.id)


def test_the_watchdog_is_not_swept_and_ends_with_its_work(
    start_session: Any, leftovers: Leftovers, wait_for_nothing: Wait
) -> None:
    running = start_session(
        "from lab_helpers.base import session\nprint('ready', session.current().id, flush=True)\ninput()"
    )
    watchdog = watchdog_of(running.process.pid)
    assert os.getsid(watchdog.pid) != os.getsid(running.process.pid)
    assert f"process {watchdog.pid}" not in str(leftovers(running.id))
    running.process.kill()
    running.process.wait()
    wait_for_nothing(running.id)
    wait_until(lambda: not watchdog.is_running(), what="the watchdog to end", timeout_s=10)


def test_a_second_process_joins_a_session_that_lives(session: sessions.Session) -> None:
    program = "from lab_helpers.base import session; s = session.current(); print(s.id, len(session._spawned))"
    environment = {**os.environ, "PYTHONPATH": str(settings.PROJECT)}
    done = subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd="/", stdout=subprocess.PIPE)
    assert done.stdout.decode().split() == [session.id, "0"]  # it watches nothing: the owner's end is what counts
    owner = sessions.owner(session.id)
    assert owner is not None
    assert owner.pid == os.getpid()


def test_everything_started_from_here_on_is_labelled(session: sessions.Session, leftovers: Leftovers) -> None:
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        wait_until(
            lambda: f"{session.id}: process {child.pid}" in leftovers(session.id), what="the child to be exec'ed"
        )
    finally:
        child.kill()
        child.wait()


def test_an_orphan_of_an_orphan_is_found(session: sessions.Session, leftovers: Leftovers) -> None:
    # Twice forked, in a session of its own, its parent gone: only the label in its environment names it.
    done = subprocess.run(
        ["sh", "-c", "setsid sh -c 'sleep 600 >/dev/null 2>&1 & echo $!'"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    pid = int(done.stdout)
    assert Path(f"/proc/{pid}/stat").exists()
    assert f"{session.id}: process {pid}" in leftovers(session.id)
