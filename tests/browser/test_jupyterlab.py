"""What a learner sees: notebooks run from the first to the last cell in a browser, and nothing leaves the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from lab_helpers.base import settings

RUN_TIMEOUT_MS = 600_000
DRAWN = {"00": [".lab-picture svg"], "01": [".lab-gauge canvas"]}
"""What must be on the page of a notebook after all its cells ran."""

OPEN = """async path => {
  const app = window.jupyterapp; await app.restored;
  const widget = await app.commands.execute('docmanager:open', {path, factory: 'Notebook'});
  await widget.context.ready; await widget.sessionContext.ready; await widget.sessionContext.session.kernel.info;
  app.shell.activateById(widget.id);
}"""

RUN_ALL = """async () => {
  const app = window.jupyterapp;
  await app.commands.execute('notebook:run-all-cells');
  return app.shell.currentWidget.content.widgets.filter(cell => cell.model.type === 'code').map(cell => ({
    count: cell.model.executionCount,
    id: cell.model.id,
    errors: Array.from({length: cell.model.outputs.length}, (_, i) => cell.model.outputs.get(i).toJSON())
      .filter(output => output.output_type === 'error').map(output => output.ename + ': ' + output.evalue)}));
}"""

# JupyterLab reads $...$ in an output as mathematics. Cells are brought into view one by one: others are not drawn.
TYPESET = """async () => {
  const content = window.jupyterapp.shell.currentWidget.content;
  for (let i = 0; i < content.widgets.length; i++) {
    await content.scrollToItem(i);
    await new Promise(done => requestAnimationFrame(() => setTimeout(done, 20)));
  }
  await new Promise(done => setTimeout(done, 1000));
  return content.widgets.flatMap(
    cell => [...cell.node.querySelectorAll('.jp-OutputArea mjx-container')].map(found => cell.model.id));
}"""

# Unsaved changes would stop the next page by a question; a kernel left behind would be one more session.
CLOSE = """async () => {
  const app = window.jupyterapp; const widget = app.shell.currentWidget;
  await widget.sessionContext.shutdown(); await widget.context.revert(); widget.dispose();
}"""


def notebooks(config: pytest.Config) -> list[Path]:
    wanted = tuple(config.getoption("--notebook"))
    return [
        path for path in sorted((settings.PROJECT / "labs").glob("*.ipynb")) if not wanted or path.name[:2] in wanted
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "notebook" in metafunc.fixturenames:
        found = notebooks(metafunc.config)
        metafunc.parametrize("notebook", found, ids=[path.stem for path in found])


def stays_home(url: str, base: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("data", "blob", "about") or parts.netloc == urlsplit(base).netloc


def assert_quiet(watched: Any, base: str) -> None:
    assert watched.requests
    assert [url for url in watched.requests if not stays_home(url, base)] == []
    assert watched.complaints == []


def test_the_printed_address_opens_notebook_00(watched: Any, lab: Any, artefacts: Path) -> None:
    page: Page = watched.page
    page.goto(lab.url())
    page.wait_for_function("() => window.jupyterapp")
    page.wait_for_selector(".jp-NotebookPanel:visible .jp-Cell", timeout=60_000)
    assert "00_start_here" in page.locator(".lm-TabBar-tab.lm-mod-current:visible").all_inner_texts().__str__()
    page.screenshot(path=artefacts / "up.png")
    assert_quiet(watched, lab.base)


def test_all_cells_run_and_the_pictures_draw(watched: Any, lab: Any, notebook: Path, artefacts: Path) -> None:
    page: Page = watched.page
    page.set_default_timeout(RUN_TIMEOUT_MS)
    page.goto(lab.url("/lab/workspaces/test-" + notebook.stem))
    page.wait_for_function("() => window.jupyterapp")
    page.evaluate(OPEN, f"labs/{notebook.name}")
    cells: list[dict[str, Any]] = page.evaluate(RUN_ALL)
    try:
        page.screenshot(path=artefacts / f"{notebook.stem}-top.png")
        assert cells
        assert {cell["id"]: cell["errors"] for cell in cells if cell["errors"]} == {}
        # A cell after one that failed is not run and has no count: an aborted run must not look like a good one.
        assert [cell["id"] for cell in cells if not cell["count"]] == []
        for selector in DRAWN.get(notebook.name[:2], []):
            drawn = page.locator(f".jp-OutputArea {selector}").first
            drawn.scroll_into_view_if_needed()
            box = drawn.bounding_box()
            assert box is not None
            assert box["width"] > 200
            assert box["height"] > 50
            page.screenshot(path=artefacts / f"{notebook.stem}-{selector.split()[0].strip('.')}.png")
        assert page.evaluate(TYPESET) == [], "a dollar sign in these cells' outputs was taken for mathematics"
        assert_quiet(watched, lab.base)
    finally:
        page.evaluate(CLOSE)


@pytest.mark.parametrize(
    ("url", "home"),
    [
        ("http://127.0.0.1:8888/lab", True),
        ("ws://127.0.0.1:8888/api/kernels", True),
        ("data:image/svg+xml,x", True),
        ("http://127.0.0.1:9999/lab", False),
        ("https://cdn.example.org/x.js", False),
        ("http://127.0.0.1:8888.example.org/", False),
    ],
)
def test_what_counts_as_leaving(url: str, home: bool) -> None:
    assert stays_home(url, "http://127.0.0.1:8888") is home


def test_a_request_that_leaves_is_noticed(browser: Browser) -> None:
    # The watch itself must work: a page that asks for something elsewhere is seen doing so.
    page = browser.new_page()
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    page.set_content('<img src="http://192.0.2.1/pixel.png">')
    page.wait_for_function("() => document.images[0].complete")
    page.close()
    assert [url for url in seen if not stays_home(url, "http://127.0.0.1:8888")] == ["http://192.0.2.1/pixel.png"]
