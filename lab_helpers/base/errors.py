"""Errors that say what happened, why, and what to do next.

LabError
├── UnitError                 a quantity that cannot be read            (base.units)
├── CommandError              a command that exited non-zero            (base.commands)
│   ├── CommandNotFoundError  its program is not installed
│   └── CommandTimeoutError   it did not end in time
├── WaitTimeoutError          a state that did not come                 (base.waiting)
├── SettingError              a LAB_* variable that makes no sense      (base.settings)
├── SessionError              a session that cannot be had              (base.session)
└── RootRequiredError         the kernel asks for root                  (base.preflight)

Each room adds its own below these. `reference` is a short stable word to search for; `next_step` names something
that exists: a command, a cell or a file.
"""

from __future__ import annotations


class LabError(Exception):
    """An error for a learner: message, reference, why, next step.

    Args:
        message: What could not be done, with the values involved.
        reference: Short, stable, lower-case words joined by hyphens, such as ``memory-not-enabled``.
        why: The mechanism behind it.
        next_step: What to do now.
        link: A document to read, if there is one.
    """

    def __init__(self, message: str, *, reference: str, why: str, next_step: str, link: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reference = reference
        self.why = why
        self.next_step = next_step
        self.link = link

    def __str__(self) -> str:
        lines = [f"{self.reference}: {self.message}", f"why:  {self.why}", f"next: {self.next_step}"]
        if self.link:
            lines.append(f"more: {self.link}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.__dict__.copy(), self.args))

    def _render_traceback_(self) -> list[str]:
        """Let IPython print the four lines instead of a traceback through our code."""
        return [f"{type(self).__name__}: {self}"]


def _rebuild(kind: type[LabError], state: dict[str, object], args: tuple[object, ...]) -> LabError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error
