"""Quantities as Docker, Kubernetes and ECS write them, and as people read them.

The three disagree: ``512m`` is 512 MiB to Docker and half a byte to Kubernetes; ECS counts memory in MiB and CPU in
units of which 1024 make a vCPU. Every parser therefore asks whose text it is.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from typing import Literal

from lab_helpers.base.errors import LabError

Dialect = Literal["docker", "kubernetes", "ecs"]

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
CPU_UNITS_PER_VCPU = 1024
"""ECS: 1 vCPU is 1024 CPU units."""

_BINARY = {"": 1, "b": 1, "k": KIB, "m": MIB, "g": GIB, "t": 1024 * GIB}
_KUBERNETES: dict[str, Decimal] = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(KIB),
    "Mi": Decimal(MIB),
    "Gi": Decimal(GIB),
    "Ti": Decimal(1024 * GIB),
    "Pi": Decimal(1024) ** 5,
    "Ei": Decimal(1024) ** 6,
}
_DURATION = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = re.compile(r"^\s*(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*([A-Za-z]*)\s*$")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


class UnitError(LabError):
    """A quantity that cannot be read."""


def _refuse(text: str, what: str, examples: str) -> UnitError:
    return UnitError(
        f"cannot read {text!r} as {what}",
        reference="bad-quantity",
        why=f"{what} is written like {examples}",
        next_step="write it that way and run the cell again",
    )


def parse_bytes(text: str | int, dialect: Dialect = "docker") -> int:
    """Read an amount of memory or storage and return it in bytes.

    Args:
        text: Docker ``512m``, ``1.5g`` (powers of 1024); Kubernetes ``512Mi``, ``1G``, ``128974848``; ECS ``512``
            (MiB) or ``2 GB``. An int means bytes, but MiB for ECS.
        dialect: Whose text it is.

    Raises:
        UnitError: it is not an amount in that dialect.
    """
    what = f"an amount of memory ({dialect})"
    match = _NUMBER.match(str(text))
    if dialect == "ecs":
        if not match or match[2].upper() not in ("", "MB", "GB"):
            raise _refuse(str(text), what, "512 (MiB) or 2 GB")
        return int(Decimal(match[1]) * (GIB if match[2].upper() == "GB" else MIB))
    if dialect == "docker":
        suffix = match[2].lower() if match else "?"
        suffix = suffix.removesuffix("ib") if len(suffix) == 3 else suffix
        suffix = suffix[0] if len(suffix) == 2 and suffix[1] == "b" else suffix
        if not match or suffix not in _BINARY:
            raise _refuse(str(text), what, "64m, 1.5g or 1048576")
        return int(Decimal(match[1]) * _BINARY[suffix])
    if not match or match[2] not in _KUBERNETES:
        raise _refuse(str(text), what, "512Mi, 1G or 128974848")
    return int((Decimal(match[1]) * _KUBERNETES[match[2]]).to_integral_value(ROUND_CEILING))


def format_bytes(count: float) -> str:
    """Write a number of bytes for people, in powers of 1024: ``64 MiB``, ``1.5 GiB``."""
    value = float(count)
    for suffix in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.4g} {suffix}"
        value /= 1024
    return f"{value:.4g} TiB"


def parse_cpu(text: str | float, dialect: Dialect = "docker") -> float:
    """Read an amount of CPU time and return it in vCPUs (1.0 is one core's full time).

    Args:
        text: Docker ``0.5``; Kubernetes ``500m``; ECS ``512`` (units of 1/1024) or ``0.5 vCPU``.
        dialect: Whose text it is.

    Raises:
        UnitError: it is not an amount in that dialect.
    """
    what = f"an amount of CPU ({dialect})"
    match = _NUMBER.match(str(text))
    if dialect == "ecs":
        if not match or match[2].lower() not in ("", "vcpu"):
            raise _refuse(str(text), what, "512 (units of 1/1024 vCPU) or 0.5 vCPU")
        return float(match[1]) / (1 if match[2] else CPU_UNITS_PER_VCPU)
    if dialect == "docker":
        if not match or match[2]:
            raise _refuse(str(text), what, "0.5 or 2")
        return float(match[1])
    if not match or match[2] not in _KUBERNETES:
        raise _refuse(str(text), what, "500m or 2")
    return float(Decimal(match[1]) * _KUBERNETES[match[2]])


def format_cpu(vcpu: float) -> str:
    """Write vCPUs for people: ``0.5 vCPU``."""
    return f"{vcpu:.4g} vCPU"


def parse_duration(text: str | float) -> float:
    """Read a duration as Docker and Kubernetes write it and return seconds.

    Args:
        text: ``1h2m3.5s``, ``500ms``; a bare number means seconds, as in ECS.

    Raises:
        UnitError: it is not a duration.
    """
    if isinstance(text, int | float):
        return float(text)
    try:
        return float(text)
    except ValueError:
        pass
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        raise _refuse(text, "a duration", "30s, 1h2m3.5s, 500ms or 30")
    return sum(float(number) * _DURATION[unit] for number, unit in parts)


def format_duration(seconds: float) -> str:
    """Write seconds for people: ``850 ms``, ``12.5 s``, ``3 min 20 s``."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"
