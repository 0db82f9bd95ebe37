"""When ``./lab sweep`` asks, refuses, and what its exit status says."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from lab_helpers.base import sweeping
from lab_helpers.base.session import Owner
from lab_helpers.cli import sweep as command

OWNER = Owner("ab12cd", 4711, 0.0, "01", {})
ITEM = sweeping.Item("container", "lab-ab12cd-web", "ab12cd")
OTHER = sweeping.Item("cgroup", "/sys/fs/cgroup/lab-zz99zz", "zz99zz")


class Calls(list[tuple[str | None, bool]]):
    """What was swept: session and dry_run of each call."""

    report = sweeping.Report((ITEM,))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    made = Calls()

    def remove(session: str | None = None, *, dry_run: bool = False) -> sweeping.Report:
        made.append((session, dry_run))
        return made.report

    monkeypatch.setattr(command, "remove", remove)
    monkeypatch.setattr(command, "living", list)
    return made


@pytest.fixture
def alive(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "living", lambda: [OWNER])


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command.sweep, list(arguments), standalone_mode=False)


def test_without_living_sessions_it_sweeps(calls: Calls) -> None:
    assert run().return_value == 0
    assert calls == [(None, False)]


@pytest.mark.usefixtures("alive")
def test_dry_run_only_lists_and_never_asks(calls: Calls) -> None:
    assert run("--dry-run").return_value == 0
    assert calls == [(None, True)]


def test_json_is_nothing_but_json(calls: Calls) -> None:
    result = run("--json")
    said = json.loads(result.stdout)
    assert said["found"] == [{"kind": "container", "name": "lab-ab12cd-web", "session": "ab12cd"}]
    assert said["clean"] is True


@pytest.mark.usefixtures("alive")
def test_while_a_notebook_runs_it_refuses_without_a_terminal(calls: Calls) -> None:
    result = run()
    assert isinstance(result.exception, command.SessionsAliveError)
    assert "session ab12cd: notebook 01, process 4711" in result.exception.message
    assert "./lab sweep --force" in result.exception.next_step
    assert calls == []


@pytest.mark.usefixtures("alive")
def test_the_refusal_is_json_as_well(calls: Calls) -> None:
    result = run("--json")
    assert json.loads(result.stdout)["error"]["reference"] == "sessions-alive"
    assert result.return_value == 1
    assert calls == []


@pytest.mark.usefixtures("alive")
def test_force_does_not_ask(calls: Calls) -> None:
    assert run("--force").return_value == 0
    assert calls == [(None, False)]


def test_a_survivor_is_named_and_the_status_says_so(calls: Calls) -> None:
    calls.report = sweeping.Report((ITEM,), {ITEM: "the engine is stopped"})
    result = run()
    assert result.return_value == 1
    result = run("--json")
    assert result.return_value == 1
    assert json.loads(result.stdout)["survivors"][0]["why"] == "the engine is stopped"


@pytest.mark.usefixtures("alive")
def test_down_leaves_living_sessions_alone(calls: Calls) -> None:
    calls.report = sweeping.Report((ITEM, OTHER))
    command.sweep_dead()
    assert calls == [(None, True), ("zz99zz", False)]
