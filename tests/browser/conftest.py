"""A real JupyterLab, started as a learner starts it, and Debian's Chromium, which may talk to nothing else."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Playwright, sync_playwright

from lab_helpers.base import settings

CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None)
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
)
URL = re.compile(r"^(http://127\.0\.0\.1:\d+)(/lab\S*)\?token=([0-9a-f]+)$")
UP_TIMEOUT_S = 90.0
ARTEFACTS = settings.PROJECT / ".artefacts" / "browser"


@dataclass(frozen=True)
class Lab:
    """The running JupyterLab.

    Attributes:
        base: ``http://127.0.0.1:PORT``.
        page: The path that ``./lab up`` printed.
        token: What lets a browser in.
    """

    base: str
    page: str
    token: str

    def url(self, page: str | None = None) -> str:
        return f"{self.base}{page or self.page}?token={self.token}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def lab(engine: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Run ``./lab up`` in the foreground, beside whatever JupyterLab a person has open on this machine.

    Its record is under /run/lab/jupyter, so it gets a mount namespace with an empty one.
    """
    home = tmp_path_factory.mktemp("home")
    place = settings.RUN_DIRECTORY / "jupyter"
    place.mkdir(parents=True, exist_ok=True)
    hide = f'mount -t tmpfs -o mode=700 tmpfs {place} && exec "$@"'
    unset = {"LAB_SESSION", "LAB_LABEL", "DISPLAY", "WAYLAND_DISPLAY", "LAB_BIND"}
    environment = {key: value for key, value in os.environ.items() if key not in unset}
    log = (home / "up.log").open("w+", encoding="utf-8")
    process = subprocess.Popen(
        [
            *("unshare", "--mount", "--propagation", "private", "sh", "-c", hide, "sh"),
            *(sys.executable, "-m", "lab_helpers.cli", "up", "--no-browser", "--port", str(free_port())),
        ],
        cwd=settings.PROJECT,
        env={
            **environment,
            "LAB_HOME": str(home),
            "LAB_SOLVE": "1",
            "PYTHONPATH": str(settings.PROJECT),
            "NO_COLOR": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )

    def words() -> str:
        log.flush()
        return Path(log.name).read_text(encoding="utf-8")[-2000:]

    try:
        if process.stdout is None:
            raise ValueError("its output must be a pipe")
        printed = process.stdout.readline().strip()
        match = URL.match(printed)
        assert match, f"./lab up printed {printed!r}\n{words()}"
        yield Lab(*match.groups())
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Start Chromium, with one retry: one start in forty fails by itself."""
    if CHROMIUM is None:
        pytest.fail("there is no /usr/bin/chromium: run environment/provision.sh --test", pytrace=False)
    found = None
    for _ in range(2):
        with suppress(Error):
            found = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
            break
    assert found is not None, "Chromium did not start, twice"
    yield found
    found.close()


@dataclass
class Watched:
    """A page, with all that it asked for and complained of."""

    page: Page
    requests: list[str]
    complaints: list[str]


@pytest.fixture
def watched(browser: Browser, lab: Lab) -> Iterator[Watched]:
    context: BrowserContext = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    watched = Watched(page, [], [])
    page.on("request", lambda request: watched.requests.append(request.url))
    page.on("websocket", lambda socket: watched.requests.append(socket.url))
    page.on(
        "console",
        lambda message: watched.complaints.append(message.text) if message.type == "error" else None,
    )
    page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    yield watched
    context.close()


@pytest.fixture(scope="session", autouse=True)
def artefacts() -> Path:
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    return ARTEFACTS
