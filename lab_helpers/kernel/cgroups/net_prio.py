"""Network priority: the priority of the packets that a cgroup's processes send, for each interface.

v1 has a controller, net_prio. It was left out of v2; what v2 offers instead is that a packet filter can match a
socket's cgroup. There nftables sets the priority: another mechanism with the same effect, and this file says so.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab_helpers.base import commands, session, transcript
from lab_helpers.kernel.cgroups import files, hierarchy
from lab_helpers.kernel.cgroups.control_file import ControlFile, Controller
from lab_helpers.kernel.cgroups.errors import CgroupError
from lab_helpers.kernel.mounts import read_mounts

IFPRIOMAP = ControlFile(
    "", "net_prio.ifpriomap", "priority of outgoing packets by interface (v2: nftables, meta priority)", ""
)
PRIOIDX = ControlFile("", "net_prio.prioidx", "the kernel's own number of this cgroup", "")

_INTERFACE = re.compile(r"^[^\s/\"]{1,15}$")
_MOST = 0xFFFFFFFF
CHAIN = "priority"
_in_use: set[str] = set()
"""v2 cgroups that this process gave a priority: their rules outlive them unless they are taken away."""

STAND_IN = "stand-in: nftables sets meta priority by the socket's cgroup"


@dataclass(frozen=True)
class NetPrioFigures:
    """Priorities of outgoing packets.

    Attributes:
        mechanism: ``net_prio.ifpriomap``, or the words of the stand-in.
        priorities: Interface -> priority.
        packets: Interface -> packets that got it; None on v1, which does not count.
    """

    mechanism: str
    priorities: dict[str, int]
    packets: dict[str, int] | None


def parse_ifpriomap(text: str) -> dict[str, int]:
    r"""Read net_prio.ifpriomap.

    >>> parse_ifpriomap("lo 0\neth0 5\n")
    {'lo': 0, 'eth0': 5}
    """
    return {name: int(value) for name, value in (line.rsplit(" ", 1) for line in text.splitlines())}


def table_name(session_id: str) -> str:
    """Return the name of a session's nftables table: hyphens are not allowed in it."""
    return f"lab_{session_id}"


def nft_script(table: str, label: str, path: str, rules: dict[str, int]) -> str:
    """Write the nftables script that gives one cgroup's packets their priorities, replacing its earlier rules.

    Args:
        table: Name of the session's table.
        label: ``lab.session=<id>``, as a comment on the table.
        path: The cgroup below /sys/fs/cgroup, without a leading slash.
        rules: Interface -> priority.

    Equivalent: nft -f SCRIPT
    Source: man 8 nft, "SOCKET EXPRESSION" (cgroupv2: Linux 5.13+), "meta priority".
    """
    chain = chain_name(path)
    level = len(path.split("/")) - (1 if path.startswith("unified/") else 0)
    lines = [
        f'table inet {table} {{ comment "{label}"; }}',
        f"add chain inet {table} {chain} {{ type filter hook output priority mangle; policy accept; }}",
        f"flush chain inet {table} {chain}",
    ]
    for interface, priority in rules.items():
        # A priority is a class of traffic control, major:minor in hexadecimal.
        handle = f"{priority >> 16:x}:{priority & 0xFFFF:x}"
        lines.append(
            f'add rule inet {table} {chain} oifname "{interface}" socket cgroupv2 level {level} "{path}" '
            f'counter meta priority set {handle} comment "{interface} {priority}"'
        )
    return "\n".join(lines) + "\n"


def chain_name(path: str) -> str:
    """Return the name of a cgroup's chain: its path in letters that nftables takes."""
    return f"{CHAIN}_" + re.sub(r"[^a-z0-9]", lambda match: f"_{ord(match[0]):x}", path.lower())


def parse_nft(text: str) -> NetPrioFigures:
    """Read what ``nft --json list chain`` prints for such a chain."""
    priorities: dict[str, int] = {}
    packets: dict[str, int] = {}
    listed: list[dict[str, Any]] = json.loads(text)["nftables"]
    for entry in listed:
        rule = entry.get("rule")
        if rule is None:
            continue
        interface, _, priority = rule["comment"].rpartition(" ")
        priorities[interface] = int(priority)
        packets[interface] = sum(part["counter"]["packets"] for part in rule["expr"] if "counter" in part)
    return NetPrioFigures(STAND_IN, priorities, packets)


