"""A learner's prediction: asked before the run, recorded without a verdict, explained after it.

``answer`` gives no verdict, because the next cell's result is the verdict; ``explain`` comes after it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from types import EllipsisType

from lab_helpers.base import settings
from lab_helpers.base.errors import LabError
from lab_helpers.checks import display, record
from lab_helpers.checks.definition import Prediction


class UnknownOptionError(LabError):
    """A prediction was answered with something that is not one of its letters."""


@dataclass(frozen=True)
class Said:
    """A short message to the learner, as text and as a panel."""

    state: str
    title: str
    lines: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join([self.title, *(f"  {line}" for line in self.lines)])

    def _repr_html_(self) -> str:
        return display.card(self.state, self.title, "".join(display.paragraph(line) for line in self.lines))


class Guess:
    """One prediction in a notebook: shows the question, takes a letter, explains.

    Attributes:
        prediction: What is asked.
    """

    def __init__(self, prediction: Prediction) -> None:
        self.prediction = prediction
        self._chosen = ""

    @property
    def chosen(self) -> str:
        """Return the letter chosen so far, "" for none; it survives a restart of the kernel."""
        if not self._chosen and not settings.solve():
            entries, _ = record.read()
            self._chosen = entries.get(self.prediction.id, record.Entry()).answer
        return self._chosen if self._chosen in self.prediction.options else ""

    def answer(self, letter: str | EllipsisType = ...) -> Said:
        """Record a letter; no verdict yet.

        Args:
            letter: One of the options. ``...`` means not answered yet, which is fine; with LAB_SOLVE=1 it stands
                for the reference answer.

        Raises:
            UnknownOptionError: it is no letter of this question.
        """
        title = f"Prediction {self.prediction.id}"
        if letter is ...:
            if not settings.solve():
                lines = ("Not answered yet: put a letter in place of the dots and run the cell again.",)
                return Said("not started", title, lines)
            self._chosen = self.prediction.answer
            return Said("prediction", title, ("LAB_SOLVE=1: the reference answer stands in for yours.",))
        choice = str(letter).strip().lower()
        if choice not in self.prediction.options:
            raise UnknownOptionError(
                f"{letter!r} is no answer to {self.prediction.id}",
                reference="unknown-option",
                why="its answers are: " + "; ".join(f"{key}) {text}" for key, text in self.prediction.options.items()),
                next_step=f"run .answer({next(iter(self.prediction.options))!r}) with the letter you mean",
            )
        self._chosen = choice
        verdict = "as predicted" if choice == self.prediction.answer else "other than predicted"
        remark = record.note(
            self.prediction.id,
            lambda entry: replace(entry, answer=choice, state=verdict, attempts=entry.attempts + 1),
        )
        text = f"Recorded: {choice}) {self.prediction.options[choice]}"
        lines = (text, "Run the next cell to see what happens.", *((remark,) if remark else ()))
        return Said("prediction", title, lines)

    def explain(self) -> Said:
        """Say whether the prediction came true, what happens and why, and why the tempting answer fails."""
        asked = self.prediction
        title = f"Prediction {asked.id}"
        if not self.chosen:
            invitation = "Answer first: .answer() with a letter. A wrong guess teaches more than none."
            return Said("not started", title, (invitation,))
        happens = f"{asked.answer}) {asked.options[asked.answer]}"
        if self.chosen == asked.answer:
            lines = [f"As you said: {happens}", asked.because]
            lines += [f"Tempting, but: {letter}) {why}" for letter, why in asked.tempting.items()]
            return Said("as predicted", title, tuple(lines))
        lines = [f"You said: {self.chosen}) {asked.options[self.chosen]}", f"It is: {happens}", asked.because]
        if self.chosen in asked.tempting:
            lines.append(f"Why {self.chosen}) fails: {asked.tempting[self.chosen]}")
        return Said("other than predicted", title, tuple(lines))

    def __repr__(self) -> str:
        options = [f"  {letter}) {text}" for letter, text in self.prediction.options.items()]
        return "\n".join([f"Prediction {self.prediction.id}: {self.prediction.question}", *options])

    def _repr_html_(self) -> str:
        options = "".join(
            f"<div style='margin:2px 0 2px 12px'><b>{escape(letter)})</b> {display.inline_code(text)}</div>"
            for letter, text in self.prediction.options.items()
        )
        question = display.paragraph(self.prediction.question)
        return display.card("prediction", f"Prediction {self.prediction.id}", question + options)
