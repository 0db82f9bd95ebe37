"""The preflight's probes, each on what a machine may say."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from lab_helpers.base import preflight
from lab_helpers.base.preflight import Finding
from lab_helpers.base.units import GIB


@pytest.mark.parametrize(
    ("release", "state"),
    [
        ("6.1.0-28-amd64", "ok"),
        ("5.14.0", "ok"),
        ("5.10.0-33-amd64", "warning"),
        ("4.19.0", "blocking"),
        ("3.10.0-1160.el7", "blocking"),
        ("strange", "blocking"),
    ],
)
def test_kernel(release: str, state: str) -> None:
    found = preflight.kernel(release)
    assert found.state == state
    assert bool(found.fix) == (state != "ok")


STATUS = "Name:\tpython3\nCapInh:\t0000000000000000\nCapEff:\t{}\nCapBnd:\t000001ffffffffff\n"


@pytest.mark.parametrize(
    ("mask", "state", "named"),
    [
        ("000001ffffffffff", "ok", ""),
        ("000001fffeffffff", "warning", "CAP_SYS_RESOURCE"),
        ("000001ffffdfffff", "blocking", "CAP_SYS_ADMIN"),
        ("000001ffffffefff", "blocking", "CAP_NET_ADMIN"),
        ("0000000000000000", "blocking", "CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_SYS_RESOURCE"),
    ],
)
def test_capabilities(mask: str, state: str, named: str) -> None:
    found = preflight.capabilities(STATUS.format(mask))
    assert found.state == state
    assert named in found.observed


@pytest.mark.parametrize(("total", "state"), [(4 * GIB, "ok"), (int(3.8 * GIB), "ok"), (2 * GIB, "warning")])
def test_memory(total: int, state: str) -> None:
    assert preflight.memory(total).state == state


@pytest.mark.parametrize(
    ("free", "state"), [(10 * GIB, "ok"), (GIB, "warning"), (100 * 1024**2, "blocking"), (0, "blocking")]
)
def test_disk(free: int, state: str) -> None:
    found = preflight.disk(free)
    assert found.state == state
    assert "3 GiB" in found.why


def test_disk_looks_where_lab_home_will_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "not/yet/there"))
    assert str(tmp_path) in preflight.disk().observed


def test_port() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        found = preflight.port(number)
        assert found.state == "warning"
        assert found.fix == f"./lab up --port {number + 1}"
    assert preflight.port(number).state == "ok"


@pytest.mark.parametrize(
    ("names", "state"),
    [([], "ok"), (["PATH"], "ok"), (["HTTPS_PROXY"], "warning"), (["https_proxy", "no_proxy"], "ok")],
)
def test_proxies(names: list[str], state: str) -> None:
    assert preflight.proxies(names).state == state


def strange_probe() -> Finding:
    raise PermissionError(13, "Permission denied", "/sys/strange")


def test_all_findings_come_at_once_even_if_a_probe_fails() -> None:
    report = preflight.check([strange_probe, preflight.python])
    assert [found.name for found in report.findings] == ["strange probe", "python"]
    assert report.findings[0].state == "warning"
    assert "/sys/strange" in report.findings[0].observed


@pytest.mark.parametrize(
    ("states", "worst"), [(["ok"], "ok"), (["ok", "warning"], "warning"), (["warning", "blocking", "ok"], "blocking")]
)
def test_the_worst_state_counts(states: list[preflight.State], worst: str) -> None:
    report = preflight.Report(tuple(Finding("x", state, "o", "w", fix="f") for state in states))
    assert report.state == worst
    assert json.loads(json.dumps(report.as_json()))["state"] == worst


def test_every_worry_has_a_reason_and_a_fix() -> None:
    report = preflight.Report((Finding("disk", "blocking", "full", "images want room", "all", "docker image prune"),))
    assert str(report) == "✗ disk: full\n    why:  images want room (notebooks: all)\n    fix:  docker image prune"
    assert "<code>docker image prune</code>" in report._repr_html_()


def test_html_is_escaped() -> None:
    shown = preflight.Report((Finding("<b>", "ok", "<i>", "&"),))._repr_html_()
    assert "<i>" not in shown
    assert "&lt;i&gt;" in shown


def test_this_machines_own_findings_are_complete() -> None:
    for found in preflight.check(preflight.PROBES).findings:
        assert found.observed
        assert found.why
        assert found.fix or found.state == "ok", found
