"""The formats of cgroup files, on text that kernels wrote."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab_helpers.kernel.cgroups import formats


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max\n", None),
        ("67108864\n", 67108864),
        ("0\n", 0),
        ("-1\n", None),  # v1 cpu.cfs_quota_us
        ("9223372036854771712\n", None),  # v1 memory.limit_in_bytes with pages of 4 KiB
        ("9223372036854710272\n", None),  # the same with pages of 64 KiB (arm64)
    ],
)
def test_parse_max(text: str, expected: int | None) -> None:
    assert formats.parse_max(text) == expected


@pytest.mark.parametrize("text", ["", "maximum\n", "1 2\n"])
def test_parse_max_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        formats.parse_max(text)


def test_parse_flat_v1_oom_control() -> None:
    assert formats.parse_flat("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n") == {
        "oom_kill_disable": 0,
        "under_oom": 0,
        "oom_kill": 3,
    }


def test_parse_nested_leaves_out_devices_without_values() -> None:
    # Some kernels print a device that has done nothing with no values at all.
    text = "7:1 \n254:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n"
    assert formats.parse_nested(text) == {
        "254:0": {"rbytes": "4096", "wbytes": "0", "rios": "1", "wios": "0", "dbytes": "0", "dios": "0"}
    }


def test_parse_blkio() -> None:
    text = "7:0 Read 0\n7:0 Write 8388608\n7:0 Sync 8388608\n7:0 Async 0\n7:0 Total 8388608\nTotal 8388608\n"
    assert formats.parse_blkio(text)["7:0"]["Write"] == 8388608
    assert set(formats.parse_blkio(text)) == {"7:0"}
    assert formats.parse_blkio("Total 0\n") == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("max 100000\n", (None, 100000)), ("50000 100000\n", (50000, 100000)), ("150000 50000\n", (150000, 50000))],
)
def test_parse_cpu_max(text: str, expected: tuple[int | None, int]) -> None:
    assert formats.parse_cpu_max(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("\n", ()), ("0\n", (0,)), ("0-3\n", (0, 1, 2, 3)), ("0-1,3,8-9\n", (0, 1, 3, 8, 9)), ("63\n", (63,))],
)
def test_lists_both_ways(text: str, expected: tuple[int, ...]) -> None:
    assert formats.parse_list(text) == expected
    assert formats.format_list(expected) == text.strip()


@settings(deadline=None)  # a machine that does much else is no failure
@given(st.sets(st.integers(min_value=0, max_value=300)))
def test_any_list_survives_the_round_trip(numbers: set[int]) -> None:
    assert formats.parse_list(formats.format_list(numbers)) == tuple(sorted(numbers))
