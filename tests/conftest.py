"""What every test shares: a session of its own, an engine that is really there, and the proof that nothing is left.

Nothing is mocked: ``session`` is a real session with its watchdog, ``engine`` a real engine. A missing tool fails.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab_helpers.base import commands, settings
from lab_helpers.base import session as sessions
from lab_helpers.base.waiting import WaitTimeoutError, wait_until

TESTS = Path(__file__).parent
_ID = "([a-z0-9]{6})"
_CGROUP = re.compile(rf"^lab-{_ID}(?:-.*)?$")
_NETNS = re.compile(rf"^lab-?{_ID}(?:-.*)?$")
_LINK = re.compile(rf"^\d+: (lab{_ID}-[^:@]+)|\balias .*{settings.LABEL}={_ID}")
_TABLE = re.compile(rf"table \S+ (lab_{_ID}\S*)")
_LABEL = re.compile(rf"{settings.LABEL}={_ID}")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lab", "the lab's tests")
    group.addoption(
        "--no-skip", action="store_true", default=bool(os.environ.get("CI")), help="a skip is a failure [in CI]"
    )
    group.addoption(
        "--notebook", action="append", default=[], metavar="NN", help="only this notebook (can be given again)"
    )
    group.addoption(
        "--chaos-seed", type=int, default=None, help="seed of the chaos tests; printed, so that a run can be repeated"
    )
    group.addoption("--labs", type=Path, default=settings.PROJECT / "labs", help="the notebooks to run [labs/]")
    group.addoption("--passes", type=int, default=2, help="how often in a row each notebook is run [2]")
    group.addoption(
        "--cell-timeout", type=float, default=240, metavar="S", help="seconds for one cell [240]; emulation needs more"
    )
    group.addoption(
        "--swept-within", type=float, default=10, metavar="S", help="seconds until nothing of a session is left [10]"
    )
    group.addoption("--chaos-runs", type=int, default=5, help="how many kernels the chaos tests kill [5]")


def pytest_configure(config: pytest.Config) -> None:
    # A session of whoever started the tests is not ours: tests begin sessions of their own.
    for name in ("LAB_SESSION", settings.LABEL_VARIABLE):
        os.environ.pop(name, None)
    shared = "shared_session: the file's tests share a session and leave no cgroup; emulated, a session costs seconds"
    config.addinivalue_line("markers", shared)
    config.addinivalue_line("markers", "no_session_check: the test makes its own statement about what is left")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    if report.skipped and not hasattr(report, "wasxfail") and item.config.getoption("--no-skip"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, which is a failure here (--no-skip): {reason}"


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    if report.skipped and collector.config.getoption("--no-skip"):
        report.outcome = "failed"
        report.longrepr = f"a whole file is skipped, which is a failure here (--no-skip): {report.longrepr}"


# --- what carries the kit's label, looked up without the kit's own sweep ----------------------------------------------


def _docker() -> Iterator[tuple[str, str]]:
    socket = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
    if not Path(socket).exists():
        return
    for kind, listing in (("container", ["ps", "-a"]), ("network", ["network", "ls"]), ("volume", ["volume", "ls"])):
        form = "{{.Labels}} {{.Names}}" if kind == "container" else "{{.Labels}} {{.Name}}"
        shown = commands.run(
            ["docker", *listing, "--filter", f"label={settings.LABEL}", "--format", form], check=False, quiet=True
        )
        for line in shown.stdout.splitlines():
            found = _LABEL.search(line)
            yield found[1] if found else "", f"{kind} {line.split()[-1]}"


def _files() -> Iterator[tuple[str, str]]:
    root = Path("/sys/fs/cgroup")
    for path in (*root.glob("lab-*"), *root.glob("*/lab-*")):
        found = _CGROUP.match(path.name)
        if found and path.is_dir():
            yield found[1], f"cgroup {path}"
    for path in Path("/run/netns").glob("lab*"):
        found = _NETNS.match(path.name)
        if found:
            yield found[1], f"network namespace {path.name}"
    for parent in (settings.RUN_DIRECTORY / "sessions", settings.scratch()):
        for path in parent.glob("??????") if parent.is_dir() else ():
            if re.fullmatch(_ID, path.name):
                yield path.name, f"directory {path}"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        found = re.search(rf"{settings.RUN_DIRECTORY}/sessions/{_ID}(/| )|{settings.scratch()}/{_ID}(/| )", line)
        if found:
            yield found[1] or found[3], f"mount {line.split()[4]}"


def _processes() -> Iterator[tuple[str, str]]:
    marker = f"{settings.LABEL_VARIABLE}={settings.LABEL}=".encode()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = [word for word in (path / "environ").read_bytes().split(b"\0") if word.startswith(marker)]
        except OSError:
            continue  # it ended
        if words:
            yield words[0].removeprefix(marker).decode(), f"process {path.name}"


def _tools() -> Iterator[tuple[str, str]]:
    for argv, pattern, what in (
        (["ip", "-oneline", "link", "show"], _LINK, "interface"),
        (["nft", "list", "tables"], _TABLE, "nft table"),
        (["iptables-save"], _LABEL, "iptables rule"),
        (["ip6tables-save"], _LABEL, "ip6tables rule"),
        (
            ["losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE"],
            re.compile(rf"{settings.scratch()}/{_ID}/"),
            "loop device",
        ),
    ):
        if commands.which(argv[0]) is None:
            continue  # what needs it cannot have been made
        for line in commands.run(argv, check=False, quiet=True).stdout.splitlines():
            found = pattern.search(line)
            if found:
                yield next(group for group in reversed(found.groups()) if group), f"{what} {line.strip()[:100]}"


def _servers() -> set[int]:
    """Processes of JupyterLab from this virtual environment: a server belongs to no session and carries no label."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it ended
        if words[0].startswith(sys.prefix) and any("jupyter" in word and "lab" in word for word in words[1:4]):
            found.add(int(path.name))
    return found


