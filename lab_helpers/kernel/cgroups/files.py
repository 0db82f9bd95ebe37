"""The one door to the kernel's files: every write leaves a line that a learner could have typed.

A kernel file is no file on a disk: one ``write`` call is one request, and its error number is the kernel's answer. So
everything is written in one call, nothing is buffered, and path, data and error number stay together in the error.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from lab_helpers.base import transcript
from lab_helpers.kernel.cgroups.errors import KernelFileError

_CHUNK_BYTES = 65536


def read(path: Path, *, show: bool = False) -> str:
    """Return the text of a kernel file.

    Args:
        path: The file.
        show: Leave ``cat PATH`` in the transcript. Off by default: a gauge reads many times a second.

    Raises:
        KernelFileError: the kernel refused, or there is no such file (``errno`` tells which).

    Equivalent: cat PATH
    """
    if show:
        transcript.note("read", f"cat {shlex.quote(str(path))}")
    try:
        return read_raw(path)
    except OSError as error:
        raise KernelFileError(path, None, error) from error


def read_raw(path: Path | str) -> str:
    """Return the text of a kernel file, as fast as Python can: three system calls.

    Raises:
        OSError: what the kernel said.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, _CHUNK_BYTES)
        while len(data) % _CHUNK_BYTES == 0 and data:
            more = os.read(descriptor, _CHUNK_BYTES)
            if not more:
                break
            data += more
    finally:
        os.close(descriptor)
    return data.decode(errors="replace")


def write(path: Path, data: str | int) -> None:
    """Write a value to a kernel file in one call.

    Raises:
        KernelFileError: the kernel refused; it holds path, data and error number.

    Equivalent: echo DATA > PATH
    """
    text = str(data)
    transcript.note("write", f"echo {shlex.quote(text)} > {shlex.quote(str(path))}")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise KernelFileError(path, text, error) from error


def make_directory(path: Path) -> None:
    """Make a cgroup; one that is there already is a success.

    The kernel fills the new folder with files by itself.

    Raises:
        KernelFileError: the kernel refused.

    Equivalent: mkdir PATH
    """
    if path.is_dir():
        return
    transcript.note("command", f"mkdir {shlex.quote(str(path))}")
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise KernelFileError(path, "", error) from error


def remove_directory(path: Path) -> None:
    """Remove an empty cgroup; one that is gone already is a success.

    Only the folder can be removed: the files in it are the kernel's own.

    Raises:
        OSError: the kernel refused, with EBUSY while a process or a child is inside.

    Equivalent: rmdir PATH
    """
    try:
        path.rmdir()
    except FileNotFoundError:
        return
    transcript.note("command", f"rmdir {shlex.quote(str(path))}")
