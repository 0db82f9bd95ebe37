"""A notebook's first and last cell: begin with a clean session, end with nothing left."""

from __future__ import annotations

import html
from dataclasses import dataclass

from lab_helpers.base import preflight, session, settings, sweeping
from lab_helpers.base.errors import LabError
from lab_helpers.base.html import PLAIN
from lab_helpers.kernel import cgroups
from lab_helpers.machine import doctor
from lab_helpers.sweep import KINDS


class NotReadyError(LabError):
    """The machine lacks something without which the notebook cannot run."""


class LeftoversError(LabError):
    """Something of this session could not be removed."""


@dataclass(frozen=True)
class Lesson:
    """What the first cell shows.

    Attributes:
        notebook: Its number.
        session: The session id, part of every name made here.
        label: The label of everything made here.
        cgroup_version: 1 or 2.
        machine: The preflight's report.
    """

    notebook: str
    session: str
    label: str
    cgroup_version: int
    machine: preflight.Report

    def __repr__(self) -> str:
        worries = [finding for finding in self.machine.findings if finding.state != "ok"]
        lines = [
            f"notebook {self.notebook} is ready",
            f"session:  {self.session}  (label {self.label})",
            f"terminal: export LAB_SESSION={self.session} LAB_LABEL={self.label}",
            f"target:   {settings.target()}",
            f"cgroups:  version {self.cgroup_version}",
        ]
        lines += [f"{preflight.SYMBOLS[worry.state]} {worry.name}: {worry.observed}" for worry in worries]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td style='text-align:left'><b>{name}</b></td><td style='text-align:left'>{value}</td></tr>"
            for name, value in (
                ("session", f"<code>{self.session}</code>: everything made here carries <code>{self.label}</code>"),
                ("in a terminal", f"<code>export LAB_SESSION={self.session} LAB_LABEL={self.label}</code> first"),
                ("target", settings.target()),
                ("cgroups", f"version {self.cgroup_version}"),
                *(
                    (
                        f"{preflight.SYMBOLS[finding.state]} {html.escape(finding.name)}",
                        f"{html.escape(finding.observed)} ({html.escape(finding.why)})",
                    )
                    for finding in self.machine.findings
                    if finding.state != "ok" and finding.name != "port"
                ),
            )
        )
        head = f"<b>✓ Set-up complete: notebook {self.notebook} is ready</b>"
        return f"<div role='status' {PLAIN}>{head}<table>{rows}</table></div>"


def start(notebook: str) -> Lesson:
    """Begin a notebook: look at the machine, and remove what an earlier run in this kernel left.

    Args:
        notebook: Its number, ``01``.

    Returns:
        The lesson; its display is the "set-up complete" line.

    Raises:
        NotReadyError: something is missing without which the notebook cannot run; the message has the fix.
    """
    report = doctor()
    blocking = [finding for finding in report.findings if finding.state == "blocking"]
    if blocking:
        raise NotReadyError(
            "; ".join(f"{finding.name}: {finding.observed}" for finding in blocking),
            reference="machine-not-ready",
            why="; ".join(finding.why for finding in blocking),
            next_step="; ".join(f"`{finding.fix}`" for finding in blocking if finding.fix) + ", then this cell again",
        )
    ours = session.current()
    ours.notebook = notebook
    _sweep_own()
    cgroups.export_paths()
    return Lesson(notebook, ours.id, ours.label, cgroups.version(), report)


def _sweep_own() -> sweeping.Report:
    report = sweeping.sweep(KINDS, session.current().id)
    if not report.clean:
        raise LeftoversError(
            f"not everything of session {session.current().id} is gone",
            reference="leftovers",
            why=str(report),
            next_step="close what uses them, then run this cell again or `./lab sweep`",
        )
    return report


@dataclass(frozen=True)
class Goodbye:
    """What the last cell shows: what was removed, and that a second look found nothing."""

    report: sweeping.Report
    left: int

    def __repr__(self) -> str:
        counts: dict[str, int] = {}
        for item in self.report.found:
            counts[item.kind] = counts.get(item.kind, 0) + 1
        removed = ", ".join(_plural(count, kind) for kind, count in sorted(counts.items()))
        return f"removed: {removed or 'there was nothing to remove'}\nleft with this session's label: {self.left}"


def _plural(count: int, kind: str) -> str:
    if count == 1:
        return f"1 {kind}"
    irregular = {"directory": "directories", "process": "processes"}
    return f"{count} {irregular.get(kind, kind + 's')}"


def stop() -> Goodbye:
    """End a notebook: remove everything that carries this session's label, and look again.

    Raises:
        LeftoversError: something could not be removed; the message names it.

    Equivalent: ./lab sweep
    """
    report = _sweep_own()
    again = sweeping.sweep(KINDS, session.current().id, dry_run=True)
    return Goodbye(report, len(again.found))
