"""The kernel notebooks, solved, and the controllers' own tests on a real cgroup v2 kernel, in one boot.

The guest runs pytest as the host does; its junit file comes back through the share and is judged here.
"""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab_helpers.base import settings
from lab_helpers.checks import registry
from lab_helpers.cli import microvm

TIMEOUT_S = 2400
"""All of it, boot included: emulation is 10 to 20 times slower than the host."""

SUITES = (
    "tests/labs/test_notebooks.py",  # and with it every notebook
    "tests/system/test_cgroups.py",
    "tests/system/test_cgroups_controllers.py",
)
KERNEL_NOTEBOOKS = ("00", "01")
# One pass: the host shows that a second one runs; what counts here is that outputs are those of a learner's kernel.
OPTIONS = ("--passes=1", "--no-skip", "-v", "--durations=10", "--color=no", "-o", "junit_family=xunit1")
ARTEFACTS = settings.PROJECT / ".artefacts" / "microvm"


@dataclass(frozen=True)
class Guest:
    """What came back: the exit status and each test case's name and fate."""

    returncode: int
    cases: dict[str, str]
    properties: dict[str, str]
    tail: str


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Guest:
    share = tmp_path_factory.mktemp("share")
    notebooks = [word for number in KERNEL_NOTEBOOKS for word in ("--notebook", number)]
    result = microvm.run_in_microvm(
        ["environment/microvm/guest_tests.sh", *SUITES, *notebooks, *OPTIONS],
        timeout_s=TIMEOUT_S,
        share=share,
        env={"LAB_TEST_CELL_TIMEOUT": "600", "LAB_TEST_SWEPT_WITHIN": "300"},
        on_line=print,
    )
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    for name in ("junit.xml", "console.log", "dockerd.log"):
        if (share / name).exists():
            shutil.copy(share / name, ARTEFACTS / name)
    junit = share / "junit.xml"
    assert junit.exists(), f"the guest left no results:\n{result.console_tail}"
    root = ET.fromstring(junit.read_text(encoding="utf-8"))  # noqa: S314 - our own pytest wrote it
    cases: dict[str, str] = {}
    properties: dict[str, str] = {}
    for case in root.iter("testcase"):
        fates = [fate for fate in ("failure", "error", "skipped") if case.find(fate) is not None]
        cases[f"{case.get('classname')}.{case.get('name')}"] = fates[0] if fates else "passed"
        for found in case.iter("property"):
            properties[str(found.get("name"))] = str(found.get("value"))
    return Guest(result.returncode, cases, properties, result.console_tail)


def test_everything_passed_there(guest: Guest) -> None:
    bad = {name: fate for name, fate in guest.cases.items() if fate != "passed"}
    assert not bad, guest.tail
    assert guest.returncode == 0, guest.tail


def test_it_was_cgroup_v2(guest: Guest) -> None:
    assert guest.properties["cgroup_version"] == "2"


@pytest.mark.parametrize("number", KERNEL_NOTEBOOKS)
def test_each_kernel_notebook_ran_there(guest: Guest, number: str) -> None:
    notebook = next(Path(settings.PROJECT, "labs").glob(f"{number}_*.ipynb"))
    ran = [name for name in guest.cases if notebook.name.removesuffix(".ipynb") in name and " run" in name]
    cells = notebook.read_text(encoding="utf-8").count('"cell_type": "code"')
    assert len(ran) == cells


def test_the_reference_solution_of_every_exercise_was_correct_there(guest: Guest) -> None:
    """The solved notebooks run them, and a check that is not correct raises. Wrong answers are tried on the host."""
    expected = [
        exercise.id for lab in registry.current().labs if lab.notebook in KERNEL_NOTEBOOKS for exercise in lab.exercises
    ]
    assert expected
    for identity in expected:
        checks = [fate for name, fate in guest.cases.items() if name.endswith(f"{identity}-check")]
        assert checks == ["passed"], identity
