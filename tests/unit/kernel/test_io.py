"""Block I/O files of both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_helpers.kernel.cgroups import io
from lab_helpers.kernel.cgroups.io import IoMax, IoStat
from lab_helpers.kernel.loop_device import ScratchDiskError, Throughput, parse_dd


def test_v2_limits() -> None:
    assert io.parse_io_max("7:0 rbps=max wbps=2097152 riops=100 wiops=max\n") == {
        "7:0": IoMax(rbps=None, wbps=2097152, riops=100, wiops=None)
    }
    assert io.parse_io_max("") == {}


def test_v1_limits_come_from_four_files() -> None:
    texts = {"rbps": "", "wbps": "7:0 2097152\n8:0 1\n", "riops": "7:0 100\n", "wiops": ""}
    assert io.parse_io_max_v1(texts) == {"7:0": IoMax(wbps=2097152, riops=100), "8:0": IoMax(wbps=1)}


def test_v2_counters() -> None:
    text = (
        "7:0 rbytes=4194304 wbytes=12582912 rios=64 wios=192 dbytes=0 dios=0\n254:0 rbytes=1 wbytes=2 rios=3 wios=4\n"
    )
    assert io.parse_io_stat(text) == {"7:0": IoStat(4194304, 12582912, 64, 192), "254:0": IoStat(1, 2, 3, 4)}


def test_v1_counters_come_from_two_files() -> None:
    amounts = (
        "7:0 Read 4194304\n7:0 Write 12582912\n7:0 Sync 16777216\n7:0 Async 0\n7:0 Total 16777216\nTotal 16777216\n"
    )
    counts = "7:0 Read 64\n7:0 Write 192\n7:0 Sync 256\n7:0 Async 0\n7:0 Total 256\nTotal 256\n"
    assert io.parse_io_stat_v1(amounts, counts) == {"7:0": IoStat(4194304, 12582912, 64, 192)}


def test_device_number_of_a_file_is_its_file_systems(tmp_path: Path) -> None:
    number = io.device_number(tmp_path)
    mounted = {line.split()[2] for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()}
    assert number in mounted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8388608 bytes (8.4 MB, 8.0 MiB) copied, 4.00263 s, 2.1 MB/s\n", Throughput(8388608, 4.00263)),
        ("64+0 records in\n64+0 records out\n512 bytes copied, 1.2e-05 s, 43 MB/s\n", Throughput(512, 1.2e-05)),
    ],
)
def test_dd(text: str, expected: Throughput) -> None:
    assert parse_dd(text) == expected


def test_dd_failed() -> None:
    with pytest.raises(ScratchDiskError, match="No space left"):
        parse_dd("dd: error writing '/dev/loop0': No space left on device\n")


def test_throughput() -> None:
    found = Throughput(4 << 20, 2.0)
    assert found.mib_per_s == 2.0
    assert str(found) == "4 MiB in 2.00 s: 2.0 MiB/s"
