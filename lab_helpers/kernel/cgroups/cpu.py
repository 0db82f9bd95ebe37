"""CPU time: a weight for when CPUs are short, a quota that holds always, and what was used and throttled."""

from __future__ import annotations

import errno
import math
from dataclasses import dataclass

from lab_helpers.kernel.cgroups.control_file import ControlFile, Controller
from lab_helpers.kernel.cgroups.errors import CgroupError, KernelFileError
from lab_helpers.kernel.cgroups.formats import parse_cpu_max, parse_flat, parse_max

WEIGHT = ControlFile(
    "cpu.weight", "cpu.shares", "share of the CPUs when they are short: v2 1-10000 (100), v1 2-262144 (1024)", "4.15"
)
MAX = ControlFile(
    "cpu.max", "cpu.cfs_quota_us", "quota in each period, in microseconds, even when CPUs are idle", "4.15"
)
PERIOD = ControlFile("", "cpu.cfs_period_us", "length of a period in microseconds (v2: second number of cpu.max)", "")
STAT = ControlFile(
    "cpu.stat", "cpu.stat", "periods, throttled periods and throttled time (v2: and CPU time used)", "4.15"
)
USAGE = ControlFile("", "cpuacct.usage", "CPU time used, in nanoseconds (v2: usage_usec of cpu.stat)", "", "cpuacct")
USER = ControlFile("", "cpuacct.usage_user", "of it in programs (v2: user_usec of cpu.stat)", "", "cpuacct")
SYSTEM = ControlFile("", "cpuacct.usage_sys", "of it in the kernel (v2: system_usec of cpu.stat)", "", "cpuacct")

DEFAULT_WEIGHT = 100
DEFAULT_SHARES = 1024
MIN_SHARES, MAX_SHARES = 2, 262144
MAX_WEIGHT = 10000
DEFAULT_PERIOD_US = 100_000


@dataclass(frozen=True)
class CpuStat:
    """CPU time since the cgroup was made, in microseconds.

    Attributes:
        usage_us: Used in all.
        user_us: In programs.
        system_us: In the kernel.
        nr_periods: Periods in which a process wanted to run while a quota was set.
        nr_throttled: Periods in which the quota ran out.
        throttled_us: How long processes were held back, summed over CPUs.
    """

    usage_us: int
    user_us: int
    system_us: int
    nr_periods: int
    nr_throttled: int
    throttled_us: int


@dataclass(frozen=True)
class CpuFigures:
    """The CPU limits and use of a cgroup.

    Attributes:
        weight: On the scale of v2, 1 to 10000, normally 100; v1's shares are converted as the kernel does.
        shares: What v1's cpu.shares says; None on v2.
        quota_us: CPU time allowed in each period, in microseconds; None: no limit.
        period_us: Length of a period, in microseconds.
        stat: What was used.
    """

    weight: int
    shares: int | None
    quota_us: int | None
    period_us: int
    stat: CpuStat

    @property
    def cpus(self) -> float | None:
        """The quota in CPUs, as ``docker run --cpus`` counts; None: no limit."""
        return None if self.quota_us is None else self.quota_us / self.period_us


def parse_stat(text: str) -> CpuStat:
    """Read v2's cpu.stat. The last three lines are there only while the controller is enabled."""
    found = parse_flat(text)
    names = ("usage_usec", "user_usec", "system_usec", "nr_periods", "nr_throttled", "throttled_usec")
    return CpuStat(*(found.get(name, 0) for name in names))


def parse_stat_v1(stat: str, usage_ns: str, user_ns: str, system_ns: str) -> CpuStat:
    """Read v1's cpu.stat and cpuacct.usage*, which count in nanoseconds."""
    found = parse_flat(stat)
    return CpuStat(
        int(usage_ns) // 1000,
        int(user_ns) // 1000,
        int(system_ns) // 1000,
        found.get("nr_periods", 0),
        found.get("nr_throttled", 0),
        found.get("throttled_time", 0) // 1000,
    )


def weight_of_shares(shares: int) -> int:
    """Convert v1's shares to v2's weight as the kernel itself scales them: 1024 is 100.

    >>> weight_of_shares(1024), weight_of_shares(512)
    (100, 50)

    Source: CGROUP_WEIGHT_DFL in include/linux/cgroup.h, sched_weight_from_cgroup() in kernel/sched.
    """
    return min(MAX_WEIGHT, max(1, round(shares * DEFAULT_WEIGHT / DEFAULT_SHARES)))


def shares_of_weight(weight: int) -> int:
    """Convert v2's weight to v1's shares as the kernel itself scales them: 100 is 1024."""
    return min(MAX_SHARES, max(MIN_SHARES, round(weight * DEFAULT_SHARES / DEFAULT_WEIGHT)))


def oci_weight_linear(shares: int) -> int:
    """Convert ``docker run --cpu-shares`` to cpu.weight as runc did until 1.3: a straight line from 2 to 262144.

    The default of 1024 shares becomes 39, far below v2's default of 100: a container that asks for the default share
    loses against a process outside that asks for nothing. Ratios between containers are nearly kept.

    >>> oci_weight_linear(1024), oci_weight_linear(512), oci_weight_linear(262144)
    (39, 20, 10000)

    Source: OCI runtime specification, "CPU", note on cgroup v2; runc 1.0 to 1.3 (Debian 12 and 13 have 1.1).
    """
    return 0 if shares == 0 else 1 + (min(MAX_SHARES, max(MIN_SHARES, shares)) - 2) * 9999 // 262142


