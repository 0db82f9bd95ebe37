"""What a notebook of ours must keep to: ids, short cells, known tags, a reason for each skip."""

from __future__ import annotations

import re
from collections import Counter

from lab_helpers.notebooks.source import Cell, Notebook, code_cells, source, tags

MAX_CODE_LINES = 10
"""A cell shows one effect; about ten lines fit a head and a slide."""

KNOWN_TAGS = frozenset(
    {
        "cgroup-v2-output",  # executed everywhere, compared on cgroup v2 only
        "nbval-check-output",
        "nbval-ignore-output",
        "nbval-skip",
        "raises-exception",
    }
)
REASON = re.compile(r"^skip-[a-z0-9]+(?:-[a-z0-9]+)*$")
"""Why a cell is skipped, as a tag: ``skip-needs-graalvm``."""

ON_V1 = re.compile(r"^# --- on cgroup v1 ---\s*$", re.MULTILINE)
_ID = re.compile(r"^[a-zA-Z0-9-_]{1,64}$")


def code_lines(cell: Cell) -> int:
    """Count the lines of code that run: no blank lines, no comments, no ``%%`` line.

    A ``%%cgroup`` cell has a half for each cgroup version and runs one of them: the longer half counts.
    """
    return max(sum(_is_code(line) for line in half.splitlines()) for half in ON_V1.split(source(cell)))


def _is_code(line: str) -> bool:
    text = line.strip()
    return bool(text) and not text.startswith(("#", "%%"))


def problems(notebook: Notebook) -> list[str]:
    """Return what is wrong with a notebook, a sentence each; nothing for a good one."""
    found = []
    ids = Counter(cell.get("id", "") for cell in notebook["cells"])
    for number, cell in enumerate(notebook["cells"]):
        name = cell.get("id") or f"number {number}"
        if not _ID.match(cell.get("id", "")):
            found.append(f"cell {name}: it needs an id of letters, digits, - and _ (64 at most) that stays")
        unknown = [tag for tag in tags(cell) if tag not in KNOWN_TAGS and not REASON.match(tag)]
        if unknown:
            found.append(f"cell {name}: unknown tag {', '.join(unknown)}; known: {', '.join(sorted(KNOWN_TAGS))}")
        if "nbval-skip" in tags(cell) and not any(REASON.match(tag) for tag in tags(cell)):
            found.append(f"cell {name}: nbval-skip needs a tag with the reason, such as skip-needs-graalvm")
    found += [f"cell {name}: {times} cells have this id" for name, times in ids.items() if name and times > 1]
    for cell in code_cells(notebook):
        lines = code_lines(cell)
        if lines > MAX_CODE_LINES:
            found.append(f"cell {cell.get('id')}: {lines} lines of code, {MAX_CODE_LINES} at most")
    return found
