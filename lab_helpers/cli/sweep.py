"""``./lab sweep``: remove exactly what carries the kit's label, and name what survives."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from rich.text import Text

from lab_helpers.base import session as sessions
from lab_helpers.base import sweeping
from lab_helpers.base.errors import LabError
from lab_helpers.cli import console
from lab_helpers.sweep import living
from lab_helpers.sweep import sweep as remove


class SessionsAliveError(LabError):
    """Notebooks run whose things a sweep would take away."""


def describe(owner: sessions.Owner) -> str:
    """Return one line about a living session: ``session ab12cd: notebook 01, process 4711``."""
    notebook = f"notebook {owner.notebook}, " if owner.notebook else ""
    return f"session {owner.session}: {notebook}process {owner.pid}"


def sweep_dead() -> sweeping.Report:
    """Remove what no living session owns.

    A notebook that runs elsewhere (another terminal's ``./lab run``) keeps its own.
    """
    seen = remove(dry_run=True)
    alive = {owner.session for owner in living()}
    dead = sorted({item.session for item in seen.found} - alive)
    return joined([remove(session) for session in dead], skipped=seen.skipped)


def joined(reports: Sequence[sweeping.Report], skipped: dict[str, str]) -> sweeping.Report:
    """Return several sessions' reports as one."""
    survivors: dict[sweeping.Item, str] = {}
    missed = dict(skipped)
    for report in reports:
        survivors |= report.survivors
        missed |= report.skipped
    return sweeping.Report(tuple(item for report in reports for item in report.found), survivors, missed)


def _alive_error(alive: Sequence[sessions.Owner]) -> SessionsAliveError:
    return SessionsAliveError(
        "nothing was removed: " + "; ".join(describe(owner) for owner in alive),
        reference="sessions-alive",
        why="a sweep would remove their containers and cgroups while they use them",
        next_step="./lab down, which stops the notebooks first; or ./lab sweep --force",
    )


@click.command()
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="Print data for programs instead of lines for people.")
@click.option("--force", is_flag=True, help="Do not ask, even if notebooks run that still use these things.")
def sweep(*, dry_run: bool, as_json: bool, force: bool) -> int:
    """Remove every container, network, cgroup, namespace, mount, process and file that carries the kit's label.

    Nothing else is touched. Safe to run twice. Exit status 1 if something survives.
    """
    try:
        if not dry_run:
            _ask(force=force, interactive=not as_json and sys.stdin.isatty())
        report = remove(dry_run=dry_run)
    except LabError as error:
        if not as_json:
            raise
        console.print_json(console.error_json(error))
        return 1
    if as_json:
        console.print_json(console.sweep_json(report))
    else:
        console.show_sweep(report)
    return 0 if report.clean else 1


def _ask(*, force: bool, interactive: bool) -> None:
    alive = living()
    if force or not alive:
        return
    if not interactive:
        raise _alive_error(alive)
    console.err.print(Text("These run now, and use what a sweep removes:", style="bold yellow"))
    for owner in alive:
        console.say(f"  {describe(owner)}")
    if not click.confirm("Remove their things as well?", default=False, err=True):
        raise _alive_error(alive)
