"""Notebook 01: the exercises and predictions on control groups, in the notebook's order."""

from __future__ import annotations

from lab_helpers.checks import (
    lab01_cpu,
    lab01_delegation,
    lab01_disk,
    lab01_groups,
    lab01_memory,
    lab01_patient,
    lab01_pin,
    lab01_predictions,
)
from lab_helpers.checks.definition import Lab

LAB = Lab(
    notebook="01",
    title="Control groups",
    exercises=(
        lab01_memory.SMALL,
        lab01_memory.WHICH,
        lab01_cpu.WEIGHTS,
        lab01_cpu.HALVE,
        lab01_disk.SLOW,
        lab01_groups.FEW,
        lab01_pin.PIN,
        lab01_groups.FREEZE,
        lab01_disk.READER,
        lab01_delegation.DELEGATE,
        lab01_patient.PATIENT,
    ),
    predictions=lab01_predictions.ALL,
)
