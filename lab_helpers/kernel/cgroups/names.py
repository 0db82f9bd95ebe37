"""The two names of every control, side by side: cgroup v2's file and v1's."""

from __future__ import annotations

import html
from dataclasses import dataclass

from lab_helpers.kernel.cgroups.control_file import Controller
from lab_helpers.kernel.cgroups.cpu import Cpu
from lab_helpers.kernel.cgroups.cpuset import Cpuset
from lab_helpers.kernel.cgroups.devices import Devices
from lab_helpers.kernel.cgroups.freezer import Freezer
from lab_helpers.kernel.cgroups.io import Io
from lab_helpers.kernel.cgroups.memory import Memory
from lab_helpers.kernel.cgroups.net_prio import NetPrio
from lab_helpers.kernel.cgroups.pids import Pids

CONTROLLERS: tuple[type[Controller], ...] = (Memory, Cpu, Io, Pids, Cpuset, Freezer, Devices, NetPrio)
"""The talk's eight."""

NONE = "—"


@dataclass(frozen=True)
class Row:
    """One control.

    Attributes:
        controller: Today's name, such as ``io``.
        v2: File in cgroup v2; "—" if it has none.
        v1: File in cgroup v1; "—" if it has none.
        meaning: One line.
        since: Linux version that brought the v2 file; "" if it has none.
    """

    controller: str
    v2: str
    v1: str
    meaning: str
    since: str


@dataclass(frozen=True)
class NameTable:
    """Rows that a notebook draws as a table."""

    rows: tuple[Row, ...]

    def _repr_html_(self) -> str:
        head = "<tr><th>controller</th><th>cgroup v2</th><th>cgroup v1</th><th>meaning</th><th>v2 since Linux</th></tr>"
        body = "".join(
            f"<tr><td>{row.controller}</td><td><code>{row.v2}</code></td><td><code>{row.v1}</code></td>"
            f"<td style='text-align:left'>{html.escape(row.meaning)}</td><td>{row.since}</td></tr>"
            for row in self.rows
        )
        return f"<table>{head}{body}</table>"

    def __repr__(self) -> str:
        lines = [("controller", "cgroup v2", "cgroup v1", "meaning")]
        lines += [(row.controller, row.v2, row.v1, row.meaning) for row in self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(3)]
        return "\n".join(
            "  ".join([*(word.ljust(width) for word, width in zip(line, widths, strict=False)), line[3]])
            for line in lines
        )


def table(controller: str | None = None) -> NameTable:
    """Return the controls of one controller, or of all eight, with both names.

    Args:
        controller: Today's name, such as ``memory``; None: all.

    Raises:
        KeyError: there is no such controller.
    """
    known = {kind.name: kind for kind in CONTROLLERS}
    chosen = CONTROLLERS if controller is None else (known[controller],)
    return NameTable(
        tuple(
            Row(kind.name, control.v2 or NONE, control.v1 or NONE, control.meaning, control.since)
            for kind in chosen
            for control in kind.files
        )
    )
