"""The three pillars of one container as a picture. Pure: data in, SVG out."""

from __future__ import annotations

from lab_helpers.base.units import format_bytes, format_duration
from lab_helpers.widgets import svg
from lab_helpers.widgets.facts import LayerFact, NamespaceFact, PillarsData, Usage, plain_name

WIDTH = 760
_MARGIN = 12
_GAP = 14
_COLUMN = (WIDTH - 2 * _MARGIN - 2 * _GAP) / 3
_TOP = 66
_HEAD = 48
_PAD = 12
_INNER = _COLUMN - 2 * _PAD
_ROW = 30
_LAYER = 34
_MOST_LAYERS = 6

SEES = {
    "cgroup": "where its cgroups begin",
    "ipc": "shared memory",
    "mnt": "what is mounted where",
    "net": "interfaces, routes, ports",
    "pid": "process numbers",
    "time": "clocks since boot",
    "user": "user ids, capabilities",
    "uts": "host name",
}


def draw(data: PillarsData, state: str = "live") -> str:
    """Draw a container.

    Args:
        data: What is known of it.
        state: A word for the corner: live, or why it no longer is.
    """
    height = _TOP + _HEAD + max(8 * _ROW, len(data.namespaces) * _ROW) + _MARGIN + 14
    column = height - _TOP - _MARGIN
    parts = _title(data, state)
    for number, (colour, title, subtitle) in enumerate(
        (
            (svg.BLUE, "1  Control group", "what it may use"),
            (svg.GREEN, "2  Namespaces", "what it can see"),
            (svg.ORANGE, "3  Layers", "the files it starts from"),
        )
    ):
        x = _MARGIN + number * (_COLUMN + _GAP)
        parts += [
            svg.rectangle(x, _TOP, _COLUMN, column, fill=svg.PAPER, stroke=svg.LINE, radius=6),
            svg.rectangle(x, _TOP, _COLUMN, 4, fill=colour, radius=2),
            svg.text(x + _PAD, _TOP + 24, title, size=14, bold=True),
            svg.text(x + _PAD, _TOP + 39, subtitle, size=11, fill=svg.MUTED),
        ]
    x = _MARGIN + _PAD
    y = _TOP + _HEAD
    parts += _control_group(x, y, data, _TOP + column - 12)
    parts += _namespaces(x + _COLUMN + _GAP, y, data.namespaces)
    parts += _layers(x + 2 * (_COLUMN + _GAP), y, data.layers)
    return svg.document(WIDTH, int(height), describe(data), parts)


def describe(data: PillarsData) -> str:
    """Say in a sentence what the picture shows; the same in every run of the same container."""
    own = [fact.kind for fact in data.namespaces if not fact.host]
    shared = [fact.kind for fact in data.namespaces if fact.host]
    lower = sum(not layer.writable for layer in data.layers)
    usage = data.usage
    limits = [
        f"memory {format_bytes(usage.memory_max_bytes) if usage.memory_max_bytes is not None else 'unlimited'}",
        f"CPU {f'{usage.cpu_limit:g}' if usage.cpu_limit is not None else 'unlimited'}",
        f"processes {usage.pids_max if usage.pids_max is not None else 'unlimited'}",
    ]
    return (
        f"container {plain_name(data.name)}: cgroup ({', '.join(limits)}); "
        f"namespaces of its own: {', '.join(own) or 'none'}; shared with the host: {', '.join(shared) or 'none'}; "
        f"layers: {lower} read-only, {sum(layer.writable for layer in data.layers)} writable"
    )


def _title(data: PillarsData, state: str) -> list[str]:
    box = [svg.rectangle(_MARGIN + 2, 18, 34, 30, stroke=svg.BLUE, radius=4)]
    box += [svg.line(_MARGIN + 2 + dx, 24, _MARGIN + 2 + dx, 42, stroke=svg.BLUE, width=2) for dx in (9, 17, 25)]
    image = f"image {data.image}  ·  " if data.image else ""
    corner = svg.GREEN if state == "live" else svg.MUTED
    return [
        *box,
        svg.text(_MARGIN + 48, 31, svg.shorten(plain_name(data.name), 40), size=17, bold=True),
        svg.text(_MARGIN + 48, 49, image + f"main process: PID {data.pid} on the host", fill=svg.MUTED, varies=True),
        svg.text(WIDTH - _MARGIN - 4, 31, f"{'●' if state == 'live' else '○'} {state}", fill=corner, anchor="end"),
    ]


