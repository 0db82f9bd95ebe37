"""``./lab bench``: the figures that the kit promises, measured on this machine and printed beside their targets."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from lab_helpers.base import session, settings
from lab_helpers.base.errors import LabError
from lab_helpers.base.preflight import RootRequiredError
from lab_helpers.sweep import sweep

NAMES = ("import", "containers", "figures", "gauge", "first-container", "up")


class BenchError(LabError):
    """The measurements are not there."""


def load_figures() -> ModuleType:
    """Load tests/bench/figures.py: what is measured belongs to the tests, not to what labs import.

    Raises:
        BenchError: this checkout has no tests.
    """
    path = settings.PROJECT / "tests" / "bench" / "figures.py"
    spec = importlib.util.spec_from_file_location("lab_bench_figures", path)
    if not path.exists() or spec is None or spec.loader is None:
        raise BenchError(
            f"{path} is not there",
            reference="bench-missing",
            why="the benchmark is part of the tests, and this copy of the project has none",
            next_step="run it in a checkout of the whole project",
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def measure(names: Sequence[str], scale: float, console: Console) -> list[Any]:
    """Measure the figures named, and leave nothing behind.

    Returns:
        ``Figure`` of tests/bench/figures.py, in order.
    """
    module = load_figures()
    os.environ.pop(settings.LABEL_VARIABLE, None)
    os.environ.pop("LAB_SESSION", None)
    ours = session.current()
    found = []
    try:
        with tempfile.TemporaryDirectory(prefix="lab-bench-") as home:
            for name, figure in module.measures(scale, Path(home)):
                if name in names:
                    console.print(f"measuring {name} ...", style="dim")
                    found.append(figure())
    finally:
        sweep(ours.id)
    return found


def table(figures: Sequence[Any]) -> Table:
    """Return the figures side by side with what they are compared with and with their targets."""
    shown = Table(title="medians on this machine")
    for heading in ("figure", "ours", "beside it", "ratio", "target", ""):
        shown.add_column(heading, justify="left" if heading in ("figure", "beside it") else "right")
    for figure in figures:
        beside = f"{figure.reference:.3g} {figure.unit} {figure.beside}" if figure.reference is not None else ""
        shown.add_row(
            f"{figure.name} ({figure.runs} runs)",
            f"{figure.ours:.3g} {figure.unit}",
            beside,
            f"{figure.ours / figure.reference:.3g}" if figure.reference else "",
            f"<= {figure.target:g} {'x' if figure.relative else figure.unit}",
            "[green]kept[/]" if figure.kept else "[red]missed[/]",
        )
    return shown


@click.command()
@click.argument("figures", nargs=-1, metavar="[FIGURE]...", type=click.Choice(NAMES))
@click.option("--scale", type=float, default=1.0, show_default=True, help="Factor on the number of runs.")
def bench(figures: tuple[str, ...], scale: float) -> int:
    """Measure the promised figures and print them beside their targets; exit status 1 if one is missed.

    FIGURE is one of: import, containers, figures, gauge, first-container, up. A busy machine shows in them.
    """
    if os.geteuid() != 0:
        raise RootRequiredError(
            "the benchmark needs root",
            reference="root-required",
            why="it makes containers and starts JupyterLab as the labs do",
            next_step="sudo ./lab bench",
        )
    console = Console()
    found = measure(figures or NAMES, scale, console)
    console.print(table(found))
    return 0 if all(figure.kept for figure in found) else 1
