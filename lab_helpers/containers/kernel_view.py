"""What the kernel knows of a container: a process with a cgroup, namespaces and layers.

The kernel itself has no word for "container".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab_helpers.kernel import namespaces, network, overlay
from lab_helpers.kernel.cgroups import Cgroup


@dataclass(frozen=True)
class Layer:
    """One directory of the overlay that is a container's root.

    Attributes:
        path: The directory on the host.
        writable: It is the upper directory; the others are read-only and shared.
    """

    path: Path
    writable: bool


@dataclass(frozen=True)
class KernelView:
    """The three pillars of one container, as of now.

    Attributes:
        pid: Its main process, numbered as the host sees it.
        cgroup: The cgroup of that process.
        namespaces: Kind (``pid``, ``net``, ``mnt`` ...) to inode number.
        host_namespaces: The same of this process, on the host: an equal number means that it is shared.
        layers: Directories of its root, the writable one first.
        veth: Name of the host's end of its network cable; None without a network of its own.
    """

    pid: int
    cgroup: Cgroup
    namespaces: dict[str, int]
    host_namespaces: dict[str, int]
    layers: tuple[Layer, ...]
    veth: str | None

    @classmethod
    def of_process(cls, pid: int) -> KernelView:
        """Read the view of a container from its main process.

        Raises:
            FileNotFoundError: the process is gone.

        Equivalent: cat /proc/PID/cgroup; readlink /proc/PID/ns/*; head -1 /proc/PID/mountinfo
        """
        veth = network.veth_of(pid)
        return cls(
            pid=pid,
            cgroup=Cgroup.of_process(pid),
            namespaces=dict(namespaces.of_process(pid)),
            host_namespaces=dict(namespaces.of_process("self")),
            layers=_layers(pid),
            veth=veth.name if veth else None,
        )


def _layers(pid: int) -> tuple[Layer, ...]:
    root = overlay.of_process(pid)
    if root is None:
        return ()
    lower = tuple(Layer(path, writable=False) for path in root.lower)
    return (Layer(root.upper, writable=True), *lower) if root.upper else lower
