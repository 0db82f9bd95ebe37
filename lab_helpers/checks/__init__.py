"""Exercises and predictions: declared as data, checked on the live system, never on the learner's source."""

from lab_helpers.checks.attempt import Attempt, NotCorrectError
from lab_helpers.checks.bodies import CellCommandError
from lab_helpers.checks.definition import Exercise, Lab, Prediction, Solution, WrongAnswer
from lab_helpers.checks.expect import ExpectationError
from lab_helpers.checks.guess import Guess, UnknownOptionError
from lab_helpers.checks.learner import exercise, predict, progress
from lab_helpers.checks.outcome import NotStarted, NotYet, Outcome, Row, State
from lab_helpers.checks.registry import UnknownExerciseError
from lab_helpers.checks.shell import Ran, sh

__all__ = [
    "Attempt",
    "CellCommandError",
    "Exercise",
    "ExpectationError",
    "Guess",
    "Lab",
    "NotCorrectError",
    "NotStarted",
    "NotYet",
    "Outcome",
    "Prediction",
    "Ran",
    "Row",
    "Solution",
    "State",
    "UnknownExerciseError",
    "UnknownOptionError",
    "WrongAnswer",
    "exercise",
    "predict",
    "progress",
    "sh",
]
