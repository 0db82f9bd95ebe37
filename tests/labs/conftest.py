"""Runs every notebook of labs/ under nbval, solved, twice in a row; the first pass compares outputs strictly.

``pytest tests/labs`` is all there is to type: the notebooks are collected beside test_notebooks.py. nbval is hardened:
a dead kernel fails its cell within about a second (nbval alone waits the whole cell timeout).

Tags: ``cgroup-v2-output`` (executed everywhere, compared on cgroup v2 only), ``nbval-ignore-output`` (never compared),
``nbval-skip`` (with a tag ``skip-REASON``; counted, and a failure in CI).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from functools import partialmethod
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell, IPyNbFile

from lab_helpers.base import session as sessions
from lab_helpers.kernel import cgroups

SANITIZE = Path(__file__).with_name("sanitize.cfg")
PASSES = ("first", "second")
V2_ONLY = "cgroup-v2-output"

_await_reply = RunningKernel.await_reply


def await_reply(self: RunningKernel, msg_id: str, timeout: float | None = None, *, at_least_s: float) -> None:
    # nbval allows a new kernel 10 s for its first answer; an emulated machine needs more.
    end = time.monotonic() + max(timeout, at_least_s) if timeout else float("inf")
    while True:
        try:
            return _await_reply(self, msg_id, timeout=min(1, max(0.01, end - time.monotonic())))
        except Empty:
            if not self.is_alive():
                raise RuntimeError("kernel died in this cell") from None
            if time.monotonic() >= end:
                raise


def notebooks(config: pytest.Config) -> list[Path]:
    """Return the notebooks to run: all, or those that --notebook names."""
    wanted = tuple(config.getoption("--notebook"))
    folder: Path = config.getoption("--labs")
    return [path for path in sorted(folder.glob("*.ipynb")) if not wanted or path.name.startswith(wanted)]


class LabCell(IPyNbCell):
    """A cell; it knows why it is skipped, and what of it may be compared on this machine."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # nbval's own 5 s for a cell's outputs after its reply are too short for a busy machine.
        self.output_timeout = self.config.getoption("--cell-timeout") / 8

    def runtest(self) -> None:
        tags = self.cell.metadata.get("tags", [])
        if self.options["skip"]:
            reasons = [tag.removeprefix("skip-") for tag in tags if tag.startswith("skip-")]
            if not reasons:
                self.raise_cell_error("nbval-skip without a tag skip-REASON: a silent gap")
            pytest.skip(", ".join(reasons))
        if V2_ONLY in tags and cgroups.version() == 1:
            self.options["check"] = False
        before = time.monotonic()
        try:
            super().runtest()
        finally:
            self.user_properties.append(("seconds", round(time.monotonic() - before, 3)))
        if self.options["check_exception"]:
            planned = [output.ename for output in self.cell.outputs if output.output_type == "error"]
            seen = [output["ename"] for output in self.test_outputs if output["output_type"] == "error"]
            if not seen or (planned and seen != planned):
                self.raise_cell_error(
                    f"the planned error {planned or ''} did not occur; what occurred: {seen or 'none'}"
                )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> str:
        shown = super().repr_failure(excinfo)
        printed = [output.get("text", "") for output in self.test_outputs or []]
        return f"{shown}\nWhat the cell printed:\n{''.join(map(str, printed))[-3000:]}"


class LabNotebook(IPyNbFile):
    """One pass through one notebook, in a session of its own that must be gone afterwards."""

    session_id = ""

    def __init__(self, *, occasion: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.occasion = occasion
        # The text beside it has every fact; colours and widths may change without a new run in the microVM.
        self.skip_compare = (*self.skip_compare, "text/html")
        # The second pass asks whether it runs again, not whether it prints the same.
        self.compare_outputs = occasion == PASSES[0]

    def get_sanitize_files(self) -> list[str]:
        return [str(SANITIZE)]

    def collect(self) -> Iterator[LabCell]:
        for cell in super().collect():
            # The cell's id names the test: nbval's own numbers move when a cell is added.
            name = cell.cell.get("id", cell.name)
            yield LabCell.from_parent(self, name=name, cell_num=cell.cell_num, cell=cell.cell, options=cell.options)

    def setup(self) -> None:
        self.session_id = sessions.new_id()
        os.environ |= {"LAB_SOLVE": "1", "LAB_SESSION": self.session_id, "JPY_SESSION_NAME": str(self.path)}
        try:
            super().setup()
        finally:
            for name in ("LAB_SOLVE", "LAB_SESSION", "JPY_SESSION_NAME"):
                os.environ.pop(name)

    def teardown(self) -> None:
        # As a closed tab does it: SIGKILL, no exit handlers. What is left is the watchdog's to remove.
        super().teardown()
        fixture = self.session._fixturemanager.getfixturedefs("wait_for_nothing", self)[0]
        fixture.func(self.config)(self.session_id)
        assert sessions.owner(self.session_id) is None  # its record is in the folder that is gone


class EveryNotebook(pytest.Collector):
    """All notebooks, each twice in a row."""

    def collect(self) -> Iterator[LabNotebook]:
        # `--nbval-current-env`: the kernel of this very virtual environment, whatever kernels the machine has.
        option = self.config.option
        RunningKernel.await_reply = partialmethod(await_reply, at_least_s=option.cell_timeout)
        option.nbval_current_env = True
        option.nbval_cell_timeout = option.cell_timeout
        option.nbval_kernel_startup_timeout = max(120, option.cell_timeout)
        option.nbval_lax = False
        for path in notebooks(self.config):
            for occasion in PASSES[: self.config.getoption("--passes")]:
                nodeid = f"labs/{path.name}::{occasion} run"
                yield LabNotebook.from_parent(self, path=path, name=nodeid, nodeid=nodeid, occasion=occasion)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.name == "test_notebooks.py":
        return EveryNotebook.from_parent(parent, name="notebooks", nodeid="labs", path=file_path)
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "notebook" in metafunc.fixturenames:
        found = notebooks(metafunc.config)
        metafunc.parametrize("notebook", found, ids=[path.stem for path in found])


@pytest.fixture
def cells(notebook: Path) -> list[dict[str, Any]]:
    """Give a notebook's cells as its file has them."""
    return list(json.loads(notebook.read_text(encoding="utf-8"))["cells"])


def tags_of(cells: Iterable[dict[str, Any]]) -> set[str]:
    return {tag for cell in cells for tag in cell["metadata"].get("tags", [])}
