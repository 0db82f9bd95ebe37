"""How the engine's things with our label are found and removed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab_helpers.base import settings
from lab_helpers.base.sweeping import Item, Kind
from lab_helpers.containers.container import remove_by_id
from lab_helpers.containers.engine import EngineRefusedError, EngineUnavailableError, address, client, in_our_words


def _label(session: str | None) -> dict[str, str]:
    return {"label": f"{settings.LABEL}={session}" if session else settings.LABEL}


def engine_was_never_here() -> bool:
    """Tell whether there is no engine at all: no socket, so nothing of ours can be in it."""
    scheme, _, path = address().partition("://")
    return scheme == "unix" and not Path(path).exists()


def _listing(list_them: Callable[[Any, dict[str, str]], list[tuple[str, dict[str, str]]]], kind: str) -> Any:  # noqa: ANN401
    def find(session: str | None) -> list[Item]:
        if engine_was_never_here():
            return []
        with in_our_words():
            found = list_them(client().api, _label(session))
        return [Item(kind, name, labels[settings.LABEL]) for name, labels in found]

    return find


def _tolerant(remove: Callable[[str], None]) -> Callable[[Item], None]:
    def remove_item(item: Item) -> None:
        try:
            with in_our_words():
                remove(item.name)
        except EngineRefusedError as error:
            if error.status_code != 404:
                raise
        except EngineUnavailableError:
            if not engine_was_never_here():
                raise

    return remove_item


def _containers(api: Any, label: dict[str, str]) -> list[tuple[str, dict[str, str]]]:  # noqa: ANN401 - docker.APIClient
    return [(found["Names"][0].lstrip("/"), found["Labels"]) for found in api.containers(all=True, filters=label)]


def _remove_network(name: str) -> None:
    client().api.remove_network(name)


def _networks(api: Any, label: dict[str, str]) -> list[tuple[str, dict[str, str]]]:  # noqa: ANN401
    return [(found["Name"], found["Labels"]) for found in api.networks(filters=label)]


def _volumes(api: Any, label: dict[str, str]) -> list[tuple[str, dict[str, str]]]:  # noqa: ANN401
    return [(found["Name"], found["Labels"]) for found in api.volumes(filters=label)["Volumes"] or []]


KINDS = (
    Kind("container", 20, _listing(_containers, "container"), _tolerant(remove_by_id)),
    Kind("network", 30, _listing(_networks, "network"), _tolerant(_remove_network)),
    Kind(
        "volume",
        35,
        _listing(_volumes, "volume"),
        _tolerant(lambda name: client().api.remove_volume(name, force=True)),
    ),
)
