"""Where our JupyterLab keeps its own things, so that a learner's ~/.jupyter changes nothing here, nor we there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lab_helpers.base import settings


def directory() -> Path:
    """Return the folder of the running JupyterLab: its record, token, lock and sockets. Gone after a reboot."""
    return settings.RUN_DIRECTORY / "jupyter"


def kept() -> Path:
    """Return the folder of what JupyterLab keeps: settings and window layouts that the learner changed."""
    return settings.state() / "jupyter"


def environment() -> dict[str, str]:
    """Return the variables that keep Jupyter and IPython to our folders and our Python first on PATH.

    The runtime folder is below /run: kernels get Unix sockets there, and a socket's path ends at 107 characters.
    """
    return {
        "IPYTHONDIR": str(kept() / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(kept() / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(kept() / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(kept() / "config"),
        "JUPYTER_CONFIG_PATH": str(settings.PROJECT / "environment" / "jupyter"),
        "JUPYTER_DATA_DIR": str(kept() / "data"),
        "JUPYTER_RUNTIME_DIR": str(directory() / "runtime"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(settings.PROJECT), os.environ.get("PYTHONPATH")])),
    }
