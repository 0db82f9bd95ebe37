"""The preflight: what this machine is, all findings at once, each with the one command that fixes it.

Rooms bring probes of their own (the kernel's controllers, the Docker engine); ``lab_helpers.machine`` joins them.
"""

from __future__ import annotations

import html
import os
import platform
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import psutil

from lab_helpers.base import settings
from lab_helpers.base.errors import LabError
from lab_helpers.base.html import PLAIN
from lab_helpers.base.units import GIB, format_bytes

State = Literal["ok", "warning", "blocking"]
SYMBOLS: dict[State, str] = {"ok": "✓", "warning": "!", "blocking": "✗"}
COLOURS: dict[State, str] = {"ok": "#2e7d32", "warning": "#b26a00", "blocking": "#c62828"}
ALL_NOTEBOOKS = "all"


class RootRequiredError(LabError):
    """The kernel asks for root."""


@dataclass(frozen=True)
class Finding:
    """One fact about the machine.

    Attributes:
        name: What was looked at.
        state: ok, warning (works, with a difference) or blocking.
        observed: What is there.
        why: Why it matters.
        notebooks: Which notebooks it matters to: ``all``, or numbers such as ``01, 05``.
        fix: One command that mends it; "" when nothing is to mend.
    """

    name: str
    state: State
    observed: str
    why: str
    notebooks: str = ALL_NOTEBOOKS
    fix: str = ""


Probe = Callable[[], Finding]


@dataclass(frozen=True)
class Report:
    """All findings; shows itself as a table in a notebook and as lines in a terminal."""

    findings: tuple[Finding, ...]

    @property
    def state(self) -> State:
        """The worst state among the findings."""
        states = [finding.state for finding in self.findings]
        return "blocking" if "blocking" in states else "warning" if "warning" in states else "ok"

    def as_json(self) -> dict[str, object]:
        """Return plain data for ``--json``."""
        return {"state": self.state, "findings": [asdict(finding) for finding in self.findings]}

    def __str__(self) -> str:
        lines = []
        for finding in self.findings:
            lines.append(f"{SYMBOLS[finding.state]} {finding.name}: {finding.observed}")
            if finding.state != "ok":
                lines += [f"    why:  {finding.why} (notebooks: {finding.notebooks})", f"    fix:  {finding.fix}"]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        worries = [finding for finding in self.findings if finding.state != "ok"]
        fine = [finding for finding in self.findings if finding.state == "ok"]
        shown = _table(worries) if worries else "<p><b>Nothing needs attention.</b></p>"
        folded = (
            f"<details><summary>{len(fine)} more findings, all ok</summary>{_table(fine)}</details>" if fine else ""
        )
        return f'<div role="status" {PLAIN}>{shown}{folded}</div>'


def _table(findings: Iterable[Finding]) -> str:
    left = "style='text-align:left;vertical-align:top'"
    rows = []
    for finding in findings:
        fix = f"<br>fix: <code>{html.escape(finding.fix)}</code>" if finding.fix else ""
        rows.append(
            f'<tr><td style="color:{COLOURS[finding.state]};white-space:nowrap;vertical-align:top">'
            f"<b>{SYMBOLS[finding.state]} {finding.state}</b></td><td {left}><b>{html.escape(finding.name)}</b></td>"
            f"<td {left}>{html.escape(finding.observed)}{fix}</td><td {left}>{html.escape(finding.why)}</td>"
            f"<td {left}>{html.escape(finding.notebooks)}</td></tr>"
        )
    names = ("state", "what", "here", "why it matters", "notebooks")
    head = "".join(f"<th {left}>{name}</th>" for name in names)
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def check(probes: Iterable[Probe]) -> Report:
    """Run every probe; one that fails becomes a finding, so that all findings come at once."""
    findings = []
    for probe in probes:
        try:
            findings.append(probe())
        except (LabError, OSError) as error:
            name = probe.__name__.replace("_", " ").strip()
            findings.append(Finding(name, "warning", f"could not look: {error}", "unknown until it can be read"))
    return Report(tuple(findings))


def machine() -> Finding:
    """Look at the architecture: x86-64 and arm64 are supported."""
    name = platform.machine()
    supported = name in ("x86_64", "aarch64")
    return Finding(
        "architecture",
        "ok" if supported else "warning",
        name,
        "base images are built for this architecture; x86-64 and arm64 are tried",
        fix="" if supported else "use the Vagrant VM on an x86-64 or arm64 machine: vagrant up",
    )


def kernel(release: str | None = None) -> Finding:
    """Look at the kernel's version. cgroup.kill came with 5.14, memory.peak with 5.19."""
    release = release or platform.release()
    match = re.match(r"(\d+)\.(\d+)", release)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    state: State = "ok" if version >= (5, 14) else "warning" if version >= (5, 4) else "blocking"
    return Finding(
        "kernel",
        state,
        f"Linux {release}",
        "below 5.14 some cgroup files are missing, below 5.4 the labs do not run",
        notebooks=ALL_NOTEBOOKS if state == "blocking" else "01, 05",
        fix="" if state == "ok" else "run the labs in the Vagrant VM: vagrant up",
    )


