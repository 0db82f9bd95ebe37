"""From a container or a cgroup to the plain data that widgets draw, by what it offers, not by its type."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from lab_helpers.base.errors import LabError
from lab_helpers.widgets.facts import LayerFact, NamespaceFact, PillarsData, Usage

_INIT = "-init"


class NothingToShowError(LabError):
    """A widget was given something it cannot draw."""


def usage_of(figures: Any) -> Usage:  # noqa: ANN401 - kernel.cgroups.CgroupFigures, or anything with its names
    """Turn the kernel room's figures into plain data."""
    cpu = figures.cpu
    quota, period = figures.cpu_quota_us, figures.cpu_period_us
    return Usage(
        memory_bytes=figures.memory_current_bytes,
        memory_max_bytes=figures.memory_max_bytes,
        cpu_us=cpu.usage_us if cpu else None,
        cpu_limit=quota / period if quota and period else None,
        throttled=cpu.nr_throttled if cpu else None,
        throttled_us=cpu.throttled_us if cpu else None,
        oom_kills=figures.oom_kills,
        pids=figures.pids_current,
        pids_max=figures.pids_max,
        memory_pressure=figures.pressure_memory_percent,
        cpu_pressure=figures.pressure_cpu_percent,
        io_pressure=figures.pressure_io_percent,
        frozen=figures.frozen,
    )


def usage_source(thing: Any) -> tuple[str, Callable[[], Usage]]:  # noqa: ANN401 - by what it offers
    """Return a name, and a function that reads the usage of a cgroup once.

    Args:
        thing: A container of the kit, a cgroup, or a function that returns figures (or a :class:`Usage`).

    Raises:
        NothingToShowError: it is none of these.
    """
    if callable(thing):
        return getattr(thing, "__name__", "cgroup").strip("<>"), lambda: _as_usage(thing())
    view = getattr(thing, "kernel", None)  # asks the engine: once
    if view is not None:
        return str(thing.name), _reader(view.cgroup)
    if hasattr(thing, "directory"):
        return str(thing.name), _reader(thing)
    raise NothingToShowError(
        f"cannot show {type(thing).__name__}",
        reference="nothing-to-show",
        why="a widget takes a container, a cgroup, or a function that returns figures",
        next_step="give what containers.run() or cgroups.create() returned",
    )


def _as_usage(found: Any) -> Usage:  # noqa: ANN401 - checked here
    return found if isinstance(found, Usage) else usage_of(found)


def _reader(cgroup: Any) -> Callable[[], Usage]:  # noqa: ANN401 - kernel.cgroups.Cgroup
    from lab_helpers.kernel import cgroups  # noqa: PLC0415 - only when there is a cgroup

    def read() -> Usage:
        if not cgroup.exists:
            raise FileNotFoundError(errno.ENOENT, "the cgroup is gone", cgroup.name)
        return usage_of(cgroups.figures(cgroup))

    return read


def pillars_source(container: Any) -> Callable[[], PillarsData]:  # noqa: ANN401 - by what it offers
    """Return a function that looks at a container once.

    Namespaces and lower layers of a container never change, so they are read at the first look; only the figures are
    read again.

    Args:
        container: A container of the kit, or a function that returns :class:`PillarsData`.

    Raises:
        NothingToShowError: it is neither.
    """
    if callable(container):
        return container  # type: ignore[no-any-return]
    view = getattr(container, "kernel", None)  # asks the engine: once
    if view is None:
        raise NothingToShowError(
            f"cannot show the three pillars of {type(container).__name__}",
            reference="nothing-to-show",
            why="it takes a container: something with a process, whose cgroup, namespaces and layers can be read",
            next_step="give what containers.run() returned",
        )
    read = _reader(view.cgroup)
    image = _image(container)
    namespaces = tuple(
        NamespaceFact(kind, inode, host=view.host_namespaces.get(kind) == inode)
        for kind, inode in view.namespaces.items()
    )
    before: list[tuple[float, int]] = []

    def look() -> PillarsData:
        if not Path(f"/proc/{view.pid}").exists():
            raise ProcessLookupError(errno.ESRCH, "the container's process has ended")
        usage, now = read(), time.monotonic()
        cpus = _cpus(before, now, usage.cpu_us)
        layers = tuple(layer_fact(layer.path, writable=layer.writable) for layer in view.layers)
        return PillarsData(str(container.name), image, view.pid, str(view.cgroup.name), usage, cpus, namespaces, layers)

    return look


def _cpus(before: list[tuple[float, int]], now: float, cpu_us: int | None) -> float | None:
    """CPUs used on average since the last look, whose time and total ``before`` holds."""
    last = before.pop() if before else None
    if cpu_us is None:
        return None
    before.append((now, cpu_us))
    if last is None or now <= last[0]:
        return None
    return max(0.0, (cpu_us - last[1]) / 1e6 / (now - last[0]))


def _image(container: Any) -> str:  # noqa: ANN401 - by what it offers
    inspect = getattr(container, "inspect", None)
    return str(inspect()["Config"]["Image"]) if inspect else ""


def layer_fact(path: Path, *, writable: bool) -> LayerFact:
    """Describe one directory of an overlay.

    Args:
        path: ``…/overlay2/<id>/diff``, or Docker's short link ``…/overlay2/l/<LINK>`` to it.
        writable: It is the upper directory.
    """
    real = Path(os.path.realpath(path))
    identity = real.parent.name if real.name == "diff" else real.name
    init = identity.endswith(_INIT)
    size = tree_bytes(real) if writable else _fixed_bytes(real)
    return LayerFact(identity, writable, size, "the engine's, for this one" if init else "")


@cache
def _fixed_bytes(path: Path) -> int | None:
    # A read-only layer is counted once.
    return tree_bytes(path)


def tree_bytes(path: Path) -> int | None:
    """Return the bytes of all files below a directory; None if it cannot be read. Links are not followed.

    Equivalent: du --apparent-size --bytes --summarize PATH    (which counts directories as well)
    """
    total = 0
    try:
        folders = [os.scandir(path)]
    except OSError:
        return None
    while folders:
        with folders.pop() as entries:
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(os.scandir(entry.path))
                    elif entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
                except OSError:
                    continue  # removed under our eyes, which a writable layer may do
    return total
