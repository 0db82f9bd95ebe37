"""What each controller does to real processes. The same tests run on cgroup v1 and on v2."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys

import pytest

from lab_helpers.base import commands, waiting
from lab_helpers.base.session import Session
from lab_helpers.base.units import MIB
from lab_helpers.kernel import cgroups, procfs
from lab_helpers.kernel.cgroups import Cgroup, device_rules, figures, net_prio
from lab_helpers.kernel.cgroups.device_rules import DeviceRules, parse_rule
from lab_helpers.kernel.cgroups.devices import ProgramGate
from lab_helpers.kernel.loop_device import ScratchDisk, ScratchDiskError, backing_files

pytestmark = pytest.mark.shared_session
BUSY = "while :; do :; done"


@pytest.fixture
def demo(session: Session) -> Cgroup:
    return cgroups.create("demo")


# -- memory ------------------------------------------------------------------------------------------------------------


def test_memory_the_kernel_kills_what_goes_beyond(demo: Cgroup) -> None:
    demo.memory.set_max(32 * MIB)
    demo.memory.set_swap_max(0)
    assert demo.memory.read().max_bytes == 32 * MIB
    # dd fills a buffer of the block size.
    killed = demo.run(["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert demo.memory.events().oom_kill == 1
    found = demo.memory.read()
    assert found.peak_bytes is not None
    assert 16 * MIB < found.peak_bytes <= 32 * MIB
    assert found.swap_max_bytes == 0


def test_memory_within_the_limit_nothing_dies(demo: Cgroup) -> None:
    demo.memory.set_max(64 * MIB)
    assert demo.run(["dd", "if=/dev/zero", "of=/dev/null", "bs=16M", "count=1"]).returncode == 0
    assert demo.memory.events().oom_kill == 0


def test_memory_limits_go_up_down_and_away(demo: Cgroup) -> None:
    demo.memory.set_max(32 * MIB)
    demo.memory.set_swap_max(0)
    for limit in (64 * MIB, 16 * MIB, None):
        demo.memory.set_max(limit)
        assert demo.memory.read().max_bytes == limit
    demo.memory.set_low(8 * MIB)
    assert demo.memory.read().low_bytes == 8 * MIB


def test_memory_high_and_group_exist_on_v2(demo: Cgroup) -> None:
    if demo.version == 1:
        assert (demo.memory.read().high_bytes, demo.memory.read().oom_group) == (None, None)
        with pytest.raises(cgroups.FileMissingError, match=r"no counterpart of memory\.oom\.group"):
            demo.memory.set_oom_group(whole=True)
        return
    demo.memory.set_high(48 * MIB)
    demo.memory.set_min(MIB)
    demo.memory.set_oom_group(whole=True)
    found = demo.memory.read()
    assert (found.high_bytes, found.min_bytes, found.oom_group) == (48 * MIB, MIB, True)


# -- cpu ---------------------------------------------------------------------------------------------------------------


def test_cpu_a_quota_holds_and_throttling_is_counted(demo: Cgroup) -> None:
    demo.cpu.set_max(10_000, 50_000)
    found = demo.cpu.read()
    assert (found.quota_us, found.period_us, found.cpus) == (10_000, 50_000, 0.2)
    demo.start(["sh", "-c", BUSY])
    # On a busy machine it may get less than its quota for a while, and is not throttled then.
    waiting.wait_until(lambda: demo.cpu.stat().throttled_us > 100_000, what="it to be throttled", timeout_s=60)
    stat = demo.cpu.stat()
    assert stat.nr_periods >= stat.nr_throttled >= 2
    assert stat.usage_us <= (stat.nr_periods + 2) * 10_000 * 1.5
    demo.cpu.set_max(None)
    assert demo.cpu.read().quota_us is None


@pytest.mark.parametrize("quota", [0, -1, 500])
def test_cpu_impossible_quotas_are_refused(demo: Cgroup, quota: int) -> None:
    with pytest.raises(cgroups.CgroupError):
        demo.cpu.set_max(quota)
    assert demo.cpu.read().quota_us is None


def test_cpu_weights_share_one_cpu_four_to_one(session: Session) -> None:
    gold, iron = cgroups.create("gold"), cgroups.create("iron")
    gold.cpu.set_weight(400)
    iron.cpu.set_weight(100)
    for group in (gold, iron):
        group.cpuset.set_cpus([0])
        group.start(["sh", "-c", BUSY])
    before = gold.cpu.stat().usage_us, iron.cpu.stat().usage_us
    waiting.wait_until(
        lambda: gold.cpu.stat().usage_us - before[0] > 800_000, what="0.8 s of CPU time for gold", timeout_s=60
    )
    ratio = (gold.cpu.stat().usage_us - before[0]) / max(1, iron.cpu.stat().usage_us - before[1])
    gold.kill()
    iron.kill()
    assert 2.5 < ratio < 6.5


@pytest.mark.parametrize("weight", [0, 10001, -5])
def test_cpu_weights_outside_the_range_are_refused(demo: Cgroup, weight: int) -> None:
    with pytest.raises(cgroups.KernelFileError, match="ERANGE"):
        demo.cpu.set_weight(weight)
    assert demo.cpu.read().weight == 100


def test_cpu_shares_in_the_words_of_docker(demo: Cgroup) -> None:
    demo.cpu.set_shares(512)
    found = demo.cpu.read()
    assert (found.shares, found.weight) == ((512, 50) if demo.version == 1 else (None, 59))


# -- block i/o ---------------------------------------------------------------------------------------------------------


def test_io_a_limit_is_measured_on_a_disk_of_its_own(demo: Cgroup) -> None:
    with ScratchDisk(size_bytes=16 * MIB) as disk:
        demo.io.set_max(disk.number, wbps=MIB)
        assert demo.io.limits()[disk.number].wbps == MIB
        slow = disk.write(demo, 3 * MIB)
        demo.io.set_max(disk.number)
        assert demo.io.limits().get(disk.number) is None
        fast = disk.write(demo, 3 * MIB)
        assert slow.mib_per_s < 1.5
        assert fast.mib_per_s > 1.5 * slow.mib_per_s
        assert demo.io.stat()[disk.number].written_bytes == 6 * MIB
        assert disk.read(demo, MIB).count_bytes == MIB
        assert demo.io.stat()[disk.number].read_bytes == MIB
        device, file = disk.device, disk.file
    assert device not in backing_files()
    assert not file.exists()


def test_io_limits_of_one_device_do_not_add_up_by_accident(demo: Cgroup) -> None:
    with ScratchDisk(size_bytes=MIB) as disk:
        demo.io.set_max(disk.number, wbps=2 * MIB, riops=100)
        demo.io.set_max(disk.number, rbps=MIB)
        assert demo.io.limits() == {disk.number: cgroups.IoMax(rbps=MIB)}


def test_io_of_no_device(demo: Cgroup) -> None:
    with pytest.raises(cgroups.CgroupError, match="is no device number"):
        demo.io.set_max("/dev/loop0", wbps=MIB)
    with pytest.raises(cgroups.KernelFileError, match="ENODEV"):
        demo.io.set_max("4095:4095", wbps=MIB)


def test_scratch_disk_starts_and_stops_twice(session: Session) -> None:
    disk = ScratchDisk(size_bytes=MIB)
    with pytest.raises(ScratchDiskError, match="no device yet"):
        _ = disk.device
    first = disk.start().device
    assert disk.start().device == first
    disk.stop()
    disk.stop()
    assert first not in backing_files()


def test_scratch_disk_larger_than_the_disk(session: Session) -> None:
    disk = ScratchDisk(size_bytes=1 << 50)
    with pytest.raises(ScratchDiskError, match="cannot make"):
        disk.start()
    assert not disk.file.exists()


# -- pids --------------------------------------------------------------------------------------------------------------


BOMB = """
import os, signal, sys
for _ in range(20):
    try:
        if not os.fork():
            signal.pause()
    except OSError as error:
        sys.exit(error.errno)
