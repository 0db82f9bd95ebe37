"""Network interfaces: name, alias, and the other end of a veth pair."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from lab_helpers.base import commands


@dataclass(frozen=True)
class Interface:
    """One network interface.

    Attributes:
        index: Its number in its network namespace.
        name: Its name, at most 15 characters.
        kind: ``veth``, ``bridge``, ...; empty for hardware and loopback.
        alias: Free text that the kit uses for its label; empty if unset.
        peer_index: The index of the other end of a veth pair, in that end's namespace; None if there is none.
        bridge: The bridge it is plugged into, or None.
        mac: Its hardware address.
        up: Whether it is switched on.
        mtu_bytes: Largest packet, in bytes.
    """

    index: int
    name: str
    kind: str
    alias: str
    peer_index: int | None
    bridge: str | None
    mac: str
    up: bool
    mtu_bytes: int


def parse_links(text: str) -> tuple[Interface, ...]:
    """Read what ``ip -json -details link`` prints."""
    links: list[dict[str, Any]] = json.loads(text or "[]")
    return tuple(
        Interface(
            index=link["ifindex"],
            name=link["ifname"],
            kind=link.get("linkinfo", {}).get("info_kind", ""),
            alias=link.get("ifalias", ""),
            # With the other end in another namespace ip prints its index; here, its name.
            peer_index=link.get("link_index") or _index_of(links, link.get("link")),
            bridge=link.get("master"),
            mac=link.get("address", ""),
            up="UP" in link.get("flags", ()),
            mtu_bytes=link.get("mtu", 0),
        )
        for link in links
        if link
    )


def _index_of(links: list[dict[str, Any]], name: str | None) -> int | None:
    return next((link["ifindex"] for link in links if name and link.get("ifname") == name), None)


def interfaces(pid: int | None = None) -> tuple[Interface, ...]:
    """Return the interfaces of our network namespace, or of a process's.

    Raises:
        CommandError: there is no such process, or its namespace cannot be entered.

    Equivalent: nsenter --net=/proc/PID/ns/net ip -json -details link show
    """
    enter = ["nsenter", f"--net=/proc/{pid}/ns/net"] if pid else []
    shown = commands.run([*enter, "ip", "-json", "-details", "link", "show"], quiet=True)
    return parse_links(shown.stdout)


def veth_of(pid: int) -> Interface | None:
    """Return our end of the veth pair of a process's network namespace, or None if it has none.

    A veth is a cable with two ends. The end in the container names the index of ours, and ours names its index back:
    an index alone is not unique across namespaces.
    """
    inside = {link.index: link.peer_index for link in interfaces(pid) if link.kind == "veth"}
    return next(
        (
            link
            for link in interfaces()
            if link.kind == "veth" and link.peer_index is not None and inside.get(link.peer_index) == link.index
        ),
        None,
    )
