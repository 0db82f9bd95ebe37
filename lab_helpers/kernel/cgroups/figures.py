"""All figures of a cgroup in one pass, fast enough for a gauge that looks four times a second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab_helpers.kernel.cgroups.cpu import CpuStat, parse_stat, parse_stat_v1
from lab_helpers.kernel.cgroups.files import read_raw
from lab_helpers.kernel.cgroups.formats import parse_cpu_max, parse_flat, parse_max
from lab_helpers.kernel.cgroups.io import parse_io_stat, parse_io_stat_v1
from lab_helpers.kernel.cgroups.pressure import parse_pressure

if TYPE_CHECKING:
    from pathlib import Path

    from lab_helpers.kernel.cgroups.cgroup import Cgroup


@dataclass(frozen=True)
class CgroupFigures:
    """What a gauge shows. None: no limit, or for a figure that this machine does not have.

    Attributes:
        memory_current_bytes: Memory in use.
        memory_max_bytes: Its limit; None: no limit.
        memory_peak_bytes: Most ever in use.
        oom_kills: Processes that the OOM killer ended.
        cpu: CPU time used and throttled, in microseconds.
        cpu_quota_us: CPU time allowed in a period; None: no limit.
        cpu_period_us: Length of a period, in microseconds.
        pids_current: Processes and threads.
        pids_max: Their limit; None: no limit.
        io_read_bytes: Read from all devices.
        io_written_bytes: Written to all devices.
        pressure_cpu_percent: Share of the last 10 s in which a process waited for a CPU; None: no PSI here.
        pressure_memory_percent: The same for memory.
        pressure_io_percent: The same for I/O.
        frozen: All processes have stopped.
    """

    memory_current_bytes: int | None
    memory_max_bytes: int | None
    memory_peak_bytes: int | None
    oom_kills: int | None
    cpu: CpuStat | None
    cpu_quota_us: int | None
    cpu_period_us: int | None
    pids_current: int | None
    pids_max: int | None
    io_read_bytes: int | None
    io_written_bytes: int | None
    pressure_cpu_percent: float | None
    pressure_memory_percent: float | None
    pressure_io_percent: float | None
    frozen: bool


def figures(cgroup: Cgroup) -> CgroupFigures:
    """Read all figures of a cgroup once.

    A file that is not there gives None: a gauge goes on when a controller is missing, and after the cgroup is gone.

    Equivalent: cat memory.current memory.max memory.peak memory.events cpu.stat cpu.max pids.* io.stat *.pressure
    """
    return _v2(cgroup) if cgroup.version == 2 else _v1(cgroup)


def _text(folder: Path | None, name: str) -> str | None:
    if folder is None:
        return None
    try:
        return read_raw(f"{folder}/{name}")
    except OSError:
        return None


def _number(text: str | None) -> int | None:
    return None if text is None else parse_max(text)


def _pressure(folder: Path | None, resource: str) -> float | None:
    text = _text(folder, f"{resource}.pressure")
    return parse_pressure(text).some.avg10_percent if text else None


def _v2(cgroup: Cgroup) -> CgroupFigures:
    folder = cgroup.unified
    stat, limit, io = _text(folder, "cpu.stat"), _text(folder, "cpu.max"), _text(folder, "io.stat")
    quota, period = parse_cpu_max(limit) if limit else (None, None)
    devices = None if io is None else parse_io_stat(io).values()
    return CgroupFigures(
        memory_current_bytes=_number(_text(folder, "memory.current")),
        memory_max_bytes=_number(_text(folder, "memory.max")),
        memory_peak_bytes=_number(_text(folder, "memory.peak")),
        oom_kills=parse_flat(_text(folder, "memory.events") or "").get("oom_kill"),
        cpu=parse_stat(stat) if stat else None,
        cpu_quota_us=quota,
        cpu_period_us=period,
        pids_current=_number(_text(folder, "pids.current")),
        pids_max=_number(_text(folder, "pids.max")),
        io_read_bytes=None if devices is None else sum(device.read_bytes for device in devices),
        io_written_bytes=None if devices is None else sum(device.written_bytes for device in devices),
        pressure_cpu_percent=_pressure(folder, "cpu"),
        pressure_memory_percent=_pressure(folder, "memory"),
        pressure_io_percent=_pressure(folder, "io"),
        frozen=parse_flat(_text(folder, "cgroup.events") or "").get("frozen") == 1,
    )


def _v1(cgroup: Cgroup) -> CgroupFigures:
    at = cgroup.directories.get
    memory, cpu, used, pids = at("memory"), at("cpu"), at("cpuacct"), at("pids")
    counted = [_text(used, name) for name in ("cpuacct.usage", "cpuacct.usage_user", "cpuacct.usage_sys")]
    stat = _text(cpu, "cpu.stat")
    whole = [text for text in (stat, *counted) if text is not None]
    io = _text(at("blkio"), "blkio.throttle.io_service_bytes_recursive")
    devices = None if io is None else parse_io_stat_v1(io, "").values()
    return CgroupFigures(
        memory_current_bytes=_number(_text(memory, "memory.usage_in_bytes")),
        memory_max_bytes=_number(_text(memory, "memory.limit_in_bytes")),
        memory_peak_bytes=_number(_text(memory, "memory.max_usage_in_bytes")),
        oom_kills=parse_flat(_text(memory, "memory.oom_control") or "").get("oom_kill"),
        cpu=parse_stat_v1(*whole) if len(whole) == 4 else None,
        cpu_quota_us=_number(_text(cpu, "cpu.cfs_quota_us")),
        cpu_period_us=_number(_text(cpu, "cpu.cfs_period_us")),
        pids_current=_number(_text(pids, "pids.current")),
        pids_max=_number(_text(pids, "pids.max")),
        io_read_bytes=None if devices is None else sum(device.read_bytes for device in devices),
        io_written_bytes=None if devices is None else sum(device.written_bytes for device in devices),
        pressure_cpu_percent=_pressure(cgroup.unified, "cpu"),
        pressure_memory_percent=_pressure(cgroup.unified, "memory"),
        pressure_io_percent=_pressure(cgroup.unified, "io"),
        frozen=(_text(at("freezer"), "freezer.state") or "").strip() == "FROZEN",
    )