"""


def test_pids_a_fork_bomb_does_no_harm(demo: Cgroup) -> None:
    demo.pids.set_max(8)
    assert demo.start([sys.executable, "-I", "-S", "-c", BOMB]).wait(60) == 11
    found = demo.pids.read()
    assert (found.max, found.current) == (8, 7)  # the first process has ended
    assert found.refused >= 1
    assert found.peak in (None, 8)
    demo.kill()
    # A dead process counts until its parent, or init, has taken note of it.
    waiting.wait_until(lambda: demo.pids.read().current == 0, what="the dead to be reaped")


# -- cpuset ------------------------------------------------------------------------------------------------------------


def test_cpuset_shows_in_the_process(demo: Cgroup) -> None:
    last = max(os.sched_getaffinity(0))
    sleeper = demo.start(["sleep", "60"])
    demo.cpuset.set_cpus([last])
    demo.cpuset.set_mems([0])
    found = demo.cpuset.read()
    assert (found.cpus, found.effective_cpus, found.effective_mems) == ((last,), (last,), (0,))
    assert procfs.status(sleeper.pid).cpus_allowed_list == str(last)


def test_cpuset_without_such_a_cpu(demo: Cgroup) -> None:
    before = demo.cpuset.read()
    with pytest.raises(cgroups.KernelFileError, match="cannot write '4095'"):
        demo.cpuset.set_cpus([4095])
    assert demo.cpuset.read() == before


# -- freezer -----------------------------------------------------------------------------------------------------------


def test_freezer_stops_time_for_a_busy_loop(demo: Cgroup) -> None:
    demo.start(["sh", "-c", BUSY])
    waiting.wait_until(lambda: demo.cpu.stat().usage_us > 50_000, what="some CPU time used", timeout_s=30)
    demo.freezer.freeze()
    assert demo.freezer.read().frozen
    frozen = demo.cpu.stat().usage_us
    commands.run(["sleep", "0.3"])
    assert demo.cpu.stat().usage_us - frozen < 20_000
    demo.freezer.thaw()
    waiting.wait_until(lambda: demo.cpu.stat().usage_us > frozen + 50_000, what="it to go on", timeout_s=30)


def test_freezer_a_frozen_parent_shows_below(demo: Cgroup) -> None:
    child = demo.child("child")
    child.start(["sleep", "60"])
    demo.freezer.freeze()
    assert child.freezer.read().frozen
    assert not child.freezer.read().requested
    demo.freezer.thaw()
    assert child.freezer.read().state == "THAWED"


# -- devices -----------------------------------------------------------------------------------------------------------

# What can be read and written of the two; nothing else here opens a device.
TRIES = "echo x > /dev/null && echo null; head -c1 /dev/zero | tr '\\0' z"


def _usable(demo: Cgroup) -> list[str]:
    return demo.run(["sh", "-c", TRIES]).stdout.split()


def test_devices_are_refused_and_allowed(demo: Cgroup) -> None:
    assert _usable(demo) == ["null", "z"]
    demo.devices.deny_all()
    demo.devices.allow("c 1:3 rw")
    assert _usable(demo) == ["null"]
    demo.devices.allow("c 1:5 r")
    assert _usable(demo) == ["null", "z"]
    rules = demo.devices.read().rules
    assert rules is not None
    assert [str(device) for device in rules.exceptions] == ["c 1:3 rw", "c 1:5 r"]
    demo.devices.deny("c 1:5 r")
    assert _usable(demo) == ["null"]
    demo.devices.allow_all()
    assert _usable(demo) == ["null", "z"]


def test_devices_rules_add_up_whoever_writes_them(session: Session, demo: Cgroup) -> None:
    demo.devices.deny_all()
    cgroups.open_cgroup("demo").devices.allow("c 1:3 rw")
    assert _usable(demo) == ["null"]
    assert demo.devices.read() == cgroups.open_cgroup("demo").devices.read()
    again = cgroups.create("demo").devices.read().rules
    assert again is not None
    assert again.permits("c", 1, 5, "r")


def test_devices_v2_answers_by_one_program(demo: Cgroup) -> None:
    """On a hybrid machine too: its v2 hierarchy takes device programs beside v1's files."""
    assert demo.unified is not None
    gate = ProgramGate(demo.unified)
    assert gate.count() == 0
    gate.apply(DeviceRules(default_allow=False))
    assert _usable(demo) == []
    for rule in ("c 1:3 rw", "c 1:5 w"):
        gate.apply(gate.rules.allow(parse_rule(rule)))
        assert gate.count() == 1  # the new one replaced the old one
    assert _usable(demo) == ["null"]  # zero may be written, not read
    gate.apply(DeviceRules().deny(parse_rule("c 1:3 w")))
    assert _usable(demo) == ["z"]
    gate.apply(DeviceRules())
    assert _usable(demo) == ["null", "z"]


