from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from lab_helpers.widgets import sampler
from lab_helpers.widgets.facts import LayerFact, NamespaceFact, PillarsData, Usage

MIB = 1024 * 1024


@pytest.fixture
def usage() -> Usage:
    return Usage(
        memory_bytes=16 * MIB,
        memory_max_bytes=64 * MIB,
        cpu_us=1_000_000,
        cpu_limit=0.5,
        throttled=3,
        throttled_us=250_000,
        oom_kills=0,
        pids=2,
        pids_max=100,
        memory_pressure=1.5,
        cpu_pressure=None,
    )


@pytest.fixture
def pillars(usage: Usage) -> PillarsData:
    kinds = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
    return PillarsData(
        name="lab-k3x9ab-web",
        image="lab/busybox:1",
        pid=4242,
        cgroup="docker/" + "0f" * 32,
        usage=usage,
        cpus=0.25,
        namespaces=tuple(NamespaceFact(kind, 4026532000 + n, kind in ("user", "time")) for n, kind in enumerate(kinds)),
        layers=(
            LayerFact("a" * 64, writable=True, size_bytes=12),
            LayerFact("b" * 64, writable=False, size_bytes=1_900_000),
            LayerFact("c" * 64, writable=False),
        ),
    )


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Every sampler that a test started has stopped."""
    before = threading.active_count()
    yield
    assert sampler.running() == 0
    assert threading.active_count() == before
