"""Widgets and cell magics on a real kernel and a real engine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from lab_helpers.base.waiting import wait_until
from lab_helpers.checks import bodies
from lab_helpers.widgets import cgroup_gauge, three_pillars

if TYPE_CHECKING:
    from lab_helpers.base.session import Session

QUOTA = 0.02
"""CPUs: so little that a busy loop is throttled however busy the machine is."""

BUSY = ["sh", "-c", "while :; do :; done"]


@pytest.fixture
def busy(session: Session, engine: Any) -> Iterator[Any]:
    from lab_helpers import containers  # noqa: PLC0415 - after the session

    container = containers.run(command=BUSY, name="busy", memory="64m", cpus=QUOTA, pids_limit=100)
    yield container
    container.remove()


def test_three_pillars_of_a_real_container(busy: Any) -> None:
    widget = three_pillars(busy)
    try:
        data = widget.data
        view = busy.kernel
        assert data.usage.memory_max_bytes == 64 * 1024 * 1024
        assert data.usage.cpu_limit == pytest.approx(QUOTA)
        assert data.usage.pids_max == 100
        assert {fact.kind: fact.inode for fact in data.namespaces} == view.namespaces
        assert {"pid", "net", "mnt"} <= {fact.kind for fact in data.namespaces if not fact.host}
        assert [layer.writable for layer in data.layers] == [True] + [False] * (len(data.layers) - 1)
        assert data.layers[-1].size_bytes > 100_000
        wait_until(lambda: (widget.data.cpus or 0) > QUOTA / 10, what="a measured CPU rate", timeout_s=10)

        busy.remove()

        wait_until(lambda: not widget.live, what="the view's end", timeout_s=10)
        assert "the container has ended" in widget.svg()
    finally:
        widget.close()


def test_gauge_sees_throttling_and_costs_little(busy: Any) -> None:
    with cgroup_gauge(busy, seconds=None) as gauge:
        wait_until(lambda: len(gauge.history.samples) >= 12, what="three seconds", timeout_s=30)
        wait_until(
            lambda: any(one.throttled_ms for one in list(gauge.history.samples)), what="throttling", timeout_s=30
        )
        samples = list(gauge.history.samples)
        share = gauge.cpu_share
    gauge.close()

    assert samples[-1].usage.throttled > 0
    assert share < 0.03, f"{share:.2%} of one core"
    gaps = [after.at_s - before.at_s for before, after in itertools.pairwise(samples[1:])]
    assert sorted(gaps)[len(gaps) // 2] == pytest.approx(0.25, abs=0.1)


def test_gauge_of_a_cgroup_ends_when_it_is_removed(session: Session) -> None:
    from lab_helpers.kernel import cgroups  # noqa: PLC0415 - after the session

    group = cgroups.create("demo")
    group.memory.set_max(32 * 1024 * 1024)
    gauge = cgroup_gauge(group, seconds=None)
    try:
        assert repr(gauge) == "<CgroupGauge: cgroup demo: limits memory 32 MiB, CPU unlimited, processes unlimited>"
        group.delete()
        wait_until(lambda: not gauge.live, what="the gauge's end")
        assert gauge.state == "the cgroup is gone"
    finally:
        gauge.close()


CELL = """mkdir "$CG/cell"
echo 32M > "$CG/cell/memory.max"
cat "$CG/cell/memory.max"
# --- on cgroup v1 ---
mkdir "$CG_MEMORY/cell"
echo 32M > "$CG_MEMORY/cell/memory.limit_in_bytes"
cat "$CG_MEMORY/cell/memory.limit_in_bytes"
"""


def test_a_cgroup_cell_writes_the_kernels_files(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    from lab_helpers.kernel import cgroups  # noqa: PLC0415 - after the session

    shell = InteractiveShell.instance()
    shell.run_line_magic("reload_ext", "lab_helpers")
    shell.run_cell_magic("cgroup", "", CELL)

    assert capsys.readouterr().out.splitlines()[-1] == "33554432"
    assert cgroups.open_cgroup("cell").memory.read().max_bytes == 32 * 1024 * 1024


def test_a_cgroup_cell_names_the_line_the_kernel_refused(session: Session) -> None:
    with pytest.raises(bodies.CellCommandError, match="line 2 of the cell") as caught:
        bodies.run_cgroup('cd "${CG_MEMORY:-$CG}"\necho nonsense > memory.nonsense\necho not reached\n')

    assert "not reached" not in caught.value.output


def test_what_a_cell_starts_carries_the_sessions_label(session: Session) -> None:
    out = bodies.run_bash(bodies.Half("sleep 600 >/dev/null 2>&1 &\necho $!"))

    words = Path(f"/proc/{int(out)}/environ").read_bytes().split(b"\0")
    assert f"LAB_LABEL=lab.session={session.id}".encode() in words  # by it the session's sweep finds the process
