"""The figures that the kit promises, measured side by side: ours, then the thing it is compared with, ours again, ...

``./lab bench`` loads this file and prints the table. Every figure is a median; a comparison interleaves its two sides
(A B A B), so that a machine that gets busy slows both.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

from lab_helpers import containers
from lab_helpers.base import session as sessions
from lab_helpers.base import settings, waiting
from lab_helpers.kernel import cgroups

START_TIMEOUT_S = 120.0
GAUGE_WINDOW_S = 6.0


@dataclass(frozen=True)
class Figure:
    """One promise and what was measured.

    Attributes:
        name: What it is about.
        ours: Median of our side, in ``unit``.
        unit: Unit of ``ours``, ``reference`` and, unless ``relative``, of ``target``.
        target: The promise: at most this.
        relative: The promise is about ``ours / reference``.
        reference: Median of the other side; None if there is none.
        beside: What the other side is.
        runs: How often each side was measured.
    """

    name: str
    ours: float
    unit: str
    target: float
    runs: int
    relative: bool = False
    reference: float | None = None
    beside: str = ""

    @property
    def judged(self) -> float:
        """The number that the promise is about."""
        return self.ours / self.reference if self.relative and self.reference else self.ours

    @property
    def kept(self) -> bool:
        """The promise is kept."""
        return self.judged <= self.target


def interleaved(ours: Callable[[], float], other: Callable[[], float], runs: int) -> tuple[float, float]:
    """Measure A B A B ..., after one unmeasured turn of each, and return both medians."""
    ours(), other()
    pairs = [(ours(), other()) for _ in range(runs)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def clean_environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in ("LAB_SESSION", "LAB_LABEL", "LAB_BIND")}
    return {**kept, "PYTHONPATH": str(settings.PROJECT), **more}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- import -----------------------------------------------------------------------------------------------------------


def import_time(runs: int) -> Figure:
    """Time ``import lab_helpers`` in a fresh process; beside it, a module of the standard library that loads others."""

    def seconds(module: str) -> float:
        program = f"import time; began = time.perf_counter(); import {module}; print(time.perf_counter() - began)"
        argv = [sys.executable, "-c", program]
        return float(subprocess.run(argv, check=True, stdout=subprocess.PIPE, env=clean_environment(), cwd="/").stdout)

    ours, other = interleaved(lambda: seconds("lab_helpers"), lambda: seconds("asyncio"), runs)
    return Figure("import lab_helpers", ours, "s", 0.3, runs, reference=other, beside="import asyncio")


# --- containers -------------------------------------------------------------------------------------------------------

COMMAND = ["sleep", "600"]


def run_a_container(runs: int) -> Figure:
    """Time ``containers.run`` beside the SDK's own call with the same limits and labels."""
    client = containers.client()
    labels = {settings.LABEL: os.environ["LAB_SESSION"]}

    def ours() -> float:
        began = time.perf_counter()
        container = containers.run(containers.BUSYBOX, COMMAND, memory="64m", cpus=0.5)
        seconds = time.perf_counter() - began
        container.remove()
        return seconds

    def raw() -> float:
        began = time.perf_counter()
        container = client.containers.run(
            containers.BUSYBOX,
            COMMAND,
            detach=True,
            name=f"lab-{os.environ['LAB_SESSION']}-{secrets.token_hex(3)}",
            labels=labels,
            mem_limit=64 << 20,
            memswap_limit=64 << 20,
            nano_cpus=500_000_000,
        )
        seconds = time.perf_counter() - began
        container.remove(force=True)
        return seconds

    mine, other = interleaved(ours, raw, runs)
    return Figure("containers.run", mine, "s", 1.05, runs, relative=True, reference=other, beside="docker SDK")


def read_all_figures(runs: int) -> Figure:
    """Time one reading of all cgroup figures of a running container; beside it, one ``docker stats``."""
    client = containers.client()
    with containers.run(containers.BUSYBOX, COMMAND, memory="64m", cpus=0.5) as container:
        group = container.kernel.cgroup

        def ours() -> float:
            began = time.perf_counter()
            for _ in range(20):
                cgroups.figures(group)
            return (time.perf_counter() - began) / 20 * 1000

        def raw() -> float:
            began = time.perf_counter()
            client.api.stats(container.id, stream=False, one_shot=True)
            return (time.perf_counter() - began) * 1000

        mine, other = interleaved(ours, raw, runs)
    return Figure("all cgroup figures of a container", mine, "ms", 2.0, runs, reference=other, beside="docker stats")


# --- kernels: the gauge, the first container --------------------------------------------------------------------------


class _ThisPython(KernelSpecManager):
    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:  # noqa: ARG002 - jupyter_client's signature
        return KernelSpec(**get_kernel_dict())


@contextmanager
def kernel(session: str, notebook: Path) -> Iterator[tuple[int, Callable[[str], None]]]:
    """Start a kernel as JupyterLab would; give its process id and a function that runs a cell."""
    folder = settings.RUN_DIRECTORY / f"bench-{secrets.token_hex(3)}"
    folder.mkdir(parents=True)
    manager = KernelManager(kernel_spec_manager=_ThisPython(), transport="ipc", ip=str(folder / "kernel"))
    environment = clean_environment(LAB_SESSION=session, LAB_SOLVE="1", JPY_SESSION_NAME=str(notebook))
    manager.start_kernel(env=environment, cwd=str(notebook.parent))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=START_TIMEOUT_S)

        def run(source: str) -> None:
            reply = client.execute_interactive(source, timeout=120, output_hook=lambda _: None, allow_stdin=False)
            if reply["content"]["status"] != "ok":
                raise RuntimeError(f"{reply['content'].get('evalue')} in:\n{source}")

        yield int(manager.provisioner.pid), run
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def new_session() -> str:
    return sessions.new_id()


