"""A learner's work on one exercise: check, hint, solution, reset."""

from __future__ import annotations

from dataclasses import dataclass, replace

from IPython.core.getipython import get_ipython

from lab_helpers.base import settings
from lab_helpers.base.errors import LabError
from lab_helpers.checks import display, record
from lab_helpers.checks.definition import Exercise, Hint, look, settle
from lab_helpers.checks.guess import Said
from lab_helpers.checks.outcome import Outcome, State

TIERS = ("nudge", "pointer", "worked step")


class NotCorrectError(LabError):
    """With LAB_SOLVE=1 a check found something else than "correct": the reference solution is broken.

    ``outcome`` has every row.
    """

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(
            f"{outcome.exercise_id} is {outcome.state.value} after its reference solution",
            reference="solution-not-correct",
            why="\n" + repr(outcome),
            next_step="correct the solution or the check in lab_helpers/checks",
        )
        self.outcome = outcome


@dataclass(frozen=True)
class Hints:
    """The hints given so far; earlier ones stay visible."""

    exercise_id: str
    given: tuple[str, ...]
    remark: str

    def __repr__(self) -> str:
        lines = [f"  {TIERS[number]}: {text}" for number, text in enumerate(self.given)]
        return "\n".join([f"{self.exercise_id} hints", *lines, f"  {self.remark}"])

    def _repr_html_(self) -> str:
        lines = [f"<b>{TIERS[number]}:</b> {display.inline_code(text)}" for number, text in enumerate(self.given)]
        body = "".join(f'<p style="margin:6px 0">{line}</p>' for line in lines)
        return display.card("hint", self.exercise_id, body + display.paragraph(self.remark, muted=True))


@dataclass(frozen=True)
class Shown:
    """A solution: code, and why it works."""

    exercise_id: str
    code: str
    why: str
    remark: str

    def __repr__(self) -> str:
        return "\n".join([f"{self.exercise_id} solution", self.code.rstrip(), "", f"why: {self.why}", self.remark])

    def _repr_html_(self) -> str:
        body = display.code_block(self.code.rstrip()) + display.paragraph(f"Why: {self.why}")
        return display.card("solution", self.exercise_id, body + display.paragraph(self.remark, muted=True))


class Attempt:
    """One exercise in a notebook.

    Attributes:
        exercise: What is asked.
    """

    def __init__(self, exercise: Exercise) -> None:
        self.exercise = exercise
        self._hints = 0

    def check(self) -> Outcome:
        """Look at the live system and say: not started, not yet, or correct; one row a criterion.

        Raises:
            NotCorrectError: LAB_SOLVE=1 is set and the outcome is not "correct".
        """
        outcome = settle(self.exercise)
        remark = self._remember(outcome.state)
        if remark:
            outcome = outcome.with_note(remark)
        if settings.solve() and not outcome.correct:
            raise NotCorrectError(outcome)
        return outcome

    def look(self) -> Outcome:
        """Look without judging: nothing is counted, and it never raises for an answer."""
        return look(self.exercise)

    def hint(self) -> Hints:
        """Give the next hint; the first one fits what is there now."""
        self._hints = min(self._hints + 1, len(TIERS))
        outcome = look(self.exercise)
        given = [self._nudge(outcome), *(_words(hint, outcome) for hint in self.exercise.hints[1 : self._hints])]
        level = self._hints
        remark = record.note(self.exercise.id, lambda entry: replace(entry, hints=max(entry.hints, level)))
        if level < len(TIERS):
            more = f"{len(TIERS) - level} more: call .hint() again"
        else:
            more = "that was the last one; .solution() shows one way, and why it works"
        return Hints(self.exercise.id, tuple(given), "; ".join(filter(None, (more, remark))))

    def solution(self, *, fill: bool = False) -> Shown:
        """Show one way to do it and why it works.

        Args:
            fill: Also put the code into a new answer cell below this one.
        """
        self._remember_solution()
        code = f"%%exercise {self.exercise.id}\n{self.exercise.solution.code.strip()}\n"
        remark = "run it, change a number, check again"
        shell = get_ipython()
        if fill and shell is not None:
            shell.set_next_input(code, replace=False)
            remark = "it is in the cell below: run it, change a number, check again"
        return Shown(self.exercise.id, code, self.exercise.solution.why, remark)

    def prepare(self) -> Said:
        """Make what the exercise starts from; what an earlier attempt left is removed first."""
        if not self.exercise.prepared:
            return Said("not started", self.exercise.id, ("It starts from nothing: there is nothing to prepare.",))
        self.exercise.reset()
        self.exercise.prepare()
        return Said("not started", self.exercise.id, ("Prepared.", self.exercise.task))

    def reset(self) -> Said:
        """Remove what belongs to this exercise, and begin again. Running it twice changes nothing."""
        self.exercise.reset()
        self._hints = 0
        again = "Run .prepare() to begin again." if self.exercise.prepared else "Begin again when you like."
        return Said("not started", self.exercise.id, ("What this exercise made is gone.", again))

    def __repr__(self) -> str:
        return f"{self.exercise.id} {self.exercise.title}: {self.exercise.task}"

    def _repr_html_(self) -> str:
        where = f"Answer in the `%%exercise {self.exercise.id}` cell, then `.check()`;"
        calls = f"{where} `.hint()` helps, `.solution()` shows one way."
        body = display.paragraph(self.exercise.task) + display.paragraph(calls, muted=True)
        return display.card("not started", f"{self.exercise.id} · {self.exercise.title}", body)

    def _nudge(self, outcome: Outcome) -> str:
        row = outcome.first_open
        if row is None:
            return "All criteria are met already: nothing is missing."
        if row.state is State.COULD_NOT_LOOK:
            return f"The check cannot look: {row.observed}"
        return row.hint or _words(self.exercise.hints[0], outcome)

    def _remember(self, state: State) -> str:
        if state is State.COULD_NOT_LOOK:
            return ""
        tried = state is not State.NOT_STARTED

        def change(entry: record.Entry) -> record.Entry:
            kept = entry.state if entry.state == State.CORRECT.value else state.value
            return replace(entry, state=kept, attempts=entry.attempts + tried)

        return record.note(self.exercise.id, change)

    def _remember_solution(self) -> None:
        def change(entry: record.Entry) -> record.Entry:
            return replace(entry, solution_shown=entry.solution_shown or entry.state != State.CORRECT.value)

        record.note(self.exercise.id, change)


def _words(hint: Hint, outcome: Outcome) -> str:
    """Turn a hint into text: one that is a function is given what was seen."""
    return hint if isinstance(hint, str) else hint(outcome)
