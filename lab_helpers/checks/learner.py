"""What a learner calls: ``exercise("cg-03")``, ``predict("p1")``, ``progress()``."""

from __future__ import annotations

from dataclasses import dataclass

from lab_helpers.checks import display, record, registry
from lab_helpers.checks.attempt import Attempt
from lab_helpers.checks.definition import Exercise, Lab, Prediction
from lab_helpers.checks.guess import Guess

_attempts: dict[str, Attempt] = {}
_guesses: dict[str, Guess] = {}


def exercise(name: str) -> Attempt:
    """Return the exercise with this id; asking twice gives the same one, with the hints given so far.

    Raises:
        UnknownExerciseError: there is none; the error lists the closest ids.
    """
    found = registry.current().exercise(name)
    known = _attempts.get(name)
    if known is None or known.exercise is not found:
        known = _attempts[name] = Attempt(found)
    return known


def predict(name: str) -> Guess:
    """Return the prediction with this id: show it, ``.answer("b")`` it, ``.explain()`` it.

    Raises:
        UnknownExerciseError: there is none; the error lists the closest ids.
    """
    found = registry.current().prediction(name)
    known = _guesses.get(name)
    if known is None or known.prediction is not found:
        known = _guesses[name] = Guess(found)
    return known


@dataclass(frozen=True)
class Progress:
    """What was done so far, per notebook."""

    labs: tuple[Lab, ...]
    entries: dict[str, record.Entry]
    remark: str

    def summary(self, lab: Lab) -> str:
        """Say in one line how far a notebook is."""
        correct = sum(self._entry(one.id).state == "correct" for one in lab.exercises)
        said = sum(bool(self._entry(one.id).answer) for one in lab.predictions)
        return (
            f"{lab.notebook} {lab.title}: {correct} of {len(lab.exercises)} exercises correct, "
            f"{said} of {len(lab.predictions)} predictions answered"
        )

    def rows(self, lab: Lab) -> list[tuple[str, str, str, str]]:
        """Return id, title, state and remarks of everything in a notebook."""
        return [
            *((one.id, one.title, self._entry(one.id).state, self._remarks(one)) for one in lab.exercises),
            *((one.id, one.question, self._said(one), "") for one in lab.predictions),
        ]

    def _entry(self, name: str) -> record.Entry:
        return self.entries.get(name, record.Entry())

    def _said(self, prediction: Prediction) -> str:
        entry = self._entry(prediction.id)
        return f"{entry.answer}: {entry.state}" if entry.answer else "not answered"

    def _remarks(self, one: Exercise) -> str:
        entry = self._entry(one.id)
        told = []
        if entry.attempts:
            told.append(f"{entry.attempts} attempt{'s' * (entry.attempts != 1)}")
        if entry.hints:
            told.append(f"{entry.hints} hint{'s' * (entry.hints != 1)}")
        if entry.solution_shown:
            told.append("after the solution" if entry.state == "correct" else "solution shown")
        return ", ".join(told)

    def __repr__(self) -> str:
        lines = []
        for lab in self.labs:
            lines.append(self.summary(lab))
            for name, title, state, remarks in self.rows(lab):
                tail = f" ({remarks})" if remarks else ""
                lines.append(f"  {name:<8} {state:<14} {title}{tail}")
        return "\n".join([*lines, *([f"note: {self.remark}"] if self.remark else [])])

    def _repr_html_(self) -> str:
        parts = []
        for lab in self.labs:
            cells = [
                (
                    display.inline_code(name),
                    display.inline_code(title),
                    display.badge(state) if state in display.SYMBOLS else display.inline_code(state),
                    display.inline_code(remarks),
                )
                for name, title, state, remarks in self.rows(lab)
            ]
            parts.append(display.paragraph(self.summary(lab)) + display.table(("id", "", "state", ""), cells))
        note = self.remark or "Kept on this machine only."
        return display.card("progress", "Your progress", "".join(parts) + display.paragraph(note, muted=True))


def progress(notebook: str | None = None) -> Progress:
    """Show what was done so far, on this machine; nothing is sent anywhere.

    Args:
        notebook: Two digits for one notebook; None for all.
    """
    labs = tuple(lab for lab in registry.current().labs if notebook in (None, lab.notebook))
    entries, remark = record.read()
    return Progress(labs, entries, remark)
