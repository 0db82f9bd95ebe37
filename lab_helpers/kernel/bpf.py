"""The bpf system call: load a small program into the kernel and attach it to a cgroup.

Only what the device controller of cgroup v2 needs. The kernel checks every program before it accepts it; the checker's
words are in the error.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab_helpers.base.errors import LabError

_SYSCALL = {"x86_64": 321, "aarch64": 280}
_PROG_LOAD, _PROG_ATTACH, _PROG_DETACH, _PROG_GET_FD_BY_ID, _PROG_QUERY = 5, 8, 9, 13, 16
_PROG_TYPE_CGROUP_DEVICE = 15
_ATTACH_CGROUP_DEVICE = 6
_ALLOW_MULTI = 2
"""Several programs at one cgroup: all must say yes, so ours can only forbid more."""
_LOG_BYTES = 1 << 20
_LOAD = "load the device program"
_MOST_PROGRAMS = 64


class BpfError(LabError):
    """The kernel refused a bpf call; ``errno`` and ``log`` (the checker's words) are kept."""

    def __init__(self, deed: str, number: int, log: str = "") -> None:
        self.errno = number
        self.log = log
        last = "; ".join(log.strip().splitlines()[-2:])
        super().__init__(
            f"cannot {deed}: {errno.errorcode.get(number, str(number))} ({os.strerror(number)})",
            reference="bpf-refused",
            why=last or "the kernel allows it to root with CAP_BPF or CAP_SYS_ADMIN, when built with CONFIG_CGROUP_BPF",
            next_step="run `./lab doctor`: it shows the kernel's version and this process's capabilities",
        )


@dataclass(frozen=True)
class Instruction:
    """One eBPF instruction: eight bytes.

    Attributes:
        opcode: What it does.
        dst: Register 0-10 written to.
        src: Register 0-10 read from.
        off: Jump distance in instructions, or distance in memory in bytes.
        imm: Number.
    """

    opcode: int
    dst: int = 0
    src: int = 0
    off: int = 0
    imm: int = 0

    def encode(self) -> bytes:
        """Return its eight bytes. Source: kernel guide "BPF Instruction Set", "Basic instruction encoding"."""
        return struct.pack("<BBhi", self.opcode, self.dst | self.src << 4, self.off, self.imm)


def _call(
    command: int, attributes: bytes, deed: str, log: ctypes.Array[ctypes.c_char] | None = None
) -> tuple[int, bytes]:
    number = _SYSCALL.get(platform.machine())
    if number is None:
        raise BpfError(deed, errno.ENOSYS)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(ctypes.c_long(number), ctypes.c_int(command), buffer, ctypes.c_uint(len(attributes)))
    if result < 0:
        raise BpfError(deed, ctypes.get_errno(), log.value.decode(errors="replace") if log else "")
    return result, buffer.raw


def load_cgroup_device(program: Sequence[Instruction]) -> int:
    """Hand a program of type CGROUP_DEVICE to the kernel.

    Returns:
        A file descriptor; the program lives until it is closed and the program is attached nowhere.

    Raises:
        BpfError: the kernel refused; its reasons are in the message.

    Equivalent: bpftool prog load PROGRAM.o PIN
    Source: man 2 bpf, BPF_PROG_LOAD (type CGROUP_DEVICE: Linux 4.15+).
    """
    code = ctypes.create_string_buffer(b"".join(step.encode() for step in program))
    license_text = ctypes.create_string_buffer(b"Apache-2.0")
    log = ctypes.create_string_buffer(_LOG_BYTES)

    def attributes(log_level: int) -> bytes:
        room = (_LOG_BYTES, ctypes.addressof(log)) if log_level else (0, 0)
        start = (_PROG_TYPE_CGROUP_DEVICE, len(program), ctypes.addressof(code), ctypes.addressof(license_text))
        return struct.pack("<IIQQIIQII16s", *start, log_level, *room, 0, 0, b"lab_devices")

    try:
        return _call(_PROG_LOAD, attributes(0), _LOAD)[0]
    except BpfError:
        # Once more for its reasons: the log of a long program that is right can overflow, which would be an error too.
        return _call(_PROG_LOAD, attributes(1), _LOAD, log)[0]


def attach_device(cgroup: Path, program: int) -> None:
    """Attach a program to a cgroup; from now on the kernel asks it at every open and mknod of a device file.

    Args:
        cgroup: Folder in a cgroup v2 hierarchy.
        program: File descriptor of the program.

    Raises:
        BpfError: the kernel refused.

    Equivalent: bpftool cgroup attach CGROUP cgroup_device id ID multi
    """
    with _Folder(cgroup) as folder:
        attributes = struct.pack("<IIII", folder, program, _ATTACH_CGROUP_DEVICE, _ALLOW_MULTI)
        _call(_PROG_ATTACH, attributes, f"attach a device program to {cgroup}")


def detach_device(cgroup: Path, program: int) -> None:
    """Detach a program from a cgroup.

    Raises:
        BpfError: the kernel refused (ENOENT: it is not attached there).

    Equivalent: bpftool cgroup detach CGROUP cgroup_device id ID
    """
    with _Folder(cgroup) as folder:
        attributes = struct.pack("<IIII", folder, program, _ATTACH_CGROUP_DEVICE, 0)
        _call(_PROG_DETACH, attributes, f"detach a device program from {cgroup}")


def attached_devices(cgroup: Path) -> tuple[int, ...]:
    """Return the ids of the device programs attached to a cgroup itself (those above it count as well when asked).

    Raises:
        BpfError: the kernel refused.

    Equivalent: bpftool cgroup show CGROUP
    """
    ids = (ctypes.c_uint32 * _MOST_PROGRAMS)()
    with _Folder(cgroup) as folder:
        attributes = struct.pack(
            "<IIIIQI4x", folder, _ATTACH_CGROUP_DEVICE, 0, 0, ctypes.addressof(ids), _MOST_PROGRAMS
        )
        _, answer = _call(_PROG_QUERY, attributes, f"list the device programs of {cgroup}")
    count = struct.unpack_from("<I", answer, 24)[0]
    return tuple(ids[:count])


def open_program(program_id: int) -> int:
    """Return a file descriptor of a program that is in the kernel.

    Raises:
        BpfError: there is none of that id.
    """
    return _call(_PROG_GET_FD_BY_ID, struct.pack("<III", program_id, 0, 0), f"open the BPF program {program_id}")[0]


class _Folder:
    """A folder as a file descriptor, closed at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> int:
        self._descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
