"""Finding what a learner made: this session's containers and cgroups, by the word at the end of their names.

Only the live system is asked. Something that is not there is "not started", never an error.
"""

from __future__ import annotations

from lab_helpers.base import session
from lab_helpers.checks.outcome import NotStarted, NotYet
from lab_helpers.containers import Container, get
from lab_helpers.containers.engine import EngineRefusedError
from lab_helpers.kernel import cgroups
from lab_helpers.kernel.cgroups import Cgroup

HTTP_NOT_FOUND = 404


def find_container(word: str) -> Container | None:
    """Return this session's container ``lab-<id>-<word>``, or None."""
    try:
        return get(session.current().name(word))
    except EngineRefusedError as error:
        if error.status_code == HTTP_NOT_FOUND:
            return None
        raise


def running_container(word: str) -> Container:
    """Return this session's container, which runs.

    Raises:
        NotStarted: there is none.
        NotYet: it does not run.
    """
    name = session.current().name(word)
    found = find_container(word)
    if found is None:
        raise NotStarted(
            f"there is no container {name}",
            hint=(
                f'`docker run --detach --label "$LAB_LABEL" --name lab-$LAB_SESSION-{word}`, then options, image and '
                "a command that lasts."
            ),
        )
    state = found.inspect()["State"]
    if not state["Pid"]:
        raise NotYet(
            observed=f"{name} is {state['Status']}, exit status {state['ExitCode']}",
            expected="it runs",
            likely_slip="its command ended at once: a container lives as long as its first process",
            hint="Give it something that lasts, such as `sleep 3600`, or read `docker logs`.",
        )
    return found


def main_pid(container: Container) -> int:
    """Return the host's number of a container's first process; 0 if it has none."""
    return int(container.inspect()["State"]["Pid"])


def cgroup_of(container: Container) -> Cgroup:
    """Return the cgroup of a running container: where the kernel keeps its limits and counters."""
    return Cgroup.of_process(main_pid(container))


def remove_container(*words: str) -> None:
    """Remove containers of this session; missing ones are a success."""
    for word in words:
        found = find_container(word)
        if found is not None:
            found.remove()


def group(word: str) -> Cgroup:
    """Return this session's cgroup of that name.

    Raises:
        NotStarted: there is none.
    """
    found = cgroups.open_cgroup(word)
    if not found.exists:
        raise NotStarted(
            f"there is no cgroup {found.name}",
            hint=f"A cgroup is a folder: make one named `{word}` in your session's cgroup.",
        )
    return found


def remove_group(*words: str) -> None:
    """Kill what is in cgroups of this session and remove them; missing ones are a success."""
    for word in words:
        found = cgroups.open_cgroup(word)
        if found.exists:
            found.kill()
            found.delete()
