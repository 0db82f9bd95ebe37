"""Namespaces, overlay, labels and veth pairs, as this kernel shows them."""

from __future__ import annotations

from pathlib import Path

from lab_helpers.base import commands, waiting
from lab_helpers.base.session import Session
from lab_helpers.kernel import namespaces, network, overlay, procfs


def test_a_child_inherits_the_label(session: Session) -> None:
    child = commands.start(["sh", "-c", "sleep 60 & wait"])
    waiting.wait_until(lambda: procfs.label(child.pid), what="the label of the child")
    assert procfs.label(child.pid) == session.label
    grandchild = waiting.wait_until(
        lambda: next((pid for pid in procfs.pids() if pid != child.pid and child.pid in procfs.ancestors(pid)), None),
        what="a grandchild",
    )
    assert procfs.label(grandchild) == session.label
    assert procfs.label(1) is None


def test_the_label_of_nobody() -> None:
    assert procfs.label(2**22 + 1) is None


def test_a_namespace_of_its_own_has_another_inode(session: Session) -> None:
    child = commands.start(["unshare", "--uts", "--ipc", "sleep", "60"])
    waiting.wait_until(lambda: procfs.status(child.pid).name == "sleep", what="unshare to become sleep")
    shared = namespaces.shared("self", child.pid)
    assert "uts" not in shared
    assert "ipc" not in shared
    assert {"mnt", "net", "pid"} <= set(shared)


def test_both_ends_of_a_veth_pair_find_each_other(session: Session) -> None:
    space, ours = session.name("x"), session.interface_name("a")
    commands.run(["ip", "netns", "add", space])
    commands.run(["ip", "link", "add", ours, "type", "veth", "peer", "name", "eth0", "netns", space])
    child = commands.start(["ip", "netns", "exec", space, "sleep", "60"])
    waiting.wait_until(lambda: procfs.status(child.pid).name == "sleep", what="ip to become sleep")
    found = network.veth_of(child.pid)
    assert found is not None
    assert found.name == ours
    assert {link.name for link in network.interfaces(child.pid)} >= {"lo", "eth0"}
    commands.run(["ip", "link", "delete", ours])
    assert network.veth_of(child.pid) is None


def test_the_layers_of_a_root_on_an_overlay(session: Session) -> None:
    """A process whose root is an overlay mount, as a container's is."""
    disk = session.directory / "tmpfs"
    disk.mkdir()
    commands.run(["mount", "-t", "tmpfs", "lab", str(disk)])
    for name in ("lower1", "lower2", "upper", "work", "merged"):
        (disk / name).mkdir()
    busybox = disk / "lower1" / "busybox"
    commands.run(["cp", "/bin/busybox", str(busybox)])
    options = f"lowerdir={disk}/lower1:{disk}/lower2,upperdir={disk}/upper,workdir={disk}/work"
    commands.run(["mount", "-t", "overlay", "lab", "-o", options, str(disk / "merged")])
    child = commands.start(["unshare", "--mount", "chroot", str(disk / "merged"), "/busybox", "sleep", "60"])
    waiting.wait_until(lambda: procfs.status(child.pid).name == "busybox", what="chroot to become busybox")
    found = overlay.of_process(child.pid)
    assert found is not None
    assert found.layers == tuple(disk / name for name in ("upper", "lower1", "lower2"))


def test_this_process_has_layers_only_on_an_overlay() -> None:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    root = [line for line in lines if line.split()[4] == "/"][-1]
    assert (overlay.of_process("self") is not None) == (" - overlay " in root)