def python() -> Finding:
    """Look at the Python version."""
    enough = sys.version_info >= (3, 11)
    return Finding(
        "python",
        "ok" if enough else "blocking",
        platform.python_version(),
        "the library needs 3.11",
        fix="" if enough else "environment/provision.sh",
    )


def root() -> Finding:
    """Look whether this is root."""
    is_root = os.geteuid() == 0
    return Finding(
        "root",
        "ok" if is_root else "warning",
        "root" if is_root else f"user id {os.geteuid()}; `./lab up` will ask for root by sudo",
        "making cgroups, namespaces and mounts needs root",
        fix="" if is_root else "sudo ./lab up",
    )


CAPABILITIES = {
    21: ("CAP_SYS_ADMIN", "blocking", "mounts and namespaces", ALL_NOTEBOOKS),
    12: ("CAP_NET_ADMIN", "blocking", "interfaces, bridges and packet filters", ALL_NOTEBOOKS),
    24: (
        "CAP_SYS_RESOURCE",
        "warning",
        "docker run --privileged asks for it; nodes use an explicit list instead",
        "05, 09, 12",
    ),
}


def capabilities(status: str | None = None) -> Finding:
    """Look at the effective capabilities in /proc/self/status (CapEff); without root, at the bounding set."""
    text = status if status is not None else Path("/proc/self/status").read_text(encoding="utf-8")
    field = "CapEff" if os.geteuid() == 0 or status is not None else "CapBnd"
    match = re.search(rf"^{field}:\s*([0-9a-f]+)", text, re.MULTILINE)
    mask = int(match[1], 16) if match else 0
    missing = [entry for bit, entry in CAPABILITIES.items() if not mask >> bit & 1]
    if not missing:
        return Finding("capabilities", "ok", "all that the labs need", "the kernel checks them at each act")
    return Finding(
        "capabilities",
        "blocking" if any(entry[1] == "blocking" for entry in missing) else "warning",
        "missing: " + ", ".join(entry[0] for entry in missing),
        "; ".join(f"{entry[0]}: {entry[2]}" for entry in missing),
        notebooks=missing[0][3],
        fix="run the labs in a virtual machine rather than in a container: vagrant up",
    )


def memory(total_bytes: int | None = None) -> Finding:
    """Look at the memory: the labs fit 4 GiB."""
    total = total_bytes or psutil.virtual_memory().total
    enough = total >= 3.5 * GIB
    return Finding(
        "memory",
        "ok" if enough else "warning",
        format_bytes(total),
        "4 GiB hold JupyterLab, the engine and the labs' containers; clusters want 8",
        notebooks="12 to 17" if not enough else ALL_NOTEBOOKS,
        fix="" if enough else "LAB_VM_MEMORY=4096 vagrant reload",
    )


NEEDED_DISK_BYTES = 3 * GIB


def disk(free_bytes: int | None = None) -> Finding:
    """Look at the free space under LAB_HOME."""
    place = settings.home()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free if free_bytes is None else free_bytes
    state: State = "ok" if free >= NEEDED_DISK_BYTES else "blocking" if free < GIB // 2 else "warning"
    return Finding(
        "disk",
        state,
        f"{format_bytes(free)} free at {place}",
        f"images, scratch disks and logs want {format_bytes(NEEDED_DISK_BYTES)}; LAB_HOME names the disk",
        fix="" if state == "ok" else "LAB_HOME=/a/larger/disk ./lab up",
    )


def port(number: int = 8888) -> Finding:
    """Look whether JupyterLab's port is free on loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
            free = True
        except OSError:
            free = False
    return Finding(
        "port",
        "ok" if free else "warning",
        f"127.0.0.1:{number} is {'free' if free else 'in use (by the lab itself, if it is up)'}",
        "JupyterLab listens there",
        notebooks="all",
        fix="" if free else f"./lab up --port {number + 1}",
    )


def proxies(environment: Sequence[str] | None = None) -> Finding:
    """Look for proxy variables: requests to the lab's own addresses must not go to a proxy."""
    names = environment if environment is not None else list(os.environ)
    found = sorted({name for name in names if name.lower() in ("http_proxy", "https_proxy", "all_proxy")})
    exempt = any(name.lower() == "no_proxy" for name in names)
    risky = bool(found) and not exempt
    return Finding(
        "proxies",
        "warning" if risky else "ok",
        ", ".join(found) + (" with no_proxy" if exempt else " without no_proxy") if found else "none",
        "calls to 127.0.0.1 and to containers must not go through a proxy",
        fix="export no_proxy=localhost,127.0.0.0/8,172.16.0.0/12" if risky else "",
    )


PROBES: tuple[Probe, ...] = (machine, kernel, python, root, capabilities, memory, disk, port, proxies)
