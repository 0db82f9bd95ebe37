from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from lab_helpers.base.errors import LabError
from lab_helpers.base.waiting import wait_until
from lab_helpers.widgets.sampler import Sampler


class Watch:
    """A source that fails when told to, and what the sampler said."""

    def __init__(self, error: Exception | None = None, after: int = 0) -> None:
        self.seen: list[int] = []
        self.ends: list[str] = []
        self.error = error
        self.after = after
        self.looks = 0

    def read(self) -> int:
        self.looks += 1
        if self.error and self.looks > self.after:
            raise self.error
        return self.looks

    def sampler(self, hz: float = 100, seconds: float | None = None) -> Sampler[int]:
        return Sampler(self.read, self.seen.append, hz=hz, seconds=seconds, at_end=self.ends.append)


def test_reads_until_stopped_and_can_start_again() -> None:
    watch = Watch()
    sampler = watch.sampler()
    sampler.start()
    sampler.start()
    wait_until(lambda: len(watch.seen) > 3, what="four looks")
    assert sampler.running

    sampler.stop()
    sampler.stop()
    count = watch.looks
    assert not sampler.running
    assert watch.ends == ["stopped"]

    sampler.start()
    wait_until(lambda: watch.looks > count, what="more looks")
    sampler.stop("closed")
    assert watch.ends == ["stopped", "closed"]


def test_stops_after_its_time() -> None:
    watch = Watch()
    sampler = watch.sampler(seconds=0.1)
    sampler.start()

    wait_until(lambda: not sampler.running, what="its end", timeout_s=5)

    assert watch.ends == ["watched for 100 ms"]
    assert len(watch.seen) > 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "/sys/fs/cgroup/x"), "gone"),
        (OSError(errno.ENODEV, "No such device"), "gone"),
        (ProcessLookupError(errno.ESRCH, "No such process"), "gone"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "[Errno 13] Permission denied: '/x'"),
        (LabError("the engine is gone", reference="r", why="w", next_step="n"), "the engine is gone"),
        (KeyError("memory"), "reading failed: KeyError: 'memory'"),
    ],
)
def test_ends_by_itself_and_says_why(error: Exception, reason: str) -> None:
    watch = Watch(error, after=2)
    sampler = watch.sampler()
    sampler.start()

    wait_until(lambda: bool(watch.ends), what="its end")

    assert (watch.ends, watch.seen, sampler.ended) == ([reason], [1, 2], reason)
    wait_until(lambda: not sampler.running, what="the thread's end")


def test_a_slow_look_skips_beats() -> None:
    gate = threading.Event()
    watch = Watch()

    def slow() -> int:
        watch.looks += 1
        gate.wait(0.05)
        return watch.looks

    sampler = Sampler(slow, watch.seen.append, hz=1000, seconds=0.5, at_end=watch.ends.append)
    sampler.start()
    wait_until(lambda: not sampler.running, what="its end", timeout_s=5)

    assert watch.looks <= 12


def test_it_waits_instead_of_turning(tmp_path: Path) -> None:
    watch = Watch()
    sampler = watch.sampler(hz=4, seconds=1)
    sampler.start()
    wait_until(lambda: not sampler.running, what="its end", timeout_s=5)

    assert 3 <= len(watch.seen) <= 6
    assert sampler.cpu_share < 0.03
