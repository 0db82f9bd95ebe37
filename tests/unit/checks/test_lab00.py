"""The first exercise tells its two usual slips apart."""

from __future__ import annotations

import pytest

from lab_helpers.checks import lab00
from lab_helpers.checks.outcome import NotYet
from lab_helpers.checks.verify import faults_of_declaration, faults_of_prediction


def test_declarations_are_complete() -> None:
    assert [faults_of_declaration(one) for one in lab00.LAB.exercises] == [[]]
    assert [faults_of_prediction(one) for one in lab00.LAB.predictions] == [[]]


def test_the_right_host_name() -> None:
    assert "lighthouse" in lab00.judge_hostname("lighthouse", "lab-abc123-first")


@pytest.mark.parametrize(
    ("hostname", "slip"),
    [("1f2e3d4c5b6a", "first twelve digits"), ("lab-abc123-first", "another option"), ("Box", "another option")],
)
def test_wrong_host_names(hostname: str, slip: str) -> None:
    with pytest.raises(NotYet) as caught:
        lab00.judge_hostname(hostname, "lab-abc123-first")
    assert hostname in caught.value.observed
    assert slip in (caught.value.likely_slip or "")
