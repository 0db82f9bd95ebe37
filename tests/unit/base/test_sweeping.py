"""The sweep's algorithm, on kinds made of plain lists: order, survivors, what cannot be looked at."""

from __future__ import annotations

from lab_helpers.base.errors import LabError
from lab_helpers.base.sweeping import Item, Kind, sweep


class World:
    """Things in lists, with a diary of removals."""

    def __init__(self, **things: list[str]) -> None:
        self.things = things
        self.diary: list[str] = []
        self.stuck: set[str] = set()
        self.holds: dict[str, str] = {}

    def kind(self, name: str, rank: int) -> Kind:
        def find(session: str | None) -> list[Item]:
            return [Item(name, thing, thing[:1]) for thing in self.things[name] if session in (None, thing[:1])]

        def remove(item: Item) -> None:
            self.diary.append(item.name)
            if item.name in self.stuck:
                raise OSError(16, "Device or resource busy")
            if self.holds.get(item.name) in self.diary or item.name not in self.holds:
                self.things[name].remove(item.name)

        return Kind(name, rank, find, remove)


def test_small_ranks_go_first_whatever_the_order_of_the_kinds() -> None:
    world = World(network=["a-net"], container=["a-web", "b-web"])
    report = sweep([world.kind("network", 30), world.kind("container", 20)])
    assert world.diary == ["a-web", "b-web", "a-net"]
    assert report.clean
    assert str(report).splitlines()[0] == "removed container a-web (session a)"


def test_only_the_session_asked_for_is_touched() -> None:
    world = World(container=["a-web", "b-web"])
    report = sweep([world.kind("container", 20)], "a")
    assert world.things["container"] == ["b-web"]
    assert [item.name for item in report.found] == ["a-web"]


def test_a_dry_run_removes_nothing() -> None:
    world = World(container=["a-web"])
    report = sweep([world.kind("container", 20)], dry_run=True)
    assert world.diary == []
    assert world.things["container"] == ["a-web"]
    assert str(report) == "would remove container a-web (session a)"


def test_twice_is_safe() -> None:
    world = World(container=["a-web"])
    kinds = [world.kind("container", 20)]
    sweep(kinds)
    again = sweep(kinds)
    assert again.found == ()
    assert str(again) == "nothing of ours is here"


def test_what_is_held_by_another_goes_in_the_next_round() -> None:
    world = World(cgroup=["a-group"], mount=["a-mount"])
    world.holds = {"a-group": "a-mount"}
    report = sweep([world.kind("cgroup", 60), world.kind("mount", 70)])
    assert report.clean
    assert world.things == {"cgroup": [], "mount": []}


def test_a_survivor_is_named_with_its_reason() -> None:
    world = World(mount=["a-mount", "a-other"])
    world.stuck = {"a-mount"}
    report = sweep([world.kind("mount", 70)])
    assert not report.clean
    assert {item.name: why for item, why in report.survivors.items()} == {
        "a-mount": "[Errno 16] Device or resource busy"
    }
    assert "still there: mount a-mount: [Errno 16]" in str(report)
    assert "removed mount a-other" in str(report)


def test_removal_without_effect_is_a_survivor_too() -> None:
    world = World(container=["a-web"])
    world.holds = {"a-web": "never"}
    report = sweep([world.kind("container", 20)])
    assert next(iter(report.survivors.values())) == "it came back, or removing it had no effect"


def test_a_kind_that_cannot_be_looked_at_is_reported_and_the_others_go_on() -> None:
    world = World(cgroup=["a-group"])

    def blind(session: str | None) -> list[Item]:
        raise LabError("the engine does not answer", reference="no-engine", why="w", next_step="n")

    report = sweep([Kind("container", 20, blind, lambda _: None), world.kind("cgroup", 60)])
    assert world.things["cgroup"] == []
    assert not report.clean
    assert "could not look for container: no-engine" in str(report)


def test_a_kind_that_cannot_be_looked_at_any_more_is_said_and_not_raised() -> None:
    looks = iter([[Item("container", "web", "ab12cd")]])

    def find(_session: str | None) -> list[Item]:
        found = next(looks, None)
        if found is None:
            raise OSError("the engine is gone")
        return found

    report = sweep([Kind("container", 20, find, lambda _item: None)], "ab12cd")
    assert report.skipped == {"container": "the engine is gone"}
    assert not report.clean
