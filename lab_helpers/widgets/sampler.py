"""A background thread that reads at a steady rate and stops by itself.

It must never print: since ipykernel 7 the output of a thread belongs to no cell. What it finds goes to a callback.
"""

from __future__ import annotations

import atexit
import errno
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from lab_helpers.base.errors import LabError
from lab_helpers.base.units import format_duration

T = TypeVar("T")

_GONE = (errno.ENOENT, errno.ENODEV, errno.ESRCH)
_JOIN_TIMEOUT_S = 2.0


class Sampler(Generic[T]):
    """Reads ``hz`` times a second until stopped, until what it watches is gone, or for ``seconds``.

    Attributes:
        ended: Why it no longer runs; "" while it does, and before it did.
    """

    def __init__(
        self,
        read: Callable[[], T],
        deliver: Callable[[T], None],
        *,
        hz: float,
        seconds: float | None,
        at_end: Callable[[str], None],
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            read: Looks once.
            deliver: Takes what was read, in the thread.
            hz: Looks a second.
            seconds: How long, in seconds; None: until something ends it.
            at_end: Told why it ended, in the thread.
        """
        self._read = read
        self._deliver = deliver
        self._period_s = 1 / hz
        self._seconds = seconds
        self._at_end = at_end
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._cpu_s = 0.0
        self._began = 0.0
        self.ended = ""

    @property
    def running(self) -> bool:
        """Tell whether the thread lives."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def cpu_share(self) -> float:
        """Return the share of one core that the thread took so far, 0 to 1."""
        elapsed = time.monotonic() - self._began
        return self._cpu_s / elapsed if self._began and elapsed > 0 else 0.0

    def start(self) -> None:
        """Start; one that runs already goes on."""
        if self.running:
            return
        self._stop.clear()
        self.ended = ""
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="lab-sampler", daemon=True)
        _running.add(self)
        self._thread.start()

    def stop(self, reason: str = "stopped") -> None:
        """Stop, and wait until the thread has ended; safe to call twice, and from the thread itself."""
        thread = self._thread
        if thread is None or not thread.is_alive():
            return
        self.ended = self.ended or reason
        self._stop.set()
        if thread is not threading.current_thread():
            thread.join(_JOIN_TIMEOUT_S)

    def _run(self) -> None:
        deadline = self._began + self._seconds if self._seconds is not None else None
        due = self._began
        while not self._stop.is_set():
            reason = self._once()
            now = time.monotonic()
            if not reason and deadline is not None and now >= deadline:
                reason = f"watched for {format_duration(self._seconds or 0)}"
            if reason:
                self.ended = self.ended or reason
                break
            # A slow look skips beats instead of running after them.
            due = max(due + self._period_s, now)
            self._stop.wait(due - now)
        _running.discard(self)
        self._at_end(self.ended)

    def _once(self) -> str:
        began = time.thread_time()
        try:
            self._deliver(self._read())
        except LabError as error:
            return "gone" if getattr(error, "errno", None) in _GONE else error.message
        except OSError as error:
            return "gone" if error.errno in _GONE else str(error)
        except Exception as error:  # noqa: BLE001 - nobody would see a thread die: the view says why
            return f"reading failed: {type(error).__name__}: {error}"
        finally:
            self._cpu_s += time.thread_time() - began
        return ""


_running: weakref.WeakSet[Sampler[Any]] = weakref.WeakSet()


def running() -> int:
    """Return how many samplers run in this process."""
    return sum(sampler.running for sampler in list(_running))


@atexit.register
def _stop_all() -> None:
    for sampler in list(_running):
        sampler.stop("the kernel ended")
