"""Containers against the real engine: what is asked for is found again in the engine and in the kernel."""

from __future__ import annotations

from typing import Any

import pytest

from lab_helpers import containers
from lab_helpers.base import transcript
from lab_helpers.base.session import Session
from lab_helpers.base.units import MIB
from lab_helpers.base.waiting import WaitTimeoutError, wait_until
from lab_helpers.containers.container import ContainerNotRunningError, ContainerStartError, ImageMissingError
from lab_helpers.kernel import cgroups, procfs

pytestmark = pytest.mark.usefixtures("engine", "session")


def test_a_container_carries_the_label_and_the_name_of_its_session(session: Session) -> None:
    with containers.run(command=["sleep", "60"], name="web") as web:
        assert web.name == f"lab-{session.id}-web"
        assert web.inspect()["Config"]["Labels"]["lab.session"] == session.id
        assert web.inspect()["Config"]["Labels"]["lab.kind"] == "container"
        assert [found.id for found in containers.list_containers()] == [web.id]
    assert containers.list_containers() == []


def test_every_limit_is_found_again_in_the_kernel() -> None:
    with containers.run(
        command=["sleep", "60"], memory="64m", cpus=0.5, pids_limit=20, cpuset_cpus="0", cpu_shares=512
    ) as limited:
        cgroup = limited.kernel.cgroup
        assert cgroup.memory.read().max_bytes == 64 * MIB
        assert cgroup.cpu.read().quota_us == 50_000
        assert cgroup.cpu.read().period_us == 100_000
        assert cgroup.pids.read().max == 20
        assert cgroup.cpuset.read().cpus == (0,)
        limited.update(memory="32m", cpus=0.25)
        assert cgroup.memory.read().max_bytes == 32 * MIB
        assert cgroup.cpu.read().quota_us == 25_000


def test_a_limit_without_a_swap_option_means_no_swap() -> None:
    with containers.run(command=["sleep", "60"], memory="64m") as limited:
        assert limited.inspect()["HostConfig"]["MemorySwap"] == 64 * MIB


def test_the_kernel_view_names_the_process_its_namespaces_layers_and_cable(engine: Any) -> None:
    with containers.run(command=["sleep", "60"]) as web:
        view = web.kernel
        assert "sleep" in procfs.status(view.pid).name
        own = {kind for kind in view.namespaces if view.namespaces[kind] != view.host_namespaces[kind]}
        assert {"mnt", "net", "pid", "ipc", "uts"} <= own
        assert "user" not in own
        assert [layer.writable for layer in view.layers][:2] == [True, False]
        assert str(view.layers[0].path) == web.inspect()["GraphDriver"]["Data"]["UpperDir"]
        assert view.veth is not None
        assert view.veth.startswith("veth")


def test_a_container_on_the_host_network_has_no_cable_and_shares_the_namespace() -> None:
    with containers.run(command=["sleep", "60"], network="host") as web:
        view = web.kernel
        assert view.namespaces["net"] == view.host_namespaces["net"]
        assert view.veth is None


def test_an_oom_kill_is_in_the_kernels_record_and_in_the_exit_status() -> None:
    dd = "dd if=/dev/zero of=/dev/null bs=100M count=1"
    with containers.run(command=["sh", "-c", f"{dd}; sleep 60"], memory="20m") as survivor:
        memory = survivor.kernel.cgroup.memory
        assert wait_until(lambda: memory.read().events.oom_kill, what="an OOM kill", timeout_s=30) == 1
    greedy = containers.run(command=dd.split(), memory="20m")
    assert greedy.wait() == 137
    # On cgroup v1 the engine depends on an event file that newer kernels no longer serve: its flag stays False there.
    assert greedy.oom_killed or cgroups.version() == 1


def test_logs_exec_wait_and_exit_code() -> None:
    done = containers.run(command=["sh", "-c", "echo hello; exit 3"])
    assert done.wait() == 3
    assert done.exit_code == 3
    assert done.logs() == "hello\n"
    with containers.run(command=["sleep", "60"]) as web:
        assert web.exit_code is None
        result = web.exec(["sh", "-c", "echo inside; exit 4"])
        assert (result.exit_code, result.output) == (4, "inside\n")


def test_a_wait_that_is_too_long_says_the_last_state_and_the_last_lines() -> None:
    with (
        containers.run(command=["sh", "-c", "echo still here; sleep 60"]) as web,
        pytest.raises(WaitTimeoutError, match=r"running; its last lines: 'still here"),
    ):
        web.wait(timeout_s=0.5)


def test_pause_freezes_in_the_kernel() -> None:
    with containers.run(command=["sleep", "60"]) as web:
        web.pause()
        assert web.status == "paused"
        assert web.kernel.cgroup.freezer.read().frozen
        web.unpause()
        assert not web.kernel.cgroup.freezer.read().frozen


def test_a_stopped_container_has_no_kernel_view() -> None:
    web = containers.run(command=["sleep", "60"])
    web.stop(timeout_s=0)
    with pytest.raises(ContainerNotRunningError, match="exit status 137"):
        _ = web.kernel


def test_a_missing_image_names_those_that_are_there() -> None:
    with pytest.raises(ImageMissingError, match=r"(?s)no image nobody/has-this.*lab/busybox:1"):
        containers.run("nobody/has-this:1")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"command": ["/no/such/program"]}, "no such file or directory"),
        ({"command": ["sleep", "1"], "devices": ["/dev/no-such-device"]}, "no-such-device"),
        ({"command": ["sleep", "1"], "memory": "1k"}, "minimum memory limit"),
        ({"command": ["sleep", "1"], "cpuset_cpus": "999"}, "cpus"),
    ],
)
def test_a_failed_start_says_why_and_leaves_nothing(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ContainerStartError, match=f"(?si:.*{words})"):
        containers.run(**options)
    assert containers.list_containers() == []


def test_removing_twice_is_fine() -> None:
    web = containers.run(command=["sleep", "60"])
    web.remove()
    web.remove()


def test_the_transcript_holds_a_line_that_can_be_typed(session: Session) -> None:
    with (
        transcript.record() as acts,
        containers.run(command=["sleep", "60"], name="web", memory="64m", environment={"PASSWORD": "hunter2"}),
    ):
        pass
    line = acts[0].text
    assert line.startswith(f"docker run --detach --label lab.session={session.id} --name lab-{session.id}-web")
    assert "--memory 64m" in line
    assert "hunter2" not in " ".join(act.text for act in acts)


def test_a_published_port_is_on_loopback_only() -> None:
    with containers.run(command=["httpd", "-f", "-p", "80"], publish={"80/tcp": 0}) as web:
        bindings = web.inspect()["NetworkSettings"]["Ports"]["80/tcp"]
        assert {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}
