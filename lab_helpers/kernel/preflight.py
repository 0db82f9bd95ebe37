"""What the preflight asks the kernel: cgroup version and controllers, pressure, loop devices, address ranges."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path

from lab_helpers.base import commands
from lab_helpers.base.preflight import Finding, Probe
from lab_helpers.kernel.cgroups import hierarchy

TALK_RANGE = ipaddress.ip_network("172.31.0.0/16")
"""The talk's VPC; another /16 is taken where this one is in use."""

_EXPECTED_V2 = ("cpu", "cpuset", "io", "memory", "pids")
_EXPECTED_V1 = ("blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids")


def cgroup_version() -> Finding:
    """Look which cgroup version holds the controllers."""
    trees = hierarchy.read()
    if trees.version == 2:
        return Finding("cgroups", "ok", "version 2, one tree at /sys/fs/cgroup", "limits are files in it", "all")
    return Finding(
        "cgroups",
        "warning",
        "version 1, one tree per controller" + (", with an empty version 2 beside it" if trees.hybrid else ""),
        "the labs are written for version 2 and show version 1's files here; Kubernetes 1.35 and later refuses it",
        notebooks="01, 05, 12",
        fix="boot with systemd.unified_cgroup_hierarchy=1, or use the Vagrant VM: vagrant up",
    )


def controllers() -> Finding:
    """Look whether every controller of notebook 01 is there."""
    trees = hierarchy.read()
    expected = _EXPECTED_V2 if trees.version == 2 else _EXPECTED_V1
    missing = [name for name in expected if name not in trees.by_controller]
    return Finding(
        "controllers",
        "warning" if missing else "ok",
        f"missing: {', '.join(missing)}" if missing else ", ".join(expected),
        "they carry the eight subsystems of the talk",
        notebooks="01",
        fix="" if not missing else "cat /proc/cgroups; boot without cgroup_disable=, or use the Vagrant VM: vagrant up",
    )


def pressure() -> Finding:
    """Look for pressure stall information (PSI, Linux 4.20+)."""
    there = Path("/proc/pressure/memory").exists()
    return Finding(
        "pressure",
        "ok" if there else "warning",
        "/proc/pressure is there" if there else "/proc/pressure is missing",
        "the gauge shows how long work waited for memory, CPU and disk",
        notebooks="01",
        fix="" if there else "add psi=1 to the kernel's command line and reboot",
    )


def loop_devices() -> Finding:
    """Look for loop devices: the scratch disk of notebook 01 is one."""
    there = Path("/dev/loop-control").exists()
    return Finding(
        "loop devices",
        "ok" if there else "warning",
        "/dev/loop-control is there" if there else "/dev/loop-control is missing",
        "block I/O limits are measured on a scratch disk, never on yours",
        notebooks="01, 04",
        fix="" if there else "modprobe loop",
    )


def parse_routes(text: str) -> list[ipaddress.IPv4Network]:
    """Read the destinations that ``ip -4 route`` prints, without the default route."""
    found = []
    for line in text.splitlines():
        destination = line.split()[0] if line.split() else ""
        if destination and destination[0].isdigit():
            found.append(ipaddress.ip_network(destination, strict=False))
    return [network for network in found if isinstance(network, ipaddress.IPv4Network)]


def address_ranges(routes: Sequence[ipaddress.IPv4Network] | None = None) -> Finding:
    """Look whether the talk's 172.31.0.0/16 is free on this machine."""
    if routes is None:
        routes = parse_routes(commands.run(["ip", "-4", "route", "show", "table", "main"], quiet=True).stdout)
    taken = [str(network) for network in routes if network.overlaps(TALK_RANGE)]
    return Finding(
        "address ranges",
        "warning" if taken else "ok",
        f"{TALK_RANGE} is in use by the route {', '.join(taken)}" if taken else f"{TALK_RANGE} is free",
        "it is the talk's VPC; where it is in use the labs take another /16 and print which",
        notebooks="07 to 17",
        fix="ip -4 route show; nothing needs to be changed" if taken else "",
    )


PROBES: tuple[Probe, ...] = (cgroup_version, controllers, pressure, loop_devices, address_ranges)
