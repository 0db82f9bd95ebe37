"""What the README says of commands, variables and files is so."""

from __future__ import annotations

import re

import click
import pytest

from lab_helpers.base import settings
from lab_helpers.cli import __main__ as program

README = (settings.PROJECT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\| `\./lab (\w+)((?: [^`]*)?)`", README, re.MULTILINE)
VARIABLE = re.compile(r"^\| `?(LAB_\w+)`? +\| (.+?) +\| `?(.+?)`? *\|$", re.MULTILINE)


def test_every_command_is_described() -> None:
    assert {name for name, _ in COMMANDS} == set(program.COMMANDS)


@pytest.mark.parametrize(("name", "usage"), COMMANDS)
def test_every_option_that_is_described_exists(name: str, usage: str) -> None:
    command = program.cli.get_command(click.Context(program.cli), name)
    assert command is not None
    options = {option for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"--[a-z-]+", usage)) <= options


def test_the_variables_are_those_of_the_settings() -> None:
    documented = {(name, default) for name, _, default in VARIABLE.findall(settings.__doc__ or "")}
    assert documented
    assert {(name, default) for name, _, default in VARIABLE.findall(README)} == documented


def test_every_file_that_is_linked_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (settings.PROJECT / link).exists()] == []
