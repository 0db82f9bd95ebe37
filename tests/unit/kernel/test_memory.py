"""Memory files of both versions, as kernels wrote them."""

from __future__ import annotations

from lab_helpers.kernel.cgroups.accounting import memory_use
from lab_helpers.kernel.cgroups.formats import parse_flat
from lab_helpers.kernel.cgroups.memory import MemoryEvents, parse_events, parse_events_v1

EVENTS_6_1 = "low 0\nhigh 0\nmax 43\noom 1\noom_kill 1\noom_group_kill 0\n"
EVENTS_4_19 = "low 0\nhigh 2\nmax 0\noom 0\noom_kill 0\n"


def test_events_of_a_killed_process() -> None:
    assert parse_events(EVENTS_6_1) == MemoryEvents(low=0, high=0, max=43, oom=1, oom_kill=1, oom_group_kill=0)


def test_events_before_group_kills_were_counted() -> None:
    assert parse_events(EVENTS_4_19).oom_group_kill is None


def test_v1_events() -> None:
    found = parse_events_v1("17\n", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert found == MemoryEvents(low=None, high=None, max=17, oom=None, oom_kill=2, oom_group_kill=None)


def test_v1_events_before_4_13() -> None:
    assert parse_events_v1("0\n", "oom_kill_disable 0\nunder_oom 0\n").oom_kill is None


V2_STAT = "anon 12582912\nfile 94371840\nkernel_stack 49152\npgfault 3361\npgmajfault 2\n"
V1_STAT = "cache 0\nrss 0\ntotal_cache 1076703232\ntotal_rss 71868416\ntotal_pgfault 13620809\ntotal_pgmajfault 2335\n"


def test_both_versions_say_what_memory_is_for() -> None:
    new, old = memory_use(parse_flat(V2_STAT), 2), memory_use(parse_flat(V1_STAT), 1)
    assert (new.anonymous_bytes, new.page_cache_bytes, new.kernel_stack_bytes) == (12582912, 94371840, 49152)
    assert (old.anonymous_bytes, old.page_cache_bytes, old.kernel_stack_bytes) == (71868416, 1076703232, None)
    assert (old.page_faults, old.major_page_faults) == (13620809, 2335)
