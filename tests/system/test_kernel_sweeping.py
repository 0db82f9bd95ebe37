"""Sweeping the kernel's things: what carries a session's label goes, everything else stays, and twice does no harm."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab_helpers.base import commands, settings, sweeping
from lab_helpers.base.session import Session
from lab_helpers.kernel import cgroups, loop_device, network
from lab_helpers.kernel.cgroups import Cgroup
from lab_helpers.kernel.sweeping import KINDS

OTHER = "0ther0"


def _process(session: str) -> Callable[[], bool]:
    environment = {settings.LABEL_VARIABLE: f"lab.session={session}"}
    process = subprocess.Popen(["sleep", "60"], env={**os.environ, **environment})
    return lambda: process.poll() is None


def _table(session: str) -> Callable[[], bool]:
    commands.run(["nft", "add", "table", "inet", f"lab_{session}_x"])
    return lambda: f"lab_{session}_x" in commands.run(["nft", "list", "tables"]).stdout


def _rule(session: str) -> Callable[[], bool]:
    rule = ["-o", "lo", "-m", "comment", "--comment", f"lab.session={session} it's a rule", "-j", "ACCEPT"]
    commands.run(["iptables", "-w", "5", "-A", "OUTPUT", *rule])
    return lambda: commands.run(["iptables", "-w", "5", "-C", "OUTPUT", *rule], check=False).returncode == 0


def _interface(session: str) -> Callable[[], bool]:
    commands.run(["ip", "link", "add", f"lab{session}-a", "type", "veth", "peer", "name", f"lab{session}-b"])
    return lambda: f"lab{session}-b" in {link.name for link in network.interfaces()}


def _alias(session: str) -> Callable[[], bool]:
    name = f"v{session}"
    commands.run(["ip", "link", "add", name, "type", "bridge"])
    commands.run(["ip", "link", "set", name, "alias", f"lab.session={session}"])
    return lambda: name in {link.name for link in network.interfaces()}


def _namespace(session: str) -> Callable[[], bool]:
    commands.run(["ip", "netns", "add", f"lab-{session}-x"])
    return Path(f"/run/netns/lab-{session}-x").exists


def _cgroup(session: str) -> Callable[[], bool]:
    made = Cgroup.at(f"lab-{session}/demo").create().child("inner")
    made.start(["sleep", "60"], env={settings.LABEL_VARIABLE: f"lab.session={session}"})
    made.freezer.freeze()
    return lambda: Cgroup.at(f"lab-{session}").exists


def _mount(session: str) -> Callable[[], bool]:
    point = settings.scratch() / session / "mnt"
    point.mkdir(parents=True)
    for _ in range(2):  # one on top of the other
        commands.run(["mount", "-t", "tmpfs", "-o", "size=1m", "lab", str(point)])
    return lambda: str(point) in Path("/proc/self/mountinfo").read_text(encoding="utf-8")


def _loop(session: str) -> Callable[[], bool]:
    file = settings.scratch() / session / "disk.img"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(65536))
    device = Path(commands.run(["losetup", "--find", "--show", str(file)]).stdout.strip())
    return lambda: loop_device.backing_files().get(device) == file


MAKERS = {
    "process": _process,
    "nft table": _table,
    "iptables rule": _rule,
    "interface": _interface,
    "interface by alias": _alias,
    "network namespace": _namespace,
    "cgroup": _cgroup,
    "mount": _mount,
    "loop device": _loop,
}


def test_every_kind_has_a_test() -> None:
    assert {kind.name for kind in KINDS} <= set(MAKERS)


@pytest.mark.parametrize("what", MAKERS)
def test_ours_goes_and_others_stay(session: Session, what: str) -> None:
    kinds = [*KINDS]
    try:
        ours, theirs = MAKERS[what](session.id), MAKERS[what](OTHER)
        assert ours()
        assert theirs()
        kind = what.removesuffix(" by alias")
        listed = sweeping.sweep(kinds, session.id, dry_run=True)
        assert {item.session for item in listed.found} == {session.id}
        assert kind in {item.kind for item in listed.found}
        assert ours()
        report = sweeping.sweep(kinds, session.id)
        assert report.clean, str(report)
        assert kind in {item.kind for item in report.found}
        assert not ours()
        assert theirs()
        assert sweeping.sweep(kinds, session.id).found == ()
        every = {item.session for kind in kinds for item in kind.find(None)}
        assert OTHER in every
    finally:
        again = sweeping.sweep(kinds, OTHER)
        commands.run(["rm", "-rf", "--one-file-system", str(settings.scratch() / OTHER)])
    assert again.clean, str(again)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_is_gone_already_is_a_success(session: Session, kind: sweeping.Kind) -> None:
    names = {
        "process": "4194303 (sleep)",
        "nft table": "inet lab_0ther0",
        "iptables rule": 'iptables -t filter -A OUTPUT -o lo -m comment --comment "lab.session=0ther0" -j ACCEPT',
        "interface": "lab0ther0-a",
        "network namespace": "lab-0ther0-x",
        "cgroup": str(cgroups.session_cgroup().directory().parent / "lab-0ther0"),
        "mount": "/mnt/lab-0ther0",
        "loop device": "/dev/loop4000",
    }
    kind.remove(sweeping.Item(kind.name, names[kind.name], OTHER))


def test_a_sweep_spares_itself_and_its_ancestors(session: Session) -> None:
    """A process with the label that sweeps, started by one with the label: both live to tell."""
    script = (
        "from lab_helpers.base import sweeping; from lab_helpers.kernel.sweeping import KINDS; import sys;"
        "print(sweeping.sweep(KINDS[:1], sys.argv[1]))"
    )
    project = Path(__file__).parents[2]
    command = f"cd {project} && '{os.sys.executable}' -c '{script}' {session.id}; echo alive"
    done = commands.run(["sh", "-c", command], env={"PYTHONPATH": str(project)})
    assert done.stdout.splitlines() == ["nothing of ours is here", "alive"]


def test_a_pid_that_was_reused_is_not_killed(session: Session) -> None:
    """The item names a process with the label of a session; the process of that number now has another."""
    alive = _process(OTHER)
    pid = next(item.name for item in KINDS[0].find(OTHER))
    KINDS[0].remove(sweeping.Item("process", pid, session.id))
    assert alive()
    KINDS[0].remove(sweeping.Item("process", pid, OTHER))
    assert not alive()


def test_net_prio_goes_with_its_session(session: Session) -> None:
    demo = cgroups.create("demo")
    if demo.version == 1 and any(state.available for state in cgroups.controllers() if state.name == "net_prio"):
        demo.net_prio.set_priority("lo", 3)
        point = session.directory / "net_prio"
        assert any(mount.split()[4] == str(point) for mount in Path("/proc/self/mountinfo").read_text().splitlines())
    elif demo.version == 2:
        demo.net_prio.set_priority("lo", 3)
    report = sweeping.sweep(KINDS, session.id)
    assert report.clean, str(report)
    assert str(session.directory) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")
