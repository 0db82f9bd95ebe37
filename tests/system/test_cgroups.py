"""Cgroups of the real kernel: making, entering, killing, removing. The same tests run on cgroup v1 and on v2."""

from __future__ import annotations

import errno
import os
import re
import signal
from pathlib import Path

import pytest

from lab_helpers.base import commands, transcript, waiting
from lab_helpers.base.session import Session
from lab_helpers.kernel import cgroups, procfs
from lab_helpers.kernel.cgroups import Cgroup
from lab_helpers.kernel.cgroups.folders import parse_membership

pytestmark = pytest.mark.shared_session


def test_a_cgroup_is_a_folder_in_every_hierarchy(session: Session) -> None:
    demo = cgroups.create("demo")
    assert demo.name == f"lab-{session.id}/demo"
    assert demo.exists
    for folder in demo.directories.values():
        assert (folder / "cgroup.procs").exists()
    if demo.version == 2:
        assert demo.directory() == Path(f"/sys/fs/cgroup/lab-{session.id}/demo")
    else:
        assert demo.directory("io") == Path(f"/sys/fs/cgroup/blkio/lab-{session.id}/demo")
    demo.delete()
    assert not demo.exists
    demo.delete()  # gone already is a success


def test_every_controller_is_ready_in_a_new_cgroup(session: Session) -> None:
    demo = cgroups.create("demo")
    assert demo.memory.read().max_bytes is None
    assert demo.cpu.read().quota_us is None
    assert demo.cpu.read().weight == 100
    assert demo.pids.read().max is None
    assert demo.io.read().max == {}
    assert demo.cpuset.read().effective_cpus == cgroups.Cgroup.of_process("self").cpuset.read().effective_cpus
    assert demo.freezer.read().state == "THAWED"
    assert demo.devices.read().rules is not None


def test_create_again_starts_afresh(session: Session) -> None:
    first = cgroups.create("demo")
    first.pids.set_max(7)
    inside = first.start(["sleep", "60"])
    second = cgroups.create("demo")
    assert second.pids.read().max is None
    assert second.processes() == ()
    assert inside.wait(10) == -signal.SIGKILL


def test_open_finds_what_is_there_and_changes_nothing(session: Session) -> None:
    cgroups.create("demo").pids.set_max(7)
    assert cgroups.open_cgroup("demo").pids.read().max == 7
    assert not cgroups.open_cgroup("other").exists


def test_a_command_is_inside_from_its_first_instruction(session: Session) -> None:
    demo = cgroups.create("demo")
    said = demo.run(["cat", "/proc/self/cgroup"]).stdout
    paths = set(parse_membership(said).values())
    assert f"/lab-{session.id}/demo" in paths
    if demo.version == 2:
        assert paths == {f"/lab-{session.id}/demo"}


def test_exit_status_and_errors_of_a_command(session: Session) -> None:
    demo = cgroups.create("demo")
    assert demo.run(["sh", "-c", "exit 3"], check=False).returncode == 3
    with pytest.raises(commands.CommandError, match="exit status 3"):
        demo.run(["sh", "-c", "exit 3"])
    demo.delete()
    with pytest.raises(cgroups.FileMissingError, match="there is no cgroup"):
        demo.run(["true"])


def test_processes_are_moved_and_found(session: Session) -> None:
    first, second = cgroups.create("first"), cgroups.create("second")
    sleeper = first.start(["sleep", "60"])
    assert first.processes() == (sleeper.pid,)
    assert Cgroup.of_process(sleeper.pid).name == first.name
    second.add(sleeper.pid)
    assert (first.processes(), second.processes()) == ((), (sleeper.pid,))
    assert Cgroup.of_process(sleeper.pid).memory.path(cgroups.memory.MAX) == second.memory.path(cgroups.memory.MAX)


def test_adding_no_process_tells_path_data_and_errno(session: Session) -> None:
    demo = cgroups.create("demo")
    with pytest.raises(cgroups.KernelFileError) as caught:
        demo.add(2**22 + 1)
    assert caught.value.errno in (errno.ESRCH, errno.EINVAL)
    assert caught.value.data == str(2**22 + 1)
    assert caught.value.path.name == "cgroup.procs"
    assert str(caught.value.path) in str(caught.value)


def test_of_process_of_nobody() -> None:
    with pytest.raises(FileNotFoundError):
        Cgroup.of_process(2**22 + 1)


def test_kill_takes_the_whole_tree(session: Session) -> None:
    demo = cgroups.create("demo")
    child = demo.child("child")
    # v2 lets no process into a cgroup that hands controllers down: all of them are in the leaves.
    for leaf in (child.child("a"), child.child("b")):
        leaf.start(["sh", "-c", "sleep 60 & sleep 60 & wait"])
    waiting.wait_until(lambda: len(demo.all_processes()) == 6, what="six processes")
    assert demo.processes() == ()
    demo.kill()
    assert demo.all_processes() == ()
    demo.kill()  # nobody there is a success


def test_kill_takes_the_frozen_too(session: Session) -> None:
    demo = cgroups.create("demo")
    sleeper = demo.start(["sleep", "60"])
    demo.freezer.freeze()
    demo.kill()
    assert demo.all_processes() == ()
    assert sleeper.wait(10) == -signal.SIGKILL


