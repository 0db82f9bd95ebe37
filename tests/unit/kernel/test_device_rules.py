"""Device rules: v1's arithmetic, and the eBPF program that must decide the same."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab_helpers.kernel.bpf import Instruction
from lab_helpers.kernel.cgroups.device_rules import (
    ACCESS,
    TYPES,
    Device,
    DeviceRules,
    assemble,
    parse_list,
    parse_rule,
)
from lab_helpers.kernel.cgroups.errors import CgroupError

NOTHING = DeviceRules(default_allow=False)


def execute(program: tuple[Instruction, ...], kind: str, major: int, minor: int, access: str) -> int:
    """Run a program as the kernel would: an interpreter of the few opcodes it may hold."""
    asked = sum(ACCESS[letter] for letter in access)
    memory = {0: asked << 16 | TYPES[kind], 4: major, 8: minor}
    registers = dict.fromkeys(range(11), 0)
    place = 0
    for _ in range(len(program)):  # no loops: the kernel allows none
        step = program[place]
        value, source = registers[step.dst], registers[step.src]
        if step.opcode == 0x95:
            return registers[0]
        results = {0x61: memory.get(step.off, 0), 0xB7: step.imm, 0xBF: source, 0x57: value & step.imm}
        results[0x77] = value >> max(step.imm, 0) if step.opcode == 0x77 else 0
        jumps = {0x15: value == step.imm, 0x55: value != step.imm, 0x5D: value != source}
        assert step.opcode in {*results, *jumps}, f"opcode {step.opcode:#x} is none of ours"
        if step.opcode in results:
            registers[step.dst] = results[step.opcode]
        place += 1 + (step.off if jumps.get(step.opcode, False) else 0)
    raise AssertionError("ran off the end")


@pytest.mark.parametrize("text", ["c 1:3 rwm", "b *:* m", "c 5:* rw", "c 1:3 r"])
def test_rules_are_written_as_they_are_read(text: str) -> None:
    assert str(parse_rule(text)) == text


@pytest.mark.parametrize(
    "text", ["", "c 1:3", "x 1:3 r", "c 1:3 q", "c 1 r", "a *:* rwm", "c -1:3 r", "c 1:3 rw\nb 1:1 r"]
)
def test_what_is_no_rule(text: str) -> None:
    with pytest.raises(CgroupError, match="is no device rule"):
        parse_rule(text)


def test_devices_list() -> None:
    assert parse_list("a *:* rwm\n") == DeviceRules()
    assert parse_list("") == NOTHING
    assert parse_list("c 1:3 rw\nb *:* m\n").exceptions == (parse_rule("c 1:3 rw"), parse_rule("b *:* m"))


def test_allowing_and_denying_add_up_as_in_v1() -> None:
    rules = NOTHING.allow(parse_rule("c 1:3 r")).allow(parse_rule("c 1:3 w"))
    assert [str(device) for device in rules.exceptions] == ["c 1:3 rw"]
    assert [str(device) for device in rules.deny(parse_rule("c 1:3 r")).exceptions] == ["c 1:3 w"]
    assert rules.deny(parse_rule("c 1:3 rwm")) == NOTHING
    # Another device, or a family that includes it, is another entry: the kernel compares numbers, not sets.
    assert rules.deny(parse_rule("c 1:* rw")) == rules


def test_with_a_default_of_yes_a_denial_is_the_exception() -> None:
    rules = DeviceRules().deny(parse_rule("c 1:3 w"))
    assert not rules.permits("c", 1, 3, "rw")
    assert rules.permits("c", 1, 3, "r")
    assert rules.allow(parse_rule("c 1:3 w")) == DeviceRules()


@pytest.mark.parametrize(
    ("kind", "major", "minor", "access", "expected"),
    [
        ("c", 1, 3, "rw", 1),
        ("c", 1, 3, "m", 0),
        ("c", 1, 3, "rwm", 0),
        ("b", 1, 3, "r", 0),
        ("c", 1, 5, "r", 0),
        ("c", 5, 77, "m", 1),
        ("b", 7, 0, "rwm", 1),
    ],
)
def test_program_of_a_container_like_list(kind: str, major: int, minor: int, access: str, expected: int) -> None:
    rules = NOTHING
    for text in ("c 1:3 rw", "c 5:* rwm", "b 7:0 rwm"):
        rules = rules.allow(parse_rule(text))
    assert execute(assemble(rules), kind, major, minor, access) == expected


def test_program_without_exceptions_is_its_default() -> None:
    assert execute(assemble(NOTHING), "c", 1, 3, "r") == 0
    assert execute(assemble(DeviceRules()), "c", 1, 3, "r") == 1


def test_encoding_of_an_instruction() -> None:
    # As `bpftool prog dump xlated opcodes` shows `r1 = r3`: bf 31 00 00 00 00 00 00.
    assert Instruction(0xBF, 1, 3).encode().hex() == "bf31000000000000"
    assert Instruction(0x55, 2, off=-1, imm=-2).encode().hex() == "5502fffffeffffff"


SOME_ACCESS = ["".join(letters) for count in (1, 2, 3) for letters in itertools.combinations("rwm", count)]
devices = st.builds(
    Device,
    type=st.sampled_from("bc"),
    major=st.none() | st.integers(0, 2),
    minor=st.none() | st.integers(0, 2),
    access=st.sampled_from(SOME_ACCESS),
)


@settings(deadline=None)  # a machine that does much else is no failure
@given(st.booleans(), st.lists(st.tuples(st.booleans(), devices), max_size=6))
def test_the_program_decides_as_the_rules_do(default_allow: bool, steps: list[tuple[bool, Device]]) -> None:
    rules = DeviceRules(default_allow=default_allow)
    for allow, device in steps:
        rules = rules.allow(device) if allow else rules.deny(device)
    program = assemble(rules)
    for kind, major, minor, access in itertools.product("bc", range(3), range(3), SOME_ACCESS):
        assert execute(program, kind, major, minor, access) == rules.permits(kind, major, minor, access), str(rules)