class NftPriority:
    """v2's stand-in for one cgroup: a chain of nftables rules."""

    def __init__(self, session_id: str, label: str, path: str) -> None:
        self.table = table_name(session_id)
        self._label = label
        self._path = path

    def apply(self, rules: dict[str, int]) -> None:
        """Replace the rules of this cgroup.

        Raises:
            CommandError: nft refused, with its own words.
        """
        script = nft_script(self.table, self._label, self._path, rules)
        transcript.note("command", f"nft -f - <<'END'\n{script}END")
        commands.run(["nft", "-f", "-"], stdin=script, quiet=True)

    def read(self) -> NetPrioFigures:
        """Return priorities and counted packets."""
        chain = ["list", "chain", "inet", self.table, chain_name(self._path)]
        listed = commands.run(["nft", "--json", *chain], check=False, quiet=True)
        if listed.returncode != 0:
            return NetPrioFigures(STAND_IN, {}, {})
        return parse_nft(listed.stdout)

    def forget(self) -> None:
        """Remove the rules of this cgroup; none there is a success."""
        commands.run(["nft", "delete", "chain", "inet", self.table, chain_name(self._path)], check=False, quiet=True)


class NetPrio(Controller):
    """Network priority of one cgroup.

    v1: net_prio.ifpriomap; the kit mounts the hierarchy for the session if nothing did. v2: a stand-in, nftables.
    """

    name = "net_prio"
    files = (IFPRIOMAP, PRIOIDX)

    def set_priority(self, interface: str, priority: int) -> None:
        """Give the packets that leave by an interface a priority.

        What the number does is the queue's business: ``pfifo_fast`` sends the upper of its three bands first.

        Args:
            interface: Name, such as ``eth0``.
            priority: 0 to 4294967295; 0 is the default.

        Raises:
            CgroupError: the name or the number cannot be one.
            ControllerMissingError: v1: this kernel lacks net_prio.
            KernelFileError: v1: ENODEV or EINVAL: there is no such interface.
            CommandError: v2: nft refused.

        Equivalent: echo "eth0 5" > net_prio.ifpriomap    (v2: nft add rule ... socket cgroupv2 ... meta priority set)
        Source: kernel guide "Network priority cgroup" (v1, Linux 3.3+); man 8 nft (v2, Linux 5.13+).
        """
        if not _INTERFACE.match(interface) or not 0 <= priority <= _MOST:
            raise CgroupError(
                f"cannot give {interface!r} the priority {priority}",
                reference="bad-priority",
                why="an interface has a name of at most 15 characters, a priority is a number from 0 to 4294967295",
                next_step="take a name that `ip -br link` shows",
            )
        if self.cgroup.version == 1:
            self.mount()
            self.write_text(IFPRIOMAP, f"{interface} {priority}")
        else:
            _in_use.add(self.cgroup.name)
            stand_in = self._stand_in()
            stand_in.apply({**stand_in.read().priorities, interface: priority})

    def read(self) -> NetPrioFigures:
        """Return the priorities.

        Raises:
            ControllerMissingError: v1: this kernel lacks net_prio.

        Equivalent: cat net_prio.ifpriomap    (v2: nft list table inet lab_<id>)
        """
        if self.cgroup.version == 2:
            return self._stand_in().read()
        self.mount()
        return NetPrioFigures("net_prio.ifpriomap", parse_ifpriomap(self.read_text(IFPRIOMAP)), None)

    def forget(self) -> None:
        """Take away what the stand-in holds about this cgroup; v1's goes with its folder."""
        if self.cgroup.name in _in_use:
            self._stand_in().forget()
            _in_use.discard(self.cgroup.name)

    def mount(self) -> None:
        """v1: mount the hierarchy if nothing did, make this cgroup in it and bring its processes along.

        Raises:
            ControllerMissingError: this kernel lacks net_prio.

        Equivalent: mount -t cgroup -o net_prio none DIRECTORY
        """
        if self.name in self.cgroup.directories:
            return
        point = _mount_point()
        folder = point / self.cgroup.name.strip("/")
        for path in [*reversed(folder.parents), folder]:
            if point in path.parents:
                files.make_directory(path)
        for pid in self.cgroup.processes():
            files.write(folder / "cgroup.procs", pid)
        self.cgroup.add_directory(self.name, folder)

    def _stand_in(self) -> NftPriority:
        mine = session.current()
        return NftPriority(mine.id, mine.label, self.cgroup.name)


def _mount_point() -> Path:
    """Return where this session finds the net_prio hierarchy; mount it if need be."""
    mine = session.current()
    trees = hierarchy.read().of_session(mine.id)
    if "net_prio" in trees.by_controller:
        return trees.by_controller["net_prio"].mount_point
    point = mine.directory / "net_prio"
    if "net_prio" not in hierarchy.parse_compiled(files.read(Path("/proc/cgroups"))):
        raise hierarchy.missing("net_prio")
    point.mkdir(parents=True, exist_ok=True)
    try:
        commands.run(["mount", "-t", "cgroup", "-o", "net_prio", mine.label, str(point)])
    except commands.CommandError as error:
        raise hierarchy.missing("net_prio") from error
    if not any(mount.mount_point == point for mount in read_mounts()):
        raise hierarchy.missing("net_prio")
    return point
