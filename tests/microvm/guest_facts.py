"""Runs in the guest: writes what its kernel and its engine say of themselves to $SHARE/facts.json, then ends with 3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
IMAGE = "lab/busybox:1"


def output(*argv: str) -> str:
    """What a command printed; its complaint where it failed, so that the host's assertion shows it."""
    completed = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=400)
    return (
        completed.stdout.strip() if completed.returncode == 0 else f"FAILED {completed.returncode}: {completed.stderr}"
    )


def limited_write(device: str, limit_bytes: int) -> str:
    """What io.max holds after a limit on the guest's disk was written."""
    group = CGROUP / "facts"
    group.mkdir()
    try:
        (group / "io.max").write_text(f"{device} wbps={limit_bytes}")
        return (group / "io.max").read_text().strip()
    finally:
        group.rmdir()


def write_to_checkout() -> bool:
    """Whether the checkout can be written to; the host looks whether the file got out."""
    path = Path("guest-was-here")
    path.write_text("in the overlay only\n")
    return path.exists()


docker_run = ("docker", "run", "--rm")
disk = Path("/var/lib/docker").stat().st_dev
device = f"{os.major(disk)}:{os.minor(disk)}"
facts = {
    "kernel": os.uname().release,
    "cgroup_filesystem": output("stat", "-f", "-c", "%T", str(CGROUP)),
    "controllers": (CGROUP / "cgroup.controllers").read_text().split(),
    "subtree_control": (CGROUP / "cgroup.subtree_control").read_text().split(),
    "cgroup_of_command": Path("/proc/self/cgroup").read_text().strip(),
    "pressure": {name: (Path("/proc/pressure") / name).read_text() for name in ("cpu", "memory", "io")},
    "links": [link["ifname"] for link in json.loads(output("ip", "-j", "link"))],
    "default_routes": output("ip", "route", "show", "default"),
    "io_max": limited_write(device, 1048576),
    "device": device,
    "docker_cgroup_version": output("docker", "info", "--format", "{{.CgroupVersion}}"),
    "docker_storage": output("docker", "info", "--format", "{{.Driver}}"),
    "container_memory_max": output(*docker_run, "--memory", "64m", IMAGE, "cat", "/sys/fs/cgroup/memory.max"),
    "container_cpu_max": output(*docker_run, "--cpus", "0.5", IMAGE, "cat", "/sys/fs/cgroup/cpu.max"),
    "privileged_mount": output(
        *docker_run,
        "--privileged",
        IMAGE,
        "sh",
        "-c",
        "mkdir /m && mount -t tmpfs tmpfs /m && grep -c ' /m ' /proc/mounts",
    ),
    "wrote_to_checkout": write_to_checkout(),
}
(Path(os.environ["SHARE"]) / "facts.json").write_text(json.dumps(facts, indent=1))
sys.exit(3)
