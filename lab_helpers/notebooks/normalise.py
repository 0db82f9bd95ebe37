"""One normal form for committed notebooks, so that a change of one line is a diff of one line.

Seven rules: (1) of the metadata only tags, slideshow, jupyter and lab stay, with one fixed kernelspec; (2) execution
counts run 1, 2, 3; (3) outputs that tests ignore are emptied; (4) widget views go, which name a model that no longer
exists and make a page ask a CDN instead of showing the picture; (5) tracebacks go; (6) what varies from run to run is
replaced by the patterns that nbval uses too; (7) cell ids stay, keys are sorted, the indent is fixed.

Equivalent: ./lab lint, which checks; ./lab lint --fix, which writes.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab_helpers.base import settings
from lab_helpers.notebooks.source import Notebook, code_cells, joined, render, split, tags

KEPT_METADATA = ("tags", "slideshow", "jupyter", "lab")
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
UNCOMPARED_TAGS = frozenset({"nbval-ignore-output", "nbval-skip"})
FORMAT = (4, 5)

Patterns = Sequence[tuple[str, str]]
"""Regular expressions with their replacements, in order."""

_PATTERN = re.compile(r"^regex: (.*)$\n^replace: (.*)$", re.MULTILINE)


def patterns_file() -> Path:
    """Return the one file of patterns, nbval's and ours."""
    return settings.PROJECT / "tests" / "labs" / "sanitize.cfg"


def parse_patterns(text: str) -> Patterns:
    """Read patterns exactly as ``nbval --nbval-sanitize-with`` does: ``regex:`` and ``replace:`` lines in pairs."""
    return [(match[1], match[2]) for match in _PATTERN.finditer(text)]


def load_patterns() -> Patterns:
    """Return the patterns of :func:`patterns_file`; without the file there are none."""
    path = patterns_file()
    return parse_patterns(path.read_text(encoding="utf-8")) if path.exists() else []


def sanitise(text: str, patterns: Patterns) -> str:
    """Replace what varies from run to run."""
    for regex, replacement in patterns:
        text = re.sub(regex, replacement, text)
    return text


def normalise(notebook: Notebook, patterns: Patterns = ()) -> Notebook:
    """Return the normal form of a notebook; the one given is left as it is.

    Args:
        notebook: As read from its file.
        patterns: What to replace in saved outputs.
    """
    result = copy.deepcopy(notebook)
    result["metadata"] = {"kernelspec": dict(KERNELSPEC)}
    result["nbformat"], result["nbformat_minor"] = FORMAT
    for cell in result["cells"]:
        cell["metadata"] = {key: value for key, value in cell.get("metadata", {}).items() if key in KEPT_METADATA}
        cell["source"] = split(joined(cell.get("source", "")))
        if cell["cell_type"] != "code":
            cell.pop("outputs", None)
            cell.pop("execution_count", None)
    count = 0
    for cell in code_cells(result):
        ran = cell.get("execution_count") is not None or bool(cell.get("outputs"))
        count += ran
        cell["execution_count"] = count if ran else None
        ignored = UNCOMPARED_TAGS.intersection(tags(cell))
        outputs = [] if ignored else cell.get("outputs", [])
        cell["outputs"] = [_output(output, count, patterns) for output in outputs]
    return result


def _output(output: dict[str, Any], count: int, patterns: Patterns) -> dict[str, Any]:
    if output["output_type"] == "stream":
        output["text"] = split(sanitise(joined(output["text"]), patterns))
    if output["output_type"] == "error":
        output["traceback"] = []
        output["evalue"] = sanitise(output["evalue"], patterns)
    if output["output_type"] == "execute_result":
        output["execution_count"] = count
    if "data" in output:
        output["data"] = {
            kind: _datum(kind, value, patterns) for kind, value in output["data"].items() if kind != WIDGET_VIEW
        }
    if "metadata" in output:
        output["metadata"] = {kind: value for kind, value in output["metadata"].items() if kind != WIDGET_VIEW}
    return output


def _datum(kind: str, value: Any, patterns: Patterns) -> Any:  # noqa: ANN401 - any JSON
    """Sanitise texts only: nbval does not touch JSON either, and a picture's base64 is no text."""
    if kind == "application/json" or kind.endswith("+json"):
        return value
    text = joined(value)
    if kind.startswith("image/") and kind != "image/svg+xml":
        return text
    return split(sanitise(text, patterns))


def is_normal(text: str, notebook: Notebook, patterns: Patterns) -> bool:
    """Tell whether a file's text is the normal form of what it holds."""
    return text == render(normalise(notebook, patterns))
