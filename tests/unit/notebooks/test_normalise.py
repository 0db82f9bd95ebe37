"""The seven rules of the normal form, one by one."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lab_helpers.notebooks import source
from lab_helpers.notebooks.normalise import (
    KERNELSPEC,
    WIDGET_VIEW,
    is_normal,
    load_patterns,
    normalise,
    parse_patterns,
    sanitise,
)

PATTERNS = [(r"session [a-z0-9]{6}\b", "session <id>")]


def code(text: str, *, outputs: list[dict[str, Any]] | None = None, count: int | None = None, **metadata: Any) -> Any:
    return {
        "cell_type": "code",
        "id": "cell-" + text,
        "metadata": metadata,
        "source": text,
        "outputs": outputs or [],
        "execution_count": count,
    }


def notebook(*cells: dict[str, Any]) -> source.Notebook:
    return {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def stream(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def data(**kinds: Any) -> dict[str, Any]:
    bundle = {kind.replace("__", "/"): value for kind, value in kinds.items()}
    return {"output_type": "display_data", "data": bundle, "metadata": {}}


def test_metadata_keeps_four_keys_and_one_kernelspec() -> None:
    given = notebook(
        code("1", tags=["nbval-skip"], slideshow={}, jupyter={}, lab={}, execution={"iopub": 1}, trusted=True)
    )
    given["metadata"] = {"kernelspec": {"name": "other"}, "language_info": {"version": "3.11"}, "widgets": {}}
    made = normalise(given)
    assert made["metadata"] == {"kernelspec": KERNELSPEC}
    assert set(made["cells"][0]["metadata"]) == {"tags", "slideshow", "jupyter", "lab"}


def test_counts_run_from_one() -> None:
    result = {"output_type": "execute_result", "data": {"text/plain": "1"}, "metadata": {}, "execution_count": 9}
    made = normalise(notebook(code("a", count=7), code("b", count=None, outputs=[result]), code("c", count=31)))
    assert [cell["execution_count"] for cell in made["cells"]] == [1, 2, 3]
    assert made["cells"][1]["outputs"][0]["execution_count"] == 2


def test_a_notebook_that_never_ran_has_no_counts() -> None:
    made = normalise(notebook(code("a"), code("b")))
    assert [cell["execution_count"] for cell in made["cells"]] == [None, None]


@pytest.mark.parametrize("tag", ["nbval-ignore-output", "nbval-skip"])
def test_outputs_that_tests_ignore_are_emptied(tag: str) -> None:
    made = normalise(notebook(code("a", count=1, outputs=[stream("x")], tags=[tag]), code("b", outputs=[stream("y")])))
    assert made["cells"][0]["outputs"] == []
    assert made["cells"][1]["outputs"][0]["text"] == ["y"]


def test_widget_views_go_and_their_picture_stays() -> None:
    output = data(**{WIDGET_VIEW: {"model_id": "abc"}, "image__svg+xml": "<svg/>", "text__plain": "<Gauge>"})
    output["metadata"] = {WIDGET_VIEW: {}}
    made = normalise(notebook(code("a", outputs=[output])))["cells"][0]["outputs"][0]
    assert made == data(**{"image__svg+xml": ["<svg/>"], "text__plain": ["<Gauge>"]})


def test_tracebacks_go_and_the_error_stays() -> None:
    error = {"output_type": "error", "ename": "E", "evalue": "session ab12cd", "traceback": ["long", "story"]}
    made = normalise(notebook(code("a", outputs=[error])), PATTERNS)["cells"][0]["outputs"][0]
    assert made == {"output_type": "error", "ename": "E", "evalue": "session <id>", "traceback": []}


def test_patterns_touch_texts_and_neither_json_nor_pictures() -> None:
    varies = "session ab12cd\n"
    output = data(
        **{"text__plain": varies, "text__html": varies, "image__svg+xml": varies},
        application__json={"a": varies},
        image__png=varies,
    )
    made = normalise(notebook(code("a", outputs=[stream(varies), output])), PATTERNS)["cells"][0]["outputs"]
    assert made[0]["text"] == ["session <id>\n"]
    assert made[1]["data"] == {
        "text/plain": ["session <id>\n"],
        "text/html": ["session <id>\n"],
        "image/svg+xml": ["session <id>\n"],
        "application/json": {"a": varies},
        "image/png": varies,
    }


def test_ids_stay_and_the_given_notebook_is_left_alone() -> None:
    given = notebook(code("a", count=5, outputs=[stream("session ab12cd")], trusted=True))
    before = copy.deepcopy(given)
    made = normalise(given, PATTERNS)
    assert made["cells"][0]["id"] == "cell-a"
    assert given == before


def test_the_normal_form_is_its_own_normal_form() -> None:
    given = notebook(code("a\nb", count=5, outputs=[stream("x\nsession ab12cd\n")]), code("c", tags=["nbval-skip"]))
    once = normalise(given, PATTERNS)
    assert normalise(once, PATTERNS) == once
    assert is_normal(source.render(once), once, PATTERNS)
    assert not is_normal(source.render(given), given, PATTERNS)


def test_a_changed_line_is_a_small_diff() -> None:
    before = source.render(normalise(notebook(code("a\nb\nc", count=3)))).splitlines()
    after = source.render(normalise(notebook({**code("a\nB\nc", count=8), "id": "cell-a\nb\nc"}))).splitlines()
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1


def test_patterns_are_read_as_nbval_reads_them() -> None:
    text = "[x]\nregex: \\d+ s\nreplace: <time>\n\nregex: lonely\n\nregex: b\nreplace: \n"
    assert parse_patterns(text) == [(r"\d+ s", "<time>"), ("b", "")]
    nbval = pytest.importorskip("nbval.plugin")
    assert list(nbval.get_sanitize_patterns(text)) == list(parse_patterns(text))


def test_the_projects_own_patterns_stand_still() -> None:
    patterns = load_patterns()
    assert patterns
    for text in (
        "lab.session=ab12cd lab-ab12cd-web /proc/4711/ns",
        "pid: 4711, net:[4026531992], " + "a1" * 32,
        "0x7f12abc000",
    ):
        once = sanitise(text, patterns)
        assert once != text
        assert sanitise(once, patterns) == once
