"""Running a notebook from top to bottom without a browser: a kernel of its own, one cell after the other."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from lab_helpers.notebooks.source import Notebook, as_node, from_node, source, tags

CELL_TIMEOUT_S = 300.0
"""Seconds for one cell; the longest of the labs takes a fraction of it, even in emulation."""

STARTUP_TIMEOUT_S = 120
"""Seconds for the kernel to answer; 0.6 on a machine, 15 in emulation."""

LOG_TAIL_LINES = 5
"""Lines of a dead kernel's last words that the failure repeats."""

FailureKind = Literal["error", "timeout", "dead kernel"]


@dataclass(frozen=True)
class Step:
    """One code cell, before it runs or after.

    Attributes:
        number: From 1, among the code cells that run.
        total: How many run.
        cell: Its id.
        source: Its text.
        duration_s: Seconds it took; None before it ran.
    """

    number: int
    total: int
    cell: str
    source: str
    duration_s: float | None = None


@dataclass(frozen=True)
class Failure:
    """Why the run stopped.

    Attributes:
        kind: The cell raised, took too long, or its kernel died.
        step: The cell.
        name: The exception's name.
        message: Its text.
    """

    kind: FailureKind
    step: Step
    name: str
    message: str


@dataclass(frozen=True)
class Execution:
    """A run that ended.

    Attributes:
        notebook: With the outputs of the cells that ran.
        steps: The cells that ran, the failed one included.
        failure: None if all cells ran.
        duration_s: All of it, in seconds.
    """

    notebook: Notebook
    steps: tuple[Step, ...]
    failure: Failure | None
    duration_s: float


def execute(
    notebook: Notebook,
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = CELL_TIMEOUT_S,
    on_step: Callable[[Step], None] | None = None,
) -> Execution:
    """Run every code cell in order, and stop at the first that fails.

    Cells tagged ``nbval-skip`` are left out. A kernel that dies is noticed within about a second.

    Args:
        notebook: What to run; it is left as it is.
        folder: The kernel's working folder.
        environment: Variables for the kernel, on top of the present environment.
        timeout_s: Seconds for one cell.
        on_step: Called before a cell runs and after.

    Raises:
        KeyboardInterrupt: Ctrl-C; the kernel is gone then.
        RuntimeError: the kernel does not start.
    """
    run = _Run(notebook, folder, {**os.environ, **(environment or {})}, timeout_s, on_step or (lambda _: None))
    return asyncio.run(run.all())


class _Client(NotebookClient):
    """Ctrl-C cancels the run, instead of killing the kernel under it (nbclient's own handler)."""

    interrupted = False

    async def async_start_new_kernel(self, **arguments: Any) -> None:  # noqa: ANN401 - passed on
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()

        def interrupt() -> None:
            # Remembered as well: nbclient reads a cancelled cell as a dead kernel.
            self.interrupted = True
            if task is not None:
                task.cancel()

        loop.add_signal_handler(signal.SIGINT, interrupt)
        loop.add_signal_handler(signal.SIGTERM, interrupt)
        await super().async_start_new_kernel(**arguments)


class _Run:
    def __init__(
        self,
        notebook: Notebook,
        folder: Path,
        environment: dict[str, str],
        timeout_s: float,
        on_step: Callable[[Step], None],
    ) -> None:
        self.node = as_node(notebook)
        for cell in self.node.cells:
            # nbclient appends to what it finds: old outputs would look like this run's.
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
            cell.source = "".join(cell.source)
        self.folder = folder
        self.environment = environment
        self.timeout_s = timeout_s
        self.on_step = on_step
        self.steps: list[Step] = []

    async def all(self) -> Execution:
        began = time.monotonic()
        # No folder of kernelspecs: the native kernel is this very Python, whatever else the machine has installed.
        # Short names: the kernel's Unix sockets lie beside its connection file.
        with tempfile.TemporaryDirectory(prefix="lab-kernel-") as sockets:
            manager = AsyncKernelManager(
                kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
                kernel_name="python3",
                transport="ipc",
                connection_file=str(Path(sockets) / "kernel.json"),
            )
            client = _Client(
                self.node,
                km=manager,
                timeout=self.timeout_s,
                startup_timeout=STARTUP_TIMEOUT_S,
                coalesce_streams=True,
                resources={"metadata": {"path": str(self.folder)}},
            )
            words = Path(sockets) / "kernel.log"
            try:
                with words.open("wb") as log:
                    async with client.async_setup_kernel(
                        env=self.environment, cleanup_kc=True, stdout=log, stderr=subprocess.STDOUT
                    ):
                        failure = await self._cells(client)
            except asyncio.CancelledError:
                raise KeyboardInterrupt from None
            finally:
                if manager.has_kernel:
                    await manager.shutdown_kernel(now=True)
            if client.interrupted:
                raise KeyboardInterrupt
            if failure and failure.kind == "dead kernel":
                tail = words.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LOG_TAIL_LINES:]
                failure = replace(failure, message="\n".join([failure.message, *tail]))
        finished = from_node(self.node)
        return Execution(finished, tuple(self.steps), failure, time.monotonic() - began)

    async def _cells(self, client: _Client) -> Failure | None:
        chosen = [
            (index, cell)
            for index, cell in enumerate(self.node.cells)
            if cell.cell_type == "code" and source(cell).strip() and "nbval-skip" not in tags(cell)
        ]
        for number, (index, cell) in enumerate(chosen, start=1):
            step = Step(number, len(chosen), cell.get("id", ""), source(cell))
            self.on_step(step)
            began = time.monotonic()
            failure = await self._cell(client, cell, index, step)
            done = Step(step.number, step.total, step.cell, step.source, time.monotonic() - began)
            self.steps.append(done)
            self.on_step(done)
            if failure:
                return failure
        return None

    async def _cell(self, client: _Client, cell: Any, index: int, step: Step) -> Failure | None:  # noqa: ANN401 - nbformat's
        try:
            await client.async_execute_cell(cell, index, execution_count=step.number)
        except CellExecutionError as error:
            return Failure("error", step, error.ename, error.evalue)
        except CellTimeoutError:
            return Failure("timeout", step, "CellTimeoutError", f"it did not end within {self.timeout_s:g} s")
        except DeadKernelError:
            return Failure("dead kernel", step, "DeadKernelError", "the kernel died: killed, or out of memory")
        return None
