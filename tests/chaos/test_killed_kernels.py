"""Kill the kernel of a notebook at a random cell, in the middle of it: within seconds nothing of its session is left.

The seed is printed; ``--chaos-seed N`` runs the same cells again, ``--chaos-runs N`` kills more.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

import nbformat
import pytest
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client import KernelManager
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

from lab_helpers.base import session as sessions
from lab_helpers.base import settings
from lab_helpers.base.waiting import WaitTimeoutError, wait_until
from lab_helpers.sweep import sweep

PROMISED_S = 5.0
"""What the kit promises on a machine that is not busy; printed beside what was measured."""

DEADLINE_S = 10.0
"""What the test demands: two cores may be compiling, testing and emulating a machine."""

CELL_TIMEOUT_S = 240.0


@dataclass(frozen=True)
class Kill:
    """One act of chaos.

    Attributes:
        notebook: Which.
        cell: Index among its code cells: those before run to their end.
        delay_s: How far into that cell the kernel dies.
    """

    notebook: Path
    cell: int
    delay_s: float

    def __str__(self) -> str:
        return f"{self.notebook.stem} in cell {self.cell} after {self.delay_s:.2f} s"


def code(notebook: Path) -> list[Any]:
    return [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]


def plan(seed: int, runs: int, notebooks: list[Path]) -> list[Kill]:
    """Choose the kills; the same seed gives the same. Never the first cell, which has made nothing yet."""
    chance = random.Random(seed)  # noqa: S311 - no secret depends on it
    kills = []
    for _ in range(runs):
        notebook = chance.choice(notebooks)
        kills.append(Kill(notebook, chance.randrange(1, len(code(notebook))), chance.random() * 1.5))
    return kills


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kill" not in metafunc.fixturenames:
        return
    config = metafunc.config
    seed = config.getoption("--chaos-seed")
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    wanted = tuple(config.getoption("--notebook"))
    notebooks = sorted(
        path for path in (settings.PROJECT / "labs").glob("*.ipynb") if path.name.startswith(wanted or "")
    )
    kills = plan(seed, config.getoption("--chaos-runs"), notebooks)
    ids = [f"seed {seed}, {number}: {kill}" for number, kill in enumerate(kills, 1)]
    metafunc.parametrize("kill", kills, ids=ids)


class OurKernels(KernelSpecManager):
    """Knows one kernel: this very Python."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:  # noqa: ARG002 - jupyter_client's signature
        return KernelSpec(**get_kernel_dict())


@pytest.fixture
def identity() -> str:
    return sessions.new_id()


@pytest.fixture
def kernel(identity: str, kill: Kill, tmp_path: Path) -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    manager = KernelManager(kernel_spec_manager=OurKernels(), transport="ipc", ip=str(tmp_path / "kernel"))
    environment = {
        **os.environ,
        "LAB_SESSION": identity,
        "LAB_SOLVE": "1",
        "JPY_SESSION_NAME": str(kill.notebook),
        "PYTHONPATH": str(settings.PROJECT),
    }
    manager.start_kernel(env=environment, cwd=str(kill.notebook.parent))
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=120)
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run_cell(client: BlockingKernelClient, source: str) -> None:
    reply = client.execute_interactive(
        source, timeout=CELL_TIMEOUT_S, output_hook=lambda _: None, allow_stdin=False, stop_on_error=True
    )
    content = reply["content"]
    assert content["status"] == "ok", f"{content.get('ename')}: {content.get('evalue')}\nin:\n{source}"


def test_nothing_is_left_of_a_killed_kernel(
    kill: Kill,
    identity: str,
    kernel: tuple[KernelManager, BlockingKernelClient],
    engine: Any,
    leftovers: Callable[[str | None], set[str]],
    record_property: Any,
) -> None:
    manager, client = kernel
    cells = code(kill.notebook)
    for cell in cells[: kill.cell]:
        run_cell(client, cell.source)
    before = leftovers(identity)
    assert before, f"after {kill.cell} cells session {identity} has made nothing at all: the test would prove nothing"
    client.execute(cells[kill.cell].source)
    with contextlib.suppress(Empty):
        client.get_shell_msg(timeout=kill.delay_s)  # it dies in the middle of the cell, or right after it
    os.kill(manager.provisioner.pid, signal.SIGKILL)
    began = time.monotonic()
    wait_until(
        lambda: not leftovers(identity),
        what=f"nothing of session {identity} to be left ({kill})",
        timeout_s=DEADLINE_S,
        state=lambda: sorted(leftovers(identity)),
    )
    took = time.monotonic() - began
    record_property("seconds", round(took, 2))
    assert sweep(identity, dry_run=True).found == (), "the kit's own look must agree with the system's"
    # What an engine was still making when its client died must not appear after the sweep.
    with pytest.raises(WaitTimeoutError):
        wait_until(lambda: leftovers(identity), what="something to come back", timeout_s=1.5)
    sys.stdout.write(f"\n  killed {kill}: {len(before)} things gone after {took:.2f} s (promised {PROMISED_S:g} s)\n")
    sys.stdout.flush()


def test_the_same_seed_kills_the_same_cells() -> None:
    notebooks = sorted((settings.PROJECT / "labs").glob("*.ipynb"))
    assert plan(7, 20, notebooks) == plan(7, 20, notebooks)
    assert plan(7, 20, notebooks) != plan(8, 20, notebooks)
    assert all(1 <= kill.cell < len(code(kill.notebook)) for kill in plan(7, 20, notebooks))
