"""The whole preflight: the probes of every room in one report."""

from __future__ import annotations

from lab_helpers.base import preflight
from lab_helpers.containers import engine
from lab_helpers.kernel import preflight as kernel

PROBES: tuple[preflight.Probe, ...] = (*preflight.PROBES, *kernel.PROBES, *engine.PROBES)


def doctor() -> preflight.Report:
    """Look at this machine and report everything that matters to the labs, at once.

    Equivalent: ./lab doctor
    """
    return preflight.check(PROBES)
