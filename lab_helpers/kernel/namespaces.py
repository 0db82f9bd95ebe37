"""Namespaces of a process, read from the links in ``/proc/PID/ns``."""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType

KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
"""The eight kinds of Linux; ``time`` came last, in Linux 5.6."""

_LINK = re.compile(r"^(?P<kind>[a-z]+):\[(?P<inode>\d+)\]$")


def parse_link(text: str) -> tuple[str, int]:
    """Split what ``readlink`` prints into kind and inode.

    >>> parse_link("net:[4026531840]")
    ('net', 4026531840)
    """
    match = _LINK.match(text)
    if not match:
        raise ValueError(f"not a namespace link: {text!r}")
    return match["kind"], int(match["inode"])


def of_process(pid: int | str = "self") -> MappingProxyType[str, int]:
    """Return kind -> inode of the namespaces that a process is in.

    Two processes share a namespace when the inodes are equal.

    Raises:
        FileNotFoundError: there is no such process.

    Equivalent: readlink /proc/PID/ns/*
    Source: man 7 namespaces (Linux 3.8+).
    """
    found: dict[str, int] = {}
    folder = Path(f"/proc/{pid}/ns")
    for kind in KINDS:
        try:
            found[kind] = parse_link(str((folder / kind).readlink()))[1]
        except FileNotFoundError:
            if not folder.exists():
                raise
    return MappingProxyType(found)


def shared(left: int | str, right: int | str) -> tuple[str, ...]:
    """Name the kinds of namespace that two processes share."""
    ours, theirs = of_process(left), of_process(right)
    return tuple(kind for kind in ours if ours[kind] == theirs.get(kind))
