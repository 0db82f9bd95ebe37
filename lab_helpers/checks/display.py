"""Small pieces of HTML that read well in JupyterLab's light and dark themes, and text for the cell's output.

Colours are JupyterLab's own variables, with fallbacks for exported pages. A state is always colour, symbol and word
together: never colour alone.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from html import escape

from lab_helpers.base.html import PLAIN

SYMBOLS = {
    "correct": "✔",
    "not yet": "✘",
    "not started": "○",
    "could not look": "⚠",
    "hint": "➜",
    "solution": "★",
    "prediction": "?",
    "as predicted": "✔",
    "other than predicted": "✘",
    "expected error": "✔",
}

_COLOURS = {
    "correct": "var(--jp-success-color1, #2e7d32)",
    "not yet": "var(--jp-error-color1, #c62828)",
    "not started": "var(--jp-info-color1, #1565c0)",
    "could not look": "var(--jp-warn-color1, #b26a00)",
    "hint": "var(--jp-brand-color1, #1976d2)",
    "solution": "var(--jp-brand-color1, #1976d2)",
    "prediction": "var(--jp-brand-color1, #1976d2)",
    "as predicted": "var(--jp-success-color1, #2e7d32)",
    "other than predicted": "var(--jp-warn-color1, #b26a00)",
    "progress": "var(--jp-brand-color1, #1976d2)",
}
_MUTED = "var(--jp-ui-font-color2, #555)"
_LINE = "var(--jp-border-color2, #d0d0d0)"
_CODE = "font-family:var(--jp-code-font-family, monospace);font-size:var(--jp-code-font-size, 13px)"
_BACKTICKS = re.compile(r"`([^`]+)`")


def say(text: str) -> None:
    """Write one line into the output of the running cell."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def inline_code(text: str) -> str:
    """Escape text for HTML; what stands between backticks becomes code."""
    return _BACKTICKS.sub(lambda match: f'<code style="{_CODE}">{match[1]}</code>', escape(text))


def badge(state: str) -> str:
    """Return a state's symbol and word in its colour."""
    colour = _COLOURS.get(state, _MUTED)
    return (
        f'<span style="color:{colour};font-weight:600;white-space:nowrap">'
        f"{SYMBOLS.get(state, '')} {escape(state)}</span>"
    )


_TAG = re.compile("<[^>]+>")
_SHORT = 16
"""Letters that a table's column may have to be kept on one line."""


def paragraph(text: str, *, muted: bool = False) -> str:
    """Return a paragraph; muted ones step back."""
    colour = f"color:{_MUTED};" if muted else ""
    return f'<p style="{colour}margin:6px 0">{inline_code(text)}</p>'


def code_block(code: str) -> str:
    """Return code as a block that can be copied."""
    style = f"{_CODE};background:var(--jp-layout-color2, #f3f3f3);padding:8px 10px;margin:6px 0;overflow:auto"
    return f'<pre style="{style}">{escape(code)}</pre>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return an HTML table; the cells of ``rows`` are HTML already, those of ``head`` are text."""
    cell = f"text-align:left;vertical-align:top;padding:4px 12px 4px 0;border-bottom:1px solid {_LINE}"
    top = "".join(f'<th style="{cell};color:{_MUTED};font-weight:500">{escape(name)}</th>' for name in head)
    rows = list(rows)
    # A column of short words is as wide as its widest cell, whatever JupyterLab says; the others share the rest.
    words = [[len(_TAG.sub("", value)) for value in column] for column in zip(*rows, strict=True)]
    styles = [f"{cell};width:1%;white-space:nowrap" if max(column) <= _SHORT else cell for column in words]
    body = "".join(
        "<tr>"
        + "".join(f'<td style="{style}">{value}</td>' for style, value in zip(styles, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        '<table style="border-collapse:collapse;table-layout:auto;margin:6px 0;width:100%">'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    )


def card(state: str, title: str, body: str) -> str:
    """Return a panel that screen readers announce (role="status"), headed by the state's badge and a title."""
    colour = _COLOURS.get(state, _MUTED)
    return (
        f'<div role="status" {PLAIN} '
        f'style="border-left:4px solid {colour};padding:4px 12px;margin:4px 0;max-width:860px;'
        f'color:var(--jp-ui-font-color1, #222);font-family:var(--jp-ui-font-family, sans-serif);font-size:14px">'
        f'<div style="margin:2px 0 4px">{badge(state)} &nbsp;<strong>{escape(title)}</strong></div>{body}</div>'
    )
