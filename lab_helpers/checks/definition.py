"""What an exercise, a prediction and a lab are: plain declarations, one module ``labNN.py`` a notebook.

A lab module ends with ``LAB = Lab(notebook="01", ...)``; nothing is registered by being imported. A check is a small
function without arguments that looks at the live system (kernel files, the engine), so a learner's answer counts
however it was given. Its docstring is the criterion the learner reads; it returns what it saw, or raises
:class:`~lab_helpers.checks.outcome.NotYet` or :class:`~lab_helpers.checks.outcome.NotStarted`::

    def quota_is_half_a_core() -> str:
        '''The cgroup `half` may use half of one CPU.'''
        quota = find("half").cpu.read()
        ...
        return f"cpu.max is {quota}"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from lab_helpers.base import waiting
from lab_helpers.base.errors import LabError
from lab_helpers.checks.outcome import NotStarted, NotYet, Outcome, Row, State

Language = Literal["python", "bash", "cgroup"]
"""How an answer's cell is run; ``cgroup`` is bash with the session's cgroup directories in the environment."""

Check = Callable[[], object]
Hint = str | Callable[[Outcome], str]


@dataclass(frozen=True)
class Solution:
    """One way to do it, and why it works.

    Attributes:
        code: The body of an answer cell; ``LAB_SOLVE=1`` runs it.
        why: The mechanism, so that a shown answer still teaches.
        language: What the code is written in; None: the exercise's language.
    """

    code: str
    why: str
    language: Language | None = None


@dataclass(frozen=True)
class WrongAnswer:
    """A plausible mistake, kept to prove that the checks tell it apart.

    Attributes:
        code: The body of an answer cell.
        says: Words that the outcome must then contain (in what was seen, expected, or the likely slip).
        language: What the code is written in; None: the exercise's language.
        fails: The code itself ends with an error, which is part of the mistake.
    """

    code: str
    says: str
    language: Language | None = None
    fails: bool = False


def _nothing() -> None:
    """Do nothing: the default for an exercise that has nothing to prepare."""


@dataclass(frozen=True)
class Exercise:
    """An exercise as declared: what to do, how it is recognised, what helps, and one answer.

    Attributes:
        id: Unique in the whole kit, such as ``cg-03``.
        title: A few words.
        task: One sentence.
        checks: Looks at the live system; see the module's docstring.
        hints: Nudge, pointer, worked step. The nudge gives way to the hint of what was observed, if there is one.
        solution: Code and why.
        reset: Removes what belongs to this exercise, by label or name; missing is success.
        wrong_answers: Mistakes and the message each must get.
        language: How the answer's cell is run, unless its first line says otherwise (``#!bash``, ``#!python``).
        settle_s: Seconds for which a check is tried again, for states that come by themselves.
        prepare: Makes what the exercise starts from (a broken container); run by ``prepare()`` and by nothing else.
    """

    id: str
    title: str
    task: str
    checks: tuple[Check, ...]
    hints: tuple[Hint, Hint, Hint]
    solution: Solution
    reset: Callable[[], None]
    wrong_answers: tuple[WrongAnswer, ...]
    language: Language = "python"
    settle_s: float = 0.0
    prepare: Callable[[], None] = _nothing

    @property
    def prepared(self) -> bool:
        """Tell whether the exercise starts from something that must be made first."""
        return self.prepare is not _nothing


@dataclass(frozen=True)
class Prediction:
    """A question about what the next cell will do.

    Attributes:
        id: Unique in the whole kit.
        question: One sentence.
        options: Two to four answers, by letter.
        answer: The letter of what really happens.
        because: Why it happens, and which kernel file or API field shows it.
        tempting: For wrong letters: why that answer fails.
    """

    id: str
    question: str
    options: Mapping[str, str]
    answer: str
    because: str
    tempting: Mapping[str, str]


@dataclass(frozen=True)
class Lab:
    """The exercises and predictions of one notebook, in its order.

    Attributes:
        notebook: Its two digits.
        title: Its subject.
    """

    notebook: str
    title: str
    exercises: tuple[Exercise, ...] = ()
    predictions: tuple[Prediction, ...] = ()


def criterion(check: Check) -> str:
    """Return the sentence the learner reads: the first line of the check's docstring."""
    lines = (check.__doc__ or "").strip().splitlines()
    return lines[0] if lines else getattr(check, "__name__", "criterion").replace("_", " ")


def _look_at(check: Check) -> Row:
    said = criterion(check)
    try:
        seen = check()
    except NotStarted as finding:
        return Row(said, State.NOT_STARTED, finding.observed, hint=finding.hint or "")
    except NotYet as finding:
        slip, hint = finding.likely_slip or "", finding.hint or ""
        return Row(said, State.NOT_YET, finding.observed, finding.expected, slip, hint)
    except LabError as error:
        return Row(said, State.COULD_NOT_LOOK, f"{error.message} ({error.why}); next: {error.next_step}")
    except OSError as error:
        return Row(said, State.COULD_NOT_LOOK, f"{error}; next: run `./lab doctor`")
    except Exception as error:  # noqa: BLE001 - a fault of the check itself must not read as the learner's
        fault = f"this check has a fault of its own: {type(error).__name__}: {error}"
        return Row(said, State.COULD_NOT_LOOK, f"{fault}; next: please report it, and go on")
    return Row(said, State.CORRECT, "" if seen is None else str(seen))


def look(exercise: Exercise) -> Outcome:
    """Run every check of an exercise once."""
    return Outcome(exercise.id, exercise.title, tuple(_look_at(check) for check in exercise.checks))


def settle(exercise: Exercise) -> Outcome:
    """Look at an exercise until it is correct, not started, or its ``settle_s`` are over; return the last look."""
    outcome = look(exercise)
    if exercise.settle_s <= 0 or outcome.state is not State.NOT_YET:
        return outcome
    seen = [outcome]

    def settled() -> bool:
        seen.append(look(exercise))
        return seen[-1].state is not State.NOT_YET

    try:
        waiting.wait_until(settled, what=f"{exercise.id} to settle", timeout_s=exercise.settle_s, interval_s=0.1)
    except waiting.WaitTimeoutError:
        return seen[-1].with_note(f"looked again for {exercise.settle_s:g} s")
    return seen[-1]
