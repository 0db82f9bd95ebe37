"""A Docker engine of one's own: its own socket, data and containerd, in any network namespace, and nothing left of it.

The tests use it so that they neither see nor disturb the machine's engine. It loads the base images from the cache, so
it needs no network.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from lab_helpers.base import commands, settings, waiting
from lab_helpers.base.errors import LabError
from lab_helpers.base.files import mount_points_below, remove_tree

UP_TIMEOUT_S = 60.0
"""Seconds for an engine to answer; 1 to 2 are usual, a microVM without hardware support takes 40."""

STOP_TIMEOUT_S = 20.0

_CONTAINERD = """\
version = 2
root = "{data}/containerd"
state = "{run}/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "{run}/containerd.sock"
"""


class EngineError(LabError):
    """An engine of one's own does not come up, or does not go."""


@dataclass(frozen=True)
class Engine:
    """One dockerd with its containerd.

    Attributes:
        run: Folder of sockets, pid files and logs: the engine's identity. Short: a socket's path ends at 107 bytes.
        data: Folder of images and containers, on a disk.
        enter: What every command is prefixed with to be in the engine's network namespace; empty: the present one.
    """

    run: Path
    data: Path
    enter: tuple[str, ...] = ()

    @property
    def socket(self) -> Path:
        """The engine's API."""
        return self.run / "docker.sock"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make ``docker``, the SDK and the kit use this engine."""
        return {"DOCKER_HOST": f"unix://{self.socket}"}

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs ``argv`` in the engine's network namespace."""
        return [*self.enter, *argv]

    @property
    def pid(self) -> int | None:
        """Process id of dockerd, or None if it does not run."""
        return next((process.pid for process in self._daemons() if process.name() == "dockerd"), None)

    def start(self) -> None:
        """Start containerd and dockerd and wait until the API answers.

        containerd is the engine's own: a containerd of the system would start containers in the namespace it lives in.

        Raises:
            EngineError: it ended at once or does not answer; the error holds its last words.
        """
        for program in ("dockerd", "containerd", "docker"):
            if commands.which(program) is None:
                raise EngineError(
                    f"{program} is not installed",
                    reference="engine-not-installed",
                    why="the tests start an engine of their own",
                    next_step="environment/provision.sh --test",
                )
        self.run.mkdir(parents=True, exist_ok=True, mode=0o711)
        self.data.mkdir(parents=True, exist_ok=True, mode=0o711)
        config = self.run / "containerd.toml"
        config.write_text(_CONTAINERD.format(data=self.data, run=self.run), encoding="utf-8")
        (self.run / "daemon.json").write_text("{}\n", encoding="utf-8")
        try:
            containerd = self._spawn(["containerd", "--config", str(config), "--log-level", "warn"], "containerd.log")
            waiting.wait_until(
                (self.run / "containerd.sock").exists,
                what="containerd's socket",
                timeout_s=UP_TIMEOUT_S,
                state=self._words,
            )
            dockerd = self._spawn(
                [
                    "dockerd",
                    f"--host=unix://{self.socket}",
                    f"--containerd={self.run}/containerd.sock",
                    f"--data-root={self.data}/docker",
                    f"--exec-root={self.run}/docker",
                    f"--pidfile={self.run}/dockerd.pid",
                    f"--config-file={self.run}/daemon.json",  # not the machine's settings
                    "--log-level=warn",
                    "--shutdown-timeout=3",
                ],
                "dockerd.log",
            )
            waiting.wait_until(
                lambda: self._answers(containerd, dockerd),
                what="the engine's API to answer",
                timeout_s=UP_TIMEOUT_S,
                state=self._words,
            )
        except LabError as error:
            words = self._words()
            self.stop()
            raise EngineError(
                f"the tests' own Docker engine did not come up: {error.message}",
                reference="engine-does-not-start",
                why=words,
                next_step="run `./lab doctor`, do what it prints, and try again",
            ) from error

    def _spawn(self, argv: list[str], log: str) -> subprocess.Popen[bytes]:
        # Without the label of a session that may have asked for it: an engine is nobody's thing to sweep.
        unlabelled = ["env", "-u", settings.LABEL_VARIABLE, "-u", "LAB_SESSION"]
        return commands.start([*unlabelled, *self.command(argv)], log=self.run / log, cwd=Path("/"))

    def _answers(self, *daemons: subprocess.Popen[bytes]) -> bool:
        """Tell whether the API answers.

        Not by the daemons' names: what was started is ``env`` first, then ``nsenter``, and the daemon in its own time.
        """
        if any(daemon.returncode is not None for daemon in daemons):
            raise EngineError(
                "one of its daemons ended at once",
                reference="engine-ended",
                why=self._words(),
                next_step="run `./lab doctor` and do what it prints",
            )
        reply = commands.run(
            ["docker", "version", "--format", "{{.Server.Version}}"], check=False, env=self.environment, quiet=True
        )
        return reply.returncode == 0

    @property
    def running(self) -> bool:
        """Both daemons are there."""
        return len({process.name() for process in self._daemons()} & {"dockerd", "containerd"}) == 2

    def _words(self) -> str:
        tails = []
        for log in ("containerd.log", "dockerd.log"):
            path = self.run / log
            if path.exists():
                tails += [f"{log}: {line}" for line in path.read_text(errors="replace").splitlines()[-6:]]
        return "\n      ".join(tails) or "it said nothing"

    def load_images(self, *names: str) -> None:
        """Load base images (default: all) from the cache; those that are there already stay.

        Raises:
            CommandError: an archive is missing and cannot be built, or the engine refuses it.
        """
        commands.run(
            [str(settings.PROJECT / "environment/images/load.sh"), *names], env=self.environment, timeout_s=600
        )

    def docker(self, *arguments: str) -> str:
        """Run the ``docker`` command on this engine and return what it prints."""
        return commands.run(["docker", *arguments], env=self.environment, quiet=True).stdout

    def _daemons(self) -> list[psutil.Process]:
        """Return this engine's daemons and shims: their command line names a file below ``run``."""
        mine = []
        for process in psutil.process_iter(["name", "cmdline"]):
            words = process.info["cmdline"] or []
            if process.info["name"] in ("dockerd", "containerd", "containerd-shim", "containerd-shim-runc-v2") and any(
                f"{self.run}/" in word for word in words
            ):
                mine.append(process)
        return mine

    def stop(self) -> None:
        """Stop the engine and remove everything of it. Missing is success; safe twice.

        Raises:
            EngineError: a process or a mount of it is still there.
        """
        if self.socket.exists() and self.running:
            self._kill_containers()
        for name in ("dockerd", "containerd"):
            self._end([process for process in self._daemons() if process.name() == name], signal.SIGTERM)
        self._end(self._daemons(), signal.SIGKILL)
        self._end_orphans()
        for folder in (self.run, self.data):
            for point in mount_points_below(folder):
                commands.run(["umount", "--lazy", point], check=False, quiet=True)
        for folder in (self.run, self.data):
            remove_tree(folder)
        left = [f"{process.name()} {process.pid}" for process in self._daemons()]
        if left:
            raise EngineError(
                f"still running: {', '.join(left)}",
                reference="engine-survives",
                why="the kernel did not end it after SIGKILL: it waits for a device",
                next_step=f"kill -9 {left[0].split()[1]}; then `./lab sweep`",
            )

    def _kill_containers(self) -> None:
        """Kill and remove the containers, so that the engine itself frees their mounts and cgroups."""
        try:
            listed = commands.run(
                ["docker", "ps", "-aq"], env=self.environment, quiet=True, timeout_s=20
            ).stdout.split()
            if listed:
                commands.run(
                    ["docker", "rm", "--force", "--volumes", *listed], check=False, env=self.environment, timeout_s=60
                )
        except LabError:
            return  # it does not answer: the daemons are killed and their mounts undone below

    def _end_orphans(self) -> None:
        """End what a killed daemon left: containers outlive their shim, and their cgroups outlive them."""
        containers = self.data / "docker/containers"
        ids = {path.name for path in containers.iterdir()} if containers.is_dir() else set()
        if not ids:
            return
        orphans = []
        for process in psutil.process_iter():
            try:
                groups = Path(f"/proc/{process.pid}/cgroup").read_text(encoding="utf-8")
            except OSError:
                continue
            if any(name in groups for name in ids):
                orphans.append(process)
        self._end(orphans, signal.SIGKILL)
        for parent in {*Path("/sys/fs/cgroup").glob("docker"), *Path("/sys/fs/cgroup").glob("*/docker")}:
            for name in ids:
                if (parent / name).is_dir():
                    (parent / name).rmdir()

    def _end(self, processes: list[psutil.Process], number: signal.Signals) -> None:
        for process in processes:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        _, alive = psutil.wait_procs(processes, timeout=STOP_TIMEOUT_S)
        for process in alive:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(alive, timeout=5)
