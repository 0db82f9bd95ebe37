"""``./lab down``: JupyterLab stopped, its kernels dead, and nothing of theirs left."""

from __future__ import annotations

import click

from lab_helpers.base import sweeping, waiting
from lab_helpers.cli import console, server
from lab_helpers.cli.sweep import describe, sweep_dead
from lab_helpers.cli.up import require_root
from lab_helpers.sweep import living

SETTLE_S = 15.0
"""Seconds in which the watchdogs of the dead kernels, which sweep at the same time, are done as well."""


@click.command()
def down() -> int:
    """Stop the JupyterLab that ./lab up started and remove everything that its notebooks made.

    Notebooks that run elsewhere, such as a ./lab run, keep theirs. Exit status 1 if something survives.
    """
    require_root("./lab down")
    with server.exclusive():
        lab = server.running()
        if lab:
            server.stop(lab)
            console.say("JupyterLab is stopped", style="green")
        else:
            server.forget()
            console.say("JupyterLab does not run")
    return sweep_after()


def sweep_after() -> int:
    """Remove what dead sessions left, print it, and return 1 if something survives."""
    report = sweep_dead()
    if report.survivors:
        try:
            waiting.wait_until(lambda: not sweep_dead().survivors, what="the watchdogs to finish", timeout_s=SETTLE_S)
            report = sweeping.Report(report.found, skipped=report.skipped)
        except waiting.WaitTimeoutError:
            report = sweep_dead()
    console.show_sweep(report)
    for owner in living():
        console.say(f"left alone, it runs: {describe(owner)}")
    return 0 if report.clean else 1
