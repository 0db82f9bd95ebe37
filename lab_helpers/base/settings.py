"""Every variable and every place of the kit, in one file.

| variable       | meaning                                                        | default        |
|----------------|----------------------------------------------------------------|----------------|
| LAB_HOME       | where the kit keeps its cache, state, logs and scratch files   | /var/lib/lab   |
| LAB_SESSION    | the session id to use, instead of a new random one             | random         |
| LAB_SOLVE      | 1: exercises run their reference solution                      | 0              |
| LAB_TARGET     | local or aws                                                   | local          |
| LAB_TIME_SCALE | factor on the waits that AWS is known for                      | 0.1            |
| LAB_BIND       | address that JupyterLab listens on; only inside the Vagrant VM | 127.0.0.1      |

The Vagrantfile reads LAB_VM_MEMORY (MiB), LAB_VM_CPUS, LAB_VM_PORT (on the host's loopback) and LAB_VM_BOX.

Values are read when asked for, so that a test or a cell can change them.
"""

from __future__ import annotations

import os
from pathlib import Path

from lab_helpers.base.errors import LabError

LABEL = "lab.session"
"""Key of the label that everything the kit makes carries; its value is the session id."""

LABEL_VARIABLE = "LAB_LABEL"
"""Environment variable that labels processes: children inherit it, ``/proc/PID/environ`` shows it."""

RUN_DIRECTORY = Path("/run/lab")
"""Sockets, process ids and session records; gone after a reboot, as they should be."""

PROJECT = Path(__file__).resolve().parents[2]
"""The checkout: the folder with labs/, lab_helpers/ and the ``lab`` command."""


class SettingError(LabError):
    """A LAB_* variable holds a value that makes no sense."""


def _choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = os.environ.get(name) or default
    if value not in allowed:
        raise SettingError(
            f"{name} is {value!r}",
            reference="bad-setting",
            why=f"{name} is one of: {', '.join(allowed)}",
            next_step=f"unset {name}, or set it to {default}",
        )
    return value


def home() -> Path:
    """Return LAB_HOME."""
    return Path(os.environ.get("LAB_HOME") or "/var/lib/lab")


def cache() -> Path:
    """Return the folder of things that are expensive to make, each under the hash of what it was made from."""
    return home() / "cache"


def state() -> Path:
    """Return the folder of what is kept between runs: the learner's progress."""
    return home() / "state"


def log() -> Path:
    """Return the folder of logs."""
    return home() / "log"


def scratch() -> Path:
    """Return the folder under which each session has its own, for files too large for memory."""
    return home() / "scratch"


def solve() -> bool:
    """Tell whether exercises run their reference solution (LAB_SOLVE=1)."""
    return _choice("LAB_SOLVE", "0", ("0", "1")) == "1"


def target() -> str:
    """Return ``local`` or ``aws`` (LAB_TARGET)."""
    return _choice("LAB_TARGET", "local", ("local", "aws"))


def time_scale() -> float:
    """Return the factor on AWS's waits: 0.1 makes its 40 seconds 4 (LAB_TIME_SCALE).

    Raises:
        SettingError: it is not a number from 0 to 10.
    """
    text = os.environ.get("LAB_TIME_SCALE") or "0.1"
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 10:
        raise SettingError(
            f"LAB_TIME_SCALE is {text!r}",
            reference="bad-setting",
            why="it multiplies the waits of AWS and is a number from 0 (no wait) to 10",
            next_step="unset LAB_TIME_SCALE, or set it to 0.1",
        )
    return value


def bind() -> str:
    """Return the address that JupyterLab listens on (LAB_BIND)."""
    return os.environ.get("LAB_BIND") or "127.0.0.1"
