"""Facts about processes, from ``/proc/PID``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lab_helpers.base.settings import LABEL_VARIABLE


@dataclass(frozen=True)
class Status:
    """The part of ``/proc/PID/status`` that the labs use.

    Attributes:
        pid: The process, in our PID namespace.
        name: Its command, at most 15 characters.
        state: One letter: R running, S sleeping, D waiting for a disk, T stopped, Z zombie.
        ppid: Its parent.
        threads: How many it has.
        rss_bytes: Memory that it holds in RAM; 0 for a kernel thread or a zombie.
        cpus_allowed_list: CPUs it may run on, such as ``0-1``; a cpuset shows here.
        mems_allowed_list: Memory nodes it may allocate from.
        ns_pids: Its PID in each PID namespace, outermost first; the last is the one it sees itself.
    """

    pid: int
    name: str
    state: str
    ppid: int
    threads: int
    rss_bytes: int
    cpus_allowed_list: str
    mems_allowed_list: str
    ns_pids: tuple[int, ...]


def parse_status(text: str) -> Status:
    """Read the text of a status file.

    Source: man 5 proc, "/proc/pid/status"; NSpid since Linux 4.1.
    """
    fields = {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
    return Status(
        pid=int(fields["Pid"]),
        name=fields["Name"],
        state=fields["State"][:1],
        ppid=int(fields["PPid"]),
        threads=int(fields["Threads"]),
        rss_bytes=int(fields.get("VmRSS", "0 kB").split()[0]) * 1024,
        cpus_allowed_list=fields.get("Cpus_allowed_list", ""),
        mems_allowed_list=fields.get("Mems_allowed_list", ""),
        ns_pids=tuple(int(word) for word in fields.get("NSpid", fields["Pid"]).split()),
    )


def status(pid: int | str = "self") -> Status:
    """Return the status of a process.

    Raises:
        FileNotFoundError: there is no such process.

    Equivalent: cat /proc/PID/status
    """
    return parse_status(Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace"))


def parse_start_ticks(text: str) -> int:
    """Return field 22 of a stat file: when the process started, in clock ticks since boot.

    The command in field 2 may hold blanks and brackets, so the count begins after the last bracket.
    """
    return int(text.rpartition(")")[2].split()[19])


def start_ticks(pid: int) -> int:
    """Return when a process started, in clock ticks since boot.

    A PID is used again; a PID with its start is unique until the next boot.

    Raises:
        FileNotFoundError: there is no such process.
    """
    return parse_start_ticks(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace"))


def parse_environ(data: bytes) -> dict[str, str]:
    """Read the zero-separated text of an environ file."""
    pairs = (entry.partition(b"=") for entry in data.split(b"\0") if entry)
    return {os.fsdecode(key): os.fsdecode(value) for key, _, value in pairs}


def label(pid: int) -> str | None:
    """Return the label that a process inherited (``lab.session=<id>``), or None.

    The file shows the environment as it was at exec; a process that has ended or is not ours to read has no label.
    """
    try:
        data = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    marker = LABEL_VARIABLE.encode() + b"="
    return parse_environ(data).get(LABEL_VARIABLE) if marker in data else None


def pids() -> tuple[int, ...]:
    """Return the processes of our PID namespace, lowest first."""
    return tuple(sorted(int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()))


def ancestors(pid: int) -> tuple[int, ...]:
    """Return the parent of a process, its parent and so on, up to PID 1."""
    found: list[int] = []
    while pid > 1:
        try:
            pid = status(pid).ppid
        except FileNotFoundError:
            break
        if pid:
            found.append(pid)
    return tuple(found)
