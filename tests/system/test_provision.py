"""environment/provision.sh: again and again, interrupted, failing, twice at once, and where it cannot work.

Most tests run the real script in a scratch checkout: the same environment/, but a lock with two wheels made here, the
smallest base image, and a recipe (`gate`) that the test can hold, break or mend through files. It has its own
LAB_HOME and an engine of its own, so that neither this checkout nor the machine's engine notices.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab_helpers.base import settings, waiting
from lab_helpers.cli.engine import Engine
from lab_helpers.cli.offline import offline_engine

ENVIRONMENT = settings.PROJECT / "environment"
NOTHING_TO_DO_S = 10.0
STEPS = ["Distribution packages", "Docker engine", "Python environment", "Base images"]

GATE = """
tag=lab/gate:1
command='["/gate"]'
environment='["PATH=/"]'
tree() {
    echo "the gate's recipe begins"
    : >"$GATE/reached"
    while [ -e "$GATE/closed" ]; do sleep 0.05; done
    if [ -e "$GATE/broken" ]; then echo "the gate is broken"; return 7; fi
    echo open >"$1/gate"
    as_of=1700000000
}
"""


def wheel(folder: Path, name: str) -> str:
    """Write a wheel with one module and return its line for a lock."""
    files = {
        f"{name}.py": "ANSWER = 42\n",
        f"{name}-1.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
        f"{name}-1.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text)}\n")
    record = f"{name}-1.dist-info/RECORD"
    archive = folder / f"{name}-1-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w") as stream:
        for path, text in files.items():
            stream.writestr(path, text)
        stream.writestr(record, "".join(rows) + f"{record},,\n")
    return f"{name}==1 --hash=sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}\n"


@dataclass(frozen=True)
class Scratch:
    """A checkout of a test's own."""

    root: Path
    engine: Mapping[str, str]
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def gate(self) -> Path:
        return self.root / "gate"

    @property
    def venv(self) -> Path:
        return self.root / "checkout/.venv"

    @property
    def script(self) -> Path:
        return self.root / "checkout/environment/provision.sh"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LAB_", "PIP_", "VIRTUAL"))}
        own = {"LAB_HOME": str(self.home), "GATE": str(self.gate)}
        pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.root / "wheels"), "PIP_NO_CACHE_DIR": "1"}
        return kept | own | pip | dict(self.engine) | self.extra

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the script as a terminal would: the leader of a process group that Ctrl-C goes to."""
        return subprocess.Popen(
            [str(self.script), *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        shown, _ = process.communicate(timeout=120)
        return process.returncode, shown

    def write_locks(self) -> None:
        """Lock one wheel, and a second for the tests."""
        first, second = (wheel(self.root / "wheels", name) for name in ("labdemo", "labtestdemo"))
        (self.script.parent / "requirements.lock").write_text(first, encoding="utf-8")
        (self.script.parent / "requirements-test.lock").write_text(first + second, encoding="utf-8")

    def archives(self) -> set[Path]:
        return set(self.home.glob("cache/images/*.tar"))

    def archive(self, name: str) -> Path:
        build = [str(self.script.parent / "images/build.sh"), "--hash", name]
        line = subprocess.run(build, env=self.environment, capture_output=True, text=True, check=True).stdout
        return Path(line.split()[-1])

    def add_gate(self, *, closed: bool = False, broken: bool = False) -> None:
        self.script.parent.joinpath("images/gate.recipe").write_text(GATE, encoding="utf-8")
        for name, there in (("closed", closed), ("broken", broken)):
            if there:
                (self.gate / name).touch()

    def half_made(self) -> list[str]:
        """Return what only a run in progress may have."""
        found = [*self.home.glob("cache/images/.build-*"), *self.home.glob("scratch/*"), self.venv / "lab-incomplete"]
        return [str(path) for path in found if path.exists()]

    def processes(self) -> list[str]:
        """Return what still runs for this checkout, by the variable that all its children have."""
        marker, found = f"GATE={self.gate}".encode(), []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if marker in (path / "environ").read_bytes().split(b"\0"):
                    found.append((path / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue  # it ended
        return found


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with offline_engine(images=False) as own:
        yield own


def make(root: Path, engine: Engine) -> Scratch:
    """Write a checkout that nobody has set up yet."""
    environment = root / "checkout/environment"
    (environment / "images").mkdir(parents=True)
    for path in (*ENVIRONMENT.glob("*.sh"), *ENVIRONMENT.glob("*.packages")):
        shutil.copy2(path, environment)
    for path in (*(ENVIRONMENT / "images").glob("*.sh"), ENVIRONMENT / "images/busybox.recipe"):
        shutil.copy2(path, environment / "images")
    (root / "gate").mkdir()
    (root / "wheels").mkdir()
    made = Scratch(root, engine.environment)
    made.write_locks()
    return made


@pytest.fixture
def fresh(engine: Engine, tmp_path: Path) -> Iterator[Scratch]:
    """Give a checkout that nobody has set up yet."""
    made = make(tmp_path, engine)
    yield made
    assert made.processes() == []


@pytest.fixture(scope="module")
def _set_up(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Scratch:
    made = make(tmp_path_factory.mktemp("set-up"), engine)
    status, shown = made.run()
    assert status == 0, shown
    return made


@pytest.fixture
def scratch(_set_up: Scratch, engine: Engine) -> Iterator[Scratch]:
    """Give a checkout that is set up; the tests share it, because a virtual environment takes its time."""
    yield _set_up
    _set_up.extra.clear()
    _set_up.write_locks()
    _set_up.script.parent.joinpath("images/gate.recipe").unlink(missing_ok=True)
    for path in _set_up.gate.iterdir():
        path.unlink()
    if "lab/gate:1" in engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split():
        engine.docker("rmi", "lab/gate:1")
    for archive in _set_up.archives() - {_set_up.archive("busybox")}:
        archive.unlink()
    assert _set_up.processes() == []


def named_steps(shown: str) -> dict[str, str]:
    """Return what the script's lines say of each step: {"Base images": "all 1 there"}."""
    return dict(re.findall(r"^ +[\d.]+ s  ([A-Z][^:\n]+): (.*)$", shown, flags=re.MULTILINE))


