"""How the kernel's things that carry our label are found and removed.

A label is what each kind of thing can hold: a variable in a process's environment, the name of a cgroup, an alias on an
interface, a comment in a packet filter rule, the folder of a mount point or of a loop device's file.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
from pathlib import Path
from typing import Any

from lab_helpers.base import commands, session, settings, waiting
from lab_helpers.base.sweeping import Item, Kind
from lab_helpers.kernel import loop_device, mounts, network, procfs
from lab_helpers.kernel.cgroups import hierarchy
from lab_helpers.kernel.cgroups.cgroup import UNIFIED, Cgroup
from lab_helpers.kernel.cgroups.errors import CgroupsNotMountedError

_ID = "([a-z0-9]{6})"
_LABEL = re.compile(rf"{re.escape(settings.LABEL)}={_ID}(?![a-z0-9])")
_CGROUP = re.compile(rf"^lab-{_ID}$")
_NAMED = re.compile(rf"^lab-?{_ID}(-.*)?$")
_INTERFACE = re.compile(rf"^lab{_ID}-")
_TABLE = re.compile(rf"^lab_{_ID}(_.*)?$")
_RULE_WORD = re.compile(r'"((?:\\.|[^"\\])*)"|[^\s"]+')
_DEATH_TIMEOUT_MS = 1000
_UNMOUNT_TIMEOUT_S = 1.0


def _wanted(found: str, asked: str | None) -> bool:
    return asked in (None, found)


def _ours(found: str, asked: str | None) -> bool:
    """Judge a session id that stands in a name only.

    Somebody's own ``lab-router`` looks like one of ours: asked for all sessions, letters alone are taken for an id only
    while that session has a folder.
    """
    if asked is not None or any(letter.isdigit() for letter in found):
        return _wanted(found, asked)
    return session.directory(found).is_dir() or (settings.scratch() / found).is_dir()


# -- processes ---------------------------------------------------------------------------------------------------------


def _find_processes(asked: str | None) -> list[Item]:
    spared = {os.getpid(), *procfs.ancestors(os.getpid())}
    items: list[Item] = []
    for pid in procfs.pids():
        match = None if pid in spared else _LABEL.search(procfs.label(pid) or "")
        if match and _wanted(match[1], asked):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                items.append(Item("process", f"{pid} ({procfs.status(pid).name})", match[1]))
    return items


def _remove_process(item: Item) -> None:
    """Kill it, unless its number has gone to another process, and give it a second to go.

    One that v1 has frozen goes when its cgroup is thawed, which comes later in the order.
    """
    pid = int(item.name.split()[0])
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        match = _LABEL.search(procfs.label(pid) or "")
        if not match or match[1] != item.session:
            return
        signal.pidfd_send_signal(process, signal.SIGKILL)
        poll = select.poll()
        poll.register(process, select.POLLIN)
        poll.poll(_DEATH_TIMEOUT_MS)
    except ProcessLookupError:
        return
    finally:
        os.close(process)


# -- packet filter rules -----------------------------------------------------------------------------------------------


def _find_tables(asked: str | None) -> list[Item]:
    if commands.which("nft") is None:
        return []
    shown = commands.run(["nft", "--json", "list", "tables"], check=False, quiet=True)
    if shown.returncode != 0 and "not supported" in shown.stderr:
        return []  # a kernel without nf_tables
    listed: list[dict[str, Any]] = json.loads(shown.stdout or "{}").get("nftables", [])
    tables = [entry["table"] for entry in listed if "table" in entry]
    matches = [(table, _TABLE.match(table["name"])) for table in tables]
    return [
        Item("nft table", f"{table['family']} {table['name']}", match[1])
        for table, match in matches
        if match and _ours(match[1], asked)
    ]


def _remove_table(item: Item) -> None:
    family, name = item.name.split()
    try:
        commands.run(["nft", "delete", "table", family, name])
    except commands.CommandError as error:
        if "No such file" not in error.completed.stderr:
            raise


def parse_rules(tool: str, text: str) -> list[tuple[str, str]]:
    """Pick the rules with our label out of what ``iptables-save`` prints.

    Args:
        tool: ``iptables`` or ``ip6tables``.
        text: What it printed.

    Returns:
        The command that adds each rule, and the session of its label.
    """
    found: list[tuple[str, str]] = []
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        match = _LABEL.search(line) if line.startswith("-A ") else None
        if match:
            found.append((f"{tool} -t {table} {line}", match[1]))
    return found


def split_rule(line: str) -> list[str]:
    r"""Split a line of ``iptables-save`` into words: inside double quotes it escapes more than a shell would.

    >>> split_rule(r'-A OUTPUT --comment "it\'s ours" -j ACCEPT')
    ['-A', 'OUTPUT', '--comment', "it's ours", '-j', 'ACCEPT']
    """
    return [
        re.sub(r"\\(.)", r"\1", match[1]) if match[1] is not None else match[0] for match in _RULE_WORD.finditer(line)
    ]


def _find_rules(asked: str | None) -> list[Item]:
    items: list[Item] = []
    for tool in ("iptables", "ip6tables"):
        if commands.which(f"{tool}-save") is None:
            continue
        shown = commands.run([f"{tool}-save"], check=False, quiet=True)
        items += [
            Item("iptables rule", line, label)
            for line, label in parse_rules(tool, shown.stdout)
            if _wanted(label, asked)
        ]
    return items


def _remove_rule(item: Item) -> None:
    tool, flag, table, _, *rule = split_rule(item.name)
    try:
        # -w: the engine may hold the lock.
        commands.run([tool, "-w", "5", flag, table, "-D", *rule])
    except commands.CommandError:
        if item in _find_rules(item.session):
            raise


# -- interfaces and network namespaces ---------------------------------------------------------------------------------


def _find_interfaces(asked: str | None) -> list[Item]:
    items: list[Item] = []
    for link in network.interfaces():
        label, name = _LABEL.search(link.alias), _INTERFACE.match(link.name)
        match = label or name
        if match and (_wanted if label else _ours)(match[1], asked):
            items.append(Item("interface", link.name, match[1]))
    return items


def _remove_interface(item: Item) -> None:
    try:
        commands.run(["ip", "link", "delete", item.name])
    except commands.CommandError as error:
        # The other end of a veth pair goes with the first.
        if "Cannot find device" not in error.completed.stderr:
            raise


def _find_network_namespaces(asked: str | None) -> list[Item]:
    items: list[Item] = []
    folder = Path("/run/netns")
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = _NAMED.match(path.name)
        if match and _ours(match[1], asked):
            items.append(Item("network namespace", path.name, match[1]))
    return items


def _remove_network_namespace(item: Item) -> None:
    try:
        commands.run(["ip", "netns", "delete", item.name])
    except commands.CommandError:
        if Path("/run/netns", item.name).exists():
            raise


# -- cgroups -----------------------------------------------------------------------------------------------------------


def _find_cgroups(asked: str | None) -> list[Item]:
    try:
        trees = hierarchy.read()
    except CgroupsNotMountedError:
        return []
    items: list[Item] = []
    for tree in (*trees.v1, *((trees.unified,) if trees.unified else ())):
        for path in sorted(tree.mount_point.glob("lab-*")):
            match = _CGROUP.match(path.name)
            if match and _ours(match[1], asked):
                items.append(Item("cgroup", str(path), match[1]))
    return items


def _remove_cgroup(item: Item) -> None:
    path = Path(item.name)
    # First the whole cgroup in all hierarchies: v1 needs its freezer to kill for certain. Then this one folder.
    whole = Cgroup.at(path.name)
    whole.kill()
    alone = Cgroup(path.name, {UNIFIED: path}, whole.version)
    alone.kill()
    alone.delete()


# -- mounts and loop devices -------------------------------------------------------------------------------------------


def _session_of(path: Path) -> str | None:
    """Return the session whose folder a path is below, or whose name its last part has."""
    for folder in (session.sessions_directory(), settings.scratch()):
        if folder in path.parents:
            word = path.relative_to(folder).parts[0]
            return word if re.fullmatch(_ID, word) else None
    match = _NAMED.match(path.name)
    return match[1] if match else None


def _find_mounts(asked: str | None) -> list[Item]:
    items: list[Item] = []
    for mount in reversed(mounts.read_mounts()):
        # A name in /run/netns is a mount of nsfs: `ip netns delete` is for those.
        owner = None if mount.filesystem == "nsfs" else _session_of(mount.mount_point)
        if owner and _ours(owner, asked):
            items.append(Item("mount", str(mount.mount_point), owner))
    return items


def _remove_mount(item: Item) -> None:
    def is_mounted() -> bool:
        return any(str(mount.mount_point) == item.name for mount in mounts.read_mounts())

    def unmounted() -> bool:
        tried = commands.run(["umount", item.name], check=False)
        return tried.returncode == 0 or not is_mounted()

    try:
        waiting.wait_until(unmounted, what=f"{item.name} to be free", timeout_s=_UNMOUNT_TIMEOUT_S)
    except waiting.WaitTimeoutError:
        # Somebody's working directory is in it: out of sight now, gone when they leave.
        commands.run(["umount", "--lazy", item.name])


def _find_loop_devices(asked: str | None) -> list[Item]:
    items: list[Item] = []
    for device, behind in loop_device.backing_files().items():
        owner = _session_of(behind) if settings.scratch() in behind.parents else None
        if owner and _wanted(owner, asked):
            items.append(Item("loop device", str(device), owner))
    return items


def _remove_loop_device(item: Item) -> None:
    loop_device.detach(Path(item.name))


KINDS = (
    Kind("process", 10, _find_processes, _remove_process),
    Kind("nft table", 40, _find_tables, _remove_table),
    Kind("iptables rule", 40, _find_rules, _remove_rule),
    Kind("interface", 45, _find_interfaces, _remove_interface),
    Kind("network namespace", 50, _find_network_namespaces, _remove_network_namespace),
    Kind("cgroup", 60, _find_cgroups, _remove_cgroup),
    Kind("mount", 70, _find_mounts, _remove_mount),
    Kind("loop device", 75, _find_loop_devices, _remove_loop_device),
)
"""Everything of the kernel's that the kit makes."""
