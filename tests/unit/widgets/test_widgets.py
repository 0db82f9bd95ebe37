from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from lab_helpers.base.waiting import wait_until
from lab_helpers.widgets import CgroupGauge, NothingToShowError, ThreePillars, cgroup_gauge, sources, three_pillars
from lab_helpers.widgets.base import STATIC

if TYPE_CHECKING:
    from lab_helpers.widgets.facts import PillarsData, Usage


@pytest.fixture
def opened() -> Iterator[list[Any]]:
    widgets: list[Any] = []
    yield widgets
    for widget in widgets:
        widget.close()


def test_pillars_have_a_stable_text_and_a_picture(pillars: PillarsData, opened: list[Any]) -> None:
    widget = three_pillars(lambda: pillars, live=False)
    opened.append(widget)

    data, _ = widget._repr_mimebundle_()

    assert data["text/plain"] == repr(widget)
    assert data["text/plain"].startswith("<ThreePillars: container web: cgroup (memory 64 MiB")
    assert data["image/svg+xml"] == widget.drawing
    assert "application/vnd.jupyter.widget-view+json" in data
    assert not re.search(r"0x[0-9a-f]{6,}|k3x9ab", data["text/plain"])


def test_pillars_are_drawn_again_until_the_container_ends(pillars: PillarsData, opened: list[Any]) -> None:
    state = {"data": pillars}

    def look() -> PillarsData:
        if "data" not in state:
            raise ProcessLookupError(errno.ESRCH, "ended")
        return state["data"]

    widget = ThreePillars(look)
    opened.append(widget)
    widget._sampler._period_s = 0.01
    state["data"] = replace(pillars, pid=77)
    wait_until(lambda: "PID 77 " in widget.svg(), what="the new picture")

    del state["data"]
    wait_until(lambda: not widget.live, what="the end")

    assert "the container has ended" in widget.svg()
    assert "PID 77 " in widget.svg()


def test_closing_stops_the_thread(pillars: PillarsData) -> None:
    widget = three_pillars(lambda: pillars)
    assert widget.live

    widget.close()

    assert not widget.live


def test_gauge_sends_points_and_answers_with_its_history(
    usage: Usage, opened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(CgroupGauge, "send", lambda _self, content: sent.append(content))
    gauge = CgroupGauge(lambda: usage, hz=100)
    opened.append(gauge)
    with gauge:
        wait_until(lambda: len(sent) > 2, what="three points")

    assert {message["type"] for message in sent} == {"point"}
    sent.clear()
    gauge._asked(None, {"type": "history"}, [])
    gauge._asked(None, {"type": "other"}, [])
    assert len(sent) == 1
    assert len(sent[0]["points"]) == len(gauge.history.samples)


def test_gauge_says_why_it_stopped(usage: Usage, opened: list[Any]) -> None:
    there = [True]

    def read() -> Usage:
        if not there:
            raise FileNotFoundError(errno.ENOENT, "gone")
        return usage

    gauge = cgroup_gauge(read, hz=100, seconds=None)
    opened.append(gauge)
    assert gauge.state == "live"

    there.clear()
    wait_until(lambda: not gauge.live, what="the end")

    assert gauge.state == "the cgroup is gone"
    assert "○ the cgroup is gone" in gauge.svg()


def test_a_newer_gauge_of_the_same_cgroup_replaces_the_older(usage: Usage, opened: list[Any]) -> None:
    def demo() -> Usage:
        return usage

    opened += [cgroup_gauge(demo), cgroup_gauge(demo)]

    assert [gauge.live for gauge in opened] == [False, True]
    assert opened[0].state == "replaced by a newer gauge"
    assert repr(opened[1]) == "<CgroupGauge: cgroup demo: limits memory 64 MiB, CPU 0.5, processes 100>"


@pytest.mark.parametrize("make", [three_pillars, cgroup_gauge])
def test_other_things_are_refused(make: Any) -> None:
    with pytest.raises(NothingToShowError, match="nothing-to-show"):
        make(42)


def test_usage_of_the_kernel_rooms_figures() -> None:
    figures = SimpleNamespace(
        memory_current_bytes=1,
        memory_max_bytes=None,
        cpu=SimpleNamespace(usage_us=5, nr_throttled=2, throttled_us=3),
        cpu_quota_us=50_000,
        cpu_period_us=100_000,
        oom_kills=4,
        pids_current=6,
        pids_max=7,
        pressure_memory_percent=None,
        pressure_cpu_percent=1.0,
        pressure_io_percent=2.0,
        frozen=True,
    )

    found = sources.usage_of(figures)

    assert (found.cpu_limit, found.throttled, found.oom_kills, found.pids_max, found.frozen) == (0.5, 2, 4, 7, True)
    assert sources.usage_of(SimpleNamespace(**{**vars(figures), "cpu": None, "cpu_quota_us": None})).cpu_limit is None


def test_layers_are_measured_without_following_links(tmp_path: Path) -> None:
    diff = tmp_path / "overlay2" / ("a" * 64) / "diff"
    (diff / "bin").mkdir(parents=True)
    (diff / "bin" / "sh").write_bytes(b"x" * 100)
    (diff / "link").symlink_to("/")
    (tmp_path / "overlay2" / "l").mkdir()
    short = tmp_path / "overlay2" / "l" / "ABC"
    short.symlink_to(diff)

    fact = sources.layer_fact(short, writable=True)

    assert (fact.identity, fact.size_bytes, fact.writable) == ("a" * 64, 100, True)
    assert sources.tree_bytes(tmp_path / "missing") is None


@pytest.mark.parametrize("module", sorted(STATIC.glob("*.js")), ids=lambda path: path.name)
def test_modules_are_small_and_load_nothing(module: Path) -> None:
    text = module.read_text()

    assert len(text.encode()) < 50_000
    assert not re.search(r"https?://|\bimport\b|\bfetch\(|@import|src=", text)


def test_there_are_modules() -> None:
    assert {path.name for path in STATIC.glob("*.js")} >= {"picture.js", "gauge.js"}
