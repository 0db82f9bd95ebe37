"""The proof that the labs need no network: a network namespace with loopback only, and a Docker engine inside it.

``with offline_engine() as engine:`` gives the engine; ``engine.command(argv)`` runs a program in the namespace, where
there is no way out: no hardware interface, no default route. The machine's own network and engine are not touched.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from lab_helpers.base import commands, session, settings
from lab_helpers.base.files import write_atomically
from lab_helpers.cli.engine import Engine

PREFIX = "lab-offline-"
"""Name of the network namespaces; not followed by a session's id, so that sweeping sessions leaves them alone."""

NETNS = Path("/run/netns")


def namespace_name(identity: str) -> str:
    """Return the name of the network namespace of one offline engine."""
    return f"{PREFIX}{identity}"


def engine_of(identity: str) -> Engine:
    """Return the engine with that identity, running or not."""
    return Engine(
        run=settings.RUN_DIRECTORY / f"offline-{identity}",
        data=settings.scratch() / f"offline-{identity}",
        # Not `ip netns exec`: it mounts a /sys of its own, which hides the cgroup file systems.
        enter=("nsenter", f"--net={NETNS / namespace_name(identity)}"),
    )


@contextmanager
def offline_engine(*, images: bool = True) -> Iterator[Engine]:
    """Make a network namespace without a way out and start an engine with the base images in it.

    Args:
        images: Load the base images.

    Yields:
        The engine; after the block nothing of it is left.

    Raises:
        CommandError: the namespace cannot be made (not root).
        EngineError: the engine does not come up or survives.

    Equivalent: ip netns add NAME; ip -n NAME link set lo up; nsenter --net=/run/netns/NAME dockerd ...
    """
    remove_dead()
    identity = session.new_id()
    engine = engine_of(identity)
    record = {"pid": os.getpid(), "started": psutil.Process().create_time(), "home": str(settings.home())}
    write_atomically(engine.run / "owner.json", json.dumps(record))
    engine.run.chmod(0o711)
    try:
        commands.run(["ip", "netns", "add", namespace_name(identity)])
        commands.run(["ip", "-n", namespace_name(identity), "link", "set", "lo", "up"])
        engine.start()
        if images:
            engine.load_images()
        yield engine
    finally:
        remove(engine)


def remove(engine: Engine) -> None:
    """Stop an offline engine and remove its namespace; missing is success."""
    namespace = Path(engine.enter[1].removeprefix("--net="))
    try:
        engine.stop()
    finally:
        if namespace.exists():
            commands.run(["ip", "netns", "delete", namespace.name])


def remove_dead() -> list[str]:
    """Remove the offline engines whose owner was killed, and return their identities."""
    removed = []
    for run in sorted(settings.RUN_DIRECTORY.glob("offline-*")):
        identity = run.name.removeprefix("offline-")
        try:
            record = json.loads((run / "owner.json").read_text(encoding="utf-8"))
            alive = (
                abs(psutil.Process(record["pid"]).create_time() - record["started"]) < 0.05
            )  # else the pid is reused
            home = Path(record["home"])
        except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
            alive, home = False, settings.home()
        if not alive:
            remove(Engine(run, home / "scratch" / run.name, engine_of(identity).enter))
            removed.append(identity)
    return removed


def way_out() -> str | None:
    """Look for a way out of the present network namespace; None when there is none.

    Returns:
        What leads out: an interface that is neither loopback, bridge nor veth, or a default route.
    """
    shown = json.loads(commands.run(["ip", "-json", "-details", "link", "show"], quiet=True).stdout or "[]")
    for link in shown:
        kind = link.get("linkinfo", {}).get("info_kind", "loopback" if "LOOPBACK" in link["flags"] else "hardware")
        if kind not in ("loopback", "bridge", "veth"):
            return f"interface {link['ifname']} ({kind})"
    for family in ("-4", "-6"):
        routes = commands.run(["ip", family, "route", "show", "default"], quiet=True, check=False)
        if routes.stdout.strip():
            return f"default route: {routes.stdout.strip()}"
    return None
