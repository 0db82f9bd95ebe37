"""Devices: which device files the processes of a cgroup may read, write and make.

v1 has files. v2 has none: a small eBPF program, attached to the cgroup, answers each time (Linux 4.15+). The kit writes
that program as runc does for every container.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lab_helpers.base import transcript
from lab_helpers.kernel import bpf
from lab_helpers.kernel.cgroups import device_rules
from lab_helpers.kernel.cgroups.control_file import ControlFile, Controller
from lab_helpers.kernel.cgroups.device_rules import DeviceRules, parse_rule
from lab_helpers.kernel.cgroups.errors import no_such_cgroup

ALLOW = ControlFile("", "devices.allow", "allow a device: c 1:3 rwm (v2: an eBPF program of type cgroup_device)", "")
DENY = ControlFile("", "devices.deny", "forbid a device; a forbids all (v2: an eBPF program of type cgroup_device)", "")
LIST = ControlFile("", "devices.list", "what is allowed (v2: no file; bpftool cgroup show DIRECTORY)", "")


@dataclass(frozen=True)
class DevicesFigures:
    """Which devices may be used.

    Attributes:
        mechanism: ``devices.list`` on v1, ``eBPF cgroup_device`` on v2.
        rules: The default and its exceptions; None on v2 for a cgroup whose program another process wrote.
        programs: Number of eBPF programs attached to this cgroup itself; None on v1.
    """

    mechanism: str
    rules: DeviceRules | None
    programs: int | None


class ProgramGate:
    """The device program of one v2 folder: its rules are written down as a program and attached."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rules = DeviceRules()
        self._attached: int | None = None

    def apply(self, rules: DeviceRules) -> None:
        """Replace the program by one with these rules.

        The new one is attached before the old one goes: at no moment is more allowed than one of the two allows.

        Raises:
            BpfError: the kernel refused.
        """
        before = set(bpf.attached_devices(self.folder))
        program = bpf.load_cgroup_device(device_rules.assemble(rules))
        try:
            bpf.attach_device(self.folder, program)
        finally:
            os.close(program)
        for line in _spoken(rules):
            transcript.note("write", f"# eBPF program for {self.folder}: {line}")
        new = set(bpf.attached_devices(self.folder)) - before
        if self._attached is not None:
            self._detach(self._attached)
        self._attached = next(iter(new), None)
        self.rules = rules

    def _detach(self, program_id: int) -> None:
        program = bpf.open_program(program_id)
        try:
            bpf.detach_device(self.folder, program)
        finally:
            os.close(program)

    @property
    def wrote(self) -> bool:
        """A program of ours is attached, so that ``rules`` say what it does."""
        return self._attached is not None

    def count(self) -> int:
        """Return how many device programs are attached to the folder itself."""
        return len(bpf.attached_devices(self.folder))


_gates: dict[tuple[Path, int], ProgramGate] = {}
"""The gates of this process, by folder and inode: a folder made anew has none."""


def gate_of(folder: Path) -> ProgramGate:
    """Return the gate of a v2 folder; the same one each time, so that rules add up."""
    return _gates.setdefault((folder, folder.stat().st_ino), ProgramGate(folder))


def _spoken(rules: DeviceRules) -> list[str]:
    default, other = ("allow", "deny") if rules.default_allow else ("deny", "allow")
    return [f"{default} all", *(f"{other} {device}" for device in rules.exceptions)]


class Devices(Controller):
    """The device controller of one cgroup.

    v2: no files, an eBPF program. v1: devices.allow, devices.deny, devices.list.

    A program belongs to its cgroup and goes with it. Programs of a cgroup and of those above it must all say yes.
    """

    name = "devices"
    files = (ALLOW, DENY, LIST)

    @property
    def gate(self) -> ProgramGate:
        """The eBPF program of the cgroup's v2 folder, which a hybrid machine has too."""
        folder = self.cgroup.unified or self.cgroup.directory()
        try:
            return gate_of(folder)
        except FileNotFoundError as error:
            raise no_such_cgroup(self.cgroup.name, folder) from error

    def deny_all(self) -> None:
        """Forbid every device; then allow what is needed.

        Raises:
            ControllerMissingError: v1 without a devices hierarchy.
            BpfError: v2: the kernel refused the program.

        Equivalent: echo a > devices.deny    (v2: an eBPF program that returns 0)
        Source: kernel guide "Device Whitelist Controller" (v1); BPF_PROG_TYPE_CGROUP_DEVICE (v2, Linux 4.15+).
        """
        if self.cgroup.version == 1:
            self.write_text(DENY, "a")
        else:
            self.gate.apply(DeviceRules(default_allow=False))

    def allow_all(self) -> None:
        """Forget all rules: every device that the cgroups above allow is allowed.

        Equivalent: echo a > devices.allow    (v2: an eBPF program that returns 1)
        """
        if self.cgroup.version == 1:
            self.write_text(ALLOW, "a")
        else:
            self.gate.apply(DeviceRules())

    def allow(self, rule: str) -> None:
        """Allow a device.

        Args:
            rule: Type, major:minor and access, such as ``c 1:3 rw``; ``*`` is any number.

        Raises:
            CgroupError: it is no rule.
            KernelFileError: v1: EPERM: a cgroup above does not allow it.
            BpfError: v2: the kernel refused the program.

        Equivalent: echo "c 1:3 rw" > devices.allow    (v2: an eBPF program)
        """
        device = parse_rule(rule)
        if self.cgroup.version == 1:
            self.write_text(ALLOW, str(device))
        else:
            self.gate.apply(self.gate.rules.allow(device))

    def deny(self, rule: str) -> None:
        """Forbid a device.

        Args:
            rule: Type, major:minor and access, such as ``c 1:3 w``; ``*`` is any number.

        Raises:
            CgroupError: it is no rule.
            BpfError: v2: the kernel refused the program.

        Equivalent: echo "c 1:3 w" > devices.deny    (v2: an eBPF program)
        """
        device = parse_rule(rule)
        if self.cgroup.version == 1:
            self.write_text(DENY, str(device))
        else:
            self.gate.apply(self.gate.rules.deny(device))

    def read(self) -> DevicesFigures:
        """Return which devices may be used.

        Equivalent: cat devices.list    (v2: bpftool cgroup show DIRECTORY)
        """
        if self.cgroup.version == 1:
            return DevicesFigures("devices.list", device_rules.parse_list(self.read_text(LIST)), None)
        gate = self.gate
        count = gate.count()
        return DevicesFigures("eBPF cgroup_device", gate.rules if gate.wrote or not count else None, count)
