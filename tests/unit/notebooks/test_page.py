"""The page of an executed notebook needs no network."""

from __future__ import annotations

from typing import Any

from lab_helpers.notebooks.normalise import WIDGET_VIEW
from lab_helpers.notebooks.page import fetched, html_page


def notebook() -> dict[str, Any]:
    data = {
        WIDGET_VIEW: {"model_id": "abc"},
        "image/svg+xml": ["<svg id='pillars'></svg>"],
        "text/plain": ["<Pillars>"],
    }
    outputs = [{"output_type": "display_data", "data": data, "metadata": {}}]
    code = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "source": "draw()",
        "outputs": outputs,
        "execution_count": 1,
    }
    text = {"cell_type": "markdown", "id": "b", "metadata": {}, "source": "# The pillars"}
    return {"cells": [text, code], "metadata": {"widgets": {"x": 1}}, "nbformat": 4, "nbformat_minor": 5}


def test_the_page_shows_the_picture_of_a_widget_and_fetches_nothing() -> None:
    page = html_page(notebook(), "00_start_here")
    assert '<svg id="pillars">' in page
    assert WIDGET_VIEW not in page
    assert "The pillars" in page
    assert "<title>00_start_here</title>" in page
    assert fetched(page) == []


def test_what_fetches_is_seen() -> None:
    page = '<script src="https://cdn.example/x.js"></script><img src="//host/x.png"><script src="data:x"></script>'
    assert len(fetched(page)) == 2