def oci_weight(shares: int) -> int:
    """Convert ``docker run --cpu-shares`` to cpu.weight as runc 1.4 and crun 1.23 do: a curve through 1024 = 100.

    >>> oci_weight(1024), oci_weight(2), oci_weight(262144)
    (100, 1, 10000)

    Source: opencontainers/cgroups, ConvertCPUSharesToCgroupV2Value.
    """
    if shares == 0:
        return 0
    if shares <= MIN_SHARES:
        return 1
    if shares >= MAX_SHARES:
        return MAX_WEIGHT
    log = math.log2(shares)
    return math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34))


class Cpu(Controller):
    """The CPU controller of one cgroup.

    v2: cpu.weight, cpu.max, cpu.stat. v1: cpu.shares, cpu.cfs_quota_us, cpu.cfs_period_us, cpu.stat, cpuacct.usage*.
    """

    name = "cpu"
    files = (WEIGHT, MAX, PERIOD, STAT, USAGE, USER, SYSTEM)

    def set_weight(self, weight: int) -> None:
        """Set the share of CPU time that this cgroup gets when its siblings want to run too.

        Args:
            weight: 1 to 10000; the default is 100. On v1 it is converted: 100 is 1024 shares.

        Raises:
            KernelFileError: ERANGE outside 1 to 10000.

        Equivalent: echo 200 > cpu.weight    (v1: echo 2048 > cpu.shares)
        Source: kernel cgroup-v2 guide, "CPU Interface Files" (Linux 4.15+).
        """
        if not 1 <= weight <= MAX_WEIGHT:
            # v1 would take nearly anything and clamp it in silence.
            raise KernelFileError(self.path(WEIGHT), str(weight), OSError(errno.ERANGE, "out of range"))
        self.write_text(WEIGHT, weight if self.cgroup.version == 2 else shares_of_weight(weight))

    def set_shares(self, shares: int) -> None:
        """Set the weight in the words of v1 and of ``docker run --cpu-shares``.

        Args:
            shares: 2 to 262144; the default is 1024. On v2 it is converted by today's OCI formula (``oci_weight``).

        Equivalent: echo 512 > cpu.shares    (v2: cpu.weight)
        """
        self.write_text(WEIGHT, oci_weight(shares) if self.cgroup.version == 2 else shares)

    def set_max(self, quota_us: int | None, period_us: int = DEFAULT_PERIOD_US) -> None:
        """Stop the processes when they have used their quota, until the next period begins.

        Args:
            quota_us: CPU time for each period, at least 1000 microseconds; more than a period: more than one CPU;
                None: no limit.
            period_us: Length of a period, 1000 to 1000000 microseconds.

        Raises:
            ControllerNotEnabledError: v2: the parent's cgroup.subtree_control lacks ``cpu``.
            KernelFileError: EINVAL outside those bounds, or (v1) above the quota of the parent.

        Equivalent: echo "50000 100000" > cpu.max    (v1: cpu.cfs_period_us, cpu.cfs_quota_us)
        Source: kernel cgroup-v2 guide, "CPU Interface Files" (Linux 4.15+).
        """
        if quota_us is not None and quota_us <= 0:
            raise CgroupError(
                f"cannot set a CPU quota of {quota_us} microseconds",
                reference="bad-cpu-quota",
                why="a quota is a positive amount of CPU time; v1 would take -1 for no limit",
                next_step="give at least 1000, or None for no limit",
            )
        if self.cgroup.version == 2:
            self.write_text(MAX, f"{'max' if quota_us is None else quota_us} {period_us}")
            return
        quota = -1 if quota_us is None else quota_us
        try:
            self.write_text(PERIOD, period_us)
        except KernelFileError as error:
            # v1 takes two writes. The old quota in the new period can exceed the parent's share: then quota first.
            if error.errno != errno.EINVAL:
                raise
            self.write_text(MAX, quota)
            self.write_text(PERIOD, period_us)
        self.write_text(MAX, quota)

    def stat(self) -> CpuStat:
        """Return what was used and throttled.

        Equivalent: cat cpu.stat    (v1: cpu.stat cpuacct.usage cpuacct.usage_user cpuacct.usage_sys)
        """
        if self.cgroup.version == 2:
            return parse_stat(self.read_text(STAT))
        return parse_stat_v1(*(self.read_text(control) for control in (STAT, USAGE, USER, SYSTEM)))

    def read(self) -> CpuFigures:
        """Return all figures of this controller.

        Raises:
            ControllerNotEnabledError: v2: the parent's cgroup.subtree_control lacks ``cpu``.
        """
        first = int(self.read_text(WEIGHT))
        if self.cgroup.version == 2:
            quota, period = parse_cpu_max(self.read_text(MAX))
            return CpuFigures(first, None, quota, period, self.stat())
        quota, period = parse_max(self.read_text(MAX)), int(self.read_text(PERIOD))
        return CpuFigures(weight_of_shares(first), first, quota, period, self.stat())
