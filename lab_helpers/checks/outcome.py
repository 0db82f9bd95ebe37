"""What a check saw, and what that means: not started, not yet, correct, or could not look.

*Not started* is not *wrong*: an untouched cell gets an invitation, never a failure. *Could not look* blames the
machine, never the learner.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from lab_helpers.checks import display


class State(StrEnum):
    """The four things a check can find; the value is the word the learner reads."""

    NOT_STARTED = "not started"
    NOT_YET = "not yet"
    CORRECT = "correct"
    COULD_NOT_LOOK = "could not look"


class NotStarted(Exception):  # noqa: N818 - a finding that a check reports, not an error
    """Raised by a check when nothing of the exercise exists yet.

    Args:
        observed: What was looked for and not found, such as "there is no cgroup named demo".
        hint: The first hint for a learner in this situation.
    """

    def __init__(self, observed: str = "", *, hint: str | None = None) -> None:
        super().__init__(observed)
        self.observed = observed
        self.hint = hint


class NotYet(Exception):  # noqa: N818 - a finding that a check reports, not an error
    """Raised by a check when the learner did something, and it is not yet what was asked for.

    Args:
        observed: What was seen, with its value: "memory.max is 67108864".
        expected: What the criterion asks for, without the command that gets there.
        likely_slip: The mistake that usually produces what was seen.
        hint: The first hint for a learner who sees this.
    """

    def __init__(
        self, *, observed: str, expected: str, likely_slip: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(f"{observed}; expected: {expected}")
        self.observed = observed
        self.expected = expected
        self.likely_slip = likely_slip
        self.hint = hint


@dataclass(frozen=True)
class Row:
    """One criterion and what was seen of it.

    Attributes:
        criterion: The sentence the learner reads: the check's docstring.
        state: What this check found.
        observed: What it saw, in words.
        expected: What it asks for; only when it is not there yet.
        likely_slip: The usual mistake behind what was seen.
        hint: The first hint for this situation.
    """

    criterion: str
    state: State
    observed: str = ""
    expected: str = ""
    likely_slip: str = ""
    hint: str = ""

    def lines(self) -> list[str]:
        """Write the row as text, one fact a line."""
        head = f"  {display.SYMBOLS[self.state.value]} {self.state.value:<12} {self.criterion}"
        facts = (("seen", self.observed), ("expected", self.expected), ("likely slip", self.likely_slip))
        return [head, *(f"      {name + ':':<13}{text}" for name, text in facts if text)]


@dataclass(frozen=True)
class Outcome:
    """The rows of one look at an exercise, and the verdict that follows from them."""

    exercise_id: str
    title: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        """Return the verdict: the worst news that is certain.

        A row that could not be looked at leaves the verdict open, whatever the others say.
        """
        states = {row.state for row in self.rows}
        if State.COULD_NOT_LOOK in states:
            return State.COULD_NOT_LOOK
        if states <= {State.CORRECT}:
            return State.CORRECT
        return State.NOT_STARTED if states == {State.NOT_STARTED} else State.NOT_YET

    @property
    def correct(self) -> bool:
        """Tell whether every criterion is met."""
        return self.state is State.CORRECT

    @property
    def first_open(self) -> Row | None:
        """Return the first row that is not correct: where to go on."""
        return next((row for row in self.rows if row.state is not State.CORRECT), None)

    def with_note(self, note: str) -> Outcome:
        """Return the same outcome with one more remark below it."""
        return replace(self, notes=(*self.notes, note))

    @property
    def advice(self) -> str:
        """Say in one line what to do now."""
        if self.state is State.CORRECT:
            return "All criteria are met."
        if self.state is State.COULD_NOT_LOOK:
            return "This says nothing about your answer: do what the line above names, then check again."
        if self.state is State.NOT_STARTED:
            return "Nothing to judge yet: answer in the exercise's cell or in a terminal, then check again."
        return "Change it and check again; .hint() helps, .solution() shows one way and why."

    def __repr__(self) -> str:
        head = f"{self.exercise_id} {self.title}: {self.state.value}"
        body = [line for row in self.rows for line in row.lines()]
        return "\n".join([head, *body, f"  {self.advice}", *(f"  note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        cells = []
        for row in self.rows:
            facts = (("Seen", row.observed), ("Expected", row.expected), ("Likely slip", row.likely_slip))
            told = "<br>".join(f"<b>{name}:</b> {display.inline_code(text)}" for name, text in facts if text)
            cells.append((display.badge(row.state.value), display.inline_code(row.criterion), told))
        body = display.table(("", "Criterion", "What is there"), cells)
        notes = "".join(display.paragraph(note, muted=True) for note in self.notes)
        return display.card(
            self.state.value,
            f"{self.exercise_id} · {self.title}",
            body + display.paragraph(self.advice) + notes,
        )
