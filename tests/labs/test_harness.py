"""The harness can fail: a notebook with one fault a cell is run by it, and each fault is found."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Any

import nbformat
import pytest

from lab_helpers.base import settings
from lab_helpers.kernel import cgroups


def cell(name: str, source: str, printed: str | None = None, tags: tuple[str, ...] = ()) -> Any:
    made = nbformat.v4.new_code_cell(source, id=name, metadata={"tags": list(tags)})
    if printed is not None:
        made.execution_count = 1
        made.outputs = [nbformat.v4.new_output("stream", name="stdout", text=printed)]
    return made


CELLS = (
    cell("same", "print('one')", "one\n"),
    cell("other", "print('one')", "two\n"),
    cell("other-ignored", "print('one')", "two\n", ("nbval-ignore-output",)),
    cell("other-on-v2", "print('one')", "two\n", ("cgroup-v2-output",)),
    cell("sanitised", "print('lab.session=zz9zz9', 'pid', 77)", "lab.session=<session> pid <pid>\n"),
    cell("solved", "import os; print(os.environ['LAB_SOLVE'], os.environ['LAB_SESSION'][6:])", "1 \n"),
    cell("raises", "1 / 0"),
    cell("planned-and-missing", "print('fine')", "fine\n", ("raises-exception",)),
    cell("silent-gap", "1", None, ("nbval-skip",)),
    cell("named-gap", "1", None, ("nbval-skip", "skip-needs-a-printer")),
    cell("dies", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"),
    cell("after-death", "print('never')"),
)


@dataclass(frozen=True)
class Ran:
    fates: dict[str, str]
    messages: dict[str, str]
    seconds: float
    returncode: int


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("labs")
    nbformat.write(nbformat.v4.new_notebook(cells=list(CELLS)), folder / "00_faults.ipynb")
    junit = folder / "junit.xml"
    argv = [sys.executable, "-m", "pytest", "tests/labs/test_notebooks.py", "--labs", str(folder), "--passes=1", "-q"]
    # "00_faults" is in the names of the cells; CI is unset, so that a named gap stays a skip.
    environment = {key: value for key, value in os.environ.items() if key != "CI"}
    began = time.monotonic()
    done = subprocess.run(
        [*argv, "-p", "no:cacheprovider", "-o", "junit_family=xunit1", f"--junitxml={junit}"],
        cwd=settings.PROJECT,
        env={**environment, "PYTHONPATH": str(settings.PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - began
    fates, messages = {}, {}
    for case in ET.fromstring(junit.read_text(encoding="utf-8")).iter("testcase"):  # noqa: S314 - our own
        if "00_faults" in str(case.get("classname")):
            found = next(
                (case.find(fate) for fate in ("failure", "error", "skipped") if case.find(fate) is not None), None
            )
            fates[str(case.get("name"))] = found.tag if found is not None else "passed"
            messages[str(case.get("name"))] = f"{found.get('message')} {found.text}" if found is not None else ""
    assert fates, done.stdout
    return Ran(fates, messages, seconds, done.returncode)


def expected() -> dict[str, str]:
    return {
        "same": "passed",
        "other": "failure",
        "other-ignored": "passed",
        "other-on-v2": "passed" if cgroups.version() == 1 else "failure",
        "sanitised": "passed",
        "solved": "passed",
        "raises": "failure",
        "planned-and-missing": "failure",
        "silent-gap": "failure",
        "named-gap": "skipped",
        "dies": "failure",
        "after-death": "failure",
    }


def test_each_fault_is_found_and_nothing_else(ran: Ran) -> None:
    assert ran.fates == expected()
    assert ran.returncode == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("other", "Cell outputs differ"),
        ("raises", "ZeroDivisionError"),
        ("planned-and-missing", "did not occur"),
        ("silent-gap", "a silent gap"),
        ("named-gap", "needs-a-printer"),
        ("dies", "kernel died in this cell"),
        ("after-death", "Kernel dead on test start"),
    ],
)
def test_the_message_names_the_fault(ran: Ran, name: str, words: str) -> None:
    assert words in ran.messages[name]


def test_a_dead_kernel_is_noticed_long_before_the_cells_time_limit(ran: Ran) -> None:
    assert ran.seconds < 90
