"""Finding and removing what carries the kit's label, and nothing else.

Each room says how its kinds of things are found and removed; this file only knows the order and the report. The kinds
are put together in ``lab_helpers.sweep``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lab_helpers.base.errors import LabError

ROUNDS = 3
"""Removing one thing can uncover another (a container holds its network): so look again, this often at most."""


@dataclass(frozen=True, order=True)
class Item:
    """One thing that carries the label.

    Attributes:
        kind: Its kind, as ``docker`` or ``ip`` would call it: ``container``, ``cgroup``, ``mount``.
        name: What a person would look for: a name, a path, a process id.
        session: The id in its label.
    """

    kind: str
    name: str
    session: str


@dataclass(frozen=True)
class Kind:
    """How one kind of thing is found and removed.

    Attributes:
        name: The word used in ``Item.kind``.
        rank: Order of removal, small first: processes 10, containers 20, networks 30, volumes 35, packet filter rules
            40, interfaces 45, network namespaces 50, cgroups 60, mounts 70, loop devices 75, directories 90.
        find: Lists the items of a session, or of all sessions for None.
        remove: Removes one; an item that is gone already is a success.
    """

    name: str
    rank: int
    find: Callable[[str | None], list[Item]]
    remove: Callable[[Item], None]


@dataclass(frozen=True)
class Report:
    """What a sweep found, and what is still there.

    Attributes:
        found: All items seen, in the order of removal.
        survivors: Items that are still there, with the reason.
        skipped: Kinds that could not be looked at, with the reason (a stopped engine cannot list containers).
        dry_run: Nothing was removed.
    """

    found: tuple[Item, ...] = ()
    survivors: dict[Item, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    dry_run: bool = False

    @property
    def clean(self) -> bool:
        """Nothing is left that this sweep was to remove, and everything could be looked at."""
        return not self.survivors and not self.skipped

    def __str__(self) -> str:
        if not self.found and not self.skipped:
            return "nothing of ours is here"
        verb = "would remove" if self.dry_run else "removed"
        gone = [item for item in self.found if item not in self.survivors]
        lines = [f"{verb} {item.kind} {item.name} (session {item.session})" for item in gone]
        lines += [f"still there: {item.kind} {item.name}: {why}" for item, why in self.survivors.items()]
        lines += [f"could not look for {kind}: {why}" for kind, why in self.skipped.items()]
        return "\n".join(lines)


def sweep(kinds: Iterable[Kind], session: str | None = None, *, dry_run: bool = False) -> Report:
    """Remove everything of a session, or of all sessions, in the order of the kinds' ranks.

    Args:
        kinds: What to look for.
        session: A session id; None means every session.
        dry_run: Only list.

    Returns:
        What was found and what survived. It does not raise for a survivor: the caller decides.
    """
    ordered = sorted(kinds, key=lambda kind: kind.rank)
    found: dict[Item, None] = {}
    failures: dict[Item, str] = {}
    skipped: dict[str, str] = {}
    for _ in range(1 if dry_run else ROUNDS):
        seen = 0
        for kind in ordered:
            if kind.name in skipped:
                continue
            try:
                items = kind.find(session)
            except (LabError, OSError) as error:
                skipped[kind.name] = str(error)
                continue
            for item in items:
                seen += 1
                found[item] = None
                if dry_run:
                    continue
                try:
                    kind.remove(item)
                except (LabError, OSError) as error:
                    failures[item] = str(error)
        if not seen:
            survivors: dict[Item, str] = {}  # every kind was just looked at, and nothing was there
            break
    else:
        survivors = {} if dry_run else _survivors(ordered, session, skipped, failures)
    return Report(found=tuple(found), survivors=survivors, skipped=skipped, dry_run=dry_run)


def _survivors(
    kinds: list[Kind], session: str | None, skipped: dict[str, str], failures: dict[Item, str]
) -> dict[Item, str]:
    left: list[Item] = []
    for kind in kinds:
        if kind.name in skipped:
            continue
        try:
            left += kind.find(session)
        except (LabError, OSError) as error:  # an engine that dies while it is swept
            skipped[kind.name] = str(error)
    return {item: failures.get(item, "it came back, or removing it had no effect") for item in left}
