"""``./lab lint``: every check that needs no machine: style, types, arrows between rooms, notebooks, shell, README."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import click
from rich.text import Text

from lab_helpers.base import commands, settings
from lab_helpers.base.errors import LabError
from lab_helpers.base.units import format_duration
from lab_helpers.cli import console
from lab_helpers.notebooks import catalogue, conventions, normalise, source

AT_ONCE = 2
"""Checks that run side by side: two cores are what the smallest machine has."""

_NOT_OURS = {".git", ".venv", ".artefacts", ".vagrant", "node_modules", "__pycache__"}


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: As its line says it.
        look: Returns what is wrong, "" if nothing.
    """

    name: str
    look: Callable[[], str]


@dataclass(frozen=True)
class Verdict:
    """What a check said.

    Attributes:
        name: The check.
        complaint: What is wrong, "" if nothing.
        duration_s: How long it took, in seconds.
    """

    name: str
    complaint: str
    duration_s: float


def tool(name: str, *arguments: str) -> Callable[[], str]:
    """Return a check that runs a tool, our environment's own if it has one, and complains with all that it printed."""

    def look() -> str:
        ours = Path(sys.executable).parent / name
        argv = [str(ours) if ours.exists() else name, *arguments]
        try:
            completed = commands.run(argv, check=False, cwd=settings.PROJECT, quiet=True, timeout_s=600)
        except commands.CommandNotFoundError:
            return f"{name} is not installed; environment/provision.sh --test brings it"
        return "" if completed.returncode == 0 else (completed.stdout + completed.stderr).strip() or "it said nothing"

    return look


def notebooks(*, fix: bool = False) -> str:
    """Check every notebook's normal form and conventions; ``fix`` writes the normal form."""
    patterns = normalise.load_patterns()
    complaints = []
    found = source.paths()
    for path in found:
        try:
            text = path.read_text(encoding="utf-8")
            notebook = source.parse(text, path.name)
        except LabError as error:
            complaints.append(str(error))
            continue
        complaints += [f"{path.name}: {problem}" for problem in conventions.problems(notebook)]
        if not normalise.is_normal(text, notebook, patterns):
            if fix:
                source.write(path, normalise.normalise(notebook, patterns))
            else:
                complaints.append(f"{path.name}: not in normal form; ./lab lint --fix writes it")
    return "\n".join(complaints if found else ["there are no notebooks in labs/"])


def readme(*, fix: bool = False) -> str:
    """Check that the README's table of labs is what the notebooks say; ``fix`` writes it."""
    try:
        if fix:
            catalogue.update_readme()
        return "" if catalogue.readme_is_current() else "its table of labs is old; ./lab lint --fix writes it"
    except (LabError, OSError) as error:
        return str(error)


def shell_scripts(top: Path = settings.PROJECT) -> Iterator[Path]:
    """Yield the shell scripts of the project: by their suffix, or by their first line."""
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(set(folders) - _NOT_OURS)
        folders[:] = [name for name in folders if not name.endswith("_cache")]
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_symlink() or not path.is_file():
                continue
            if path.suffix == ".sh" or (not path.suffix and _has_shell_line(path)):
                yield path


def _has_shell_line(path: Path) -> bool:
    with path.open("rb") as stream:
        first = stream.readline(80)
    programs = {word.rsplit(b"/", 1)[-1] for word in first.removeprefix(b"#!").split()}
    return first.startswith(b"#!") and bool(programs & {b"sh", b"bash", b"dash"})


def shellcheck() -> str:
    """Check every shell script."""
    scripts = [str(path.relative_to(settings.PROJECT)) for path in shell_scripts()]
    return tool("shellcheck", "-x", "-S", "warning", *scripts)() if scripts else "there are no shell scripts"


def checks(*, fix: bool = False) -> list[Check]:
    """Return the checks, the slow ones first. With ``fix`` those that can mend do."""
    return [
        Check("mypy --strict", tool("mypy")),
        Check(
            "ruff check", tool("ruff", "check", "--quiet", "--output-format=concise", *(["--fix"] if fix else []), ".")
        ),
        Check("import-linter", tool("lint-imports", "--no-cache")),
        Check("ruff format", tool("ruff", "format", "--quiet", *([] if fix else ["--check"]), ".")),
        Check("notebooks", lambda: notebooks(fix=fix)),
        Check("shellcheck", shellcheck),
        Check("README table", lambda: readme(fix=fix)),
    ]


def verdict(check: Check) -> Verdict:
    """Run one check."""
    began = time.monotonic()
    complaint = check.look()
    return Verdict(check.name, complaint, time.monotonic() - began)


def run_checks(chosen: list[Check], *, at_once: int = AT_ONCE) -> Iterator[Verdict]:
    """Run checks side by side and yield each verdict as it comes."""
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        for future in as_completed([pool.submit(verdict, check) for check in chosen]):
            yield future.result()


@click.command()
@click.option("--fix", is_flag=True, help="Mend what can be mended: format, imports, notebooks, README table.")
def lint(*, fix: bool) -> int:
    """Check style, types, imports between rooms, notebooks, shell scripts and the README's table.

    Exit status 1 if one of them complains.
    """
    failed = 0
    # What writes the same files must not run at the same time.
    for found in run_checks(checks(fix=fix), at_once=1 if fix else AT_ONCE):
        mark = ("✗ ", "bold red") if found.complaint else ("✓ ", "green")
        console.out.print(Text.assemble(mark, found.name.ljust(16), (format_duration(found.duration_s), "dim")))
        if found.complaint:
            failed += 1
            console.out.print(Text("    " + found.complaint.replace("\n", "\n    ")))
    return 1 if failed else 0