# --- again and again --------------------------------------------------------------------------------------------------


def test_a_first_run_does_everything_and_a_second_nothing(fresh: Scratch) -> None:
    status, shown = fresh.run()
    assert status == 0, shown
    assert list(named_steps(shown)) == STEPS
    assert re.search(r"built busybox \w+", named_steps(shown)["Base images"])
    python = [str(fresh.venv / "bin/python"), "-c", "import labdemo, sys; print(labdemo.ANSWER, sys.path[-1])"]
    imported = subprocess.run(python, capture_output=True, text=True, check=True).stdout.split()
    assert imported == ["42", str(fresh.root / "checkout")]  # the project itself is importable
    files = {path: path.stat().st_mtime_ns for path in (*fresh.venv.rglob("*"), *fresh.home.rglob("cache/**/*"))}

    began = time.monotonic()
    status, shown = fresh.run()
    assert status == 0, shown
    assert time.monotonic() - began <= NOTHING_TO_DO_S
    steps = named_steps(shown)
    assert all("there" in said or "answers" in said for said in steps.values()), steps
    after = {path: path.stat().st_mtime_ns for path in (*fresh.venv.rglob("*"), *fresh.home.rglob("cache/**/*"))}
    assert after == files
    assert fresh.half_made() == []


def test_this_checkout_is_set_up_and_a_run_has_nothing_to_do(tmp_path: Path) -> None:
    """The real thing, whole: the packages of the tests, the locks, both images."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/images").symlink_to(settings.cache() / "images")
    times = []
    for _ in range(2):
        began = time.monotonic()
        shown = subprocess.run(
            [str(ENVIRONMENT / "provision.sh"), "--test"],
            env=os.environ | {"LAB_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=600,
            check=True,
        ).stdout
        times.append(time.monotonic() - began)
    assert times[-1] <= NOTHING_TO_DO_S
    assert list(named_steps(shown)) == STEPS
    assert all("there" in said or "answers" in said for said in named_steps(shown).values())


def test_the_tests_packages_come_on_top_and_serve_the_base(scratch: Scratch) -> None:
    status, shown = scratch.run("--test")
    assert status == 0, shown
    assert "2 packages of requirements-test.lock" in named_steps(shown)["Python environment"]
    status, shown = scratch.run()
    assert "all packages there" in named_steps(shown)["Python environment"]
    assert {path.name for path in scratch.venv.glob("lab-stamp-*")} == {"lab-stamp-base", "lab-stamp-test"}


def test_another_lock_is_noticed(scratch: Scratch) -> None:
    lock = scratch.script.parent / "requirements.lock"
    lock.write_text(lock.read_text() + wheel(scratch.root / "wheels", "labmore"), encoding="utf-8")
    status, shown = scratch.run()
    assert status == 0, shown
    assert "2 packages" in named_steps(shown)["Python environment"]
    assert list(scratch.venv.rglob("labmore.py"))


# --- interrupted ------------------------------------------------------------------------------------------------------


def interrupt(process: subprocess.Popen[str]) -> str:
    """Press Ctrl-C: the signal goes to the terminal's whole foreground process group."""
    os.killpg(process.pid, signal.SIGINT)
    shown, _ = process.communicate(timeout=60)
    assert process.returncode == 130, shown
    return shown


