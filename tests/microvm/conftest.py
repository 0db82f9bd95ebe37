"""The long tours through the guest: they begin before the first test, side by side, and are judged when they are back.

An emulated machine uses little more than one core, so two of them finish in little more than the time of one.
The guest runs pytest as the host does; its junit file comes back through the share, where console.log grows meanwhile.
"""

from __future__ import annotations

import shutil
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab_helpers.base import settings
from lab_helpers.base.errors import LabError
from lab_helpers.cli import microvm

TIMEOUT_S = 3000
"""For one tour, boot included: emulation is 10 to 20 times slower than the host."""

TOURS = {
    # One pass: the host shows that a second one runs; what counts here is that outputs are those of a learner's kernel.
    "labs": (
        "tests/labs/test_notebooks.py",
        "tests/system/test_cgroups.py",
        "tests/system/test_cgroups_controllers.py",
        "--passes=1",
        "--cell-timeout=600",
    ),
    "exercises": ("tests/exercises",),
}
KERNEL_NOTEBOOKS = ("--notebook=00", "--notebook=01")
OPTIONS = ("--swept-within=300", "--no-skip", "-v", "--durations=10", "--color=no", "-o", "junit_family=xunit1")
ARTEFACTS = settings.PROJECT / ".artefacts" / "microvm"


@dataclass(frozen=True)
class Guest:
    """What came back: the exit status, each test case's name and fate, and the end of the console."""

    returncode: int
    cases: dict[str, str]
    properties: dict[str, str]
    tail: str


def read_results(returncode: int, junit: str, tail: str) -> Guest:
    cases: dict[str, str] = {}
    properties: dict[str, str] = {}
    for case in ET.fromstring(junit).iter("testcase"):  # noqa: S314 - our own pytest wrote it
        fates = [fate for fate in ("failure", "error", "skipped") if case.find(fate) is not None]
        cases[f"{case.get('classname')}.{case.get('name')}"] = fates[0] if fates else "passed"
        for found in case.iter("property"):
            properties[str(found.get("name"))] = str(found.get("value"))
    return Guest(returncode, cases, properties, tail)


class Tour:
    """One boot of the microVM that runs some of the suites; it does not hold up who starts it."""

    def __init__(self, name: str, share: Path) -> None:
        self.name = name
        self.share = share
        self._result: microvm.Result | None = None
        self._error: LabError | None = None
        # A daemon: a run that is interrupted does not wait for it, and QEMU ends with the thread that started it.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = microvm.run_in_microvm(
                ["environment/microvm/guest_tests.sh", *TOURS[self.name], *KERNEL_NOTEBOOKS, *OPTIONS],
                timeout_s=TIMEOUT_S,
                share=self.share,
            )
        except LabError as error:
            self._error = error

    def finish(self) -> Guest:
        self._thread.join()
        folder = ARTEFACTS / self.name
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("junit.xml", "console.log", "dockerd.log"):
            (folder / name).unlink(missing_ok=True)
            if (self.share / name).exists():
                shutil.copy(self.share / name, folder / name)
        if self._error:
            raise self._error
        assert self._result, "the thread of this tour ended without a result"
        junit = self.share / "junit.xml"
        assert junit.exists(), f"the guest left no results:\n{self._result.console_tail}"
        return read_results(self._result.returncode, junit.read_text(encoding="utf-8"), self._result.console_tail)


@pytest.fixture(scope="session", autouse=True)
def tours(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tour]:
    """Begin the tours that the chosen tests ask for."""
    wanted = any("guest" in getattr(item, "fixturenames", ()) for item in request.session.items)
    if not wanted:
        return {}
    microvm.build_kernel()  # once, before two ask for it
    return {name: Tour(name, tmp_path_factory.mktemp(name)) for name in TOURS}


@pytest.fixture(scope="session")
def guest(tours: dict[str, Tour]) -> Callable[[str], Guest]:
    """Give the results of a tour, by name; waits until it is back."""
    known: dict[str, Guest] = {}

    def finished(name: str) -> Guest:
        if name not in known:
            known[name] = tours[name].finish()
        return known[name]

    return finished
