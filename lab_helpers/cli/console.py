"""How the command line speaks: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from lab_helpers.base import preflight, sweeping
from lab_helpers.base.errors import LabError

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

STATE_STYLES: dict[preflight.State, str] = {"ok": "green", "warning": "yellow", "blocking": "bold red"}


def show_error(error: LabError) -> None:
    """Print an error's lines: what, why, next."""
    first, *others = str(error).splitlines()
    reference, colon, message = first.partition(":")
    err.print(Text.assemble((reference + colon, "bold red"), message))
    for line in others:
        word, colon, rest = line.partition(":")
        if word in ("why", "next", "more") and colon:
            err.print(Text.assemble((word + colon, "bold green" if word == "next" else "bold"), rest))
        else:
            err.print(Text(line))


def say(text: str, style: str = "") -> None:
    """Print one line of progress, to standard error."""
    err.print(Text(text, style=style))


def print_json(data: Any) -> None:  # noqa: ANN401 - any JSON
    """Print JSON and nothing else to standard output."""
    click.echo(json.dumps(data, indent=2, sort_keys=True))


def error_json(error: LabError) -> dict[str, Any]:
    """Return an error as data, for ``--json``."""
    return {
        "error": {
            "reference": error.reference,
            "message": error.message,
            "why": error.why,
            "next_step": error.next_step,
        }
    }


def show_sweep(report: sweeping.Report) -> None:
    """Print what a sweep did, survivors in red."""
    for line in str(report).splitlines():
        bad = line.startswith(("still there", "could not"))
        out.print(Text(line, style="red" if bad else ""))


def sweep_json(report: sweeping.Report) -> dict[str, Any]:
    """Return a sweep's report as data."""

    def item(one: sweeping.Item) -> dict[str, str]:
        return {"kind": one.kind, "name": one.name, "session": one.session}

    return {
        "dry_run": report.dry_run,
        "clean": report.clean,
        "found": [item(one) for one in report.found],
        "survivors": [{**item(one), "why": why} for one, why in report.survivors.items()],
        "skipped": dict(report.skipped),
    }