def test_ctrl_c_while_an_image_is_built(scratch: Scratch) -> None:
    scratch.add_gate(closed=True)
    process = scratch.start()
    waiting.wait_until((scratch.gate / "reached").exists, what="the gate's recipe to run", timeout_s=90)
    shown = interrupt(process)
    assert "Interrupted during: Base images" in shown
    assert f"LAB_HOME={scratch.home} {scratch.script}" in shown
    assert scratch.half_made() == []
    assert scratch.processes() == []
    assert scratch.archives() == {scratch.archive("busybox")}  # whose turn was before

    (scratch.gate / "closed").unlink()
    status, shown = scratch.run()
    assert status == 0, shown
    assert "all packages there" in named_steps(shown)["Python environment"]  # done before: not done again
    assert re.fullmatch(r"built gate \w+; loaded .*lab/gate:1.*", named_steps(shown)["Base images"])


def test_ctrl_c_while_the_virtual_environment_is_made(fresh: Scratch) -> None:
    process = fresh.start()
    waiting.wait_until((fresh.venv / "lab-incomplete").exists, what="the virtual environment to begin", timeout_s=90)
    shown = interrupt(process)
    assert "Interrupted during: Python environment" in shown
    assert (fresh.venv / "lab-incomplete").exists()  # so that nobody takes it for whole
    assert not list(fresh.venv.glob("lab-stamp-*"))
    (fresh.venv / "left-by-the-first.txt").touch()

    status, shown = fresh.run()
    assert status == 0, shown
    assert not (fresh.venv / "left-by-the-first.txt").exists()  # made anew
    assert fresh.half_made() == []


def test_a_run_that_was_killed_is_continued(scratch: Scratch) -> None:
    scratch.add_gate(closed=True)
    process = scratch.start()
    waiting.wait_until((scratch.gate / "reached").exists, what="the gate's recipe to run", timeout_s=90)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    (scratch.gate / "closed").unlink()  # the orphaned recipe ends by itself, as after a lost connection
    status, shown = scratch.run()
    assert status == 0, shown
    assert not list(scratch.home.glob("cache/images/.build-*"))


# --- failing ----------------------------------------------------------------------------------------------------------


def test_a_failed_step_says_which_why_and_what_to_type(scratch: Scratch) -> None:
    scratch.add_gate(broken=True)
    status, shown = scratch.run()
    assert status == 1
    assert "Step failed: Base images (exit status 7)" in shown
    assert "    the gate is broken" in shown
    again = re.findall(r"^again: (.*)$", shown, flags=re.MULTILINE)
    log = re.findall(r"^log: +(.*)$", shown, flags=re.MULTILINE)
    assert "the gate is broken" in Path(log[0]).read_text(encoding="utf-8")
    assert scratch.half_made() == []

    (scratch.gate / "broken").unlink()
    mended = subprocess.run(
        ["env", *shlex.split(again[0])], env=scratch.environment, capture_output=True, text=True, check=False
    )
    assert mended.returncode == 0, mended.stderr


def test_a_package_with_another_hash_is_refused(scratch: Scratch) -> None:
    lock = scratch.script.parent / "requirements.lock"
    other = re.sub(r"sha256:\w{4}", "sha256:0000", wheel(scratch.root / "wheels", "labother"))
    lock.write_text(lock.read_text() + other, encoding="utf-8")
    status, shown = scratch.run()
    assert status == 1
    assert "Step failed: Python environment" in shown
    assert "DO NOT MATCH THE HASHES" in shown
    assert not list(scratch.venv.glob("lab-stamp-*"))  # `./lab` will ask for another run


