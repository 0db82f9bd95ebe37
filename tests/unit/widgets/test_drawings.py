from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from lab_helpers.widgets import gauge_drawing, pillars_drawing, svg
from lab_helpers.widgets.facts import LayerFact, plain_name
from lab_helpers.widgets.history import History, Sample

if TYPE_CHECKING:
    from lab_helpers.widgets.facts import PillarsData, Usage

NS = "{http://www.w3.org/2000/svg}"


def texts(picture: str) -> list[str]:
    return ["".join(one.itertext()) for one in ET.fromstring(picture).iter(f"{NS}text")]  # noqa: S314 - ours


def without_measurements(picture: str) -> str:
    """What is left when the marked parts are gone: this must be the same in every run."""
    picture = re.sub(r'<tspan class="v">[^<]*</tspan>', "", picture)
    return re.sub(r'<(rect|path) class="v"[^>]*>', "", picture)


def test_pillars_show_every_fact(pillars: PillarsData) -> None:
    said = texts(pillars_drawing.draw(pillars))

    for words in ("web", "16 MiB of 64 MiB", "0.25 of 0.5 CPU", "2 of 100", "3 times, 250 ms", "4026532003", "● live"):
        assert words in said
    assert said.count("● own") == 6
    assert said.count("○ host's") == 2
    assert "1.812 MiB" in said


def test_pillars_without_limits_and_overlay(pillars: PillarsData) -> None:
    bare = replace(pillars.usage, memory_max_bytes=None, cpu_limit=None, pids_max=None, throttled=None)

    said = texts(pillars_drawing.draw(replace(pillars, usage=bare, cpus=None, layers=())))

    for words in ("16 MiB, no limit", "…, no limit", "2, no limit", "not known", "its root is no overlay"):
        assert words in said


def test_many_layers_are_counted(pillars: PillarsData) -> None:
    many = tuple(LayerFact(f"{n:064x}", n == 0, n) for n in range(20))

    assert "and 15 more read-only layers" in texts(pillars_drawing.draw(replace(pillars, layers=many)))


def test_the_description_is_for_screen_readers_and_has_no_id(pillars: PillarsData) -> None:
    label = ET.fromstring(pillars_drawing.draw(pillars)).get("aria-label")  # noqa: S314 - ours

    assert label == (
        "container web: cgroup (memory 64 MiB, CPU 0.5, processes 100); namespaces of its own: cgroup, ipc, mnt, net, "
        "pid, uts; shared with the host: time, user; layers: 2 read-only, 1 writable"
    )


def test_what_differs_between_runs_is_marked(pillars: PillarsData, usage: Usage) -> None:
    other = replace(
        pillars,
        name="lab-zzzzzz-web",
        pid=17,
        cgroup="docker/" + "ab" * 32,
        usage=replace(usage, memory_bytes=5, throttled=9, throttled_us=1, pids=1, memory_pressure=9.0, oom_kills=2),
        cpus=0.5,
        namespaces=tuple(replace(fact, inode=fact.inode + 99) for fact in pillars.namespaces),
        layers=tuple(replace(layer, identity="d" * 64, size_bytes=7) for layer in pillars.layers),
    )

    one, two = pillars_drawing.draw(pillars), pillars_drawing.draw(other)

    assert one != two
    assert without_measurements(one) == without_measurements(two)


def test_names_are_escaped(pillars: PillarsData) -> None:
    assert "<a&b>" in texts(pillars_drawing.draw(replace(pillars, name="<a&b>")))


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("lab-k3x9ab-web", "web"),
        ("lab-k3x9ab/demo", "demo"),
        ("lab-k3x9ab", "session"),
        ("docker/" + "0" * 64, "docker/<id>"),
        ("mine", "mine"),
    ],
)
def test_plain_names(name: str, plain: str) -> None:
    assert plain_name(name) == plain


def test_shorten_keeps_both_ends() -> None:
    assert svg.shorten("abcdefghij", 10) == "abcdefghij"
    assert svg.shorten("abcdefghijk", 7) == "abc…ijk"


def test_rates_come_from_counters(usage: Usage) -> None:
    history = History()
    first = history.add(100.0, usage)
    second = history.add(100.5, replace(usage, cpu_us=1_250_000, throttled_us=350_000, oom_kills=2))
    third = history.add(101.0, replace(usage, cpu_us=0, throttled_us=0, oom_kills=0))

    assert (first.cpus, first.throttled_ms, first.oom) == (None, 0.0, 0)
    assert second.cpus == pytest.approx(0.5)
    assert second.throttled_ms == pytest.approx(200)
    assert second.oom == 2
    assert (third.cpus, third.throttled_ms, third.oom) == (0.0, 0.0, 0)
    assert second.as_point()[:6] == [0.5, 16 * 1024 * 1024, 64 * 1024 * 1024, 0.5, 0.5, 200.0]


def test_gauge_marks_kills_throttling_and_limits(usage: Usage) -> None:
    samples = [
        Sample(0.0, usage, None, 0.0, 0),
        Sample(1.0, usage, 0.4, 300.0, 0),
        Sample(2.0, replace(usage, oom_kills=1), 0.5, 0.0, 1),
    ]

    picture = gauge_drawing.draw("lab-k3x9ab/demo", samples, "live")

    assert "OOM kill" in texts(picture)
    assert "cgroup demo" in texts(picture)
    assert "16 MiB of 64 MiB" in texts(picture)
    assert "OOM kill" not in texts(gauge_drawing.draw("x", samples[:2], "live"))


def test_gauge_without_figures_and_without_samples() -> None:
    from lab_helpers.widgets.facts import Usage as Nothing  # noqa: PLC0415

    assert "not known" in texts(gauge_drawing.draw("x", [Sample(0.0, Nothing(), None, 0.0, 0)], "live"))
    assert ET.fromstring(gauge_drawing.draw("x", [], "ready")).tag == f"{NS}svg"  # noqa: S314 - ours


@pytest.mark.parametrize("alarming", ["memory", "OOM kills", "processes", "memory pressure"])
def test_alarms(usage: Usage, alarming: str) -> None:
    bad = replace(usage, memory_bytes=usage.memory_max_bytes, oom_kills=1, pids=100, memory_pressure=50.0)

    assert (alarming, True) in [(label, alarm) for label, _, alarm in gauge_drawing.facts(Sample(0, bad, 0, 0, 0))]
    assert (alarming, False) in [(label, alarm) for label, _, alarm in gauge_drawing.facts(Sample(0, usage, 0, 0, 0))]
