"""CPU files of both versions, and the three ways from shares to weight."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab_helpers.kernel.cgroups import cpu
from lab_helpers.kernel.cgroups.cpu import CpuFigures, CpuStat

STAT_6_1 = (
    "usage_usec 407314\nuser_usec 267903\nsystem_usec 76000\nnr_periods 11\nnr_throttled 10\nthrottled_usec 583438\n"
    "nr_bursts 0\nburst_usec 0\n"
)
STAT_NOT_ENABLED = "usage_usec 100\nuser_usec 60\nsystem_usec 40\n"


def test_v2_stat() -> None:
    assert cpu.parse_stat(STAT_6_1) == CpuStat(407314, 267903, 76000, 11, 10, 583438)
    assert cpu.parse_stat(STAT_NOT_ENABLED) == CpuStat(100, 60, 40, 0, 0, 0)


def test_v1_stat_is_in_nanoseconds() -> None:
    text = "nr_periods 11\nnr_throttled 10\nthrottled_time 583438123\n"
    assert cpu.parse_stat_v1(text, "407314999\n", "267903000\n", "76000000\n") == CpuStat(
        407314, 267903, 76000, 11, 10, 583438
    )


@pytest.mark.parametrize(("quota", "cpus"), [(None, None), (50000, 0.5), (150000, 1.5)])
def test_cpus(quota: int | None, cpus: float | None) -> None:
    assert CpuFigures(100, None, quota, 100000, CpuStat(0, 0, 0, 0, 0, 0)).cpus == cpus


# What the kernel, runc up to 1.3 and runc from 1.4 on make of v1's shares.
@pytest.mark.parametrize(
    ("shares", "kernel", "linear", "curve"),
    [
        (2, 1, 1, 1),
        (256, 25, 10, 35),
        (512, 50, 20, 59),
        (1024, 100, 39, 100),
        (2048, 200, 79, 174),
        (262144, 10000, 10000, 10000),
        (1000000, 10000, 10000, 10000),
    ],
)
def test_weights_of_shares(shares: int, kernel: int, linear: int, curve: int) -> None:
    assert (cpu.weight_of_shares(shares), cpu.oci_weight_linear(shares), cpu.oci_weight(shares)) == (
        kernel,
        linear,
        curve,
    )


def test_no_shares_mean_no_weight() -> None:
    assert cpu.oci_weight(0) == cpu.oci_weight_linear(0) == 0


@settings(deadline=None)  # a machine that does much else is no failure
@given(st.integers(min_value=1, max_value=10000))
def test_a_weight_survives_v1(weight: int) -> None:
    assert cpu.weight_of_shares(cpu.shares_of_weight(weight)) == weight


@settings(deadline=None)  # a machine that does much else is no failure
@given(st.integers(min_value=2, max_value=262143))
def test_more_shares_never_weigh_less(shares: int) -> None:
    for convert in (cpu.weight_of_shares, cpu.oci_weight, cpu.oci_weight_linear):
        assert 1 <= convert(shares) <= convert(shares + 1) <= 10000
