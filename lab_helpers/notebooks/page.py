"""An executed notebook as one HTML file that needs no network: pictures inside, nothing from a CDN."""

from __future__ import annotations

import copy
import re
from pathlib import Path

from nbconvert import HTMLExporter

from lab_helpers.notebooks.normalise import WIDGET_VIEW
from lab_helpers.notebooks.source import Notebook, as_node, code_cells

_TEMPLATE = """\
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js_requirejs -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block data_svg -%}
<div class="jp-RenderedSVG jp-OutputArea-output" data-mime-type="image/svg+xml">{{ output.data["image/svg+xml"] }}</div>
{%- endblock -%}
"""
"""nbconvert's own page without the four blocks that fetch scripts: require.js, the widget manager, MathJax, mermaid.

SVG stands in the page as it is: as an <img> it would lose its aria-label.
"""

_FETCHED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=[\"'](https?:)?//", re.IGNORECASE)


def html_page(notebook: Notebook, title: str, folder: Path | None = None) -> str:
    """Return the page.

    A widget's view needs a live kernel: the page shows the SVG or the text that came beside it.

    Args:
        notebook: With outputs.
        title: The page's title.
        folder: Where the images of its Markdown cells are; they are put into the page.
    """
    node = copy.deepcopy(notebook)
    node["metadata"].pop("widgets", None)
    for cell in code_cells(node):
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET_VIEW, None)
    exporter = HTMLExporter(raw_template=_TEMPLATE, embed_images=True)  # type: ignore[no-untyped-call]
    body, _ = exporter.from_notebook_node(
        as_node(node), resources={"metadata": {"name": title, "path": str(folder or ".")}}
    )
    return str(body)


def fetched(page: str) -> list[str]:
    """Return the tags of a page that would fetch something from elsewhere; none in a page of ours."""
    return [match[0] for match in _FETCHED.finditer(page)]
