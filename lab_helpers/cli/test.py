"""``./lab test``: every suite, on a machine without a network, with one honest total at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.table import Table

from lab_helpers.base import settings
from lab_helpers.base.preflight import RootRequiredError
from lab_helpers.base.units import format_duration
from lab_helpers.cli.engine import Engine
from lab_helpers.cli.offline import offline_engine

ARTEFACTS = settings.PROJECT / ".artefacts"
"""junit files, screenshots, logs; git ignores it."""


@dataclass(frozen=True)
class Suite:
    """One part of the tests.

    Attributes:
        name: The word of the command line.
        about: What it shows.
        options: Further options for pytest.
        offline: It runs in the network namespace that has no way out. The microVM has no network card instead.
        notebooks: It understands --notebook.
    """

    name: str
    about: str
    options: tuple[str, ...] = ()
    offline: bool = True
    notebooks: bool = False


SUITES = (
    Suite("unit", "pure rules and parsers", ("-n", "2", "-q")),
    Suite("system", "real kernel and Docker", ("-q", "--durations=5")),
    Suite("labs", "every notebook, solved, twice", ("-q", "--durations=5"), notebooks=True),
    Suite("exercises", "each one untouched, wrong, right, right again", ("-q", "--durations=5"), notebooks=True),
    Suite("browser", "JupyterLab in Chromium", ("-q",), notebooks=True),
    Suite("chaos", "kernels killed at random cells", ("-q", "-s"), notebooks=True),
    Suite("bench", "the benchmark measures what it says", ("-q", "-s")),
    Suite("microvm", "kernel labs on a real cgroup v2 kernel", ("-q", "-rA"), offline=False),
)
INSIDE = ARTEFACTS / "microvm"
"""Tests that ran in the microVM: tests/microvm leaves the junit file of each tour in a folder of the tour's name."""


@dataclass
class Outcome:
    """What one suite came to.

    Attributes:
        name: The suite.
        seconds: How long it took.
        passed: Tests that passed.
        failed: Tests that failed, errors in setting up and clearing away included.
        skipped: Tests that did not run, with their reasons in ``reasons``.
    """

    name: str
    seconds: float = 0.0
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: list[str] = field(default_factory=list)


def read_junit(name: str, text: str) -> Outcome:
    """Count a junit file.

    Each ``testcase`` counts once: as failed if it holds a failure or an error, as skipped if it holds a skip. pytest's
    own attributes would count a test that failed and then could not clear away twice.
    """
    outcome = Outcome(name)
    for case in ET.fromstring(text).iter("testcase"):  # noqa: S314 - written by our own pytest
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed += 1
        elif skip is not None:
            outcome.skipped += 1
            outcome.reasons.append(f"{case.get('classname')}.{case.get('name')}: {skip.get('message', '')}")
        else:
            outcome.passed += 1
    return outcome


def judge(name: str, returncode: int, junit: str | None, seconds: float) -> Outcome:
    """Turn the end of a pytest run into an outcome.

    A run that ended badly without a failed test (a crash, no test collected, an interruption) counts as one failure.
    """
    outcome = read_junit(name, junit) if junit else Outcome(name)
    outcome.seconds = seconds
    nothing = outcome.passed + outcome.failed + outcome.skipped == 0
    if (returncode != 0 or nothing) and outcome.failed == 0:
        outcome.failed += 1
    return outcome


def pytest_argv(suite: Suite, *, notebooks: Sequence[str], no_skip: bool, extra: Sequence[str] = ()) -> list[str]:
    """Return the command line of a suite."""
    argv = [sys.executable, "-m", "pytest", f"tests/{suite.name}", f"--junitxml={ARTEFACTS / suite.name}.xml"]
    argv += ["-o", "junit_family=xunit1", *suite.options, *extra]  # xunit2 has no place for a test's measured seconds
    argv += ["--no-skip"] if no_skip else []
    if suite.notebooks:
        argv += [word for number in notebooks for word in ("--notebook", number)]
    return argv


