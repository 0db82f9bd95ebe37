"""``./lab up``: JupyterLab with notebook 00 open."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from types import FrameType

import click

from lab_helpers.base import commands
from lab_helpers.base.errors import LabError
from lab_helpers.base.preflight import RootRequiredError
from lab_helpers.base.units import format_duration
from lab_helpers.cli import console, server
from lab_helpers.notebooks import places

HANGUP = 128 + signal.SIGHUP


class NotReadyError(LabError):
    """The machine lacks something without which no notebook runs."""


def require_root(what: str) -> None:
    """Make sure that this is root.

    Raises:
        RootRequiredError: it is not.
    """
    if os.geteuid() != 0:
        raise RootRequiredError(
            f"{what} needs root",
            reference="root-required",
            why="making cgroups, namespaces and mounts is root's, and kernels inherit JupyterLab's user",
            next_step=f"sudo {what}",
        )


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8888, show_default=True, help="TCP port on loopback.")
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@click.option("--detach", is_flag=True, help="Return when JupyterLab answers, and leave it running.")
def up(*, port: int, no_browser: bool, detach: bool) -> int:
    """Start JupyterLab on this machine and print its address, with notebook 00 open beside a terminal.

    If it runs already, its address is printed again. Without --detach, Ctrl-C stops it and removes what the notebooks
    made.
    """
    require_root("./lab up")
    began = time.monotonic()
    with server.exclusive():
        there = server.running()
        if there:
            console.say("JupyterLab is up already; everything is there", style="green")
            _announce(there, browser=not no_browser)
            return 0
        # The preflight looks while JupyterLab starts: it costs no time of its own.
        lab, process = server.launch(port)
        try:
            check_machine()
            server.wait(lab, process)
        except BaseException:
            server.stop(lab)
            raise
    console.say(f"JupyterLab is up after {format_duration(time.monotonic() - began)}", style="green")
    if detach:
        _announce(lab, browser=not no_browser)
        console.say("stop it with ./lab down")
        return 0
    return _stay(lab, process, browser=not no_browser)


def check_machine() -> None:
    """Make sure that the labs run on this machine.

    Raises:
        NotReadyError: something blocks them; the error holds every blocking finding with its fix.
    """
    from lab_helpers.machine import doctor  # noqa: PLC0415 - imported while JupyterLab starts

    blocking = [finding for finding in doctor().findings if finding.state == "blocking"]
    if blocking:
        raise NotReadyError(
            "; ".join(f"{finding.name}: {finding.observed}" for finding in blocking),
            reference="machine-not-ready",
            why="; ".join(finding.why for finding in blocking),
            next_step="; ".join(finding.fix for finding in blocking if finding.fix) or "./lab doctor",
        )


def _announce(lab: server.Server, *, browser: bool) -> None:
    click.echo(lab.url)
    if not server.on_loopback(lab):
        console.say(f"it listens on {lab.address}: open the address above on the machine that forwards the port here")
    console.say(f"settings are kept in {places.kept()}; your own ~/.jupyter is neither read nor changed", style="dim")
    if browser:
        _open(lab.url)


def _open(url: str) -> None:
    """Open a browser where there is a screen, as the user who called sudo: browsers refuse to run as root."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) or not commands.which("xdg-open"):
        return
    user = os.environ.get("SUDO_USER")
    as_user = ["runuser", "-u", user, "--"] if user and os.geteuid() == 0 else []
    commands.start([*as_user, "xdg-open", url])


def _stay(lab: server.Server, process: subprocess.Popen[bytes], *, browser: bool) -> int:
    def hang_up(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(HANGUP)

    signal.signal(signal.SIGHUP, hang_up)
    try:
        # In here: who reads the address may end us at once, and the server must not outlive that.
        _announce(lab, browser=browser)
        console.say("Ctrl-C stops it and removes what the notebooks made")
        process.wait()
    except BaseException:
        # A second Ctrl-C while cleaning would leave half of it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        console.say("\nstopping JupyterLab and removing what the notebooks made")
        _finish(lab)
        raise
    if server.running() is None and process.returncode in (0, -signal.SIGTERM):
        console.say("JupyterLab was stopped")
        return 0
    words = server.log_tail(lab)
    _finish(lab)
    raise server.ServerError(
        f"JupyterLab ended by itself with exit status {process.returncode}",
        reference="jupyterlab-ended",
        why=words,
        next_step=f"read {lab.log}, then ./lab up",
    )


def _finish(lab: server.Server) -> None:
    from lab_helpers.cli.down import sweep_after  # noqa: PLC0415 - only when it ends

    with server.exclusive():
        server.stop(lab)
    sweep_after()