def test_a_disk_without_room_is_named_before_it_is_full(scratch: Scratch) -> None:
    small = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=20m none "$LAB_HOME"; exec "$0"']
    shown = subprocess.run(
        [*small, str(scratch.script)], env=scratch.environment, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 1
    assert re.search(r"disk-full: building the base images needs 700 MB below \S+, and \d+ MB are free", shown.stderr)
    assert re.search(r"next: free \d+ MB there", shown.stderr)


def test_an_engine_elsewhere_that_does_not_answer_is_not_started(scratch: Scratch) -> None:
    scratch.extra["DOCKER_HOST"] = f"unix://{scratch.root}/nowhere.sock"
    status, shown = scratch.run()
    assert status == 1
    assert "Step failed: Docker engine" in shown
    assert "engine-elsewhere" in shown


# --- two at once ------------------------------------------------------------------------------------------------------


def test_a_second_run_waits_for_the_first_and_names_it(scratch: Scratch) -> None:
    scratch.add_gate(closed=True)
    first = scratch.start()
    waiting.wait_until((scratch.gate / "reached").exists, what="the gate's recipe to run", timeout_s=90)
    second = scratch.start()
    assert second.stdout
    line = second.stdout.readline()
    assert f"Another set-up is running (process {first.pid}, since" in line
    (scratch.gate / "closed").unlink()
    shown_first, _ = first.communicate(timeout=90)
    shown_second, _ = second.communicate(timeout=90)
    assert (first.returncode, second.returncode) == (0, 0), shown_first + shown_second
    assert "built gate" in named_steps(shown_first)["Base images"]
    assert named_steps(shown_second)["Base images"] == "all 2 there"


# --- where it cannot work ---------------------------------------------------------------------------------------------


@pytest.fixture
def readable() -> Iterator[Path]:
    """Give a copy of the scripts that a user who is not root can read; pytest's own folders are root's."""
    folder = Path(tempfile.mkdtemp(prefix="lab-test-"))
    folder.chmod(0o755)
    for path in ENVIRONMENT.glob("*.sh"):
        shutil.copy2(path, folder)
    yield folder
    shutil.rmtree(folder)


def test_without_root_it_says_so(readable: Path) -> None:
    as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    shown = subprocess.run(
        [*as_nobody, str(readable / "provision.sh"), "--test"], capture_output=True, text=True, check=False, cwd="/"
    )
    assert shown.returncode == 1
    assert shown.stderr.startswith("needs-root: ")
    assert shown.stderr.splitlines()[-1].startswith("next: sudo ")
    assert shown.stderr.splitlines()[-1].endswith(f"{readable}/provision.sh --test")


def test_without_apt_it_names_what_is_supported(tmp_path: Path) -> None:
    for tool in ("bash", "env", "readlink", "dirname", "uname"):
        found = shutil.which(tool)
        assert found
        (tmp_path / tool).symlink_to(found)
    shown = subprocess.run(
        ["/bin/bash", str(ENVIRONMENT / "provision.sh")],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 1
    assert shown.stderr.startswith("machine-not-supported: ")
    assert all(name in shown.stderr for name in ("Debian 12", "Debian 13", "Ubuntu 24.04"))


def test_an_unknown_option_does_nothing(tmp_path: Path) -> None:
    shown = subprocess.run(
        [str(ENVIRONMENT / "provision.sh"), "--tests"],
        env=os.environ | {"LAB_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (shown.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "--tests" in shown.stderr


# --- the engine -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OwnEngine:
    """Places of an engine that engine.sh starts, in network and mount namespaces that end with it."""

    root: Path

    def start(self, *options: str) -> subprocess.CompletedProcess[str]:
        argv = [str(ENVIRONMENT / "engine.sh"), "--socket", str(self.root / "docker.sock")]
        argv += ["--data", str(self.root / "data"), "--run", str(self.root / "run"), "--", "--bridge=none"]
        return subprocess.run(
            ["unshare", "--net", "--mount", *argv, "--iptables=false", *options],
            env=os.environ | {"LAB_HOME": str(self.root / "home"), "LAB_LABEL": "lab.session=abc123"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @property
    def pid(self) -> int:
        return int((self.root / "run/dockerd.pid").read_text())


@pytest.fixture
def own_engine() -> Iterator[OwnEngine]:
    root = Path(tempfile.mkdtemp(prefix="lab-test-"))  # short: a socket's path ends at 107 bytes
    own = OwnEngine(root)
    yield own
    if (root / "run/dockerd.pid").exists():
        pid = own.pid
        os.kill(pid, signal.SIGTERM)
        waiting.wait_until(lambda: not Path(f"/proc/{pid}").exists(), what="dockerd to end", timeout_s=30)
    shutil.rmtree(root)


def test_the_engine_is_started_as_a_daemon_that_nobody_sweeps(own_engine: OwnEngine) -> None:
    shown = own_engine.start()
    assert shown.returncode == 0, shown.stderr
    assert re.fullmatch(r"Docker \S+ started\n", shown.stdout)
    pid = own_engine.pid
    assert os.getsid(pid) != os.getsid(0)  # Ctrl-C in this terminal is not for it
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert not [word for word in variables if word.startswith(b"LAB_LABEL=")]
    assert (own_engine.root / "home/log/dockerd.log").stat().st_size > 0

    again = own_engine.start()
    assert re.fullmatch(r"Docker \S+ answers\n", again.stdout)
    assert own_engine.pid == pid


def test_an_engine_that_does_not_come_up_shows_its_last_words(own_engine: OwnEngine) -> None:
    shown = own_engine.start("--storage-driver=nonsense")
    assert shown.returncode == 1
    assert shown.stderr.startswith("engine-does-not-start: ")
    assert "nonsense" in shown.stderr.partition("its last words:")[2]
