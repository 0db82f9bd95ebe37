"""Mountinfo as kernels wrote it: a hybrid v1 machine, a v2 machine, a container, odd paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_helpers.kernel import mounts, overlay
from lab_helpers.kernel.mounts import parse_mountinfo

PROPAGATION = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue\n"
BLANK = r"40 25 0:37 / /mnt/my\040disk\134x rw - tmpfs none rw,mode=755" + "\n"
OVERLAY = (
    "512 411 0:52 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/AAA:"
    "/var/lib/docker/overlay2/l/BBB,upperdir=/var/lib/docker/overlay2/1f/diff,workdir=/var/lib/docker/overlay2/1f/work\n"
)
OVERLAY_NEW = (
    "512 411 0:52 / /merged rw,relatime - overlay none rw,lowerdir+=/a,lowerdir+=/b,upperdir=/u,workdir=/w,uuid=on\n"
)


def test_optional_fields_end_with_a_hyphen() -> None:
    (mount,) = parse_mountinfo(PROPAGATION)
    assert mount.propagation == ("master:1", "shared:7")
    assert mount.root == "/mnt1"
    assert mount.mount_point == Path("/mnt2")
    assert mount.filesystem == "ext3"
    assert mount.super_options == ("rw", "errors=continue")


def test_octal_escapes() -> None:
    (mount,) = parse_mountinfo(BLANK)
    assert mount.mount_point == Path("/mnt/my disk\\x")
    assert mount.propagation == ()


def test_below_lists_the_last_mounted_first() -> None:
    text = "".join(
        f"{number} 1 0:{number} / {path} rw - tmpfs none rw\n"
        for number, path in enumerate(["/run", "/run/a", "/run/a/b", "/runs"])
    )
    assert [str(mount.mount_point) for mount in mounts.below(Path("/run"), parse_mountinfo(text))] == [
        "/run/a/b",
        "/run/a",
        "/run",
    ]


def test_the_mounts_of_this_process_are_read() -> None:
    assert Path("/proc") in {mount.mount_point for mount in mounts.read_mounts()}


def test_overlay_layers() -> None:
    (mount,) = parse_mountinfo(OVERLAY)
    found = overlay.layers_of(mount)
    assert found.lower == (Path("/var/lib/docker/overlay2/l/AAA"), Path("/var/lib/docker/overlay2/l/BBB"))
    assert found.upper == Path("/var/lib/docker/overlay2/1f/diff")
    assert found.layers == (found.upper, *found.lower)
    assert found.merged == Path("/")


def test_overlay_layers_one_by_one() -> None:
    (mount,) = parse_mountinfo(OVERLAY_NEW)
    assert overlay.layers_of(mount).lower == (Path("/a"), Path("/b"))


def test_overlay_read_only_and_colon_in_a_path() -> None:
    (mount,) = parse_mountinfo(r"1 1 0:1 / / ro - overlay overlay ro,lowerdir=/a\134:b:/c" + "\n")
    found = overlay.layers_of(mount)
    assert found.lower == (Path("/a:b"), Path("/c"))
    assert found.upper is None
    assert found.layers == found.lower


def test_not_an_overlay() -> None:
    with pytest.raises(ValueError, match="ext3, not overlay"):
        overlay.layers_of(parse_mountinfo(PROPAGATION)[0])
