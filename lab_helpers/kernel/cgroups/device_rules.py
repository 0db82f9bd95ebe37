"""Rules for device files, and the eBPF program that cgroup v2 wants instead of v1's two files.

v1 keeps a default and a list of exceptions: ``echo a > devices.deny`` makes the default "no" and empties the list,
``echo "c 1:3 rw" > devices.allow`` adds an exception. ``DeviceRules`` follows v1's arithmetic, so that both versions
behave alike; ``assemble`` turns the outcome into a program. All of this is pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from lab_helpers.kernel.bpf import Instruction
from lab_helpers.kernel.cgroups.errors import CgroupError

ACCESS = {"m": 1, "r": 2, "w": 4}
"""BPF_DEVCG_ACC_MKNOD, _READ and _WRITE of linux/bpf.h."""

TYPES = {"b": 1, "c": 2}
"""BPF_DEVCG_DEV_BLOCK and _CHAR."""

ALL_ACCESS = "rwm"

_RULE = re.compile(r"^([bc]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$")


@dataclass(frozen=True)
class Device:
    """A device or a family of them, with kinds of access.

    Attributes:
        type: ``c`` (character) or ``b`` (block).
        major: Number of the driver; None: any.
        minor: Number of the device; None: any.
        access: Some of ``r`` (read), ``w`` (write), ``m`` (mknod).
    """

    type: str
    major: int | None
    minor: int | None
    access: str

    def __str__(self) -> str:
        major, minor = ("*" if number is None else str(number) for number in (self.major, self.minor))
        return f"{self.type} {major}:{minor} {self.access}"

    def covers(self, asked_type: str, major: int, minor: int) -> bool:
        """Whether this device, or family, includes that one."""
        return self.type == asked_type and self.major in (None, major) and self.minor in (None, minor)

    def same_device(self, other: Device) -> bool:
        """Whether both name the very same device or family."""
        return (self.type, self.major, self.minor) == (other.type, other.major, other.minor)


def parse_rule(text: str) -> Device:
    """Read a rule as devices.allow takes it and devices.list shows it.

    >>> parse_rule("c 1:3 rwm")
    Device(type='c', major=1, minor=3, access='rwm')

    Raises:
        CgroupError: it is no rule.
    """
    match = _RULE.match(text.strip())
    if not match:
        raise CgroupError(
            f"{text!r} is no device rule",
            reference="bad-device-rule",
            why="a rule is type (c or b), major:minor (numbers or *) and access (some of r, w, m), such as c 1:3 rw",
            next_step="look at the numbers with `ls -l /dev/null`, where 1, 3 stands in place of the size",
        )
    major, minor = (None if number == "*" else int(number) for number in (match[2], match[3]))
    return Device(match[1], major, minor, _normal(match[4]))


def parse_list(text: str) -> DeviceRules:
    """Read v1's devices.list. The line ``a *:* rwm`` means that everything is allowed."""
    lines = text.strip().splitlines()
    if "a *:* rwm" in lines:
        # The kernel shows no exceptions to a default of "yes".
        return DeviceRules(default_allow=True, exceptions=())
    return DeviceRules(default_allow=False, exceptions=tuple(parse_rule(line) for line in lines))


def _normal(access: str) -> str:
    return "".join(letter for letter in ALL_ACCESS if letter in access)


def _bits(access: str) -> int:
    return sum(ACCESS[letter] for letter in set(access))


