"""Finding exercises and predictions by id.

The labs are the modules ``lab00.py``, ``lab01.py`` … of this room, each with a ``LAB``. They are imported at the first
question, not before: ``import lab_helpers.checks`` stays cheap.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
import re
from collections.abc import Iterable

from lab_helpers.base.errors import LabError
from lab_helpers.checks.definition import Exercise, Lab, Prediction

_LAB_MODULE = re.compile(r"^lab\d\d$")


class UnknownExerciseError(LabError):
    """No exercise, or no prediction, has that id."""


class DuplicateIdError(LabError):
    """Two exercises or predictions have the same id."""


class Registry:
    """All labs, with their exercises and predictions by id.

    Raises:
        DuplicateIdError: an id occurs twice.
    """

    def __init__(self, labs: Iterable[Lab]) -> None:
        self.labs = tuple(labs)
        self.exercises: dict[str, Exercise] = {}
        self.predictions: dict[str, Prediction] = {}
        for lab in self.labs:
            for exercise in lab.exercises:
                self._refuse_twice(exercise.id, lab)
                self.exercises[exercise.id] = exercise
            for prediction in lab.predictions:
                self._refuse_twice(prediction.id, lab)
                self.predictions[prediction.id] = prediction

    def _refuse_twice(self, name: str, lab: Lab) -> None:
        if name in self.exercises or name in self.predictions:
            raise DuplicateIdError(
                f"the id {name!r} of notebook {lab.notebook} is taken",
                reference="duplicate-id",
                why="progress and `%%exercise` find exercises and predictions by id alone, over all notebooks",
                next_step=f"give it another id in lab_helpers/checks/lab{lab.notebook}.py",
            )

    def exercise(self, name: str) -> Exercise:
        """Return the exercise with this id.

        Raises:
            UnknownExerciseError: there is none; the error lists the closest ids.
        """
        if name in self.exercises:
            return self.exercises[name]
        raise _unknown("exercise", name, self.exercises, f"exercise({name!r})")

    def prediction(self, name: str) -> Prediction:
        """Return the prediction with this id.

        Raises:
            UnknownExerciseError: there is none; the error lists the closest ids.
        """
        if name in self.predictions:
            return self.predictions[name]
        raise _unknown("prediction", name, self.predictions, f"predict({name!r})")


def _unknown(kind: str, name: str, known: Iterable[str], call: str) -> UnknownExerciseError:
    ids = list(known)
    close = difflib.get_close_matches(str(name).lower(), ids, n=3, cutoff=0.5)
    nearest = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    return UnknownExerciseError(
        f"{call}: there is no {kind} {name!r}",
        reference=f"unknown-{kind}",
        why=f"{nearest}the ids are: {', '.join(ids) or 'none yet'}",
        next_step="correct the id and run the cell again; progress() lists all of them with their titles",
    )


@functools.cache
def current() -> Registry:
    """Return the registry of all lab modules of this room; imports them at the first call."""
    package = importlib.import_module("lab_helpers.checks")
    names = sorted(found.name for found in pkgutil.iter_modules(package.__path__) if _LAB_MODULE.match(found.name))
    return Registry(importlib.import_module(f"lab_helpers.checks.{name}").LAB for name in names)
