"""A lab about a file in a temporary folder: the checks' machinery without cgroups, Docker or root."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from lab_helpers.base import session
from lab_helpers.checks import definition, learner, record, registry
from lab_helpers.checks.outcome import NotStarted, NotYet


@dataclass
class World:
    """What the toy exercises look at."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "limit"

    def exists(self) -> str:
        """The file `limit` exists."""
        if not self.file.exists():
            raise NotStarted("there is no file limit")
        return "limit exists"

    def holds_64(self) -> str:
        """It holds 64."""
        if not self.file.exists():
            raise NotStarted("there is no file limit")
        seen = self.file.read_text().strip()
        if seen == "65536":
            raise NotYet(
                observed=f"limit holds {seen}",
                expected="the number 64",
                likely_slip="the unit is MiB, not KiB",
                hint="Look at the unit again.",
            )
        if seen != "64":
            raise NotYet(observed=f"limit holds {seen}", expected="the number 64")
        return f"limit holds {seen}"


@pytest.fixture
def world(tmp_path: Path) -> World:
    folder = tmp_path / "world"
    folder.mkdir()
    return World(folder)


@pytest.fixture
def exercise(world: World) -> definition.Exercise:
    return definition.Exercise(
        id="toy-01",
        title="A limit",
        task="Write 64 into the file `limit`.",
        checks=(world.exists, world.holds_64),
        hints=("Make the file first.", "Use `write_text`.", "`Path(...).write_text('64')`"),
        solution=definition.Solution(
            f"from pathlib import Path\nPath({str(world.file)!r}).write_text('64')", "it is 64"
        ),
        reset=lambda: world.file.unlink(missing_ok=True),
        wrong_answers=(
            definition.WrongAnswer(f"open({str(world.file)!r}, 'w').write('65536')", says="the unit is MiB, not KiB"),
            definition.WrongAnswer(f"echo 63 > {world.file}", says="limit holds 63", language="bash"),
        ),
    )


@pytest.fixture
def prediction() -> definition.Prediction:
    return definition.Prediction(
        id="toy-p1",
        question="What does the kernel do?",
        options={"a": "It refuses.", "b": "It kills."},
        answer="b",
        because="`memory.events` counts it.",
        tempting={"a": "malloc never fails here."},
    )


@pytest.fixture
def labs(
    exercise: definition.Exercise, prediction: definition.Prediction, monkeypatch: pytest.MonkeyPatch
) -> registry.Registry:
    bash = replace(
        exercise,
        id="toy-02",
        language="bash",
        solution=definition.Solution("echo from-the-solution", "bash says so"),
    )
    found = registry.Registry([definition.Lab("90", "Toys", (exercise, bash), (prediction,))])
    monkeypatch.setattr(registry, "current", lambda: found)
    monkeypatch.setattr(learner, "_attempts", {})
    monkeypatch.setattr(learner, "_guesses", {})
    return found


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress in a temporary LAB_HOME, a session without root and watchdog, no solve mode."""
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAB_SOLVE", "0")
    monkeypatch.setattr(record, "_solved", record.MemoryStore())
    ours = session.Session("toytoy")
    monkeypatch.setattr(session, "current", lambda: ours)
    monkeypatch.setattr(session.settings, "RUN_DIRECTORY", tmp_path / "run")


@pytest.fixture
def ipython(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An IPython with the magics, its namespace emptied afterwards."""
    shell = InteractiveShell.instance()
    shell.run_line_magic("reload_ext", "lab_helpers")
    before = set(shell.user_ns)
    yield shell
    for name in set(shell.user_ns) - before:
        del shell.user_ns[name]
