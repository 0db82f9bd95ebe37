"""``./lab``: the one door for people."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
from types import FrameType

import click

from lab_helpers.base.errors import LabError

COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("up:up", "Start JupyterLab and print its address. This is the one to begin with."),
    "down": ("down:down", "Stop JupyterLab and remove what the notebooks made."),
    "run": ("run:run", "Run a notebook without a browser and write it as a page."),
    "doctor": ("doctor:doctor", "Look at this machine: all findings at once, each with its fix."),
    "sweep": ("sweep:sweep", "Remove everything that carries the kit's label, and nothing else."),
    "test": ("test:test", "Run the tests, in the notebooks and everywhere else."),
    "lint": ("lint:lint", "Check style, types, imports, notebooks and shell scripts."),
    "bench": ("bench:bench", "Measure the figures that the kit promises."),
}
"""Name, where it is (module below lab_helpers.cli, and function), and its line in the help."""

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM


class LazyGroup(click.Group):
    """A group that imports a command when it is called: ``--help`` stays instant, and one broken part stays one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """Load one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(f"lab_helpers.cli.{module}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"lab_helpers.cli.{module}:{name} is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    r"""Deep Dive on Containers, the lab: real containers on one Linux box, with the network unplugged.

    \b
    ./lab up      start here: opens notebook 00
    ./lab down    stop, and leave nothing behind
    """


def as_lab_error(error: OSError) -> LabError | None:
    """Return what a full disk or missing rights mean to a learner, or None for any other error of the system."""
    place = str(error.filename or "the disk")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return LabError(
            f"{place}: {os.strerror(error.errno or 0)}",
            reference="disk-full",
            why="there is no room left; files that were there already are whole",
            next_step="docker image prune, or LAB_HOME=/another/disk ./lab up",
        )
    if error.errno in (errno.EACCES, errno.EPERM) and os.geteuid() != 0:
        return LabError(
            f"{place}: {os.strerror(error.errno or 0)}",
            reference="root-required",
            why="cgroups, namespaces and the kit's folders belong to root",
            next_step="sudo ./lab " + " ".join(sys.argv[1:]),
        )
    return None


def main(arguments: list[str] | None = None) -> int:  # noqa: PLR0911 - one for each way to end
    """Run the command line and return its exit status: 0, 1 (a clear error), 2 (bad usage), 130 (Ctrl-C)."""

    def terminate(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(TERMINATED)

    signal.signal(signal.SIGTERM, terminate)
    try:
        status = cli.main(arguments, prog_name="lab", standalone_mode=False)
    except click.Abort as abort:
        # click makes an Abort of Ctrl-C and of the end of input alike.
        click.echo("stopped", err=True)
        return INTERRUPTED if isinstance(abort.__cause__, KeyboardInterrupt) else 1
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went (`./lab doctor | head`). Python would complain once more while closing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except LabError as error:
        return _say(error)
    except OSError as error:
        known = as_lab_error(error)
        if known is None:
            raise
        return _say(known)
    return status if isinstance(status, int) else 0


def _say(error: LabError) -> int:
    from lab_helpers.cli.console import show_error  # noqa: PLC0415 - rich costs --help nothing

    show_error(error)
    return 1


if __name__ == "__main__":
    sys.exit(main())
