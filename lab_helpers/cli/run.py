"""``./lab run``: a notebook from top to bottom without a browser, kept as a notebook and as a page."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from lab_helpers.base import session as sessions
from lab_helpers.base import settings, sweeping, waiting
from lab_helpers.base.errors import LabError
from lab_helpers.base.files import write_atomically
from lab_helpers.base.units import format_duration
from lab_helpers.cli import console
from lab_helpers.cli.up import require_root
from lab_helpers.kernel import cgroups
from lab_helpers.notebooks import catalogue, places, source
from lab_helpers.notebooks.execute import CELL_TIMEOUT_S, Execution, Step, execute
from lab_helpers.notebooks.normalise import load_patterns, normalise
from lab_helpers.notebooks.page import html_page
from lab_helpers.sweep import sweep

OUT = settings.PROJECT / ".artefacts" / "run"

MICROVM_TIMEOUT_S = 3600.0
"""Seconds for a run in the microVM, boot included: emulation is 10 to 20 times slower than the machine."""


SETTLE_S = 15.0
"""Seconds for a survivor to go: the kernel's own watchdog sweeps at the same time."""


class WrongKernelError(LabError):
    """The outputs to save would show another kernel than the learner's."""


@click.command()
@click.argument("number", metavar="NN")
@click.option("--solve", is_flag=True, help="Exercises run their reference solution.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=OUT, help="Folder for the results.")
@click.option("--save", is_flag=True, help="For authors: write the outputs, normalised, back into labs/.")
@click.option("--microvm", is_flag=True, help="Run in the microVM, on a cgroup v2 kernel.")
@click.option("--timeout", "timeout_s", type=float, default=CELL_TIMEOUT_S, show_default=True, help="Seconds a cell.")
def run(*, number: str, solve: bool, out: Path, save: bool, microvm: bool, timeout_s: float) -> int:
    """Run notebook NN without a browser; write the executed notebook and a page that needs no network.

    It stops at the first cell that fails, writes what it has, and exits with status 1. What the notebook made is
    removed.
    """
    path = catalogue.find(number)
    require_root("./lab run")
    if save and not microvm:
        check_kernel_of_outputs(path)
    if microvm:
        status = _in_microvm(path, out, solve=solve, timeout_s=timeout_s)
    else:
        status = _here(path, out, solve=solve, timeout_s=timeout_s)
    for suffix in (".ipynb", ".html"):
        if (out / f"{path.stem}{suffix}").exists():
            click.echo(out / f"{path.stem}{suffix}")
    if save and status == 0:
        source.write(path, normalise(source.read(out / path.name), load_patterns()))
        console.say(f"saved into {path}", style="green")
    return status


def check_kernel_of_outputs(path: Path) -> None:
    """Make sure that outputs of cells about cgroup v2 come from a cgroup v2 kernel, the learner's world.

    Raises:
        WrongKernelError: this machine has version 1 and the notebook has such cells.
    """
    about_v2 = any("cgroup-v2-output" in source.tags(cell) for cell in source.code_cells(source.read(path)))
    if about_v2 and cgroups.version() == 1:
        raise WrongKernelError(
            f"{path.name} is not run: its saved outputs show cgroup v2",
            reference="wrong-kernel-for-outputs",
            why="this machine has cgroup version 1, whose files have other names and values",
            next_step=f"./lab run {path.name[:2]} --solve --save --microvm",
        )


def _here(path: Path, out: Path, *, solve: bool, timeout_s: float) -> int:
    ran, clean = run_notebook(path, solve=solve, timeout_s=timeout_s)
    source.write(out / path.name, ran.notebook)
    write_atomically(out / f"{path.stem}.html", html_page(ran.notebook, path.stem, path.parent))
    if ran.failure:
        _show_failure(ran)
        return 1
    console.say(f"{path.name}: {len(ran.steps)} cells in {format_duration(ran.duration_s)}", style="green")
    return 0 if clean else 1


def run_notebook(path: Path, *, solve: bool, timeout_s: float = CELL_TIMEOUT_S) -> tuple[Execution, bool]:
    """Run a notebook in a session of its own and remove what the session made.

    Args:
        path: The notebook.
        solve: Exercises run their reference solution.
        timeout_s: Seconds for one cell.

    Returns:
        The run, and whether nothing is left of its session.
    """
    session = sessions.new_id()
    environment = {
        **places.environment(),
        "JPY_SESSION_NAME": str(path),
        "LAB_SESSION": session,
        "LAB_SOLVE": "1" if solve else os.environ.get("LAB_SOLVE", "0"),
    }
    notebook = source.read(path)
    try:
        with progress(path.name) as on_step:
            ran = execute(notebook, folder=path.parent, environment=environment, timeout_s=timeout_s, on_step=on_step)
    finally:
        clean = _sweep(session)
    return ran, clean


def _sweep(session: str) -> bool:
    """Sweep a session whose kernel is gone, and tell whether nothing is left."""
    report = sweep(session)
    if report.survivors:
        with contextlib.suppress(waiting.WaitTimeoutError):
            waiting.wait_until(lambda: sweep(session).clean, what="the session to be swept", timeout_s=SETTLE_S)
        report = sweeping.Report(report.found, sweep(session).survivors, report.skipped)
    if report.found or not report.clean:
        console.err.print(Text(str(report), style="dim" if report.clean else "red"))
    return report.clean


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[Step], None]]:
    """Show a bar that moves with each cell; where there is no terminal, a line for each cell."""
    if not console.err.is_terminal:
        yield _line
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[cell]}"), console=console.err, transient=True) as bar:
        task = bar.add_task(escape(title), total=None, cell="starting the kernel")

        def on_step(step: Step) -> None:
            done = step.number if step.duration_s is not None else step.number - 1
            bar.update(task, total=step.total, completed=done, cell=escape(step.cell))

        yield on_step


def _line(step: Step) -> None:
    if step.duration_s is not None:
        console.say(f"cell {step.number}/{step.total} {step.cell} ({format_duration(step.duration_s)})")


def _show_failure(ran: Execution) -> None:
    failure = ran.failure
    if failure is None:
        return
    step = failure.step
    console.say(f"\ncell {step.number} of {step.total} ({step.cell}) failed: {failure.kind}", style="bold red")
    for line in step.source.splitlines():
        console.say(f"    {line}")
    console.say(f"{failure.name}: {failure.message}", style="red")


def _in_microvm(path: Path, out: Path, *, solve: bool, timeout_s: float) -> int:
    """Run the same command in the guest, with the share as its folder, and fetch what it wrote."""
    from lab_helpers.cli.microvm import run_in_microvm  # noqa: PLC0415 - only this option needs it

    with tempfile.TemporaryDirectory(prefix="lab-share-") as folder:
        share = Path(folder)
        command = [".venv/bin/python", "-m", "lab_helpers.cli", "run", path.name[:2]]
        command += ["--out", str(share / "out"), f"--timeout={timeout_s:g}", *(["--solve"] if solve else [])]
        result = run_in_microvm(
            command,
            timeout_s=MICROVM_TIMEOUT_S,
            share=share,
            on_line=lambda line: console.say(f"| {line}", style="dim"),
        )
        for suffix in (".ipynb", ".html"):
            made = share / "out" / f"{path.stem}{suffix}"
            if made.exists():
                write_atomically(out / made.name, made.read_text(encoding="utf-8"))
        console.say(f"microVM ({result.accelerator}): {format_duration(result.seconds)}, exit {result.returncode}")
        return 0 if result.returncode == 0 else 1
