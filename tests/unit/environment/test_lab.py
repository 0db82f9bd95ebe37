"""./lab, the bash part: when it sets the machine up, when it asks for root, and what it costs when all is there."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
OVERHEAD_S = 0.05

# Every stand-in writes down what it was called with; that is what the tests look at.
PYTHON = '#!/bin/sh\necho "python $*" >>"$RECORD"\n'
DOCKER = '#!/bin/sh\necho "docker $*" >>"$RECORD"\nexit "${DOCKER_STATUS:-0}"\n'
SUDO = '#!/bin/sh\necho "sudo $*" >>"$RECORD"\n'
PROVISION = '#!/bin/sh\necho "provision $*" >>"$RECORD"\nexit "${PROVISION_STATUS:-0}"\n'
HAND_OVER = "python -P -m lab_helpers.cli"


@dataclass(frozen=True)
class Checkout:
    """A checkout with the real ./lab and stand-ins for what it hands over to."""

    root: Path

    @property
    def lab(self) -> Path:
        return self.root / "lab"

    def run(
        self, *arguments: str, prefix: Sequence[str] = (), via: Path | None = None, path: str = "", **environment: str
    ) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """Run ./lab; return how it ended and what the stand-ins were called with."""
        record = self.root / "record"
        record.write_text("")
        record.chmod(0o666)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LAB_", "DOCKER_"))}
        shown = subprocess.run(
            [*prefix, str(via or self.lab), *arguments],
            env=kept | {"RECORD": str(record), "PATH": path or f"{self.root}/bin:{os.environ['PATH']}"} | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd="/",
        )
        return shown, record.read_text().splitlines()

    def write_stamps(self) -> None:
        """Say that the last complete run of the set-up was for just this state."""
        script = f'. {self.root}/environment/stamp.sh; read_stamp $1; stamp_file $1; echo "$stamp" >"$stamp_path"'
        for level in ("base", "test"):
            subprocess.run(["bash", "-euc", script, "bash", level], check=True)


@pytest.fixture
def checkout() -> Iterator[Checkout]:
    root = Path(tempfile.mkdtemp(prefix="lab-test-"))  # pytest's own folders are closed to nobody
    root.chmod(0o755)
    shutil.copy2(PROJECT / "lab", root)
    shutil.copytree(PROJECT / "environment", root / "environment", ignore=shutil.ignore_patterns("microvm"))
    for place, text in (
        (".venv/bin/python", PYTHON),
        ("bin/docker", DOCKER),
        ("bin/sudo", SUDO),
        ("environment/provision.sh", PROVISION),
    ):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text, encoding="utf-8")
        (root / place).chmod(0o755)
    made = Checkout(root)
    made.write_stamps()
    yield made
    shutil.rmtree(root)


# --- nothing to do ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["doctor", "down", "sweep", "lint"])
def test_it_hands_over_at_once(checkout: Checkout, command: str) -> None:
    shown, record = checkout.run(command, "--json", "a b")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert record == [f"{HAND_OVER} {command} --json a b"]


@pytest.mark.parametrize("command", ["up", "run", "test", "bench"])
def test_what_starts_containers_looks_for_engine_and_images_first(checkout: Checkout, command: str) -> None:
    _, record = checkout.run(command)
    look = "docker image inspect --format present lab/busybox:1 lab/python:1"
    assert record == [look, f"{HAND_OVER} {command}"]


def test_it_works_through_a_link_and_without_an_execute_bit_on_the_way(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "here").symlink_to(checkout.lab)
    (tmp_path / "there").symlink_to(tmp_path / "here")
    shown, record = checkout.run("doctor", via=tmp_path / "there")
    assert (shown.returncode, record) == (0, [f"{HAND_OVER} doctor"])


@pytest.mark.parametrize("command", ["doctor", "up"])
def test_it_costs_milliseconds(checkout: Checkout, command: str) -> None:
    times = []
    for _ in range(10):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        checkout.run(command)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Processor time, and the least of it: other work on the machine only ever adds.
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < OVERHEAD_S


def test_its_exit_status_is_the_commands(checkout: Checkout) -> None:
    (checkout.root / ".venv/bin/python").write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    assert checkout.run("doctor")[0].returncode == 3


# --- something to do --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "call"),
    [
        ("up", "provision "),
        ("doctor", "provision "),
        ("test", "provision --test"),
        ("lint", "provision --test"),
        ("bench", "provision --test"),
    ],
)
def test_without_a_virtual_environment_it_sets_the_machine_up(checkout: Checkout, command: str, call: str) -> None:
    for stamp in checkout.root.glob(".venv/lab-stamp-*"):
        stamp.unlink()
    _, record = checkout.run(command)
    assert record == [call, f"{HAND_OVER} {command}"]


@pytest.mark.parametrize(
    "changed",
    [
        "environment/requirements.lock",
        "environment/base.packages",
        "environment/images/python.recipe",
        "environment/engine.sh",
    ],
)
def test_a_changed_input_is_noticed(checkout: Checkout, changed: str) -> None:
    with (checkout.root / changed).open("a", encoding="utf-8") as stream:
        stream.write("\n# changed\n")
    assert checkout.run("doctor")[1] == ["provision ", f"{HAND_OVER} doctor"]


def test_the_tests_lock_matters_to_the_tests_alone(checkout: Checkout) -> None:
    with (checkout.root / "environment/requirements-test.lock").open("a", encoding="utf-8") as stream:
        stream.write("\n# changed\n")
    assert checkout.run("doctor")[1] == [f"{HAND_OVER} doctor"]
    assert checkout.run("lint")[1] == ["provision --test", f"{HAND_OVER} lint"]


def test_a_moved_checkout_is_noticed(checkout: Checkout, tmp_path: Path) -> None:
    """Scripts in a virtual environment hold its path."""
    moved = Checkout(tmp_path / "moved")
    shutil.copytree(checkout.root, moved.root)
    assert moved.run("doctor")[1][0] == "provision "


def test_a_dead_engine_or_missing_images_are_noticed(checkout: Checkout) -> None:
    _, record = checkout.run("up", DOCKER_STATUS="1")
    assert record[1:] == ["provision ", f"{HAND_OVER} up"]


def test_a_failed_set_up_ends_it(checkout: Checkout) -> None:
    shown, record = checkout.run("up", DOCKER_STATUS="1", PROVISION_STATUS="1")
    assert (shown.returncode, record[1:]) == (1, ["provision "])


# --- help -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["--help"], ["up", "--help"], ["test", "-h"]])
def test_help_asks_for_nothing(checkout: Checkout, arguments: list[str]) -> None:
    for stamp in checkout.root.glob(".venv/lab-stamp-*"):
        stamp.unlink()
    _, record = checkout.run(*arguments, prefix=NOBODY)
    assert record == [" ".join([HAND_OVER, *arguments])]


def test_help_on_a_bare_machine_is_told_by_bash(checkout: Checkout) -> None:
    shutil.rmtree(checkout.root / ".venv")
    shown, record = checkout.run("--help", prefix=NOBODY)
    assert (shown.returncode, record) == (0, [])
    assert "./lab up" in shown.stdout


# --- root -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["up", "down", "test", "sweep", "run", "bench"])
def test_these_ask_for_root_and_keep_the_kits_variables(checkout: Checkout, command: str) -> None:
    shown, record = checkout.run(command, "--port", "1", prefix=NOBODY, LAB_HOME="/h", LAB_SOLVE="1", OTHER="x")
    assert record == [f"sudo --preserve-env=LAB_HOME,LAB_SOLVE -- {checkout.lab} {command} --port 1"]
    assert "needs root" in shown.stderr


@pytest.mark.parametrize("command", ["doctor", "lint"])
def test_these_do_not(checkout: Checkout, command: str) -> None:
    assert checkout.run(command, prefix=NOBODY)[1] == [f"{HAND_OVER} {command}"]


def test_setting_up_asks_for_root_and_the_command_stays_the_users(checkout: Checkout) -> None:
    (checkout.root / ".venv/lab-stamp-base").unlink()
    _, record = checkout.run("doctor", prefix=NOBODY)
    assert record == [f"sudo -- {checkout.root}/environment/provision.sh", f"{HAND_OVER} doctor"]


def test_without_sudo_it_says_what_to_do(checkout: Checkout, tmp_path: Path) -> None:
    for tool in ("bash", "readlink", "sha256sum", "cat", "grep", "paste"):
        found = shutil.which(tool)
        assert found
        (checkout.root / "bin" / tool).symlink_to(found)
    (checkout.root / "bin/sudo").unlink()
    prefix = [str(shutil.which(NOBODY[0])), *NOBODY[1:]]
    shown, record = checkout.run("up", prefix=prefix, path=f"{checkout.root}/bin")
    assert (shown.returncode, record) == (1, [])
    assert shown.stderr.startswith("needs-root: ")
    assert shown.stderr.splitlines()[-1].startswith("next: become root")