def test_devices_the_kernel_accepts_a_long_program(demo: Cgroup) -> None:
    assert demo.unified is not None
    rules = DeviceRules(default_allow=False)
    for number in range(100):
        rules = rules.allow(device_rules.Device("b" if number % 2 else "c", number, None, "rwm"))
    ProgramGate(demo.unified).apply(rules)
    assert _usable(demo) == []


# -- network priority --------------------------------------------------------------------------------------------------

SEND = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    for _ in range(5):
        sender.sendto(b"x", ("127.0.0.1", 9))
"""


def _net_prio_is_here() -> bool:
    return any(state.available for state in cgroups.controllers() if state.name == "net_prio")


def test_net_prio_is_set_for_an_interface(demo: Cgroup) -> None:
    if demo.version == 1 and not _net_prio_is_here():
        with pytest.raises(cgroups.ControllerMissingError, match="no net_prio controller"):
            demo.net_prio.set_priority("lo", 5)
        return
    sleeper = demo.start(["sleep", "60"])
    demo.net_prio.set_priority("lo", 5)
    assert demo.net_prio.read().priorities["lo"] == 5
    demo.net_prio.set_priority("lo", 7)
    assert demo.net_prio.read().priorities["lo"] == 7
    if demo.version == 1:
        assert demo.net_prio.read().mechanism == "net_prio.ifpriomap"
        folder = demo.directory("net_prio")
        assert folder.joinpath("cgroup.procs").read_text(encoding="ascii").split() == [str(sleeper.pid)]
    else:
        demo.run([sys.executable, "-I", "-S", "-c", SEND])
        found = demo.net_prio.read()
        assert found.mechanism.startswith("stand-in")
        assert found.packets == {"lo": 5}


def test_net_prio_v2_counts_the_packets_of_this_cgroup_only(session: Session, demo: Cgroup) -> None:
    """On a hybrid machine too: nftables finds a socket's v2 cgroup there as well."""
    assert demo.unified is not None
    path = str(demo.unified.relative_to("/sys/fs/cgroup"))
    stand_in = net_prio.NftPriority(session.id, session.label, path)
    stand_in.apply({"lo": 5})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
        outside.sendto(b"x", ("127.0.0.1", 9))
    assert stand_in.read().packets == {"lo": 0}
    demo.run([sys.executable, "-I", "-S", "-c", SEND])
    assert stand_in.read().packets == {"lo": 5}
    stand_in.forget()
    stand_in.forget()
    assert stand_in.read().priorities == {}


