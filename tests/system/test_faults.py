"""What goes wrong on real machines: each a clear error with the next step, nothing lost, nothing left.

Faults of ``./lab up`` (port taken, two at once) are in test_up.py, those of provisioning in test_provision.py.
"""

from __future__ import annotations

import ipaddress
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lab_helpers import checks, containers, lesson
from lab_helpers.base import session as sessions
from lab_helpers.base import settings
from lab_helpers.base.errors import LabError
from lab_helpers.base.waiting import wait_until
from lab_helpers.cli.engine import Engine
from lab_helpers.kernel import cgroups
from lab_helpers.kernel import preflight as kernel_preflight
from lab_helpers.sweep import sweep

Leftovers = Callable[[str | None], set[str]]
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def lab(*arguments: str, before: tuple[str, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``./lab`` as a person would, without a terminal."""
    return subprocess.run(
        [*before, sys.executable, "-m", "lab_helpers.cli", *arguments],
        env={**os.environ, "PYTHONPATH": str(settings.PROJECT), "NO_COLOR": "1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def python(program: str, *, before: tuple[str, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program that ends by an error of ours: its text is what a notebook would show."""
    wrapped = (
        "import sys\nfrom lab_helpers.base.errors import LabError\ntry:\n"
        + "".join(f"    {line}\n" for line in program.splitlines())
        + "except LabError as error:\n    sys.exit(str(error))\n"
    )
    known = {key: value for key, value in os.environ.items() if key not in ("LAB_SESSION", "LAB_LABEL")}
    return subprocess.run(
        [*before, sys.executable, "-c", wrapped],
        env={**known, "PYTHONPATH": str(settings.PROJECT), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
    )


def assert_clear(text: str, *words: str) -> None:
    """Assert the shape of our errors: what, why, next; no traceback."""
    assert "Traceback" not in text, text
    assert re.search(r"^[a-z-]+: .+", text, re.MULTILINE), text
    assert re.search(r"^why: .+", text, re.MULTILINE), text
    assert re.search(r"^next: .+", text, re.MULTILINE), text
    for word in words:
        assert word in text, text


# --- no root ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def open_checkout() -> None:
    # Where root alone can enter, nobody cannot even start Python: that is the machine's word, not ours.
    for folder in (Path(sys.prefix), settings.PROJECT, *settings.PROJECT.parents):
        assert folder.stat().st_mode & 0o005 == 0o005, f"{folder} must be readable by all for these tests: chmod o+rx"


@pytest.mark.parametrize("command", [["up", "--no-browser", "--detach"], ["down"], ["test", "unit"]])
@pytest.mark.usefixtures("open_checkout")
def test_without_root_a_command_says_so(command: list[str]) -> None:
    done = lab(*command, before=tuple(NOBODY), HOME="/nonexistent")
    assert done.returncode == 1
    assert_clear(done.stderr, "root", f"sudo ./lab {command[0]}")


@pytest.mark.usefixtures("open_checkout")
def test_without_root_a_notebook_says_so() -> None:
    done = python("from lab_helpers.base import session\nsession.current()", before=tuple(NOBODY), HOME="/nonexistent")
    assert done.returncode == 1
    assert_clear(done.stderr, "session-needs-root", "./lab up")


@pytest.mark.usefixtures("open_checkout")
def test_without_root_doctor_still_reports_everything() -> None:
    done = lab("doctor", "--json", before=tuple(NOBODY), HOME="/nonexistent")
    findings = {found["name"]: found for found in json.loads(done.stdout)["findings"]}
    assert findings["root"]["state"] == "warning"
    assert len(findings) > 10


# --- no Docker, and a Docker that dies --------------------------------------------------------------------------------


def test_no_docker_is_said_with_its_fix(tmp_path: Path) -> None:
    missing = f"unix://{tmp_path}/none.sock"
    done = python("from lab_helpers import containers\ncontainers.run(command=['true'])", DOCKER_HOST=missing)
    assert done.returncode == 1
    assert_clear(done.stderr, "no-docker-engine", missing, "environment/provision.sh")
    start = python("from lab_helpers import lesson\nlesson.start('00')", DOCKER_HOST=missing)
    assert_clear(start.stderr, "machine-not-ready", "Docker engine", "environment/provision.sh")
    doctor = lab("doctor", "--json", DOCKER_HOST=missing)
    assert doctor.returncode == 1
    report = json.loads(doctor.stdout)
    assert report["state"] == "blocking"
    blocking = [found for found in report["findings"] if found["state"] == "blocking"]
    assert {"Docker engine", "base images"} <= {found["name"] for found in blocking}
    assert all(found["fix"] for found in blocking)


@pytest.fixture
def own_engine() -> Iterator[Engine]:
    """Give an engine that may be killed: nobody else uses it."""
    name = f"fault-{os.getpid()}"
    engine = Engine(settings.RUN_DIRECTORY / name, settings.scratch() / name)
    try:
        engine.start()
        engine.load_images("busybox")
        yield engine
    finally:
        engine.stop()


@pytest.mark.no_session_check
def test_dockerd_dies_in_mid_notebook(
    own_engine: Engine, session: sessions.Session, monkeypatch: pytest.MonkeyPatch, leftovers: Leftovers
) -> None:
    monkeypatch.setenv("DOCKER_HOST", own_engine.environment["DOCKER_HOST"])
    web = containers.run(command=["sleep", "600"], name="web")
    cgroups.create("demo")
    main_pid = web.kernel.pid
    daemon = psutil.Process(own_engine.pid)
    daemon.kill()
    daemon.wait(10)

    with pytest.raises(containers.EngineUnavailableError) as caught:
        containers.run(command=["true"])
    assert_clear(str(caught.value), "environment/provision.sh", "re-run this cell")
    with pytest.raises(LabError):
        _ = web.status
    report = sweep(session.id)
    assert not report.clean, "the engine's things could not be looked at, so this is no clean sweep"
    assert "container" in report.skipped
    assert psutil.pid_exists(main_pid), "a container outlives its daemon: so it is not gone yet, and nobody may say so"

    own_engine.start()  # the learner does what the error says ...
    again = containers.run(command=["true"])  # ... and re-runs the cell
    assert again.wait() == 0
    assert sweep(session.id).clean
    assert not [thing for thing in leftovers(session.id) if "directory" not in thing]
    assert not psutil.pid_exists(main_pid)


# --- disk full --------------------------------------------------------------------------------------------------------


@pytest.fixture
def full_disk() -> Iterator[Path]:
    """Give a file system of 1 MiB without a free block."""
    folder = Path(tempfile.mkdtemp(prefix="full-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=64", "tmpfs", str(folder)], check=True)
    filler = folder / "filler"
    try:
        with filler.open("wb", buffering=0) as stream:
            while stream.write(bytes(4096)):
                pass
    except OSError as error:
        assert "No space left" in str(error)  # noqa: PT017 - the very state we want
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
    folder.rmdir()


def test_a_full_disk_is_a_finding_with_a_fix(full_disk: Path) -> None:
    done = lab("doctor", "--json", LAB_HOME=str(full_disk))
    disk = next(found for found in json.loads(done.stdout)["findings"] if found["name"] == "disk")
    assert disk["state"] == "blocking"
    assert str(full_disk) in disk["observed"]
    assert "LAB_HOME=" in disk["fix"]


def test_on_a_full_disk_a_notebook_does_not_begin_and_nothing_is_left(full_disk: Path, leftovers: Leftovers) -> None:
    known = {"LAB_HOME": str(full_disk), "LAB_SESSION": "fu11d1"}
    done = python("from lab_helpers import lesson\nlesson.start('00')", **known)
    assert done.returncode == 1
    assert_clear(done.stderr, "disk", str(full_disk))
    wait_until(lambda: not leftovers("fu11d1"), what="nothing to be left", state=lambda: leftovers("fu11d1"))


def test_on_a_full_disk_importing_still_works(full_disk: Path) -> None:
    done = python("import lab_helpers\nprint(lab_helpers.__version__)", LAB_HOME=str(full_disk))
    assert done.returncode == 0, done.stderr


def test_progress_survives_a_disk_that_fills_up(full_disk: Path) -> None:
    (full_disk / "filler").unlink()
    program = (
        "from lab_helpers.checks import predict, progress\nimport sys\n"
        "predict(sys.argv[1] if len(sys.argv) > 1 else 'NAME').answer('a')"
    )
    name = next(iter(checks.registry.current().predictions))
    done = python(program.replace("NAME", name), LAB_HOME=str(full_disk))
    assert done.returncode == 0, done.stderr
    kept = full_disk / "state/progress.json"
    first = kept.read_text()
    with (full_disk / "filler").open("wb", buffering=0) as stream:
        try:
            while stream.write(bytes(4096)):
                pass
        except OSError:
            stream.flush()
    done = python(program.replace("NAME", name).replace("'a'", "'b'"), LAB_HOME=str(full_disk))
    assert "Traceback" not in done.stderr, done.stderr
    assert json.loads(kept.read_text()) == json.loads(first), "the old file must be whole"


# --- an address range that is taken, an old kernel, a missing controller ----------------------------------------------


def test_a_taken_address_range_is_seen_on_this_very_machine(engine: Any, session: sessions.Session) -> None:
    bridge = session.interface_name("range")
    subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True)
    subprocess.run(["ip", "address", "add", "172.31.7.1/24", "dev", bridge], check=True)
    subprocess.run(["ip", "link", "set", bridge, "up"], check=True)
    found = kernel_preflight.address_ranges()
    assert found.state == "warning"
    assert "172.31.7.0/24" in found.observed
    assert "another /16" in found.why
    assert found.fix


@pytest.mark.parametrize(
    ("routes", "state"),
    [("10.0.0.0/8 dev tun0", "ok"), ("172.16.0.0/12 dev tun0", "warning"), ("default via 10.0.0.1", "ok")],
)
def test_routes_that_take_the_talks_range(routes: str, state: str) -> None:
    assert kernel_preflight.address_ranges(kernel_preflight.parse_routes(routes)).state == state


def test_a_docker_network_on_a_taken_range_is_refused_in_clear_words(engine: Any, session: sessions.Session) -> None:
    from lab_helpers.containers.engine import EngineRefusedError, in_our_words  # noqa: PLC0415 - for this test alone

    def create(word: str) -> None:
        pool = {"Driver": "default", "Config": [{"Subnet": str(ipaddress.ip_network("192.0.2.0/28"))}]}
        with in_our_words():
            containers.client().api.create_network(session.name(word), ipam=pool, labels=session.labels("network"))

    create("one")
    with pytest.raises(EngineRefusedError) as caught:
        create("two")
    assert_clear(str(caught.value), "overlap")


def test_a_missing_controller_is_named_and_the_others_go_on(session: sessions.Session) -> None:
    group = cgroups.create("demo")
    with pytest.raises(LabError) as caught:
        group.directory("no-such-controller")
    assert_clear(str(caught.value), "no-such-controller")
    assert group.directory("memory").is_dir()


# --- a wrong exercise id ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wrong", "meant"), [("cg-1", "cg-01"), ("CG-01", "cg-01"), ("cg01", "cg-01")])
def test_a_wrong_exercise_id_names_the_nearest(wrong: str, meant: str) -> None:
    with pytest.raises(checks.UnknownExerciseError) as caught:
        checks.exercise(wrong)
    assert_clear(str(caught.value), repr(wrong), repr(meant))


def test_a_wrong_prediction_id_lists_what_there_is() -> None:
    with pytest.raises(checks.UnknownExerciseError) as caught:
        checks.predict("nonsense-without-any-likeness")
    assert_clear(str(caught.value), "the ids are")


# --- a sweep while a notebook runs ------------------------------------------------------------------------------------


@pytest.fixture
def alone() -> None:
    """A sweep of everything would take from other people's notebooks what they use."""
    others = [owner for owner in sessions.owners() if owner.alive]
    if others:
        pytest.skip(f"somebody else's session {others[0].session} runs here (process {others[0].pid})")


def test_a_sweep_while_a_notebook_runs_refuses_without_a_terminal(
    engine: Any, start_session: Any, leftovers: Leftovers
) -> None:
    running = start_session()
    before = leftovers(running.id)
    done = lab("sweep")
    assert done.returncode == 1
    assert_clear(done.stderr, running.id, "--force")
    assert leftovers(running.id) == before
    data = lab("sweep", "--json")
    assert data.returncode == 1
    assert json.loads(data.stdout)["error"]["reference"] == "sessions-alive"
    assert leftovers(running.id) == before


@pytest.mark.parametrize(("answer", "removed"), [("n", False), ("y", True)])
def test_a_sweep_while_a_notebook_runs_asks_at_a_terminal(
    answer: str, removed: bool, alone: None, engine: Any, start_session: Any, leftovers: Leftovers
) -> None:
    running = start_session()
    before = leftovers(running.id)
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "lab_helpers.cli", "sweep"],
        env={**os.environ, "PYTHONPATH": str(settings.PROJECT), "NO_COLOR": "1"},
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    os.write(main, f"{answer}\n".encode())
    said, _ = process.communicate(timeout=60)
    os.close(main)
    os.close(terminal)
    assert running.id in said
    assert process.returncode == (0 if removed else 1), said
    if removed:
        assert {thing for thing in leftovers(running.id) if "directory" not in thing} == set()
    else:
        assert leftovers(running.id) == before


def test_a_forced_sweep_does_not_ask(alone: None, engine: Any, start_session: Any, leftovers: Leftovers) -> None:
    running = start_session()
    done = lab("sweep", "--force", "--json")
    data = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert {item["session"] for item in data["found"]} >= {running.id}
    assert data["survivors"] == []


# --- an interrupted command -------------------------------------------------------------------------------------------


def test_a_notebook_run_that_is_interrupted_leaves_nothing(
    engine: Any, leftovers: Leftovers, ours: Callable[[], set[str]], tmp_path: Path
) -> None:
    before, known = ours(), leftovers(None)
    process = subprocess.Popen(
        [sys.executable, "-m", "lab_helpers.cli", "run", "00", "--solve", "--out", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(settings.PROJECT), "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(
            lambda: any("container" in thing for thing in leftovers(None) - known),
            what="the notebook's first container",
            timeout_s=60,
        )
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + signal.SIGINT, said
    assert "Traceback" not in said
    # Another process's session that ends just now is for a moment nobody's: so until they agree.
    wait_until(lambda: not ours() - before, what="nothing to be left", state=lambda: ours() - before)


def test_the_tools_for_these_faults_are_here() -> None:
    assert all(shutil.which(tool) for tool in ("setpriv", "mount", "ip", "docker", "dockerd", "containerd"))


def test_lesson_errors_are_ours() -> None:
    assert issubclass(lesson.NotReadyError, LabError)