def _control_group(x: float, y: float, data: PillarsData, bottom: float) -> list[str]:
    usage = data.usage
    parts = []
    for label, value, fraction in (
        (
            "memory",
            _of(_bytes(usage.memory_bytes), _limit_bytes(usage)),
            _share(usage.memory_bytes, usage.memory_max_bytes),
        ),
        ("CPU time", _of(_cpus(data.cpus), _limit_cpu(usage)), _share(data.cpus, usage.cpu_limit)),
        ("processes", _of(_count(usage.pids), _count(usage.pids_max, "no limit")), _share(usage.pids, usage.pids_max)),
    ):
        parts += [
            svg.text(x, y + 14, label, bold=True),
            svg.text(x + _INNER, y + 14, value, size=11.5, anchor="end", varies=True),
            svg.bar(x, y + 21, _INNER, fraction, fill=svg.BLUE),
        ]
        y += 46
    throttled = "not known" if usage.throttled is None else f"{usage.throttled} times, {_time(usage.throttled_us)}"
    for label, value in (
        ("throttled", throttled),
        ("OOM kills", _count(usage.oom_kills, "not known")),
        ("memory pressure", _percent(usage.memory_pressure)),
        ("state", "frozen" if usage.frozen else "running"),
    ):
        parts += [
            svg.text(x, y + 12, label, size=11, fill=svg.MUTED),
            svg.text(x + _INNER, y + 12, value, size=11, anchor="end", varies=True),
        ]
        y += 18
    parts.append(svg.text(x, bottom, svg.shorten(data.cgroup, 34), size=10, mono=True, fill=svg.MUTED, varies=True))
    return parts


def _namespaces(x: float, y: float, facts: tuple[NamespaceFact, ...]) -> list[str]:
    parts = []
    for fact in facts:
        word, colour = ("host's", svg.MUTED) if fact.host else ("● own", svg.GREEN)
        parts += [
            svg.text(x, y + 12, fact.kind, bold=True, mono=True),
            svg.text(x + _INNER, y + 12, "○ " + word if fact.host else word, size=11, fill=colour, anchor="end"),
            svg.text(x, y + 24, SEES.get(fact.kind, ""), size=10.5, fill=svg.MUTED),
            svg.text(
                x + _INNER, y + 24, str(fact.inode), size=10, mono=True, fill=svg.MUTED, anchor="end", varies=True
            ),
        ]
        y += _ROW
    return parts


def _layers(x: float, y: float, layers: tuple[LayerFact, ...]) -> list[str]:
    if not layers:
        return [svg.text(x, y + 14, "its root is no overlay", size=11, fill=svg.MUTED)]
    parts = [
        svg.text(x, y + 12, "/", bold=True, mono=True),
        svg.text(x + 14, y + 12, "one tree, seen through all layers", size=11, fill=svg.MUTED),
    ]
    y += 20
    shown = layers if len(layers) <= _MOST_LAYERS else layers[: _MOST_LAYERS - 1]
    for layer in shown:
        word = "writable, its own" if layer.writable else layer.note or "read-only, shared"
        colour = svg.ORANGE if layer.writable else svg.LINE
        fill = "none" if layer.writable else svg.INSET
        size = "" if layer.size_bytes is None else format_bytes(layer.size_bytes)
        parts += [
            svg.rectangle(
                x, y, _INNER, _LAYER - 5, fill=fill, stroke=colour, radius=4, dash="5 3" if layer.writable else ""
            ),
            svg.text(x + 8, y + 12.5, word, size=11, bold=layer.writable),
            svg.text(x + 8, y + 24, layer.identity[:12], size=9.5, mono=True, fill=svg.MUTED, varies=True),
            svg.text(x + _INNER - 8, y + 18, size, size=11, anchor="end", varies=True),
        ]
        y += _LAYER
    if len(layers) > len(shown):
        parts.append(
            svg.text(x + 8, y + 12, f"and {len(layers) - len(shown)} more read-only layers", size=11, fill=svg.MUTED)
        )
    return parts


def _share(used: float | None, limit: float | None) -> float | None:
    return None if used is None or not limit else used / limit


def _of(used: str, limit: str) -> str:
    return f"{used}, no limit" if limit == "no limit" else f"{used} of {limit}"


def _bytes(count: int | None) -> str:
    return "?" if count is None else format_bytes(count)


def _limit_bytes(usage: Usage) -> str:
    return "no limit" if usage.memory_max_bytes is None else format_bytes(usage.memory_max_bytes)


def _cpus(cpus: float | None) -> str:
    return "…" if cpus is None else f"{cpus:.2f}"


def _limit_cpu(usage: Usage) -> str:
    return "no limit" if usage.cpu_limit is None else f"{usage.cpu_limit:g} CPU"


def _count(count: int | None, missing: str = "?") -> str:
    return missing if count is None else str(count)


def _time(microseconds: int | None) -> str:
    return format_duration((microseconds or 0) / 1e6) if microseconds else "0 s"


def _percent(value: float | None) -> str:
    return "not known" if value is None else f"{value:.1f} %"
