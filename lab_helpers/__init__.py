"""Deep Dive on Containers, the lab: what the notebooks import.

``import lab_helpers as lab`` costs little: everything below is loaded when first used. Importing it also starts a sweep
of sessions whose process is dead, in the background, if there are any.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from lab_helpers.base import session as _session

if TYPE_CHECKING:
    from lab_helpers.checks import exercise, predict, progress, sh
    from lab_helpers.lesson import start, stop
    from lab_helpers.machine import doctor
    from lab_helpers.widgets import cgroup_gauge, three_pillars

__version__ = "0.1.0"

_HOME_OF = {
    "cgroup_gauge": "lab_helpers.widgets",
    "doctor": "lab_helpers.machine",
    "exercise": "lab_helpers.checks",
    "predict": "lab_helpers.checks",
    "progress": "lab_helpers.checks",
    "sh": "lab_helpers.checks",
    "start": "lab_helpers.lesson",
    "stop": "lab_helpers.lesson",
    "three_pillars": "lab_helpers.widgets",
}

__all__ = ["__version__", "load_ipython_extension", *sorted(_HOME_OF)]  # noqa: PLE0604 - all strings


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the room offers
    """Load a public name from the room it lives in (PEP 562)."""
    if name in _HOME_OF:
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return __all__


def load_ipython_extension(ipython: Any) -> None:  # noqa: ANN401 - IPython has no types
    """``%load_ext lab_helpers``: the cell magics ``%%exercise``, ``%%cgroup`` and ``%%expect``."""
    importlib.import_module("lab_helpers.checks.magics").load_ipython_extension(ipython)


if "lab_helpers.cli" not in sys.orig_argv:  # `./lab sweep --dry-run` must only look
    _session.sweep_dead()
