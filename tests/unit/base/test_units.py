"""Quantities, in each dialect, as tables."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab_helpers.base import units
from lab_helpers.base.errors import LabError

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("text", "dialect", "expected"),
    [
        ("64m", "docker", 64 * MIB),
        ("64M", "docker", 64 * MIB),
        ("64mb", "docker", 64 * MIB),
        ("64MiB", "docker", 64 * MIB),
        ("1.5g", "docker", 1536 * MIB),
        ("1048576", "docker", 1048576),
        (1048576, "docker", 1048576),
        ("10b", "docker", 10),
        ("512Mi", "kubernetes", 512 * MIB),
        ("1G", "kubernetes", 10**9),
        ("1Ki", "kubernetes", 1024),
        ("128974848", "kubernetes", 128974848),
        ("129e6", "kubernetes", 129_000_000),
        ("1500m", "kubernetes", 2),  # milli-bytes, rounded up
        ("512", "ecs", 512 * MIB),
        (512, "ecs", 512 * MIB),
        ("2 GB", "ecs", 2048 * MIB),
        ("512MB", "ecs", 512 * MIB),
    ],
)
def test_parse_bytes(text: Any, dialect: Any, expected: int) -> None:
    assert units.parse_bytes(text, dialect) == expected


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("", "docker"),
        ("64x", "docker"),
        ("-1m", "docker"),
        ("64 apples", "docker"),
        ("512mib", "kubernetes"),
        ("512k", "ecs"),
        ("much", "ecs"),
        ("512MiX", "kubernetes"),
        ("1,5g", "docker"),
    ],
)
def test_parse_bytes_refuses_and_gives_an_example(text: str, dialect: Any) -> None:
    with pytest.raises(units.UnitError) as caught:
        units.parse_bytes(text, dialect)
    assert repr(text) in caught.value.message
    assert dialect in caught.value.message
    assert "is written like" in caught.value.why


def test_m_means_mebi_to_docker_and_milli_to_kubernetes() -> None:
    assert units.parse_bytes("512m", "docker") == 512 * MIB
    assert units.parse_bytes("512m", "kubernetes") == 1


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 B"), (1023, "1023 B"), (64 * MIB, "64 MiB"), (1536 * MIB, "1.5 GiB"), (5 * 1024**4, "5 TiB")],
)
def test_format_bytes(count: float, expected: str) -> None:
    assert units.format_bytes(count) == expected


@given(st.integers(min_value=0, max_value=2**50))
def test_whole_units_come_back(count: int) -> None:
    assert units.parse_bytes(str(count)) == count


@given(st.integers(min_value=1, max_value=1023), st.sampled_from(["KiB", "MiB", "GiB"]))
def test_what_is_shown_can_be_read(number: int, unit: str) -> None:
    shown = units.format_bytes(units.parse_bytes(f"{number}{unit}"))
    assert shown == f"{number} {unit}"


@pytest.mark.parametrize(
    ("text", "dialect", "expected"),
    [
        ("0.5", "docker", 0.5),
        (2, "docker", 2.0),
        ("500m", "kubernetes", 0.5),
        ("2", "kubernetes", 2.0),
        ("512", "ecs", 0.5),
        ("0.25 vCPU", "ecs", 0.25),
        (1024, "ecs", 1.0),
    ],
)
def test_parse_cpu(text: Any, dialect: Any, expected: float) -> None:
    assert units.parse_cpu(text, dialect) == expected


@pytest.mark.parametrize(("text", "dialect"), [("500m", "docker"), ("half", "kubernetes"), ("1 core", "ecs")])
def test_parse_cpu_refuses(text: str, dialect: Any) -> None:
    with pytest.raises(units.UnitError):
        units.parse_cpu(text, dialect)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1h2m3.5s", 3723.5), ("500ms", 0.5), ("250us", 0.00025), ("30", 30), (2.5, 2.5), ("1m", 60)],
)
def test_parse_duration(text: Any, seconds: float) -> None:
    assert units.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "5 minutes", "1h 2m", "s", "1x"])
def test_parse_duration_refuses(text: str) -> None:
    with pytest.raises(LabError):
        units.parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.85, "850 ms"), (12.5, "12.5 s"), (60, "1 min"), (200, "3 min 20 s"), (0.0001, "0.1 ms")]
)
def test_format_duration(seconds: float, shown: str) -> None:
    assert units.format_duration(seconds) == shown


def test_format_cpu() -> None:
    assert units.format_cpu(0.5) == "0.5 vCPU"
