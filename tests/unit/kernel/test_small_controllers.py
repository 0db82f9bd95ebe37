"""Freezer, pressure, network priority: their files, as kernels and nft wrote them."""

from __future__ import annotations

import json

import pytest

from lab_helpers.kernel.cgroups import freezer, names, net_prio
from lab_helpers.kernel.cgroups.pressure import Stall, parse_pressure


@pytest.mark.parametrize(
    ("freeze", "events", "state", "requested"),
    [
        ("0\n", "populated 1\nfrozen 0\n", "THAWED", False),
        ("1\n", "populated 1\nfrozen 0\n", "FREEZING", True),
        ("1\n", "populated 1\nfrozen 1\n", "FROZEN", True),
        ("0\n", "populated 1\nfrozen 1\n", "FROZEN", False),  # a cgroup above is frozen
        ("0\n", "populated 0\n", "THAWED", False),  # before 5.2
    ],
)
def test_freezer_v2(freeze: str, events: str, state: str, *, requested: bool) -> None:
    found = freezer.parse_state(freeze, events)
    assert (found.state, found.requested) == (state, requested)
    assert found.frozen == (state == "FROZEN")


@pytest.mark.parametrize("state", ["THAWED", "FREEZING", "FROZEN"])
def test_freezer_v1(state: str) -> None:
    found = freezer.parse_state_v1(f"{state}\n", "1\n")
    assert (found.state, found.requested) == (state, True)


def test_pressure() -> None:
    text = "some avg10=0.22 avg60=1.11 avg300=1.09 total=13718516\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    found = parse_pressure(text)
    assert found.some == Stall(0.22, 1.11, 1.09, 13718516)
    assert found.full == Stall(0.0, 0.0, 0.0, 0)


def test_pressure_on_the_cpu_before_5_13_has_no_full_line() -> None:
    assert parse_pressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n").full is None


def test_ifpriomap() -> None:
    assert net_prio.parse_ifpriomap("lo 0\nifb0 0\neth0 5\n") == {"lo": 0, "ifb0": 0, "eth0": 5}


def test_nft_script_replaces_the_rules_of_one_cgroup() -> None:
    script = net_prio.nft_script("lab_k3x9ab", "lab.session=k3x9ab", "lab-k3x9ab/demo", {"lo": 5, "eth0": 0x10002})
    assert script == (
        'table inet lab_k3x9ab { comment "lab.session=k3x9ab"; }\n'
        "add chain inet lab_k3x9ab priority_lab_2dk3x9ab_2fdemo "
        "{ type filter hook output priority mangle; policy accept; }\n"
        "flush chain inet lab_k3x9ab priority_lab_2dk3x9ab_2fdemo\n"
        'add rule inet lab_k3x9ab priority_lab_2dk3x9ab_2fdemo oifname "lo" socket cgroupv2 level 2 "lab-k3x9ab/demo" '
        'counter meta priority set 0:5 comment "lo 5"\n'
        'add rule inet lab_k3x9ab priority_lab_2dk3x9ab_2fdemo oifname "eth0" socket cgroupv2 level 2 '
        '"lab-k3x9ab/demo" counter meta priority set 1:2 comment "eth0 65538"\n'
    )


def test_two_cgroups_never_share_a_chain() -> None:
    assert net_prio.chain_name("lab-a/b-c") != net_prio.chain_name("lab-a/b_c") != net_prio.chain_name("lab-a/b/c")


def test_nft_counters() -> None:
    rule = {
        "family": "inet",
        "table": "lab_k3x9ab",
        "chain": "priority_x",
        "handle": 3,
        "comment": "lo 5",
        "expr": [
            {"match": {"op": "==", "left": {"meta": {"key": "oifname"}}, "right": "lo"}},
            {"counter": {"packets": 7, "bytes": 420}},
            {"mangle": {"key": {"meta": {"key": "priority"}}, "value": "0:5"}},
        ],
    }
    listed = {"nftables": [{"metainfo": {"version": "1.0.6"}}, {"chain": {"name": "priority_x"}}, {"rule": rule}]}
    found = net_prio.parse_nft(json.dumps(listed))
    assert found.priorities == {"lo": 5}
    assert found.packets == {"lo": 7}
    assert found.mechanism.startswith("stand-in")


def test_names_cover_the_eight_controllers() -> None:
    rows = names.table().rows
    assert list(dict.fromkeys(row.controller for row in rows)) == [
        "memory", "cpu", "io", "pids", "cpuset", "freezer", "devices", "net_prio",
    ]  # fmt: skip
    assert all(row.meaning and (row.v1 != names.NONE or row.v2 != names.NONE) for row in rows)
    assert all(bool(row.since) == (row.v2 != names.NONE) for row in rows)


def test_names_of_one_controller_side_by_side() -> None:
    text = repr(names.table("memory"))
    assert "memory.max " in text
    assert "memory.limit_in_bytes" in text
    page = names.table("memory")._repr_html_()
    assert page.count("<tr>") == len(names.table("memory").rows) + 1
    with pytest.raises(KeyError):
        names.table("memry")
