"""The freezer: all processes of a cgroup stop where they are, and go on later. ``docker pause`` is this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lab_helpers.base import waiting
from lab_helpers.kernel.cgroups.control_file import ControlFile, Controller
from lab_helpers.kernel.cgroups.formats import parse_flat

STATE = ControlFile(
    "cgroup.freeze", "freezer.state", "1 or 0 (v1: FROZEN or THAWED): stop or resume everything inside", "5.2"
)
EVENTS = ControlFile(
    "cgroup.events", "", "frozen 1 when the last process has stopped (v1: freezer.state FREEZING until then)", "5.2"
)
SELF = ControlFile("", "freezer.self_freezing", "whether it was asked for here, not above", "")

State = Literal["THAWED", "FREEZING", "FROZEN"]


@dataclass(frozen=True)
class FreezerFigures:
    """Whether a cgroup is frozen.

    Attributes:
        state: v1's three words; on v2 from cgroup.freeze and cgroup.events.
        requested: It was asked for in this cgroup, not in one above.
    """

    state: State
    requested: bool

    @property
    def frozen(self) -> bool:
        """Every process in it has stopped."""
        return self.state == "FROZEN"


def parse_state(freeze: str, events: str) -> FreezerFigures:
    """Read v2's cgroup.freeze and cgroup.events; a frozen parent shows in the second only."""
    requested, frozen = freeze.strip() == "1", parse_flat(events).get("frozen", 0) == 1
    return FreezerFigures("FROZEN" if frozen else "FREEZING" if requested else "THAWED", requested)


def parse_state_v1(state: str, self_freezing: str) -> FreezerFigures:
    """Read v1's freezer.state and freezer.self_freezing."""
    word = state.strip()
    known: dict[str, State] = {"THAWED": "THAWED", "FREEZING": "FREEZING", "FROZEN": "FROZEN"}
    return FreezerFigures(known[word], self_freezing.strip() == "1")


class Freezer(Controller):
    """The freezer of one cgroup.

    v2: cgroup.freeze, cgroup.events. v1: freezer.state. On a hybrid machine v1's is the one in use.

    A process that v1 froze is in uninterruptible sleep and not even SIGKILL ends it; v2's can be killed.
    """

    name = "freezer"
    files = (STATE, EVENTS, SELF)

    def freeze(self, timeout_s: float = 5.0) -> None:
        """Stop every process in this cgroup and below, and wait until the last one has.

        Args:
            timeout_s: How long to wait, in seconds.

        Raises:
            ControllerMissingError: v1 without a freezer hierarchy.
            WaitTimeoutError: a process does not stop, because it waits for a disk for example.

        Equivalent: echo 1 > cgroup.freeze    (v1: echo FROZEN > freezer.state)
        Source: kernel cgroup-v2 guide, "cgroup.freeze" (Linux 5.2+).
        """
        self.write_text(STATE, 1 if self.cgroup.version == 2 else "FROZEN")
        self._wait_for("FROZEN", timeout_s)

    def thaw(self, timeout_s: float = 5.0) -> None:
        """Let them go on where they stopped.

        Args:
            timeout_s: How long to wait, in seconds.

        Raises:
            ControllerMissingError: v1 without a freezer hierarchy.
            WaitTimeoutError: a cgroup above is frozen.

        Equivalent: echo 0 > cgroup.freeze    (v1: echo THAWED > freezer.state)
        """
        self.write_text(STATE, 0 if self.cgroup.version == 2 else "THAWED")
        self._wait_for("THAWED", timeout_s)

    def _wait_for(self, state: State, timeout_s: float) -> None:
        waiting.wait_until(
            lambda: self.read().state == state,
            what=f"{self.cgroup.name} to be {state}",
            timeout_s=timeout_s,
            interval_s=0.005,
            state=lambda: self.read().state,
        )

    def read(self) -> FreezerFigures:
        """Return whether it is frozen.

        Equivalent: cat cgroup.freeze cgroup.events    (v1: freezer.state)
        """
        if self.cgroup.version == 2:
            return parse_state(self.read_text(STATE), self.read_text(EVENTS))
        return parse_state_v1(self.read_text(STATE), self.read_text(SELF))
