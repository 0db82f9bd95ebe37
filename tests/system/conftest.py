"""Real processes with real sessions, for the tests that kill them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from lab_helpers.base import settings
from lab_helpers.base.waiting import wait_until

EVERYTHING = """
import subprocess, sys
import lab_helpers
from lab_helpers import containers
from lab_helpers.base import session
from lab_helpers.kernel import cgroups
mine = session.current()
containers.run(command=["sleep", "600"], name="web")
cgroups.create("demo").run(["true"])
subprocess.run(["ip", "netns", "add", mine.name("net")], check=True)
subprocess.run(["ip", "link", "add", mine.interface_name("br"), "type", "bridge"], check=True)
(mine.directory / "mnt").mkdir()
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(mine.directory / "mnt")], check=True)
(mine.scratch / "file").write_text("x")
child = subprocess.Popen(["setsid", "sleep", "600"], start_new_session=True)
print("ready", mine.id, child.pid, flush=True)
sys.stdin.read()
"""
"""A program that makes one thing of nearly every kind and waits until its standard input ends."""


@dataclass
class Running:
    """A process with a session.

    Attributes:
        process: The process.
        id: The id of its session.
        words: What else it said when it was ready.
    """

    process: subprocess.Popen[str]
    id: str
    words: list[str]


Start = Callable[..., Running]


def _without_a_session() -> dict[str, str]:
    """Return the environment without the test's own session, which a child would join."""
    return {key: value for key, value in os.environ.items() if key not in ("LAB_SESSION", settings.LABEL_VARIABLE)}


@pytest.fixture
def start_session(leftovers: Callable[[str | None], set[str]]) -> Iterator[Start]:
    """Start programs with sessions of their own; those that still run at the end are ended."""
    started: list[Running] = []

    def start(program: str = EVERYTHING, **environment: str) -> Running:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env={**_without_a_session(), "PYTHONPATH": str(settings.PROJECT), **environment},
            start_new_session=True,
        )
        if process.stdout is None:
            raise ValueError("the program's output must be a pipe")
        words = process.stdout.readline().split()
        if words[:1] != ["ready"]:
            process.kill()
            pytest.fail(f"the program with a session ended with {process.wait()}: {words}")
        started.append(Running(process, words[1], words[2:]))
        return started[-1]

    yield start
    for running in started:
        running.process.kill()
        running.process.wait()
        if running.process.stdin and running.process.stdout:
            running.process.stdin.close()
            running.process.stdout.close()
    for running in started:
        wait_until(
            lambda: not leftovers(running.id),  # noqa: B023 - called before the next turn
            what=f"the watchdog to sweep session {running.id}",
            state=lambda: sorted(leftovers(running.id)),  # noqa: B023
        )
