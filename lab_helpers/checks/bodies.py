"""Running the body of a cell: Python in the notebook's namespace, or bash with the session's cgroups at hand.

This is the one place where the kit hands text to a shell: what a learner types in a bash cell *is* shell.
"""

from __future__ import annotations

import ast
import re
import signal
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import InteractiveShell

from lab_helpers.base import commands, session
from lab_helpers.base.errors import LabError
from lab_helpers.checks.definition import Language

_SHEBANG = re.compile(r"^#!\s*(?:/\S*/)?(?:env\s+)?(python|bash|cgroup)3?\s*$")
_V1_MARK = re.compile(r"^#\s*-+\s*on cgroup v1\s*-+\s*$", re.MULTILINE)

# One line, so that line N of the cell is line N + 1 here. -E hands the trap to functions; it notes the first line that
# failed, in a file, because both streams belong to the learner. `set -e` then ends the cell, as the learner would.
_PREAMBLE = 'set -Eeuo pipefail; trap \'printf "%s %s\\n" "$?" "$LINENO" >> "$LAB_FAILED_LINE"\' ERR\n'


class CellCommandError(LabError):
    """A line of a bash cell failed.

    Attributes:
        returncode: The exit status of the cell; negative: the signal that ended it.
        line: Line of the cell's body, from 1; None when bash did not say.
        output: Everything the cell printed.
    """

    def __init__(self, *, returncode: int, line: int | None, text: str, output: str) -> None:
        where = f"line {line} of the cell, `{text}`," if line else text
        last = output.strip().splitlines()[-1:] or ["it said nothing"]
        super().__init__(
            f"{where} ended with {exit_status(returncode)}",
            reference="cell-command-failed",
            why=last[0],
            next_step="correct the line and run the cell again; every line can be tried in a terminal",
        )
        self.returncode = returncode
        self.line = line
        self.output = output


@dataclass(frozen=True)
class Half:
    """The part of a cell's body that is for this machine.

    Attributes:
        code: The lines.
        first_line: Number of its first line in the body, from 1.
    """

    code: str
    first_line: int = 1


def exit_status(returncode: int) -> str:
    """Say an exit status in words; above 128 the shell means "ended by a signal"."""
    number = -returncode if returncode < 0 else returncode - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"exit status {returncode}"
    return f"signal {number} ({name})" if returncode < 0 else f"exit status {returncode} (128 + {number}: {name})"


def untouched(body: str) -> bool:
    """Tell whether a body holds nothing but blank lines, comments and ``...``: the learner has not begun."""
    lines = (line.strip() for line in body.splitlines())
    return all(not line or line == "..." or line.startswith("#") for line in lines)


def language_of(body: str, default: Language) -> Language:
    """Return the language that a body's first line asks for (``#!bash``), or the default."""
    first = next((line.strip() for line in body.splitlines() if line.strip()), "")
    match = _SHEBANG.match(first)
    found: dict[str, Language] = {"python": "python", "bash": "bash", "cgroup": "cgroup"}
    return found[match[1]] if match else default


def half_for(body: str, version: int) -> Half:
    """Return the half of a ``%%cgroup`` body that this machine runs.

    Args:
        body: The cell; the line ``# --- on cgroup v1 ---`` splits it. Without that line all of it runs everywhere.
        version: 1 or 2.
    """
    mark = _V1_MARK.search(body)
    if mark is None:
        return Half(body)
    if version == 2:
        return Half(body[: mark.start()])
    return Half(body[mark.end() :].lstrip("\n"), body[: mark.end()].count("\n") + 2)


def run_body(body: str, language: Language) -> object:
    """Run a cell's body; return the value of its last expression (Python) or None.

    Raises:
        CellCommandError: a line of a bash body failed.
    """
    if language == "python":
        return run_python(body)
    if language == "cgroup":
        run_cgroup(body)
    else:
        run_bash(Half(body))
    return None


def shell_of_notebook() -> InteractiveShell:
    """Return the running IPython, or one of our own where there is none (the authors' tests)."""
    return get_ipython() or InteractiveShell.instance()


def run_python(body: str) -> object:
    """Run Python in the notebook's namespace, as a cell would, and return the value of its last expression.

    Cell magics and ``!commands`` work in it; top-level ``await`` does not.
    """
    shell = shell_of_notebook()
    source = shell.transform_cell(body)  # type: ignore[no-untyped-call]
    name = shell.compile.cache(source, shell.execution_count, body)
    tree = shell.transform_ast(shell.compile.ast_parse(source, filename=name))  # type: ignore[no-untyped-call]
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(shell.compile(tree, name, "exec"), shell.user_ns)  # noqa: S102 - a notebook runs what its user typed
    if not isinstance(last, ast.Expr):
        return None
    value = compile(ast.Expression(last.value), name, "eval", flags=shell.compile.flags, dont_inherit=True)
    return eval(value, shell.user_ns)  # noqa: S307 - the same


def run_bash(half: Half, environment: Mapping[str, str] | None = None) -> str:
    """Run bash lines, show their output as it comes, and return it (both streams, in order).

    The first line that fails ends the cell (``set -euo pipefail``).

    Args:
        half: The lines.
        environment: Variables on top of the present ones.

    Raises:
        CellCommandError: a line failed; it says which.
    """
    here = session.current()
    here.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(mode="r", dir=here.directory, prefix="cell-") as failed:
        done = commands.run(
            ["bash", "-c", _PREAMBLE + half.code, "cell"],
            check=False,
            env={**(environment or {}), "LAB_FAILED_LINE": failed.name},
            on_line=show_line,
        )
        noted = failed.read().split()
    if done.returncode != 0:
        line = int(noted[1]) - 1 if len(noted) > 1 else None
        raise _failed(half, done, line)
    return done.stdout


def _failed(half: Half, done: commands.Completed, line: int | None) -> CellCommandError:
    lines = half.code.splitlines()
    known = line if line and 1 <= line <= len(lines) else None
    return CellCommandError(
        returncode=done.returncode,
        line=known + half.first_line - 1 if known else None,
        text=lines[known - 1].strip() if known else "the cell",
        output=done.stdout,
    )


def show_line(line: str) -> None:
    """Show a line of a command's output in the cell."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run_cgroup(body: str) -> None:
    """Run the half of a ``%%cgroup`` body that is for this machine.

    Raises:
        CellCommandError: a line failed; it says which.
    """
    from lab_helpers.kernel import cgroups  # noqa: PLC0415 - only these cells need it

    version = cgroups.version()
    half = half_for(body, version)
    if half.first_line > 1:
        show_line("(this machine has cgroup v1: the lines below the mark ran)")
    run_bash(half, {name: str(path) for name, path in cgroups.paths().items()})