NOT_INHERITED = ("LAB_SESSION", settings.LABEL_VARIABLE, "LAB_SOLVE", "LAB_OFFLINE", "JPY_SESSION_NAME")


def environment(engine: Engine | None) -> dict[str, str]:
    """Return the environment of a suite: the engine without a network, and no session of whoever types this."""
    found = {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}
    found["PYTHONPATH"] = str(settings.PROJECT)
    found["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), found.get("PATH", ""), "/usr/sbin", "/sbin"])
    if engine:
        found |= engine.environment
        found["LAB_OFFLINE"] = "1"  # tests/system/test_offline.py then demands that there is no way out
        for name in list(found):
            if name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
                del found[name]
    return found


def run_suite(
    suite: Suite, argv: Sequence[str], *, env: Mapping[str, str], log: Path | None = None, nice: int = 0
) -> Outcome:
    """Run one suite to its end; its output goes to this terminal or to a log."""
    junit = ARTEFACTS / f"{suite.name}.xml"
    junit.unlink(missing_ok=True)
    began = time.monotonic()
    prefix = ["nice", "-n", str(nice)] if nice else []
    output = log.open("wb") if log else None
    try:
        # Not commands.run: the terminal stays pytest's, for colours and for Ctrl-C, which lets it clear away.
        process = subprocess.Popen(
            [*prefix, *argv],
            cwd=settings.PROJECT,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
        )
        returncode = _wait(process)
    finally:
        if output:
            output.close()
    text = junit.read_text(encoding="utf-8") if junit.exists() else None
    return judge(suite.name, returncode, text, time.monotonic() - began)


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait()
    except BaseException:
        process.send_signal(signal.SIGINT)  # pytest then runs what clears away
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise


class _InBackground:
    """A suite that runs beside the others: in the microVM two cores wait more than they work."""

    def __init__(self, suite: Suite, argv: Sequence[str]) -> None:
        self.suite = suite
        self.log = ARTEFACTS / f"{suite.name}.log"
        self.outcome = Outcome(suite.name, failed=1)
        # Nice: the emulated machine takes what the host's suites leave, so that their measurements hold.
        self._thread = threading.Thread(target=self._run, args=(argv,), name=suite.name)

    def _run(self, argv: Sequence[str]) -> None:
        self.outcome = run_suite(self.suite, argv, env=environment(None), log=self.log, nice=19)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self) -> Outcome:
        """Wait for the end, print what it said, and return the outcome."""
        self._thread.join()
        sys.stdout.write(self.log.read_text(encoding="utf-8", errors="replace"))
        return self.outcome


def lint() -> Outcome:
    """Run ``./lab lint``; it counts as one test."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "lab_helpers.cli", "lint"], cwd=settings.PROJECT, env=environment(None), check=False
    )
    good = done.returncode == 0
    return Outcome("lint", time.monotonic() - began, passed=int(good), failed=int(not good))


def total(outcomes: Iterable[Outcome]) -> Outcome:
    """Add outcomes up."""
    everything = Outcome("total")
    for outcome in outcomes:
        everything.passed += outcome.passed
        everything.failed += outcome.failed
        everything.skipped += outcome.skipped
        everything.reasons += outcome.reasons
    return everything


def inside() -> list[Outcome]:
    """Return what ran in the microVM, by tour: the host's own tests of that suite judge it as a whole."""
    found = sorted(INSIDE.glob("*/junit.xml"))
    return [read_junit(f"in the microvm: {path.parent.name}", path.read_text(encoding="utf-8")) for path in found]