def test_delete_removes_children_first(session: Session) -> None:
    demo = cgroups.create("demo")
    demo.child("a/b/c")
    demo.child("d")
    assert [child.name for child in demo.children()] == [f"{demo.name}/a", f"{demo.name}/d"]
    demo.delete()
    assert not demo.exists


def test_delete_refuses_while_somebody_is_inside_and_says_who(session: Session) -> None:
    demo = cgroups.create("demo")
    sleeper = demo.start(["sleep", "60"])
    with pytest.raises(cgroups.CgroupBusyError) as caught:
        demo.delete()
    assert str(sleeper.pid) in caught.value.why
    demo.kill()
    demo.delete()


def test_with_block_leaves_nothing(session: Session) -> None:
    with Cgroup.at(f"lab-{session.id}/block") as block:
        sleeper = block.start(["sleep", "60"])
    assert not block.exists
    assert sleeper.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize("deed", ["kill", "delete"])
def test_cgroups_of_others_are_left_alone(deed: str) -> None:
    mine = Cgroup.of_process("self")
    with pytest.raises(cgroups.NotOurCgroupError, match="refusing"):
        getattr(mine, deed)()


def test_a_learners_own_mkdir_counts(session: Session) -> None:
    where = cgroups.export_paths()
    assert os.environ["CG"] == str(where["CG"])
    folder = where["CG"] if cgroups.version() == 2 else where["CG_CPU"]
    (folder / "mine").mkdir()
    mine = cgroups.open_cgroup("mine")
    mine.cpu.set_weight(400)
    assert int(mine.cpu.read_text(cgroups.cpu.WEIGHT)) == (400 if mine.version == 2 else 4096)
    assert mine.run(["true"]).returncode == 0


def test_a_learners_own_cpuset_lets_processes_in(session: Session) -> None:
    where = cgroups.paths()
    folder = where["CG"] if cgroups.version() == 2 else where["CG_CPUSET"]
    (folder / "pinned").mkdir()
    pinned = cgroups.open_cgroup("pinned")
    pinned.cpuset.set_cpus([0])
    assert "Cpus_allowed_list:\t0\n" in pinned.run(["cat", "/proc/self/status"]).stdout


def test_every_write_can_be_typed(session: Session) -> None:
    with transcript.record() as acts:
        demo = cgroups.create("demo")
        demo.pids.set_max(7)
    lines = [act.text for act in acts]
    assert f"echo 7 > {demo.directory('pids')}/pids.max" in lines
    assert f"mkdir {demo.directory('pids')}" in lines
    # Typing the same lines again gives the same limit.
    demo.pids.set_max(9)
    commands.run(["sh", "-c", next(line for line in lines if "pids.max" in line)])
    assert demo.pids.read().max == 7


def test_refused_values_are_told_with_errno(session: Session) -> None:
    demo = cgroups.create("demo")
    with pytest.raises(cgroups.KernelFileError) as caught:
        demo.pids.write_text(cgroups.pids.MAX, "many")
    assert caught.value.errno == errno.EINVAL
    assert caught.value.data == "many"
    assert re.search(r"EINVAL .*Invalid argument", str(caught.value))


def test_a_controller_that_is_not_handed_down_is_named(session: Session) -> None:
    parent = cgroups.create("demo")
    child = parent.child("child")
    if child.version == 1:
        # v1 hands nothing down: what is missing there is the whole hierarchy.
        with pytest.raises(cgroups.ControllerMissingError, match="no rdma controller"):
            child.directory("rdma")
        return
    (parent.directory() / "cgroup.subtree_control").write_text("-pids", encoding="ascii")
    with pytest.raises(cgroups.ControllerNotEnabledError) as caught:
        child.pids.set_max(5)
    assert caught.value.reference == "pids-not-enabled"
    assert str(parent.directory() / "cgroup.subtree_control") in caught.value.why


def test_what_only_the_other_version_has_is_a_clear_error(session: Session) -> None:
    demo = cgroups.create("demo")
    missing = (
        demo.memory.set_high
        if demo.version == 1
        else lambda value: demo.devices.write_text(cgroups.devices.ALLOW, value)
    )
    with pytest.raises(cgroups.FileMissingError, match=f"cgroup v{demo.version} has no counterpart"):
        missing(1)


def test_the_eight_controllers_of_this_machine() -> None:
    found = {state.name: state for state in cgroups.controllers()}
    assert tuple(found) == cgroups.hierarchy.EIGHT
    for name in ("memory", "cpu", "io", "pids", "cpuset", "freezer", "devices"):
        assert found[name].available, found[name]
    assert found["net_prio"].detail


def test_two_sessions_do_not_touch_each_other(session: Session) -> None:
    ours = cgroups.create("demo")
    with Cgroup.at("lab-other0/demo").create() as theirs:
        sleeper = theirs.start(["sleep", "60"])
        ours.kill()
        ours.delete()
        assert procfs.status(sleeper.pid).name == "sleep"
    Cgroup.at("lab-other0").delete()
