"""Notebook 01, delegation: a group is given to another user, and its limit is not."""

from __future__ import annotations

import pwd
from dataclasses import dataclass
from pathlib import Path

from lab_helpers.base import units
from lab_helpers.checks import live
from lab_helpers.checks.definition import Exercise, Solution, WrongAnswer
from lab_helpers.checks.outcome import NotStarted, NotYet
from lab_helpers.kernel.cgroups import memory
from lab_helpers.kernel.cgroups.formats import parse_max

TEAM_LIMIT = 128 * units.MIB
USER = "nobody"


@dataclass(frozen=True)
class Ownership:
    """Who may write what in a group's folder: owners' user ids.

    Attributes:
        folder: Making groups below it.
        procs: Moving processes between those groups.
        limit: Changing its memory limit.
        limit_writable: Others than the owner may write the limit.
    """

    folder: int
    procs: int
    limit: int
    limit_writable: bool


def judge_delegation(owners: Ownership, uid: int) -> str:
    """Say that a user may make groups and move processes between them.

    Raises:
        NotStarted: everything is root's.
        NotYet: only half of it was given.
    """
    expected = f"user {USER} owns the folder and its cgroup.procs"
    if owners.folder == uid and owners.procs == uid:
        return expected
    if uid not in (owners.folder, owners.procs):
        raise NotStarted(
            f"folder and cgroup.procs belong to user id {owners.folder} and {owners.procs}",
            hint="To delegate is to change owners: `chown`. The question is of what.",
        )
    half = "the folder" if owners.folder == uid else "cgroup.procs"
    slip = (
        (
            f"with the folder alone {USER} can make groups but cannot move a process into any of them: the kernel "
            "asks for write access to cgroup.procs of the common ancestor"
        )
        if owners.folder == uid
        else f"with cgroup.procs alone {USER} cannot make a group below"
    )
    raise NotYet(
        observed=f"only {half} belongs to {USER}",
        expected=expected,
        likely_slip=slip,
        hint="Two things change hands: the folder, and the file through which processes move.",
    )


def judge_kept(owners: Ownership, uid: int, limit_bytes: int | None) -> str:
    """Say that the limit holds and stays root's.

    Raises:
        NotStarted: there is no limit and nothing was given away.
        NotYet: the limit is another one, or the user may change it.
    """
    if limit_bytes is None and owners.folder != uid:
        raise NotStarted("there is no memory limit yet", hint="Set the limit first, while all is root's.")
    if owners.limit == uid or owners.limit_writable:
        raise NotYet(
            observed=f"the file with the memory limit can be written by {USER}",
            expected="the limit stays root's",
            likely_slip=f"`chown -R` gave away the limit itself: {USER} may now raise it",
            hint=(
                "A folder belongs to the one it is delegated to; the files with its limits belong to its parent's "
                "owner."
            ),
        )
    if limit_bytes != TEAM_LIMIT:
        raise NotYet(
            observed="no limit" if limit_bytes is None else f"the limit is {units.format_bytes(limit_bytes)}",
            expected="128 MiB",
            likely_slip="the group was delegated before it was limited"
            if limit_bytes is None
            else "another number or unit",
        )
    return "the limit is 128 MiB and root's"


def _team() -> tuple[Ownership, int, int | None]:
    found = live.group("team")
    folder = found.directory("memory")
    limit = found.memory.path(memory.MAX)
    owners = Ownership(
        folder=folder.stat().st_uid,
        procs=_owner(folder / "cgroup.procs"),
        limit=_owner(limit),
        limit_writable=bool(limit.stat().st_mode & 0o022),
    )
    return owners, pwd.getpwnam(USER).pw_uid, parse_max(found.memory.read_text(memory.MAX))


def _owner(path: Path) -> int:
    return path.stat().st_uid


def team_is_delegated() -> str:
    """User `nobody` owns the folder `team` and its cgroup.procs: it may make groups and move processes there."""
    owners, uid, _ = _team()
    return judge_delegation(owners, uid)


def team_keeps_its_limit() -> str:
    """Its memory limit is 128 MiB, and `nobody` neither owns that file nor may write it."""
    owners, uid, limit = _team()
    return judge_kept(owners, uid, limit)


DELEGATE = Exercise(
    id="cg-10",
    title="Give it away, keep the limit",
    task=(
        "Make a cgroup `team` below your session's ($CG; v1: $CG_MEMORY) with 128 MiB of memory and give the user "
        "`nobody` its folder and its cgroup.procs, but not the file with the limit."
    ),
    checks=(team_is_delegated, team_keeps_its_limit),
    hints=(
        "A group is a folder, so whom it belongs to is a matter of `chown`.",
        (
            "The one it is delegated to needs the folder and cgroup.procs; nothing else is checked. (On v2 one gives "
            "cgroup.subtree_control, too: only then can limits be set further down.)"
        ),
        (
            "`chown nobody $CG/team $CG/team/cgroup.procs $CG/team/cgroup.subtree_control` (v1: $CG_MEMORY/team "
            "and its cgroup.procs)."
        ),
    ),
    solution=Solution(
        "mkdir -p $CG/team\n"
        "echo 128M > $CG/team/memory.max\n"
        "chown nobody $CG/team $CG/team/cgroup.procs $CG/team/cgroup.subtree_control\n"
        "# --- on cgroup v1 ---\n"
        "mkdir -p $CG_MEMORY/team\n"
        "echo 128M > $CG_MEMORY/team/memory.limit_in_bytes\n"
        "chown nobody $CG_MEMORY/team $CG_MEMORY/team/cgroup.procs",
        why=(
            "The files with limits say what the parent grants, so they stay the parent's. With the folder nobody "
            "can make groups below, and with cgroup.procs move processes between them; to bring one in from outside it "
            "would need the cgroup.procs above as well, which stays root's. Whatever nobody sets below, "
            "128 MiB is the most for all together. systemd does this for each user (Delegate=yes), and rootless "
            "Docker and Podman live on it."
        ),
    ),
    reset=lambda: live.remove_group("team"),
    wrong_answers=(
        WrongAnswer(
            "mkdir -p $CG/team\necho 128M > $CG/team/memory.max\nchown -R nobody $CG/team\n"
            "# --- on cgroup v1 ---\nmkdir -p $CG_MEMORY/team\necho 128M > $CG_MEMORY/team/memory.limit_in_bytes\n"
            "chown -R nobody $CG_MEMORY/team",
            says="gave away the limit itself",
        ),
        WrongAnswer(
            "mkdir -p $CG/team\necho 128M > $CG/team/memory.max\nchown nobody $CG/team\n"
            "# --- on cgroup v1 ---\nmkdir -p $CG_MEMORY/team\necho 128M > $CG_MEMORY/team/memory.limit_in_bytes\n"
            "chown nobody $CG_MEMORY/team",
            says="cannot move a process",
        ),
    ),
    language="cgroup",
)
