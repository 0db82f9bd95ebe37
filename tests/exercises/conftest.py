"""Exercises run for real, in IPython and in a session of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell

from lab_helpers.base import session as sessions
from lab_helpers.kernel import cgroups
from lab_helpers.kernel.cgroups import session_cgroups


@pytest.fixture
def notebook_session(
    session: sessions.Session, engine: object, monkeypatch: pytest.MonkeyPatch
) -> Iterator[sessions.Session]:
    """Give what a notebook has after its first cell: session, cgroup paths in the environment, an empty namespace."""
    monkeypatch.setenv("LAB_SOLVE", "1")  # the learner's own progress must not move
    for name in ("CG", *session_cgroups.VARIABLES):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    cgroups.export_paths()
    shell = InteractiveShell.instance()
    shell.reset(new_session=False)
    yield session
    shell.reset(new_session=False)