def labelled(session: str | None = None) -> set[str]:
    """Return what carries the label of a session, or of any; looked up afresh, not through ``lab_helpers.sweep``."""
    found = [*_docker(), *_files(), *_processes(), *_tools()]
    return {f"{identity}: {what}" for identity, what in found if session in (None, identity)}


def _strangers() -> set[str]:
    """Sessions of other processes that live: another learner's notebook on this box."""
    return {owner.session for owner in sessions.owners() if owner.alive and owner.pid != os.getpid()}


def _ours(things: set[str]) -> set[str]:
    strangers = _strangers()
    return {thing for thing in things if thing.split(":")[0] not in strangers}


@pytest.fixture(scope="session")
def leftovers() -> Callable[[str | None], set[str]]:
    """Give tests the look-up of what carries a label."""
    return labelled


@pytest.fixture(scope="session")
def wait_for_nothing(pytestconfig: pytest.Config) -> Callable[[str], float]:
    """Give a wait until nothing of a session is left, which returns how many seconds that took."""

    def wait(identity: str) -> float:
        began = time.monotonic()
        wait_until(
            lambda: not labelled(identity),
            what=f"nothing of session {identity} to be left",
            timeout_s=pytestconfig.getoption("--swept-within"),
            state=lambda: sorted(labelled(identity)),
        )
        return time.monotonic() - began

    return wait


@pytest.fixture(scope="session")
def ours() -> Callable[[], set[str]]:
    """Give the same without the sessions of other processes that live: what a test may be asked about."""
    return lambda: _ours(labelled())


def _assert_soon_nothing(find: Callable[[], set[str]], what: str, within_s: float) -> None:
    """Fail unless nothing is found within seconds: the watchdog of a process that has just died may be at work."""
    try:
        wait_until(lambda: not find(), what=what, timeout_s=within_s)
    except WaitTimeoutError:
        left = sorted(find())
        assert not left, f"{what}: {left}"


