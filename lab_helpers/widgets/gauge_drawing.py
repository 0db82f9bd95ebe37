"""A gauge's history as a picture. Pure: samples in, SVG out; the browser draws the same in gauge.js."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab_helpers.base.units import format_bytes, format_duration
from lab_helpers.widgets import svg
from lab_helpers.widgets.facts import Usage, plain_name
from lab_helpers.widgets.history import Sample

WIDTH = 760
HEIGHT = 246
_LEFT = 14
_PLOT = 486
_FACTS = 520
LEAST_SPAN_S = 10.0
"""The time axis begins this long, so that the first samples do not fill it."""


@dataclass(frozen=True)
class Curve:
    """One of the two plots: where it is, and what it shows.

    Attributes:
        label: Its name.
        top: Upper edge, in pixels.
        height: Height in pixels.
        colour: Colour of the curve; its limit is red.
        value: What to draw of a sample; None is left out.
        limit: The limit at a sample; None: no limit.
    """

    label: str
    top: int
    height: int
    colour: str
    value: Callable[[Sample], float | None]
    limit: Callable[[Sample], float | None]


MEMORY = Curve("memory", 56, 74, svg.BLUE, lambda s: s.usage.memory_bytes, lambda s: s.usage.memory_max_bytes)
CPU = Curve("CPU time (red: throttled)", 156, 74, svg.GREEN, lambda s: s.cpus, lambda s: s.usage.cpu_limit)


def draw(name: str, samples: Sequence[Sample], state: str) -> str:
    """Draw a gauge.

    Args:
        name: The cgroup's name.
        samples: What was seen, oldest first.
        state: A word for the corner: live, or why it no longer is.
    """
    live = state == "live"
    parts = [
        svg.text(_LEFT, 24, f"cgroup {plain_name(name)}", size=15, bold=True),
        svg.text(
            WIDTH - _LEFT,
            24,
            f"{'●' if live else '○'} {state}",
            fill=svg.GREEN if live else svg.MUTED,
            anchor="end",
            varies=True,
        ),
    ]
    last = samples[-1] if samples else None
    if last is None:
        return svg.document(WIDTH, HEIGHT, "a cgroup gauge that has seen nothing yet", parts)
    span = (samples[0].at_s, max(LEAST_SPAN_S, last.at_s - samples[0].at_s))
    parts += [*_plot(samples, span, MEMORY), *_plot(samples, span, CPU)]
    parts += [*_throttling(samples, span), *_kills(samples, span)]
    parts += [svg.text(_LEFT, one.top - 6, one.label, size=11, fill=svg.MUTED) for one in (MEMORY, CPU)]
    parts += _facts(last)
    return svg.document(WIDTH, HEIGHT, describe(name, last.usage), parts)


def describe(name: str, usage: Usage | None) -> str:
    """Say in a sentence what the gauge shows; the same in every run of the same cgroup."""
    if usage is None:
        return f"cgroup {plain_name(name)}: nothing read yet"
    memory = "unlimited" if usage.memory_max_bytes is None else format_bytes(usage.memory_max_bytes)
    cpu = "unlimited" if usage.cpu_limit is None else f"{usage.cpu_limit:g}"
    pids = "unlimited" if usage.pids_max is None else str(usage.pids_max)
    return f"cgroup {plain_name(name)}: limits memory {memory}, CPU {cpu}, processes {pids}"


def _x(sample: Sample, span: tuple[float, float]) -> float:
    return _LEFT + (sample.at_s - span[0]) / span[1] * _PLOT


def _plot(samples: Sequence[Sample], span: tuple[float, float], curve: Curve) -> list[str]:
    top, height = curve.top, curve.height
    known = [(_x(sample, span), found) for sample in samples if (found := curve.value(sample)) is not None]
    cap = curve.limit(samples[-1])
    most = max([found for _, found in known] + [cap or 0, 1e-9]) * 1.12
    points = [(x, top + height - found / most * height) for x, found in known]
    parts = [svg.rectangle(_LEFT, top, _PLOT, height, fill=svg.INSET, radius=4)]
    if points:
        floor = top + height
        area = [(points[0][0], floor), *points, (points[-1][0], floor)]
        parts += [svg.path(area, fill=curve.colour, opacity=0.18), svg.path(points, stroke=curve.colour)]
    if cap:
        y = top + height - cap / most * height
        parts += [svg.path([(_LEFT, y), (_LEFT + _PLOT, y)], stroke=svg.RED)]
    return parts


def _throttling(samples: Sequence[Sample], span: tuple[float, float]) -> list[str]:
    top, height = CPU.top, CPU.height
    floor = top + height
    points = [
        (_x(sample, span), floor - min(1.0, sample.throttled_ms / 1000) * height)
        for sample in samples
        if sample.cpus is not None
    ]
    if not any(sample.throttled_ms for sample in samples) or not points:
        return []
    return [svg.path([(points[0][0], floor), *points, (points[-1][0], floor)], fill=svg.RED, opacity=0.35)]


def _kills(samples: Sequence[Sample], span: tuple[float, float]) -> list[str]:
    top, height = MEMORY.top, MEMORY.height
    parts = []
    for sample in samples:
        if sample.oom:
            x = _x(sample, span)
            parts += [
                svg.path([(x, top), (x, top + height)], stroke=svg.RED),
                svg.text(
                    min(x + 4, _LEFT + _PLOT - 52), top + height - 6, "OOM kill", size=10, fill=svg.RED, varies=True
                ),
            ]
    return parts


def _facts(sample: Sample) -> list[str]:
    parts = []
    for number, (label, value, alarm) in enumerate(facts(sample)):
        y = MEMORY.top + 14 + number * 25
        parts += [
            svg.text(_FACTS, y, label, size=12, fill=svg.MUTED),
            svg.text(
                WIDTH - _LEFT, y, value, anchor="end", bold=alarm, fill=svg.RED if alarm else svg.INK, varies=True
            ),
        ]
    return parts


def facts(sample: Sample) -> list[tuple[str, str, bool]]:
    """Return label, value and whether it is alarming, for the figures beside the curves."""
    usage = sample.usage
    memory = "?" if usage.memory_bytes is None else format_bytes(usage.memory_bytes)
    if usage.memory_max_bytes is not None:
        memory += f" of {format_bytes(usage.memory_max_bytes)}"
    cpu = "…" if sample.cpus is None else f"{sample.cpus:.2f}"
    if usage.cpu_limit is not None:
        cpu += f" of {usage.cpu_limit:g}"
    pids = "?" if usage.pids is None else str(usage.pids)
    if usage.pids_max is not None:
        pids += f" of {usage.pids_max}"
    throttled = "not known" if usage.throttled_us is None else format_duration(usage.throttled_us / 1e6)
    throttled = "none" if usage.throttled_us == 0 else throttled
    full = bool(usage.memory_max_bytes and (usage.memory_bytes or 0) > 0.95 * usage.memory_max_bytes)
    return [
        ("memory", memory, full),
        ("CPUs", cpu, False),
        ("throttled, in all", throttled, sample.throttled_ms > 0),
        ("OOM kills", "not known" if usage.oom_kills is None else str(usage.oom_kills), bool(usage.oom_kills)),
        ("processes", pids, usage.pids is not None and usage.pids == usage.pids_max),
        ("memory pressure", _percent(usage.memory_pressure), (usage.memory_pressure or 0) > 10),
        ("CPU pressure", _percent(usage.cpu_pressure), (usage.cpu_pressure or 0) > 50),
    ]


def _percent(value: float | None) -> str:
    return "not known" if value is None else f"{value:.1f} %"
