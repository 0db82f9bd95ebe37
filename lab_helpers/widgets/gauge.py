"""``cgroup_gauge(cgroup)``: what a cgroup may use and uses, four times a second."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

import traitlets

from lab_helpers.widgets import gauge_drawing
from lab_helpers.widgets.base import STATIC, LabWidget
from lab_helpers.widgets.facts import Usage, plain_name
from lab_helpers.widgets.history import History
from lab_helpers.widgets.sampler import Sampler
from lab_helpers.widgets.sources import usage_source

_current: dict[str, CgroupGauge] = {}
"""The gauge that runs for a cgroup: a cell that runs again replaces its gauge instead of adding a thread."""


class CgroupGauge(LabWidget):
    """Limit, use, pressure, throttled time and OOM kills of one cgroup over time.

    Each look is one small message to the browser, which draws it on a canvas; a view opened later asks for the history.
    """

    _esm = STATIC / "gauge.js"
    name = traitlets.Unicode("").tag(sync=True)
    state = traitlets.Unicode("ready").tag(sync=True)

    def __init__(self, source: Any, *, seconds: float | None = 60, hz: float = 4) -> None:  # noqa: ANN401
        """Look once; ``start`` goes on.

        Args:
            source: A cgroup, a container, or a function that returns figures.
            seconds: For how long, in seconds; None: until the cgroup is gone.
            hz: Looks a second.
        """
        name, self._read = usage_source(source)
        super().__init__(name=plain_name(name))
        self._key = name
        self._history = History()
        self._history.add(time.monotonic(), self._read())
        self._sampler = Sampler(self._read, self._take, hz=hz, seconds=seconds, at_end=self._end)
        self.on_msg(self._asked)

    @property
    def history(self) -> History:
        """What was seen so far."""
        return self._history

    @property
    def live(self) -> bool:
        """Whether it still looks."""
        return self._sampler.running

    @property
    def cpu_share(self) -> float:
        """The share of one core that the looking and sending takes, 0 to 1."""
        return self._sampler.cpu_share

    def start(self) -> Self:
        """Go on looking; a gauge of the same cgroup that still runs is stopped."""
        former = _current.get(self._key)
        if former is not None and former is not self:
            former.stop("replaced by a newer gauge")
        _current[self._key] = self
        self.state = "live"
        self._sampler.start()
        return self

    def stop(self, reason: str = "stopped") -> None:
        """Stop looking; the picture stays. Safe to call twice."""
        self._sampler.stop(reason)

    def close(self) -> None:
        """Stop looking and close the view."""
        sampler = getattr(self, "_sampler", None)
        if sampler:
            sampler.stop("closed")
        super().close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def summary(self) -> str:
        """Say what is shown; the same in every run."""
        last = self._history.last
        return gauge_drawing.describe(self._key, last.usage if last else None)

    def svg(self) -> str:
        """Draw what was seen so far."""
        return gauge_drawing.draw(self._key, list(self._history.samples), self.state)

    def _take(self, usage: Usage) -> None:
        sample = self._history.add(time.monotonic(), usage)
        self.send({"type": "point", "point": sample.as_point()})

    def _end(self, reason: str) -> None:
        self.state = "the cgroup is gone" if reason == "gone" else reason
        if _current.get(self._key) is self:
            del _current[self._key]

    def _asked(self, _widget: object, content: dict[str, Any], _buffers: object) -> None:
        if content.get("type") == "history":
            points = [sample.as_point() for sample in list(self._history.samples)]
            self.send({"type": "history", "points": points})


def cgroup_gauge(source: Any, *, seconds: float | None = 60, hz: float = 4) -> CgroupGauge:  # noqa: ANN401
    """Watch a cgroup: limit, use, pressure, throttled time and OOM kills over time.

    It starts at once and stops by itself: after ``seconds``, when the cgroup is gone, when the kernel ends. ``stop()``
    and ``with`` stop it earlier.

    Args:
        source: A cgroup, a container, or a function that returns figures.
        seconds: For how long, in seconds; None: until the cgroup is gone.
        hz: Looks a second.

    Raises:
        NothingToShowError: it is none of these.
        OSError: the cgroup is gone already.

    Equivalent: watch -n 0.25 cat memory.current cpu.stat memory.events
    """
    return CgroupGauge(source, seconds=seconds, hz=hz).start()
