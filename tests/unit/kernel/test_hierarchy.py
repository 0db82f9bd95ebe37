"""Which machine is this? Mountinfo of a hybrid v1 machine, of systemd's v1, of v2, and of a container."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_helpers.base import settings
from lab_helpers.kernel.cgroups import hierarchy
from lab_helpers.kernel.cgroups.errors import CgroupError
from lab_helpers.kernel.cgroups.folders import checked_parts, parse_membership
from lab_helpers.kernel.cgroups.hierarchy import Hierarchy, parse_hierarchies
from lab_helpers.kernel.mounts import parse_mountinfo

HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices
37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
TOGETHER = """\
33 25 0:30 / /sys/fs/cgroup/systemd rw,nosuid - cgroup cgroup rw,xattr,name=systemd
36 25 0:33 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:15 - cgroup cgroup rw,cpu,cpuacct
37 25 0:34 / /sys/fs/cgroup/net_cls,net_prio rw,nosuid shared:16 - cgroup cgroup rw,net_cls,net_prio
"""
V2 = "29 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
V2_WITH_NET_PRIO = V2 + "90 22 0:60 / /run/lab/sessions/k3x9ab/net_prio rw - cgroup lab.session=k3x9ab rw,net_prio\n"
CONTAINER_V1 = "700 690 0:32 /docker/1f /sys/fs/cgroup/memory ro,nosuid master:11 - cgroup cgroup rw,memory\n"


@pytest.mark.parametrize(
    ("text", "version", "hybrid"),
    [(HYBRID, 1, True), (TOGETHER, 1, False), (V2, 2, False), (V2_WITH_NET_PRIO, 2, False), (CONTAINER_V1, 1, False)],
    ids=["hybrid", "together", "v2", "v2 with net_prio", "container"],
)
def test_version(text: str, version: int, *, hybrid: bool) -> None:
    found = parse_hierarchies(parse_mountinfo(text))
    assert found.version == version
    assert found.hybrid == hybrid


def test_hybrid_controllers() -> None:
    found = parse_hierarchies(parse_mountinfo(HYBRID))
    assert set(found.by_controller) == {"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"}
    assert found.by_controller["blkio"].mount_point == Path("/sys/fs/cgroup/blkio")
    assert found.unified is not None
    assert found.unified.mount_point == Path("/sys/fs/cgroup/unified")
    assert [tree.name for tree in found.v1 if tree.name] == ["systemd"]


def test_controllers_mounted_together() -> None:
    found = parse_hierarchies(parse_mountinfo(TOGETHER)).by_controller
    assert found["cpu"] == found["cpuacct"]
    assert found["net_prio"].mount_point == Path("/sys/fs/cgroup/net_cls,net_prio")
    assert "xattr" not in found


def test_another_sessions_mount_is_left_out() -> None:
    text = V2_WITH_NET_PRIO.replace("/run/lab", str(settings.RUN_DIRECTORY))
    found = parse_hierarchies(parse_mountinfo(text))
    assert [tree.controllers for tree in found.of_session("k3x9ab").v1] == [("net_prio",)]
    assert found.of_session("zzzzzz").v1 == ()
    assert found.of_session("").v1 == ()


@pytest.mark.parametrize(
    ("root", "cgroup", "expected"),
    [
        ("/", "/docker/1f", Path("/sys/fs/cgroup/memory/docker/1f")),
        ("/", "/", Path("/sys/fs/cgroup/memory")),
        ("/docker/1f", "/docker/1f", Path("/sys/fs/cgroup/memory")),
        ("/docker/1f", "/docker/1f/inner", Path("/sys/fs/cgroup/memory/inner")),
        ("/docker/1f", "/docker/1fa", None),
        ("/docker/1f", "/", None),
    ],
)
def test_path_of(root: str, cgroup: str, expected: Path | None) -> None:
    assert Hierarchy(1, ("memory",), Path("/sys/fs/cgroup/memory"), root).path_of(cgroup) == expected


def test_compiled_controllers() -> None:
    text = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t1\t1\nmemory\t0\t1\t0\nnet_prio\t0\t1\t1\n"
    assert hierarchy.parse_compiled(text) == {"cpuset", "net_prio"}


def test_membership() -> None:
    text = "9:name=systemd:/\n4:memory:/docker/1f:2\n2:cpu,cpuacct:/docker/1f\n0::/../b (deleted)\n"
    assert parse_membership(text) == {
        "name=systemd": "/",
        "memory": "/docker/1f:2",
        "cpu": "/docker/1f",
        "cpuacct": "/docker/1f",
        "": "/../b",
    }


@pytest.mark.parametrize("name", ["", "a//b", "../x", "a/..", ".", "a b", "$(id)", "a*", "a\nb"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(CgroupError, match="names no cgroup"):
        checked_parts(name)


def test_good_names() -> None:
    assert checked_parts("lab-k3x9ab/demo_1") == ["lab-k3x9ab", "demo_1"]
