"""What the exercises of notebook 01 say to what they see: rules as tables, without a kernel."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from lab_helpers.checks import (
    lab01,
    lab01_cpu,
    lab01_delegation,
    lab01_disk,
    lab01_groups,
    lab01_memory,
    lab01_patient,
    lab01_pin,
)
from lab_helpers.checks.outcome import NotStarted, NotYet
from lab_helpers.checks.verify import faults_of_declaration, faults_of_prediction
from lab_helpers.kernel.cgroups import IoMax

MIB = 1024 * 1024
NOBODY = 65534

Judge = Callable[[], str]


def not_yet(judge: Judge) -> NotYet:
    with pytest.raises(NotYet) as caught:
        judge()
    return caught.value


@pytest.mark.parametrize("exercise", lab01.LAB.exercises, ids=lambda one: one.id)
def test_exercises_are_complete(exercise: object) -> None:
    assert faults_of_declaration(exercise) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("prediction", lab01.LAB.predictions, ids=lambda one: one.id)
def test_predictions_are_complete(prediction: object) -> None:
    assert faults_of_prediction(prediction) == []  # type: ignore[arg-type]


def test_enough_of_both() -> None:
    assert len(lab01.LAB.exercises) >= 8
    assert len(lab01.LAB.predictions) >= 6


@pytest.mark.parametrize(
    ("limit", "slip"),
    [
        (None, "without `--memory`"),
        (64_000_000, "counted in thousands"),
        (64 * 1024 * MIB, "thousand times more"),
        (32 * MIB, "another number"),
    ],
)
def test_memory_limit(limit: int | None, slip: str) -> None:
    assert slip in (not_yet(lambda: lab01_memory.judge_limit(limit)).likely_slip or "")
    assert "64 MiB" in lab01_memory.judge_limit(64 * MIB)


@pytest.mark.parametrize(("swap", "slip"), [(64 * MIB, "as much swap again"), (None, "`--memory-swap -1`")])
def test_swap(swap: int | None, slip: str) -> None:
    assert slip in (not_yet(lambda: lab01_memory.judge_swap(swap)).likely_slip or "")
    assert lab01_memory.judge_swap(0)


IN_USE = {"red": 2 * MIB, "green": 50 * MIB, "blue": 3 * MIB}


def test_the_heavy_one_is_capped() -> None:
    limits: dict[str, int | None] = {"red": None, "green": 96 * MIB, "blue": None}
    assert "`green`" in lab01_memory.judge_heavy(IN_USE, limits)
    assert lab01_memory.judge_others(IN_USE, limits)


def test_another_one_is_capped() -> None:
    limits: dict[str, int | None] = {"red": 96 * MIB, "green": None, "blue": None}
    assert "another container" in (not_yet(lambda: lab01_memory.judge_heavy(IN_USE, limits)).likely_slip or "")
    assert "`red`" in not_yet(lambda: lab01_memory.judge_others(IN_USE, limits)).observed


def test_the_heavy_one_has_another_limit() -> None:
    limits: dict[str, int | None] = {"red": None, "green": 64 * MIB, "blue": None}
    assert "another number" in (not_yet(lambda: lab01_memory.judge_heavy(IN_USE, limits)).likely_slip or "")


@pytest.mark.parametrize(
    ("gold", "iron", "quota", "slip"),
    [
        (100, 100, True, "a quota was set"),
        (100, 400, False, "other way round"),
        (100, 100, False, "default"),
        (200, 100, False, "another ratio"),
    ],
)
def test_weights(gold: int, iron: int, quota: bool, slip: str) -> None:
    assert slip in (not_yet(lambda: lab01_cpu.judge_weights(gold, iron, quota=quota)).likely_slip or "")


@pytest.mark.parametrize(("gold", "iron"), [(400, 100), (4096, 1024), (40, 10)])
def test_right_weights(gold: int, iron: int) -> None:
    assert lab01_cpu.judge_weights(gold, iron, quota=False)


@pytest.mark.parametrize(
    ("quota", "period", "shares", "slip"),
    [
        (50_000, 100_000, True, "a weight is no limit"),
        (25_000, 50_000, False, "both halved"),
        (None, 100_000, False, "taken away"),
        (100_000, 100_000, False, "another amount"),
    ],
)
def test_quota(quota: int | None, period: int, shares: bool, slip: str) -> None:
    found = not_yet(lambda: lab01_cpu.judge_quota(quota, period, shares_changed=shares))
    assert slip in (found.likely_slip or "")


def test_quota_right_and_untouched() -> None:
    assert "0.25" in lab01_cpu.judge_quota(25_000, 100_000, shares_changed=False)
    assert "0.25" in lab01_cpu.judge_quota(12_500, 50_000, shares_changed=False)
    with pytest.raises(NotStarted):
        lab01_cpu.judge_quota(50_000, 100_000, shares_changed=False)


@pytest.mark.parametrize(
    ("allowed", "asked", "quota", "slip"),
    [("0-1", False, True, "not on which CPU"), ("1", False, False, "counted from 0")],
)
def test_pin(allowed: str, asked: bool, quota: bool, slip: str) -> None:
    found = not_yet(lambda: lab01_pin.judge_pin(allowed, "0-1", asked=asked, quota=quota))
    assert slip in (found.likely_slip or "")


def test_pin_right_and_untouched() -> None:
    assert lab01_pin.judge_pin("0", "0-1", asked=True, quota=False)
    with pytest.raises(NotStarted):
        lab01_pin.judge_pin("0-1", "0-1", asked=False, quota=False)
    with pytest.raises(NotStarted):  # one CPU only, and nobody asked for it
        lab01_pin.judge_pin("0", "0", asked=False, quota=False)


@pytest.mark.parametrize(
    ("limits", "slip"),
    [
        ({"7:1": IoMax(wbps=2 * MIB)}, "another device"),
        ({"7:0": IoMax(rbps=2 * MIB)}, "is for reading"),
        ({"7:0": IoMax(wbps=2)}, "wants bytes"),
        ({"7:0": IoMax(wbps=2_000_000)}, "counted in thousands"),
        ({"7:0": IoMax(wiops=2)}, "operations"),
        ({"7:0": IoMax(rbps=2 * MIB, wbps=2 * MIB)}, "more is limited"),
    ],
)
def test_io_limit(limits: dict[str, IoMax], slip: str) -> None:
    assert slip in (not_yet(lambda: lab01_disk.judge_io(limits, "7:0")).likely_slip or "")


def test_io_limit_right_and_untouched() -> None:
    assert lab01_disk.judge_io({"7:0": IoMax(wbps=2 * MIB)}, "7:0")
    with pytest.raises(NotStarted):
        lab01_disk.judge_io({}, "7:0")


class Disk:
    """Stands in for a scratch disk: /dev/loop9."""

    device, number, file = "/dev/loop9", "7:9", "disk.img"

    def __init__(self, *_: object) -> None: ...

    def start(self) -> Disk:
        return self

    def stop(self) -> None: ...


@pytest.mark.parametrize("before", [None, "/dev/loop1"])
def test_disk_is_the_exercises_until_its_reset(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab01_disk, "ScratchDisk", Disk)
    monkeypatch.setattr(lab01_disk, "devices_of", lambda file: [file])
    for name in ("DISK", "DISK_NUMBER"):
        monkeypatch.setenv(name, "to be put back when the test ends")
        if before is None:
            monkeypatch.delenv(name)
    if before:
        os.environ["DISK"] = before
    for _ in range(2):  # the check attaches again
        lab01_disk.attach()
    assert (os.environ["DISK"], os.environ["DISK_NUMBER"]) == ("/dev/loop9", "7:9")
    lab01_disk.detach()
    assert os.environ.get("DISK") == before


def test_pids() -> None:
    assert lab01_groups.judge_pids(10)
    assert "not yet written" in (not_yet(lambda: lab01_groups.judge_pids(None)).likely_slip or "")
    assert "100" in not_yet(lambda: lab01_groups.judge_pids(100)).observed


@pytest.mark.parametrize(
    ("states", "freezer", "slip"),
    [
        ((), "THAWED", "was killed"),
        (("T",), "THAWED", "SIGSTOP"),
        (("S",), "FREEZING", "waits for a disk"),
    ],
)
def test_freezer(states: tuple[str, ...], freezer: str, slip: str) -> None:
    assert slip in (not_yet(lambda: lab01_groups.judge_freezer(states, freezer)).likely_slip or "")


def test_freezer_right_and_untouched() -> None:
    assert lab01_groups.judge_freezer(("S",), "FROZEN")
    with pytest.raises(NotStarted):
        lab01_groups.judge_freezer(("S",), "THAWED")


RIGHT = lab01_delegation.Ownership(folder=NOBODY, procs=NOBODY, limit=0, limit_writable=False)


def test_delegation() -> None:
    assert lab01_delegation.judge_delegation(RIGHT, NOBODY)
    assert lab01_delegation.judge_kept(RIGHT, NOBODY, 128 * MIB)


@pytest.mark.parametrize(
    ("owners", "slip"),
    [(replace(RIGHT, procs=0), "cannot move a process"), (replace(RIGHT, folder=0), "cannot make a group")],
)
def test_half_delegated(owners: lab01_delegation.Ownership, slip: str) -> None:
    assert slip in (not_yet(lambda: lab01_delegation.judge_delegation(owners, NOBODY)).likely_slip or "")


@pytest.mark.parametrize(
    ("owners", "limit", "slip"),
    [
        (replace(RIGHT, limit=NOBODY), 128 * MIB, "gave away the limit"),
        (replace(RIGHT, limit_writable=True), 128 * MIB, "gave away the limit"),
        (RIGHT, None, "before it was limited"),
        (RIGHT, 128, "another number"),
    ],
)
def test_limit_given_away(owners: lab01_delegation.Ownership, limit: int | None, slip: str) -> None:
    assert slip in (not_yet(lambda: lab01_delegation.judge_kept(owners, NOBODY, limit)).likely_slip or "")


def test_nothing_delegated() -> None:
    owners = lab01_delegation.Ownership(folder=0, procs=0, limit=0, limit_writable=False)
    with pytest.raises(NotStarted):
        lab01_delegation.judge_delegation(owners, NOBODY)
    with pytest.raises(NotStarted):
        lab01_delegation.judge_kept(owners, NOBODY, None)


AS_MADE = (128 * MIB, lab01_patient.PIDS_LIMIT)


@pytest.mark.parametrize(
    ("alive", "seen", "asked", "slip"),
    [
        (True, (6, 1, 8), (512 * MIB, 8), "memory was never short"),
        (False, (0, 0, 64), (128 * MIB, 64), "waits for a start"),
        (True, (10, 1, 12), (128 * MIB, 12), "the first shell included"),
        (True, (6, 1, 64), (128 * MIB, 64), "only at its start"),
    ],
)
def test_patient(alive: bool, seen: tuple[int, int, int], asked: tuple[int, int], slip: str) -> None:
    workers, refused, limit = seen
    found = not_yet(
        lambda: lab01_patient.judge_patient(alive=alive, workers=workers, refused=refused, limit=limit, asked=asked)
    )
    assert slip in (found.likely_slip or "")


def test_patient_well_and_untouched() -> None:
    assert lab01_patient.judge_patient(alive=True, workers=12, refused=0, limit=64, asked=(128 * MIB, 64))
    with pytest.raises(NotStarted):
        lab01_patient.judge_patient(alive=True, workers=6, refused=1, limit=8, asked=AS_MADE)
    with pytest.raises(NotStarted):
        lab01_patient.judge_patient(alive=False, workers=0, refused=0, limit=8, asked=AS_MADE)