@dataclass(frozen=True)
class DeviceRules:
    """A default and its exceptions.

    Attributes:
        default_allow: What holds for a device that no exception covers.
        exceptions: Devices for which the other answer holds.
    """

    default_allow: bool = True
    exceptions: tuple[Device, ...] = ()

    def allow(self, device: Device) -> DeviceRules:
        """Allow a device, as ``echo RULE > devices.allow`` does."""
        return self._remove(device) if self.default_allow else self._add(device)

    def deny(self, device: Device) -> DeviceRules:
        """Forbid a device, as ``echo RULE > devices.deny`` does."""
        return self._add(device) if self.default_allow else self._remove(device)

    def _add(self, device: Device) -> DeviceRules:
        for present in self.exceptions:
            if present.same_device(device):
                wider = replace(present, access=_normal(present.access + device.access))
                return replace(self, exceptions=tuple(wider if one == present else one for one in self.exceptions))
        return replace(self, exceptions=(*self.exceptions, device))

    def _remove(self, device: Device) -> DeviceRules:
        left: list[Device] = []
        for present in self.exceptions:
            if present.same_device(device):
                access = "".join(letter for letter in present.access if letter not in device.access)
                if access:
                    left.append(replace(present, access=access))
            else:
                left.append(present)
        return replace(self, exceptions=tuple(left))

    def permits(self, asked_type: str, major: int, minor: int, access: str) -> bool:
        """Decide on one access, as the kernel does with these rules.

        With a default of "no" one exception must cover all of the access; with a default of "yes" any exception that
        touches it forbids it.
        """
        asked = _bits(access)
        for device in self.exceptions:
            if device.covers(asked_type, major, minor):
                granted = _bits(device.access)
                if self.default_allow and asked & granted:
                    return False
                if not self.default_allow and asked & ~granted == 0:
                    return True
        return self.default_allow


# Opcodes of the eBPF instruction set that the program uses.
_LOAD_WORD = 0x61
_MOVE, _MOVE_REGISTER = 0xB7, 0xBF
_AND, _SHIFT_RIGHT = 0x57, 0x77
_JUMP_IF_EQUAL, _JUMP_IF_OTHER, _JUMP_IF_OTHER_REGISTER = 0x15, 0x55, 0x5D
_EXIT = 0x95
_RESULT, _CONTEXT, _TYPE, _ASKED, _MAJOR, _MINOR = range(6)


def assemble(rules: DeviceRules) -> tuple[Instruction, ...]:
    """Write rules as an eBPF program: it returns 1 to allow the access and 0 to refuse it.

    The kernel hands over ``struct bpf_cgroup_dev_ctx``: access_type (device type in the lower 16 bits, access in the
    upper), major, minor.

    Source: linux/bpf.h, struct bpf_cgroup_dev_ctx (Linux 4.15+).
    """
    program = [
        Instruction(_LOAD_WORD, _TYPE, _CONTEXT, 0),
        Instruction(_AND, _TYPE, imm=0xFFFF),
        Instruction(_LOAD_WORD, _ASKED, _CONTEXT, 0),
        Instruction(_SHIFT_RIGHT, _ASKED, imm=16),
        Instruction(_LOAD_WORD, _MAJOR, _CONTEXT, 4),
        Instruction(_LOAD_WORD, _MINOR, _CONTEXT, 8),
    ]
    for device in rules.exceptions:
        program += _block(device, default_allow=rules.default_allow)
    return (*program, Instruction(_MOVE, _RESULT, imm=int(rules.default_allow)), Instruction(_EXIT))


def _block(device: Device, *, default_allow: bool) -> list[Instruction]:
    """One exception: tests that jump behind the block when they fail, then the answer."""
    steps = [Instruction(_JUMP_IF_OTHER, _TYPE, imm=TYPES[device.type])]
    if device.major is not None:
        steps.append(Instruction(_JUMP_IF_OTHER, _MAJOR, imm=device.major))
    if device.minor is not None:
        steps.append(Instruction(_JUMP_IF_OTHER, _MINOR, imm=device.minor))
    # The context is not needed any more, so its register is free for the access that the rule and the request share.
    steps += [Instruction(_MOVE_REGISTER, _CONTEXT, _ASKED), Instruction(_AND, _CONTEXT, imm=_bits(device.access))]
    if default_allow:
        steps.append(Instruction(_JUMP_IF_EQUAL, _CONTEXT, imm=0))
    else:
        steps.append(Instruction(_JUMP_IF_OTHER_REGISTER, _CONTEXT, _ASKED))
    steps += [Instruction(_MOVE, _RESULT, imm=int(not default_allow)), Instruction(_EXIT)]
    jumps = (_JUMP_IF_EQUAL, _JUMP_IF_OTHER, _JUMP_IF_OTHER_REGISTER)
    return [
        replace(step, off=len(steps) - place - 1) if step.opcode in jumps else step for place, step in enumerate(steps)
    ]
