"""``three_pillars(container)``: a container is a process with a cgroup, namespaces and layers; here they are, live."""

from __future__ import annotations

from typing import Any

import traitlets

from lab_helpers.widgets import pillars_drawing
from lab_helpers.widgets.base import STATIC, LabWidget
from lab_helpers.widgets.facts import PillarsData
from lab_helpers.widgets.sampler import Sampler
from lab_helpers.widgets.sources import pillars_source

_HZ = 1.0


class ThreePillars(LabWidget):
    """The three pillars of one container, read again every second until it ends or the widget is closed."""

    _esm = STATIC / "picture.js"
    drawing = traitlets.Unicode("").tag(sync=True)

    def __init__(self, container: Any, *, live: bool = True, seconds: float | None = 600) -> None:  # noqa: ANN401
        """Look once, and draw.

        Args:
            container: A container of the kit, or a function that returns :class:`PillarsData`.
            live: Go on looking.
            seconds: For how long, in seconds; None: until the container ends.
        """
        look = pillars_source(container)
        self._data = look()
        super().__init__(drawing=pillars_drawing.draw(self._data, "live" if live else "one look"))
        self._sampler = Sampler(look, self._show, hz=_HZ, seconds=seconds, at_end=self._end)
        if live:
            self._sampler.start()

    @property
    def data(self) -> PillarsData:
        """What was seen last."""
        return self._data

    @property
    def live(self) -> bool:
        """Whether it still looks."""
        return self._sampler.running

    def start(self) -> ThreePillars:
        """Look again, every second."""
        self._sampler.start()
        return self

    def stop(self) -> None:
        """Stop looking; the last picture stays. Safe to call twice."""
        self._sampler.stop()

    def close(self) -> None:
        """Stop looking and close the view."""
        sampler = getattr(self, "_sampler", None)
        if sampler:
            sampler.stop("closed")
        super().close()

    def summary(self) -> str:
        """Say what is shown; the same in every run."""
        return pillars_drawing.describe(self._data)

    def svg(self) -> str:
        """Draw what was seen last."""
        return self.drawing

    def _show(self, data: PillarsData) -> None:
        self._data = data
        self.drawing = pillars_drawing.draw(data)

    def _end(self, reason: str) -> None:
        word = "the container has ended" if reason == "gone" else reason
        self.drawing = pillars_drawing.draw(self._data, word)


def three_pillars(container: Any, *, live: bool = True) -> ThreePillars:  # noqa: ANN401 - by what it offers
    """Draw the three pillars of one container, live.

    Args:
        container: What ``containers.run`` returned, or a function that returns :class:`PillarsData`.
        live: Go on looking, once a second.

    Raises:
        ContainerNotRunningError: it has no process now.
        NothingToShowError: it is no container.

    Equivalent: cat /proc/PID/cgroup; readlink /proc/PID/ns/*; grep overlay /proc/PID/mountinfo
    """
    return ThreePillars(container, live=live)