def summary(outcomes: Sequence[Outcome], seconds: float, console: Console) -> None:
    """Print the table, the reasons of skips, and the total alone on the last line."""
    table = Table(title="./lab test")
    for heading in ("suite", "passed", "failed", "skipped", "time"):
        table.add_column(heading, justify="left" if heading == "suite" else "right")
    for outcome in outcomes:
        style = "red" if outcome.failed else None
        row = (outcome.name, str(outcome.passed), str(outcome.failed), str(outcome.skipped))
        table.add_row(*row, format_duration(outcome.seconds), style=style)
    console.print(table)
    everything = total(outcomes)
    for reason in everything.reasons:
        console.print(f"skipped: {reason}", markup=False)
    console.print(f"{format_duration(seconds)} in all; artefacts in {ARTEFACTS.name}/", markup=False, highlight=False)
    sys.stdout.flush()
    sys.stdout.write(f"{everything.passed} passed, {everything.failed} failed, {everything.skipped} skipped\n")


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM clear away as Ctrl-C does: CI ends a run that takes too long so."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _sweep_dead() -> None:
    """Remove what an interrupted run left: the tests begin where nothing carries the label, and say so."""
    from lab_helpers.cli.sweep import sweep_dead  # noqa: PLC0415 - it imports the rooms; `lint` alone needs none

    report = sweep_dead()
    if report.found:
        Console().print(f"removed before the tests, from sessions that are dead:\n{report}", markup=False)


def run(names: Sequence[str], *, notebooks: Sequence[str], no_skip: bool, extra: Sequence[str] = ()) -> list[Outcome]:
    """Run suites and return their outcomes; the microVM's runs beside the others.

    Raises:
        RootRequiredError: this is not root.
        EngineError: the engine without a network does not come up.
    """
    if os.geteuid() != 0:
        raise RootRequiredError(
            "the tests need root",
            reference="root-required",
            why="they make cgroups, namespaces and mounts, as the labs do",
            next_step=f"sudo ./lab test {' '.join(names)}",
        )
    _sweep_dead()
    ARTEFACTS.mkdir(exist_ok=True)
    for junit in INSIDE.glob("*/junit.xml"):
        junit.unlink()
    chosen = [suite for suite in SUITES if suite.name in names]
    outcomes = [lint()] if "lint" in names else []
    beside = [
        _InBackground(suite, pytest_argv(suite, notebooks=notebooks, no_skip=no_skip, extra=extra))
        for suite in chosen
        if not suite.offline
    ]
    with _terminated_like_interrupted():
        try:
            for runner in beside:
                runner.start()
            if any(suite.offline for suite in chosen):
                with offline_engine() as engine:
                    for suite in chosen:
                        if suite.offline:
                            _say(suite)
                            argv = pytest_argv(suite, notebooks=notebooks, no_skip=no_skip, extra=extra)
                            outcomes.append(run_suite(suite, engine.command(argv), env=environment(engine)))
        finally:
            for runner in beside:
                _say(runner.suite)
                outcomes.append(runner.finish())
    return outcomes + inside()


def _say(suite: Suite) -> None:
    Console().rule(f"{suite.name}: {suite.about}")
    sys.stdout.flush()


NAMES = ("lint", *(suite.name for suite in SUITES))


NO_SKIP = "A skip is a failure [default: in CI]."
PYTEST = "Hand this option to pytest, e.g. --pytest=-x."


@click.command()
@click.argument("suites", nargs=-1, metavar="[SUITE]...", type=click.Choice([*NAMES, "all"]))
@click.option("--notebook", "notebooks", multiple=True, metavar="NN", help="Only this notebook, where it matters.")
@click.option("--no-skip/--skip", default=bool(os.environ.get("CI")), show_default=False, help=NO_SKIP)
@click.option("--pytest", "extra", multiple=True, metavar="OPTION", help=PYTEST)
def test(suites: tuple[str, ...], notebooks: tuple[str, ...], no_skip: bool, extra: tuple[str, ...]) -> None:
    """Run the tests: all, or the suites named (lint, unit, system, labs, exercises, browser, chaos, bench, microvm).

    They run with an engine of their own in a network namespace that has no way out; the microVM has no network card.
    """
    began = time.monotonic()
    names = NAMES if not suites or "all" in suites else suites
    outcomes = run(names, notebooks=notebooks, no_skip=no_skip, extra=extra)
    summary(outcomes, time.monotonic() - began, Console())
    sys.exit(1 if total(outcomes).failed else 0)


if __name__ == "__main__":
    test()
