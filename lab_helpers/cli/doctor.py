"""``./lab doctor``: all that matters about this machine, at once."""

from __future__ import annotations

import click
from rich.text import Text

from lab_helpers.base import preflight
from lab_helpers.cli import console
from lab_helpers.machine import doctor as look


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print data for programs instead of lines for people.")
def doctor(*, as_json: bool) -> int:
    """Look at this machine: all findings at once, each with why it matters, to which notebooks, and its fix.

    Exit status 1 if something blocks the labs.
    """
    report = look()
    if as_json:
        console.print_json(report.as_json())
    else:
        _show(report)
    return 1 if report.state == "blocking" else 0


def _show(report: preflight.Report) -> None:
    width = max(len(finding.name) for finding in report.findings)
    for finding in report.findings:
        mark = (f"{preflight.SYMBOLS[finding.state]} ", console.STATE_STYLES[finding.state])
        console.out.print(Text.assemble(mark, (finding.name.ljust(width), "bold"), f"  {finding.observed}"))
        if finding.state != "ok":
            indent = " " * (width + 4)
            console.out.print(Text(f"{indent}why: {finding.why} (notebooks: {finding.notebooks})", style="dim"))
            if finding.fix:
                console.out.print(Text.assemble(f"{indent}fix: ", (finding.fix, "bold")))
    verdicts = {
        "ok": "this machine has all that the labs need",
        "warning": "the labs run here; the lines marked ! say what differs",
        "blocking": "the labs do not run here yet: do what the lines marked ✗ say",
    }
    console.out.print(Text(verdicts[report.state], style=console.STATE_STYLES[report.state]))