def gauge(runs: int) -> Figure:
    """Measure a kernel's CPU time with a gauge at 4 Hz, and without; the difference is the gauge's."""
    notebook = settings.PROJECT / "labs" / "01_cgroups.ipynb"
    with kernel(new_session(), notebook) as (pid, run):
        run("import lab_helpers as lab\nfrom lab_helpers import containers\nlab.start('01')")
        run("box = containers.run(command=['sh', '-c', 'while :; do :; done'], memory='64m', cpus=0.1, name='box')")
        process = psutil.Process(pid)

        def window() -> float:
            before, began = sum(process.cpu_times()[:2]), time.monotonic()
            time.sleep(GAUGE_WINDOW_S)  # the time in which it works is what is measured
            return (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began) * 100

        def with_gauge() -> float:
            run("gauge = lab.cgroup_gauge(box, seconds=None, hz=4)\ndisplay(gauge)")
            used = window()
            run("assert len(gauge.history.samples) > 10, 'it did not look'\ngauge.stop()")
            return used

        mine, idle = interleaved(with_gauge, window, runs)
        run("lab.stop()")
    ours = max(0.0, mine - idle)
    return Figure("gauge at 4 Hz, share of one core", ours, "%", 3.0, runs, reference=idle, beside="idle kernel")


def first_container(runs: int) -> Figure:
    """Time notebook 00 from starting its kernel until its first container runs."""
    notebook = settings.PROJECT / "labs" / "00_start_here.ipynb"
    cells = [cell.source for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    client = containers.client()

    def ours() -> float:
        session = new_session()
        looking = 0.0
        began = time.perf_counter()
        with kernel(session, notebook) as (_, run):
            for source in cells:
                run(source)
                asked = time.perf_counter()
                found = client.api.containers(filters={"label": f"{settings.LABEL}={session}"})
                looking += time.perf_counter() - asked
                if found:
                    seconds = time.perf_counter() - began - looking
                    run("import lab_helpers as lab\nlab.stop()")
                    return seconds
        raise RuntimeError("notebook 00 has no cell that starts a container")

    def empty_kernel() -> float:
        began = time.perf_counter()
        with kernel(new_session(), notebook) as (_, run):
            run("1")
            return time.perf_counter() - began

    mine, other = interleaved(ours, empty_kernel, runs)
    return Figure("notebook 00 to the first container", mine, "s", 5.0, runs, reference=other, beside="a bare kernel")


# --- JupyterLab -------------------------------------------------------------------------------------------------------


def up(runs: int, home: Path) -> Figure:
    """Time ``./lab up`` until it prints its address, beside a plain ``jupyter lab`` until it answers."""
    place = settings.RUN_DIRECTORY / "jupyter"
    place.mkdir(parents=True, exist_ok=True)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ended(process: subprocess.Popen[Any]) -> None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def ours() -> float:
        hide = f'mount -t tmpfs -o mode=700 tmpfs {place} && exec "$@"'  # a JupyterLab that runs now is not ours
        environment = clean_environment(LAB_HOME=str(home), NO_COLOR="1")
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            environment.pop(name, None)
        # The very file that a person calls; its bash is part of the time.
        command = [str(settings.PROJECT / "lab"), "up", "--no-browser", "--port", str(free_port())]
        began = time.perf_counter()
        process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", hide, "sh", *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if process.stdout is None:
            raise ValueError("its output must be a pipe")
        address = process.stdout.readline()
        seconds = time.perf_counter() - began
        ended(process)
        if not address.startswith("http://"):
            raise RuntimeError(f"./lab up printed {address!r}; try it by hand")
        return seconds

    def plain() -> float:
        port, token = free_port(), secrets.token_hex(8)
        folders = {f"JUPYTER_{name}_DIR": str(home / f"plain-{name.lower()}") for name in ("CONFIG", "DATA", "RUNTIME")}
        argv = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.port={port}"]
        began = time.perf_counter()
        process = subprocess.Popen(
            [*argv, f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={settings.PROJECT}"],
            env=clean_environment(**folders, IPYTHONDIR=str(home / "plain-ipython")),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def answers() -> bool:
            try:
                with opener.open(f"http://127.0.0.1:{port}/api/status?token={token}", timeout=5) as reply:
                    return int(reply.status) == 200
            except OSError:
                return False

        waiting.wait_until(answers, what="plain JupyterLab to answer", timeout_s=START_TIMEOUT_S)
        seconds = time.perf_counter() - began
        ended(process)
        return seconds

    mine, other = interleaved(ours, plain, runs)
    return Figure(
        "./lab up, set-up machine", mine, "s", 1.3, runs, relative=True, reference=other, beside="jupyter lab"
    )


def measures(scale: float, home: Path) -> list[tuple[str, Callable[[], Figure]]]:
    """Return every measurement, by its short name.

    Args:
        scale: Factor on the number of runs; 1 is what the promises are judged by.
        home: An empty folder that JupyterLab may use as LAB_HOME.
    """

    def times(runs: int) -> int:
        return max(1, round(runs * scale))

    return [
        ("import", lambda: import_time(times(9))),
        ("containers", lambda: run_a_container(times(15))),
        ("figures", lambda: read_all_figures(times(15))),
        ("gauge", lambda: gauge(times(3))),
        ("first-container", lambda: first_container(times(5))),
        ("up", lambda: up(times(5), home)),
    ]
