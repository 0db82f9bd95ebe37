"""For authors: proof that an exercise can be failed and can be solved.

Each exercise: untouched it is "not started"; each wrong answer gets its own message; the solution is correct, and is
still correct when run again; after a reset it is "not started".
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from lab_helpers.base import waiting
from lab_helpers.base.errors import LabError
from lab_helpers.checks import bodies
from lab_helpers.checks.definition import Exercise, Language, Prediction, criterion, look, settle
from lab_helpers.checks.outcome import Outcome, State

Run = Callable[[str, Language], object]

_PATIENCE_S = 1.0


class ExerciseFaultError(LabError):
    """An exercise does not do what its declaration promises."""


def _fault(name: str, message: str, why: str) -> ExerciseFaultError:
    return ExerciseFaultError(
        f"{name}: {message}",
        reference="exercise-fault",
        why=why,
        next_step="correct the exercise in lab_helpers/checks",
    )


def faults_of_declaration(exercise: Exercise) -> list[str]:
    """Name what a declaration lacks, without running anything."""
    found = []
    if not exercise.checks:
        found.append("it has no checks")
    found += [
        f"the check {getattr(check, '__name__', check)} has no docstring"
        for check in exercise.checks
        if not (check.__doc__ or "").strip()
    ]
    if len({criterion(check) for check in exercise.checks}) < len(exercise.checks):
        found.append("two checks have the same criterion")
    hints = [hint.strip() if isinstance(hint, str) else hint for hint in exercise.hints]
    if not all(hints):
        found.append("a hint is empty")
    if len({hint for hint in hints if isinstance(hint, str)}) < sum(isinstance(hint, str) for hint in hints):
        found.append("a hint is given twice")
    if not exercise.task.strip() or not exercise.title.strip():
        found.append("it has no task or no title")
    if bodies.untouched(exercise.solution.code) or not exercise.solution.why.strip():
        found.append("the solution has no code or no why")
    if not exercise.wrong_answers:
        found.append("it has no wrong answer")
    if not all(wrong.says.strip() for wrong in exercise.wrong_answers):
        found.append("a wrong answer expects no message")
    return found


def faults_of_prediction(prediction: Prediction) -> list[str]:
    """Name what a prediction lacks."""
    found = []
    if not 2 <= len(prediction.options) <= 4:
        found.append(f"it has {len(prediction.options)} options, not two to four")
    if prediction.answer not in prediction.options:
        found.append(f"its answer {prediction.answer!r} is no option")
    if any(letter != letter.strip().lower() for letter in prediction.options):
        found.append("its letters are not lower-case")
    if prediction.answer in prediction.tempting or not set(prediction.tempting) <= set(prediction.options):
        found.append("its tempting answers are not wrong options")
    if not prediction.tempting or not prediction.because.strip():
        found.append("it does not explain why, or why a tempting answer fails")
    return found


def verify(exercise: Exercise, run: Run = bodies.run_body) -> list[Outcome]:
    """Take an exercise through its whole life, and leave nothing behind.

    Args:
        exercise: What to verify; it is run for real.
        run: Runs a body in a language.

    Returns:
        The outcomes, in order: untouched, each wrong answer, solution, solution again, after the reset.

    Raises:
        ExerciseFaultError: it breaks a promise; the error says which.
    """
    lacking = faults_of_declaration(exercise)
    if lacking:
        raise _fault(exercise.id, "; ".join(lacking), "a learner would meet a dead end")
    try:
        return _live(exercise, run)
    finally:
        exercise.reset()


def _live(exercise: Exercise, run: Run) -> list[Outcome]:
    solution = exercise.solution
    outcomes = [_fresh(exercise, "untouched", State.NOT_STARTED)]
    for wrong in exercise.wrong_answers:
        _fresh(exercise, "before a wrong answer", State.NOT_STARTED)
        try:
            run(wrong.code, bodies.language_of(wrong.code, wrong.language or exercise.language))
        except Exception as error:
            if not wrong.fails:
                raise _fault(exercise.id, f"the wrong answer for {wrong.says!r} crashed", str(error)) from error
        outcome = _expect(exercise, f"after the wrong answer for {wrong.says!r}", State.NOT_YET)
        if not any(_says(wrong.says, row.observed, row.expected, row.likely_slip) for row in outcome.rows):
            raise _fault(exercise.id, f"a wrong answer is not told {wrong.says!r}", repr(outcome))
        outcomes.append(outcome)
    _fresh(exercise, "before the solution", State.NOT_STARTED)
    for occasion in ("after the solution", "after the solution ran again"):
        run(solution.code, bodies.language_of(solution.code, solution.language or exercise.language))
        outcomes.append(_expect(exercise, occasion, State.CORRECT))
    return [*outcomes, _fresh(exercise, "after the reset", State.NOT_STARTED)]


def _fresh(exercise: Exercise, occasion: str, state: State) -> Outcome:
    exercise.reset()
    exercise.prepare()
    return _expect(exercise, occasion, state)


def _expect(exercise: Exercise, occasion: str, state: State) -> Outcome:
    seen = [settle(exercise)]

    def came() -> bool:
        if seen[-1].state is not state:
            seen.append(look(exercise))
        return seen[-1].state is state

    # What was just done may show a moment later: a signal is delivered when its process runs next.
    with suppress(waiting.WaitTimeoutError):
        waiting.wait_until(came, what=f"{exercise.id} to be {state.value}", timeout_s=_PATIENCE_S, interval_s=0.05)
    outcome = seen[-1]
    if outcome.state is not state:
        raise _fault(exercise.id, f"{occasion} it is {outcome.state.value!r}, not {state.value!r}", repr(outcome))
    return outcome


def _says(fragment: str, *texts: str) -> bool:
    return any(fragment in text for text in texts)
