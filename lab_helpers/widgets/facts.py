"""The plain data that the widgets draw. Whoever has the figures fills these in; no kernel, no engine here."""

from __future__ import annotations

import re
from dataclasses import dataclass

_OURS = re.compile(r"\blab-[a-z0-9]{6}-?")
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Usage:
    """What a cgroup may use and uses, at one moment. None: not limited, or not known on this machine.

    Attributes:
        memory_bytes: Memory in use, bytes.
        memory_max_bytes: Its limit, bytes.
        cpu_us: CPU time used since the cgroup was made, microseconds.
        cpu_limit: Quota in CPUs: 0.5 is half of one.
        throttled: Periods in which it was throttled.
        throttled_us: Time for which it was throttled, microseconds.
        oom_kills: Processes that the kernel killed for want of memory.
        pids: Processes and threads.
        pids_max: Their limit.
        memory_pressure: Share of the last 10 s in which something waited for memory, percent (PSI).
        cpu_pressure: The same for CPU time.
        io_pressure: The same for block I/O.
        frozen: All its processes are stopped.
    """

    memory_bytes: int | None = None
    memory_max_bytes: int | None = None
    cpu_us: int | None = None
    cpu_limit: float | None = None
    throttled: int | None = None
    throttled_us: int | None = None
    oom_kills: int | None = None
    pids: int | None = None
    pids_max: int | None = None
    memory_pressure: float | None = None
    cpu_pressure: float | None = None
    io_pressure: float | None = None
    frozen: bool = False


@dataclass(frozen=True)
class NamespaceFact:
    """One namespace of a container.

    Attributes:
        kind: The word under ``/proc/PID/ns``.
        inode: Its number: equal numbers are the same namespace.
        host: It is the host's.
    """

    kind: str
    inode: int
    host: bool


@dataclass(frozen=True)
class LayerFact:
    """One directory of a container's root.

    Attributes:
        identity: The engine's id of it.
        writable: It is the upper directory.
        size_bytes: Bytes of the files in it; None if nobody counted.
        note: What it is for, if it is a special one.
    """

    identity: str
    writable: bool
    size_bytes: int | None = None
    note: str = ""


@dataclass(frozen=True)
class PillarsData:
    """One container as the kernel knows it: a process with a cgroup, namespaces and layers.

    Attributes:
        name: The container's name.
        image: What it was made from, "" if unknown.
        pid: Its main process on the host.
        cgroup: Path of its cgroup.
        usage: What the cgroup may use and uses.
        cpus: CPUs in use on average since the last look; None at the first.
        namespaces: Its namespaces.
        layers: Its layers, the one that wins first.
    """

    name: str
    image: str
    pid: int
    cgroup: str
    usage: Usage
    cpus: float | None
    namespaces: tuple[NamespaceFact, ...]
    layers: tuple[LayerFact, ...]


def plain_name(name: str) -> str:
    """Take the session out of a name, and shorten an engine's id: what is left is the same in every run.

    >>> plain_name("lab-k3x9ab-web")
    'web'
    """
    return _HEX.sub("<id>", _OURS.sub("", name)).strip("/") or "session"