def test_net_prio_of_a_new_cgroup_of_the_same_name_is_fresh(session: Session, demo: Cgroup) -> None:
    if demo.version == 1 and not _net_prio_is_here():
        return  # test_net_prio_is_set_for_an_interface says what happens then
    demo.net_prio.set_priority("lo", 5)
    assert cgroups.create("demo").net_prio.read().priorities.get("lo", 0) == 0


@pytest.mark.parametrize(("interface", "priority"), [("", 1), ("lo lo", 1), ("lo", -1), ("lo", 2**32), ('a"b', 1)])
def test_net_prio_bad_values(demo: Cgroup, interface: str, priority: int) -> None:
    with pytest.raises(cgroups.CgroupError, match="cannot give"):
        demo.net_prio.set_priority(interface, priority)


# -- pressure, accounting, figures -------------------------------------------------------------------------------------


def test_pressure_rises_when_a_quota_is_too_small(demo: Cgroup) -> None:
    before = demo.pressure.read("cpu").some.total_us
    demo.cpu.set_max(10_000, 50_000)
    demo.start(["sh", "-c", BUSY])
    waiting.wait_until(
        lambda: demo.pressure.read("cpu").some.total_us - before > 100_000, what="pressure", timeout_s=60
    )
    assert cgroups.pressure.machine("cpu").some.total_us > 0


def test_account_adds_up(demo: Cgroup) -> None:
    demo.run(["dd", "if=/dev/zero", "of=/dev/null", "bs=1M", "count=200"])
    found = cgroups.account(demo)
    assert found.cpu_us > 1000
    assert found.user_us + found.system_us <= found.cpu_us + 50_000
    assert found.memory.page_faults is not None
    assert found.memory.page_faults > 0


def test_figures_agree_with_the_controllers(demo: Cgroup) -> None:
    demo.memory.set_max(64 * MIB)
    demo.cpu.set_max(50_000)
    demo.pids.set_max(30)
    sleeper = demo.start(["sleep", "60"])
    demo.freezer.freeze()
    found = figures(demo)
    assert found.memory_max_bytes == demo.memory.read().max_bytes
    # The kernel settles its books per CPU now and then, so the two readings may differ by some pages.
    assert found.memory_current_bytes == pytest.approx(demo.memory.current_bytes(), abs=MIB)
    # A period can pass between the two readings.
    assert found.cpu is not None
    assert found.cpu.usage_us == pytest.approx(demo.cpu.stat().usage_us, abs=20_000)
    assert found.cpu.usage_us > 0
    assert (found.cpu_quota_us, found.cpu_period_us) == (50_000, 100_000)
    assert (found.pids_current, found.pids_max) == (1, 30)
    assert found.oom_kills == 0
    assert found.pressure_cpu_percent is not None
    assert found.frozen
    demo.kill()
    sleeper.wait(10)
    demo.delete()
    gone = figures(demo)
    assert gone.memory_current_bytes is None
    assert not gone.frozen


def test_figures_take_few_reads(demo: Cgroup, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("lab_helpers.kernel.cgroups.figures")
    opened: list[str] = []
    real = module.read_raw

    def count(path: str) -> str:
        opened.append(path)
        return str(real(path))

    monkeypatch.setattr(module, "read_raw", count)
    figures(demo)
    assert 12 <= len(opened) <= 17
    assert len(set(opened)) == len(opened)
