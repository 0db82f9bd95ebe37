"""Containers: run, look, stop. Every one carries the session's label."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from lab_helpers.base import commands, session, transcript, units
from lab_helpers.base.errors import LabError
from lab_helpers.base.waiting import wait_until
from lab_helpers.containers.base_image import BUSYBOX
from lab_helpers.containers.engine import EngineRefusedError, client, in_our_words
from lab_helpers.containers.kernel_view import KernelView

STOP_TIMEOUT_S = 10


class ContainerStartError(LabError):
    """A container could not be started; what had been made of it is removed."""


class ImageMissingError(ContainerStartError):
    """The engine does not have the image."""


class ContainerNotRunningError(LabError):
    """The kernel view needs a running container."""


@dataclass(frozen=True)
class ExecResult:
    """What a command inside a container gave: exit status and both streams together."""

    exit_code: int
    output: str


class Container:
    """A container of this session.

    Equivalent: the ``docker`` subcommands of the same names.
    """

    def __init__(self, sdk_container: Any) -> None:  # noqa: ANN401 - docker.models.containers.Container
        self._sdk = sdk_container

    @property
    def id(self) -> str:
        """64 hexadecimal digits."""
        return str(self._sdk.id)

    @property
    def name(self) -> str:
        """The name without the leading slash."""
        return str(self._sdk.name)

    def __repr__(self) -> str:
        return f"<Container {self.name}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.remove()

    def inspect(self) -> dict[str, Any]:
        """Return what the engine knows, now. Equivalent: ``docker inspect NAME``."""
        with in_our_words():
            found: dict[str, Any] = client().api.inspect_container(self.id)
        return found

    @property
    def status(self) -> str:
        """``created``, ``running``, ``paused``, ``exited`` ..., as the engine says now."""
        return str(self.inspect()["State"]["Status"])

    @property
    def exit_code(self) -> int | None:
        """Exit status; None while it runs. 137 is 128 + 9: ended by SIGKILL."""
        state = self.inspect()["State"]
        return None if state["Running"] else int(state["ExitCode"])

    @property
    def oom_killed(self) -> bool:
        """The engine was told of an OOM kill: hearsay, which can come late or (cgroup v1, newer kernels) never.

        The kernel's own record is ``kernel.cgroup.memory.read().events.oom_kill``, while the container runs.
        """
        return bool(self.inspect()["State"]["OOMKilled"])

    def logs(self, tail: int | str = "all") -> str:
        """Return what it printed. Equivalent: ``docker logs --tail N NAME``."""
        with in_our_words():
            return str(self._sdk.logs(tail=tail).decode(errors="replace"))

    def exec(self, argv: Sequence[str]) -> ExecResult:
        """Run a command inside it. Equivalent: ``docker exec NAME ARGV``."""
        transcript.note("command", transcript.shell_line(["docker", "exec", self.name, *argv]))
        with in_our_words():
            code, output = self._sdk.exec_run(list(argv))
        return ExecResult(int(code), output.decode(errors="replace"))

    def wait(self, timeout_s: float = 30.0) -> int:
        """Wait until it has ended and return its exit status. Equivalent: ``docker wait NAME``.

        Raises:
            WaitTimeoutError: it still runs; the last state and log lines are in the message.
        """
        wait_until(
            lambda: self.exit_code is not None,
            what=f"container {self.name} to end",
            timeout_s=timeout_s,
            state=lambda: f"{self.status}; its last lines: {self.logs(tail=5)!r}",
        )
        return int(self.exit_code or 0)

    def stop(self, timeout_s: int = STOP_TIMEOUT_S) -> None:
        """Send SIGTERM, then SIGKILL after ``timeout_s`` seconds. Equivalent: ``docker stop NAME``."""
        transcript.note("command", transcript.shell_line(["docker", "stop", "--time", str(timeout_s), self.name]))
        with in_our_words():
            self._sdk.stop(timeout=timeout_s)

    def pause(self) -> None:
        """Freeze its processes. Equivalent: ``docker pause NAME``."""
        transcript.note("command", transcript.shell_line(["docker", "pause", self.name]))
        with in_our_words():
            self._sdk.pause()

    def unpause(self) -> None:
        """Thaw its processes. Equivalent: ``docker unpause NAME``."""
        transcript.note("command", transcript.shell_line(["docker", "unpause", self.name]))
        with in_our_words():
            self._sdk.unpause()

    def update(self, *, memory: str | int | None = None, cpus: float | None = None) -> None:
        """Change limits while it runs.

        Raises:
            CommandError: the engine refused; its words are in the message.

        Equivalent: docker update --memory M --memory-swap M --cpus N NAME
        """
        # By the command: the SDK's update cannot change --cpus of a container that was started with it.
        words = ["docker", "update"]
        if memory is not None:
            words += ["--memory", str(memory), "--memory-swap", str(memory)]
        if cpus is not None:
            words += ["--cpus", f"{cpus:g}"]
        commands.run([*words, self.name])

    def remove(self) -> None:
        """Kill and remove it with its volumes; one that is gone is a success. Equivalent: ``docker rm -f -v NAME``."""
        transcript.note("command", transcript.shell_line(["docker", "rm", "--force", "--volumes", self.name]))
        remove_by_id(self.id)

    @property
    def kernel(self) -> KernelView:
        """What the kernel knows of it: main PID, cgroup, namespaces, layers, network interface.

        Raises:
            ContainerNotRunningError: it has no process now.
        """
        found = self.inspect()
        pid = int(found["State"]["Pid"])
        if pid == 0:
            state = found["State"]
            raise ContainerNotRunningError(
                f"container {self.name} has no process: it is {state['Status']}, exit status {state['ExitCode']}",
                reference="container-not-running",
                why="cgroup, namespaces and mounts belong to processes; they went with the last one",
                next_step=f"read why it ended: `docker logs {self.name}`, then run it again",
            )
        return KernelView.of_process(pid)


def run(
    image: str = BUSYBOX,
    command: Sequence[str] | str | None = None,
    *,
    name: str | None = None,
    memory: str | int | None = None,
    memory_swap: str | int | None = None,
    cpus: float | None = None,
    cpu_shares: int | None = None,
    cpuset_cpus: str | None = None,
    pids_limit: int | None = None,
    environment: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    devices: Sequence[str] = (),
    volumes: Sequence[str] = (),
    publish: Mapping[str, int] | None = None,
    network: str | None = None,
    user: str | None = None,
    kind: str = "container",
    **options: Any,  # noqa: ANN401 - the SDK's own options
) -> Container:
    """Start a container in the background, labelled as this session's.

    Args:
        image: An image that the engine has; nothing is pulled.
        command: argv, or one string split as a shell would.
        name: The last part of its name, ``lab-<session>-<name>``; a random one if None.
        memory: Limit, as Docker writes it (``64m``) or in bytes.
        memory_swap: Memory and swap together; defaults to ``memory``, so that a limit means no swap. Docker's own
            default is twice the memory, which hides an OOM kill on machines with swap.
        cpus: Quota in vCPUs.
        cpu_shares: Weight, Docker's scale (1024 is the default).
        cpuset_cpus: CPUs to run on, ``0-1,3``.
        pids_limit: Most processes and threads.
        environment: Variables.
        labels: More labels.
        devices: ``/dev/x[:/dev/y[:rwm]]``.
        volumes: ``source:target[:ro]``.
        publish: Container port (``80/tcp``) to a port on 127.0.0.1; 0 picks a free one.
        network: A network's name; the engine's bridge if None.
        user: User in the container.
        kind: The word in ``lab.kind``.
        options: Passed to the SDK's ``containers.create`` as they are.

    Returns:
        The started container.

    Raises:
        ImageMissingError: the engine lacks the image.
        ContainerStartError: it could not be created or started; nothing of it is left.
        EngineUnavailableError: no engine answers.
        UnitError: an amount that cannot be read.

    Equivalent: docker run --detach --label lab.session=... --name ... IMAGE COMMAND
    """
    ours = session.current()
    full_name = ours.name(name or secrets.token_hex(3))
    settings: dict[str, Any] = {"detach": True, "name": full_name, **options}
    words = ["docker", "run", "--detach", "--label", ours.label, "--name", full_name]
    if memory is not None:
        swap = memory if memory_swap is None else memory_swap
        settings["mem_limit"] = units.parse_bytes(memory)
        settings["memswap_limit"] = swap if swap == -1 else units.parse_bytes(swap)
        words += ["--memory", str(memory), "--memory-swap", str(swap)]
    for key, option, value in (
        ("cpu_shares", "--cpu-shares", cpu_shares),
        ("cpuset_cpus", "--cpuset-cpus", cpuset_cpus),
        ("pids_limit", "--pids-limit", pids_limit),
        ("network", "--network", network),
        ("user", "--user", user),
    ):
        if value is not None:
            settings[key] = value
            words += [option, str(value)]
    if cpus is not None:
        settings["nano_cpus"] = round(cpus * 1e9)
        words += ["--cpus", f"{cpus:g}"]
    if environment:
        settings["environment"] = dict(environment)
        words += [part for key in environment for part in ("--env", f"{key}=***")]
    for key, option, values in (("devices", "--device", devices), ("volumes", "--volume", volumes)):
        if values:
            settings[key] = list(values)
            words += [part for value in values for part in (option, value)]
    if publish:
        settings["ports"] = {port: ("127.0.0.1", host or None) for port, host in publish.items()}
        words += [part for port, host in publish.items() for part in ("--publish", f"127.0.0.1:{host or ''}:{port}")]
    argv = [command] if isinstance(command, str) else list(command or [])
    transcript.note("command", transcript.shell_line([*words, image, *argv]))
    settings["labels"] = {**(labels or {}), **ours.labels(kind)}
    return _start(image, command if isinstance(command, str) else argv or None, settings)


def _start(image: str, command: Sequence[str] | str | None, settings: dict[str, Any]) -> Container:
    import docker.errors  # noqa: PLC0415 - the SDK costs 80 ms

    settings.pop("detach")
    created = None
    try:
        with in_our_words():
            try:
                created = client().containers.create(image, command, **settings)
            except docker.errors.ImageNotFound as error:
                raise _image_missing(image) from error
            created.start()
    except EngineRefusedError as error:
        if created is not None:
            remove_by_id(created.id)
        raise ContainerStartError(
            f"container {settings['name']} did not start: {error.message}",
            reference="container-start-failed",
            why="the engine or runc refused this combination; what had been made is removed",
            next_step="correct the option it names and run the cell again",
        ) from error
    except BaseException:
        if created is not None:
            with contextlib.suppress(LabError):
                remove_by_id(created.id)
        raise
    return Container(created)


def _image_missing(image: str) -> ImageMissingError:
    known = sorted(tag for found in client().images.list() for tag in found.tags)
    return ImageMissingError(
        f"the engine has no image {image}",
        reference="image-missing",
        why=f"nothing is pulled here; the engine has: {', '.join(known) or 'none'}",
        next_step="use one of these, or run `environment/provision.sh`, which builds the base images",
    )


def remove_by_id(container_id: str) -> None:
    """Kill and remove a container; a missing one, or one that is being removed, is a success."""
    try:
        with in_our_words():
            client().api.remove_container(container_id, force=True, v=True)
    except EngineRefusedError as error:
        if error.status_code == 404 or (error.status_code == 409 and "already in progress" in error.message):
            return
        raise


def get(name: str) -> Container:
    """Return a container by its name or id, whoever made it.

    Raises:
        EngineRefusedError: there is none of that name.
    """
    with in_our_words():
        return Container(client().containers.get(name))


def list_containers(*, everything: bool = False) -> list[Container]:
    """Return this session's containers, stopped ones too; ``everything``: those of all sessions."""
    label = "lab.session" if everything else session.current().label
    with in_our_words():
        return [Container(found) for found in client().containers.list(all=True, filters={"label": label})]
