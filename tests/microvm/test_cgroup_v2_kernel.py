"""The microVM is what it promises: cgroup v2, a working engine, no network, an exit status that tells the truth.

Each boot costs half a minute or more, so one boot answers most questions: the guest writes facts, the host judges them.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab_helpers.base import settings
from lab_helpers.base.waiting import wait_until
from lab_helpers.cli import microvm


@dataclass(frozen=True)
class Run:
    result: microvm.Result
    share: Path
    facts: dict[str, Any]
    scratch: Path


def qemus_of(share: Path) -> list[int]:
    """Processes whose command line exports this share: it names one microVM and no other."""
    found = []
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = cmdline.read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        if f"share={share}" in text and "qemu-system" in text:
            found.append(int(cmdline.parent.name))
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    share, scratch = tmp_path_factory.mktemp("share"), tmp_path_factory.mktemp("scratch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "scratch", lambda: scratch)  # another run's disk may lie in the real one
        result = microvm.run_in_microvm(
            [".venv/bin/python", "tests/microvm/guest_facts.py"], timeout_s=1500, share=share, on_line=print
        )
    facts = share / "facts.json"
    assert facts.exists(), result.console_tail
    return Run(result, share, json.loads(facts.read_text()), scratch)


def test_the_guests_exit_status_reaches_the_host(run: Run) -> None:
    assert run.result.returncode == 3, run.result.console_tail
    assert 0 < run.result.booted_s < run.result.seconds


def test_the_kernel_mounts_cgroup_v2_alone(run: Run) -> None:
    assert run.facts["cgroup_filesystem"] == "cgroup2fs"
    assert run.facts["cgroup_of_command"] == "0::/init"


@pytest.mark.parametrize("controller", ["cpu", "memory", "pids", "io", "cpuset"])
def test_a_controller_may_be_used_by_children_of_the_root(run: Run, controller: str) -> None:
    assert controller in run.facts["controllers"]
    assert controller in run.facts["subtree_control"]


@pytest.mark.parametrize("resource", ["cpu", "memory", "io"])
def test_pressure_is_measured(run: Run, resource: str) -> None:
    assert run.facts["pressure"][resource].startswith("some avg10=")


def test_a_block_device_takes_a_limit(run: Run) -> None:
    assert run.facts["io_max"] == f"{run.facts['device']} rbps=max wbps=1048576 riops=max wiops=max"


def test_the_engine_uses_cgroup_v2_and_overlay2(run: Run) -> None:
    assert (run.facts["docker_cgroup_version"], run.facts["docker_storage"]) == ("2", "overlay2")


def test_a_container_reads_its_limits_in_its_own_files(run: Run) -> None:
    assert run.facts["container_memory_max"] == "67108864"
    assert run.facts["container_cpu_max"] == "50000 100000"


def test_a_privileged_container_may_mount(run: Run) -> None:
    assert run.facts["privileged_mount"] == "1"


def test_there_is_no_network_but_loopback_and_bridges(run: Run) -> None:
    # Loading the modules `dummy` and `ip_tunnel` may make interfaces; none of them may lead out.
    assert sorted(run.facts["links"]) == ["docker0", "lo"]
    assert run.facts["default_routes"] == ""


def test_what_the_guest_writes_outside_the_share_is_forgotten(run: Run) -> None:
    assert run.facts["wrote_to_checkout"] is True
    assert not (settings.PROJECT / "guest-was-here").exists()


def test_console_and_engine_log_stay_in_the_share(run: Run) -> None:
    assert "microvm:" in (run.share / "console.log").read_text()
    assert (run.share / "dockerd.log").exists()


def test_no_qemu_is_left_and_no_disk(run: Run) -> None:
    assert qemus_of(run.share) == []
    assert list(run.scratch.iterdir()) == []


def test_a_guest_that_hangs_is_ended_at_the_limit(tmp_path: Path) -> None:
    raised: list[microvm.MicrovmTimeoutError] = []

    def hang() -> None:
        with pytest.raises(microvm.MicrovmTimeoutError, match="did not end within 15 s") as caught:
            microvm.run_in_microvm(["sleep", "infinity"], timeout_s=15, share=tmp_path, docker=False)
        raised.append(caught.value)

    runner = threading.Thread(target=hang)
    runner.start()
    wait_until(lambda: qemus_of(tmp_path), what="QEMU to start", timeout_s=120)
    began = time.monotonic()
    runner.join()
    assert time.monotonic() - began < 30
    assert raised[0].reference == "microvm-timeout"
    assert qemus_of(tmp_path) == []


def test_a_guest_that_dies_without_a_word_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(microvm.MicrovmError) as caught:
        microvm.run_in_microvm(
            ["bash", "-c", "echo last words; echo o >/proc/sysrq-trigger; exec sleep 60"],
            timeout_s=600,
            share=tmp_path,
            docker=False,
        )
    assert caught.value.reference == "microvm-no-status"
    assert "last words" in caught.value.console_tail