@pytest.fixture(scope="session", autouse=True)
def nothing_of_ours(pytestconfig: pytest.Config) -> Iterator[None]:
    """Nothing with the kit's label exists before the tests, and nothing after them."""
    before = _ours(labelled())
    if before and pytestconfig.getoption("--no-skip"):
        pytest.fail(f"before any test these carry the kit's label: {sorted(before)}; run `./lab sweep`", pytrace=False)
    servers = _servers()
    yield
    within_s = pytestconfig.getoption("--swept-within")
    _assert_soon_nothing(lambda: _ours(labelled()) - before, "after the tests these carry the kit's label", within_s)
    assert not _servers() - servers, "JupyterLab servers that the tests started still run"


@pytest.fixture(autouse=True)
def nothing_left_by_this_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hold each system test to it, so that the guilty one is named."""
    elsewhere = "system" not in request.path.relative_to(TESTS).parts[:1]
    if elsewhere or any(map(request.node.get_closest_marker, ("no_session_check", "shared_session"))):
        yield
        return
    before = {*_files(), *_docker()}
    yield

    def new() -> set[str]:
        return _ours({f"{identity}: {what}" for identity, what in {*_files(), *_docker()} - before})

    _assert_soon_nothing(new, "left behind", request.config.getoption("--swept-within"))


# --- a session and an engine ------------------------------------------------------------------------------------------


@contextmanager
def own_session() -> Iterator[sessions.Session]:
    from lab_helpers.sweep import sweep  # noqa: PLC0415 - it imports every room, which unit tests need not have

    with pytest.MonkeyPatch.context() as patch:
        for name in ("LAB_SESSION", settings.LABEL_VARIABLE):
            patch.setenv(name, "")  # so that it takes back what the session sets
            patch.delenv(name)
        patch.setattr(sessions, "_current", None)
        known = list(sessions._spawned)
        mine = sessions.current()
        watchdogs = [process for process in sessions._spawned if process not in known]
        try:
            yield mine
        finally:
            patch.setattr(sessions, "_current", None)  # else its own folder would be spared
            report = sweep(mine.id)
            for watchdog in watchdogs:  # it waits for this process, which has more tests to run
                end(watchdog)
                sessions._spawned.remove(watchdog)
    assert report.clean, str(report)
    assert labelled(mine.id) == set()


@pytest.fixture
def session(request: pytest.FixtureRequest) -> Iterator[sessions.Session]:
    """Begin a real session; at the end sweep it and look that nothing of it is left."""
    if request.node.get_closest_marker("shared_session"):
        yield request.getfixturevalue("shared_session")
        _remove_cgroups()
        return
    with own_session() as mine:
        yield mine


@pytest.fixture(scope="module")
def shared_session() -> Iterator[sessions.Session]:
    with own_session() as mine:
        yield mine


def _remove_cgroups() -> None:
    from lab_helpers.kernel import cgroups  # noqa: PLC0415 - as above

    for left in cgroups.session_cgroup().children():
        left.kill()
        left.delete()


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that a test started, and reap it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


@pytest.fixture(scope="session")
def engine() -> Any:
    """Give the Docker SDK's client; without an engine, or without the base images, the test fails."""
    from lab_helpers.base.errors import LabError  # noqa: PLC0415
    from lab_helpers.containers import BUSYBOX, PYTHON, client  # noqa: PLC0415 - the SDK costs 80 ms

    try:
        found = client()
        tags = {tag for image in found.images.list() for tag in image.tags}
    except LabError as error:
        pytest.fail(f"{error}\nor run the tests by `./lab test`, which starts an engine of its own", pytrace=False)
    missing = {BUSYBOX, PYTHON} - tags
    if missing:
        pytest.fail(f"the engine lacks {sorted(missing)}: run environment/images/load.sh", pytrace=False)
    return found
