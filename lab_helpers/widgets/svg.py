"""Drawing in SVG, as text. Colours follow JupyterLab's theme and fall back to a light card elsewhere.

What differs from run to run (sizes, inodes, ids) is inside ``<tspan class="v">`` or carries ``class="v"``, so that one
pattern makes two pictures comparable.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

INK = "var(--jp-ui-font-color1,#1f2328)"
MUTED = "var(--jp-ui-font-color2,#57606a)"
PAPER = "var(--jp-layout-color1,#ffffff)"
INSET = "var(--jp-layout-color2,#eef1f4)"
LINE = "var(--jp-border-color1,#c8ced5)"
BLUE = "#2b7de9"
GREEN = "#2a9d55"
ORANGE = "#d9822b"
RED = "#e0444b"
PURPLE = "#9a6ae0"

_SANS = "var(--jp-ui-font-family,system-ui,sans-serif)"
_MONO = "var(--jp-code-font-family,ui-monospace,monospace)"


def document(width: int, height: int, label: str, body: Sequence[str]) -> str:
    """Return a complete picture with a description for screen readers.

    Args:
        width: Width in pixels; it shrinks with its cell.
        height: Height in pixels.
        label: What it shows, in a sentence.
        body: Its parts.
    """
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(label)}" style="max-width:100%;height:auto">'
        + rectangle(0, 0, width, height, fill=PAPER, stroke=LINE, radius=8)
        + "".join(body)
        + "</svg>"
    )


def rectangle(
    x: float,
    y: float,
    width: float,
    height: float,
    *,
    fill: str = "none",
    stroke: str = "",
    radius: float = 0,
    dash: str = "",
    varies: bool = False,
) -> str:
    """Return a rectangle; ``varies`` marks one whose size is a measurement."""
    return (
        f'<rect{" class=" + chr(34) + "v" + chr(34) if varies else ""} x="{x:g}" y="{y:g}" width="{max(0, width):.4g}" '
        f'height="{height:g}" rx="{radius:g}" style="fill:{fill}{";stroke:" + stroke if stroke else ""}"'
        + (f' stroke-dasharray="{dash}"' if dash else "")
        + "/>"
    )


def text(
    x: float,
    y: float,
    content: str,
    *,
    size: float = 12,
    fill: str = INK,
    bold: bool = False,
    mono: bool = False,
    anchor: str = "start",
    varies: bool = False,
) -> str:
    """Return a line of text; ``varies`` marks one that holds a measurement."""
    shown = f'<tspan class="v">{escape(content)}</tspan>' if varies else escape(content)
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" style="font-family:{_MONO if mono else _SANS};'
        f'font-size:{size:g}px;font-weight:{600 if bold else 400};fill:{fill}">{shown}</text>'
    )


def line(x1: float, y1: float, x2: float, y2: float, *, stroke: str = LINE, dash: str = "", width: float = 1) -> str:
    """Return a straight line."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    style = f"stroke:{stroke};stroke-width:{width:g}"
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"{dashes} style="{style}"/>'


def path(points: Sequence[tuple[float, float]], *, stroke: str = "none", fill: str = "none", opacity: float = 1) -> str:
    """Return straight lines through points; it is always a measurement."""
    if not points:
        return ""
    steps = "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<path class="v" d="{steps}" style="fill:{fill};fill-opacity:{opacity:g};stroke:{stroke};stroke-width:1.6" '
        f'stroke-linejoin="round"/>'
    )


def bar(x: float, y: float, width: float, fraction: float | None, *, fill: str, height: float = 9) -> str:
    """Return a bar filled to a fraction; None draws it empty and hatched by its outline (no limit)."""
    track = rectangle(x, y, width, height, fill=INSET, radius=height / 2, dash="", stroke="")
    if fraction is None:
        return rectangle(x, y, width, height, stroke=LINE, radius=height / 2, dash="3 3")
    colour = RED if fraction > 0.95 else fill
    filled = width * min(1.0, max(fraction, 0.015))
    return track + rectangle(x, y, filled, height, fill=colour, radius=height / 2, varies=True)


def shorten(content: str, length: int) -> str:
    """Cut the middle out of a text that is too long: its ends tell most."""
    if len(content) <= length:
        return content
    head = (length - 1) // 2
    return content[:head] + "…" + content[-(length - 1 - head) :]
