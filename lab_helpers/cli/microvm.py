"""Run a command on a real cgroup v2 kernel: an emulated machine whose root is this host's, read-only.

Build machines often still mount cgroup v1. QEMU boots Debian's own kernel with the host's files under a tmpfs overlay,
no network card, a Docker engine of its own and one writable folder, the share. The kernel comes from
``environment/microvm/build.sh``, the guest's side is ``environment/microvm/guest.sh``.

    python -m lab_helpers.cli.microvm --timeout 600 -- .venv/bin/python -m pytest tests/system
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab_helpers.base import commands, settings
from lab_helpers.base.errors import LabError

TAIL_LINES = 60
"""Lines of the console that a result and an error keep."""

PROBE_TIMEOUT_S = 10.0
"""A kernel under working KVM reaches its init in 2 s; one that has not after 10 s is slower than emulation."""


class MicrovmError(LabError):
    """The microVM could not run the command; ``console_tail`` holds its last lines."""

    def __init__(self, message: str, *, reference: str, why: str, next_step: str, console_tail: str = "") -> None:
        super().__init__(message, reference=reference, why=why, next_step=next_step)
        self.console_tail = console_tail


class MicrovmTimeoutError(MicrovmError):
    """The guest was ended at the time limit."""


@dataclass(frozen=True)
class Result:
    """A command that ended in the guest.

    Attributes:
        returncode: Its exit status.
        seconds: From the start of QEMU to its end, in seconds.
        console_tail: The last lines of the serial console.
        booted_s: From the start of QEMU until the command began, in seconds.
        accelerator: ``kvm`` or ``tcg`` (emulation).
    """

    returncode: int
    seconds: float
    console_tail: str
    booted_s: float
    accelerator: str


KERNEL_OPTIONS = "quiet panic=1 psi=1 mitigations=off apparmor=0 audit=0"


@dataclass(frozen=True)
class Machine:
    """What QEMU needs to know of a processor architecture.

    ``cpu`` is the model that is emulated. Newer is slower: vector registers, a fifth level of page tables, a guard at
    each copy between kernel and program are all done in software, and with ``max`` a guest takes a quarter longer.
    Nehalem is the oldest that still has all of x86-64-v2, which the packages of Python ask for.
    """

    qemu: str
    options: tuple[str, ...]
    cpu: str
    kernel_options: tuple[str, ...]
    console: str
    package: str


MACHINES = {
    "x86_64": Machine("qemu-system-x86_64", (), "Nehalem", ("no_timer_check",), "ttyS0", "qemu-system-x86"),
    "aarch64": Machine(
        "qemu-system-aarch64", ("-machine", "virt"), "max,pauth-impdef=on", (), "ttyAMA0", "qemu-system-arm"
    ),
}


def machine(architecture: str) -> Machine:
    """Return the machine to emulate on a host of this architecture.

    Raises:
        MicrovmError: there is none.
    """
    try:
        return MACHINES[architecture]
    except KeyError as error:
        raise MicrovmError(
            f"no microVM for {architecture}",
            reference="microvm-architecture",
            why=f"the recipe knows {' and '.join(MACHINES)}",
            next_step="run the microVM's tests on one of them",
        ) from error


def accelerator_options(accelerator: str, cpu: str) -> list[str]:
    """Return QEMU's options for ``kvm`` or ``tcg``.

    tb-size: a translated block is thrown away when its cache is full; Docker and Python fill the default 32 MB often.
    """
    if accelerator == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg,thread=multi,tb-size=1024", "-cpu", cpu]


def shared_folder(path: Path, tag: str, *, readonly: bool) -> list[str]:
    """Return QEMU's options that export ``path`` over 9p. A comma in an option's value is written twice."""
    escaped = str(path).replace(",", ",,")
    option = f"local,path={escaped},mount_tag={tag},security_model=none,multidevs=remap"
    return ["-virtfs", option + (",readonly=on" if readonly else "")]


def qemu_argv(
    hardware: Machine, kernel: Path, *, accelerator: str, memory_mb: int, append: str, devices: Sequence[str] = ()
) -> list[str]:
    """Return the command line of QEMU.

    ``setpriv --pdeathsig``: should this process die without a word, the kernel kills QEMU as well.
    ``-nic none``: no network card, which is how the tests prove that labs need no network.
    ``mitigations=off``: an emulated processor does not speculate; the guards would only be translated and run.
    ``psi=1``: pressure files, which some kernels have compiled in but switched off.
    """
    return [
        *("setpriv", "--pdeathsig", "KILL"),
        hardware.qemu,
        *hardware.options,
        *accelerator_options(accelerator, hardware.cpu),
        *("-smp", "2", "-m", str(memory_mb), "-display", "none", "-monitor", "none", "-serial", "stdio"),
        *("-no-reboot", "-nic", "none"),
        *("-kernel", str(kernel / "vmlinuz"), "-initrd", str(kernel / "initramfs.img")),
        *devices,
        *("-append", " ".join((f"console={hardware.console}", KERNEL_OPTIONS, *hardware.kernel_options, append))),
    ]


def request_text(
    variables: Mapping[str, str], environment: Mapping[str, str], lists: Mapping[str, Sequence[str]]
) -> str:
    """Return what the guest's bash sources: variables, exported variables and arrays, quoted."""
    lines = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    lines += [f"{name}=({shlex.join(values)})" for name, values in lists.items()]
    return "\n".join(lines) + "\n"


