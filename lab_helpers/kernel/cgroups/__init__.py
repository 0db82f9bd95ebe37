"""Control groups: all eight subsystems of the talk, cgroup v2 first and v1 behind the same face."""

from lab_helpers.kernel.cgroups.accounting import Account, MemoryUse, account
from lab_helpers.kernel.cgroups.cgroup import Cgroup
from lab_helpers.kernel.cgroups.cpu import (
    CpuFigures,
    CpuStat,
    oci_weight,
    oci_weight_linear,
    shares_of_weight,
    weight_of_shares,
)
from lab_helpers.kernel.cgroups.cpuset import CpusetFigures
from lab_helpers.kernel.cgroups.device_rules import Device, DeviceRules
from lab_helpers.kernel.cgroups.devices import DevicesFigures
from lab_helpers.kernel.cgroups.errors import (
    CgroupBusyError,
    CgroupError,
    CgroupsNotMountedError,
    ControllerMissingError,
    ControllerNotEnabledError,
    FileMissingError,
    KernelFileError,
    NotOurCgroupError,
)
from lab_helpers.kernel.cgroups.figures import CgroupFigures, figures
from lab_helpers.kernel.cgroups.freezer import FreezerFigures
from lab_helpers.kernel.cgroups.hierarchy import ControllerState, Hierarchies, Hierarchy, controllers, version
from lab_helpers.kernel.cgroups.io import IoFigures, IoMax, IoStat, device_number
from lab_helpers.kernel.cgroups.memory import MemoryEvents, MemoryFigures
from lab_helpers.kernel.cgroups.names import NameTable, Row, table
from lab_helpers.kernel.cgroups.net_prio import NetPrioFigures
from lab_helpers.kernel.cgroups.pids import PidsFigures
from lab_helpers.kernel.cgroups.pressure import Pressure, Stall
from lab_helpers.kernel.cgroups.session_cgroups import create, export_paths, open_cgroup, paths, session_cgroup

__all__ = [
    "Account",
    "Cgroup",
    "CgroupBusyError",
    "CgroupError",
    "CgroupFigures",
    "CgroupsNotMountedError",
    "ControllerMissingError",
    "ControllerNotEnabledError",
    "ControllerState",
    "CpuFigures",
    "CpuStat",
    "CpusetFigures",
    "Device",
    "DeviceRules",
    "DevicesFigures",
    "FileMissingError",
    "FreezerFigures",
    "Hierarchies",
    "Hierarchy",
    "IoFigures",
    "IoMax",
    "IoStat",
    "KernelFileError",
    "MemoryEvents",
    "MemoryFigures",
    "MemoryUse",
    "NameTable",
    "NetPrioFigures",
    "NotOurCgroupError",
    "PidsFigures",
    "Pressure",
    "Row",
    "Stall",
    "account",
    "controllers",
    "create",
    "device_number",
    "export_paths",
    "figures",
    "oci_weight",
    "oci_weight_linear",
    "open_cgroup",
    "paths",
    "session_cgroup",
    "shares_of_weight",
    "table",
    "version",
    "weight_of_shares",
]
