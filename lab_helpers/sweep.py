"""The sweep: everything that carries the kit's label, kind by kind.

``python -m lab_helpers.sweep ID`` sweeps a session.

The watchdog and ``import lab_helpers`` run it so for a dead session; ``./lab sweep`` for people.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from datetime import UTC, datetime

from lab_helpers.base import session as sessions
from lab_helpers.base import sweeping
from lab_helpers.containers.sweeping import KINDS as ENGINE_KINDS
from lab_helpers.kernel.sweeping import KINDS as KERNEL_KINDS

KINDS = (*KERNEL_KINDS, *ENGINE_KINDS, sessions.DIRECTORIES)
"""Every kind of thing that the kit makes."""


def sweep(session: str | None = None, *, dry_run: bool = False) -> sweeping.Report:
    """Remove everything of one session, or of all of them.

    Args:
        session: A session id; None means all, living ones too: ask first.
        dry_run: Only list.

    Returns:
        What was found; ``clean`` is False if anything is still there.

    Equivalent: ./lab sweep [--dry-run]
    """
    return sweeping.sweep(KINDS, session, dry_run=dry_run)


def living() -> list[sessions.Owner]:
    """Return the owners of sessions that run now, other than this process's."""
    return [owner for owner in sessions.owners() if owner.alive]


def main(argv: list[str]) -> int:
    """Sweep the session named on the command line; the report goes to standard output with the time."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(FileNotFoundError):
            folder = os.open(sessions.directory(argv[0]), os.O_RDONLY)
            stack.callback(os.close, folder)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return 0  # another process sweeps this session now
        report = sweep(argv[0])
    sys.stdout.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} session {argv[0]}: {report}\n")
    return 0 if report.clean else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