def exit_status(console: str, nonce: str) -> int | None:
    """Return the status in the guest's last word, ``microvm: NONCE exit STATUS``, or None if it never said it."""
    for line in reversed(console.splitlines()):
        words = line.split()
        if words[:3] == ["microvm:", nonce, "exit"] and len(words) == 4 and words[3].isdecimal():
            return int(words[3])
    return None


def failed_step(console: str, nonce: str) -> str | None:
    """Return the step of guest.sh that failed, from ``microvm: NONCE setup-failed STEP``, or None."""
    mark = f"microvm: {nonce} setup-failed "
    return next((line.removeprefix(mark) for line in console.splitlines() if line.startswith(mark)), None)


def build_kernel() -> Path:
    """Make sure that the kernel and the initramfs are there, and return their folder.

    Raises:
        commands.CommandError: a tool is missing or the download failed; the message has the command that fixes it.
    """
    completed = commands.run([str(settings.PROJECT / "environment/microvm/build.sh")], timeout_s=600)
    return Path(completed.stdout.strip().splitlines()[-1])


def choose_accelerator(hardware: Machine, kernel: Path) -> str:
    """Return ``kvm`` if a kernel really boots under it, else ``tcg``.

    /dev/kvm may exist and not work (nested virtualisation that is only half there), so it is tried, once per boot of
    this host: the answer is kept beside the kernel.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    key = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    kept = kernel / "accelerator.json"
    if kept.exists():
        known = json.loads(kept.read_text())
        if known["boot_id"] == key:
            return str(known["accelerator"])
    argv = qemu_argv(hardware, kernel, accelerator="kvm", memory_mb=512, append="probe")
    try:
        alive = "microvm: alive" in commands.run(argv, check=False, timeout_s=PROBE_TIMEOUT_S).stdout
    except commands.CommandTimeoutError:
        alive = False
    accelerator = "kvm" if alive else "tcg"
    kept.write_text(json.dumps({"boot_id": key, "accelerator": accelerator}))
    return accelerator


def compile_bytecode(project: Path) -> None:
    """Compile the modules that the guest will import: compiling is seconds here and minutes in emulation.

    pip of a hash-locked virtual environment leaves no bytecode, and what the guest would write goes to its tmpfs.
    """
    folders = [folder for name in (".venv/lib", "lab_helpers", "tests") if (folder := project / name).is_dir()]
    # Some packages carry files that are not meant to compile; compileall then ends with 1.
    commands.run([sys.executable, "-m", "compileall", "-q", "-j", "0", *map(str, folders)], check=False)


def images() -> list[Path]:
    """Make sure that the base images are there, and return them as files for ``docker load``."""
    completed = commands.run([str(settings.PROJECT / "environment/images/build.sh")], timeout_s=1200)
    # One line each: NAME TAG HASH ARCHIVE.
    return [Path(line.split()[3]) for line in completed.stdout.splitlines() if len(line.split()) == 4]


def build_disk(tars: Sequence[Path]) -> Path:
    """Make sure that there is a disk whose engine holds the images of these files, and return it."""
    argv = [str(settings.PROJECT / "environment/microvm/disk.sh"), *(str(tar.resolve()) for tar in tars)]
    return Path(commands.run(argv, timeout_s=600).stdout.strip().splitlines()[-1])


def throwaway_disk(image: Path) -> list[str]:
    """Return QEMU's options for a disk whose writes are forgotten.

    ``snapshot=on``: writes go to a file that QEMU opens and unlinks at once, so nothing can be left of it.
    ``cache=unsafe``: the guest's flushes need not reach the host's disk.
    """
    escaped = str(image).replace(",", ",,")
    return ["-drive", f"file={escaped},format=raw,if=virtio,cache=unsafe,snapshot=on"]


def run_in_microvm(
    command: Sequence[str],
    *,
    timeout_s: float,
    share: Path,
    memory_mb: int = 4096,
    docker: bool = True,
    image_tars: Sequence[Path] | None = None,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Result:
    """Boot the microVM, run one command in the project's folder and power off.

    Args:
        command: The argv, run as root with the project as working folder and ``SHARE`` in its environment.
        timeout_s: Seconds for all of it, the boot included.
        share: Writable folder, at the same path in the guest; ``console.log`` and ``dockerd.log`` end up there.
        memory_mb: The guest's memory in MiB.
        docker: Start dockerd.
        image_tars: Images of the engine, as ``docker save`` writes them; None takes the base images.
        env: More environment variables for the command.
        on_line: Called with each line of the console as it comes.

    Raises:
        MicrovmTimeoutError: it did not end in time; QEMU was killed.
        MicrovmError: the set-up failed, or the guest ended without telling an exit status.
        commands.CommandError: QEMU or the kernel is missing.
    """
    hardware = machine(platform.machine())
    kernel = build_kernel()
    accelerator = choose_accelerator(hardware, kernel)
    compile_bytecode(settings.PROJECT)
    share = share.resolve()
    share.mkdir(parents=True, exist_ok=True)
    nonce = secrets.token_hex(4)
    disk = build_disk(images() if docker and image_tars is None else image_tars or ())
    (share / ".microvm-request").write_text(
        request_text(
            {"KERNEL": str(kernel), "DOCKER": "1" if docker else "0"},
            {"PROJECT": str(settings.PROJECT), "LAB_HOME": str(settings.home()), **(env or {})},
            {"COMMAND": command},
        )
    )
    began = time.monotonic()
    booted_s = 0.0
    console: list[str] = []

    def line_came(line: str) -> None:
        nonlocal booted_s
        line = line.rstrip("\r")  # a serial console ends lines as a teletype does
        console.append(line)
        print(line, file=log, flush=True)
        if not booted_s and line.startswith("microvm: ") and line.endswith("] ready"):
            booted_s = time.monotonic() - began
        if on_line:
            on_line(line)

    argv = qemu_argv(
        hardware,
        kernel,
        accelerator=accelerator,
        memory_mb=memory_mb,
        append=f"guest={settings.PROJECT}/environment/microvm/guest.sh share={share} nonce={nonce}",
        devices=[
            *shared_folder(Path("/"), "hostroot", readonly=True),
            *shared_folder(share, "share", readonly=False),
            *throwaway_disk(disk),
        ],
    )
    settings.scratch().mkdir(parents=True, exist_ok=True)
    with (share / "console.log").open("w", encoding="utf-8") as log:
        try:
            commands.run(
                argv, check=False, timeout_s=timeout_s, on_line=line_came, env={"TMPDIR": str(settings.scratch())}
            )
        except commands.CommandTimeoutError as error:
            raise MicrovmTimeoutError(
                f"the microVM did not end within {timeout_s:g} s ({accelerator})",
                reference="microvm-timeout",
                why="its last lines:\n" + _tail(console),
                next_step=f"raise the limit, or see {share}/console.log for where it stops",
                console_tail=_tail(console),
            ) from error
    status = exit_status("\n".join(console), nonce)
    if status is None:
        step = failed_step("\n".join(console), nonce)
        raise MicrovmError(
            f"the guest's set-up failed at: {step}" if step else "the microVM ended without an exit status",
            reference="microvm-setup" if step else "microvm-no-status",
            why="its last lines:\n" + _tail(console),
            next_step=f"read {share}/console.log from the top",
            console_tail=_tail(console),
        )
    return Result(status, time.monotonic() - began, _tail(console), booted_s, accelerator)


def _tail(console: Sequence[str]) -> str:
    return "\n".join(console[-TAIL_LINES:])


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of ``environment/microvm/run.sh``; returns the guest command's exit status."""
    parser = argparse.ArgumentParser(prog="microvm", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--timeout", type=float, default=1200, metavar="S", help="seconds for all of it [1200]")
    parser.add_argument("--memory", type=int, default=4096, metavar="MB", help="the guest's memory in MiB [4096]")
    parser.add_argument("--share", type=Path, metavar="DIR", help="writable folder, same path in the guest [a new one]")
    parser.add_argument("--image", type=Path, action="append", metavar="TAR", help="image for the engine [base images]")
    parser.add_argument("--no-docker", action="store_true", help="do not start dockerd")
    parser.add_argument("command", nargs="+", help="argv, run in the project's folder")
    options = parser.parse_args(arguments)
    share = options.share or Path(tempfile.mkdtemp(prefix="lab-microvm-"))
    try:
        result = run_in_microvm(
            options.command,
            timeout_s=options.timeout,
            share=share,
            memory_mb=options.memory,
            docker=not options.no_docker,
            image_tars=options.image,
            on_line=lambda line: print(f"| {line}", flush=True),  # noqa: T201 - a command's output
        )
    except LabError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 125
    print(  # noqa: T201
        f"microvm: exit {result.returncode} after {result.seconds:.1f} s "
        f"({result.accelerator}, ready at {result.booted_s:.1f} s); files in {share}"
    )
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())
