"""Writing whole files, and removing folders without following mounts or links."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_helpers.base import files


def test_it_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.json"
    files.write_atomically(path, "one")
    files.write_atomically(path, "two", mode=0o600)
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["file.json"]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        files.write_atomically(path, "half \udc80 written")
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_removing_what_is_missing_is_a_success(tmp_path: Path) -> None:
    files.remove_tree(tmp_path / "nothing")


def test_a_link_is_removed_and_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "keep").write_text("x")
    link = tmp_path / "link"
    link.symlink_to(target)
    files.remove_tree(link)
    assert not link.is_symlink()
    assert (target / "keep").exists()


def test_a_tree_goes(tmp_path: Path) -> None:
    (tmp_path / "tree/a/b").mkdir(parents=True)
    (tmp_path / "tree/a/b/file").write_text("x")
    files.remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


def test_mount_points_are_found_below_a_folder() -> None:
    assert "/proc" in files.mount_points_below(Path("/proc"))
    points = files.mount_points_below(Path("/sys"))
    assert points == sorted(points, key=len, reverse=True)
    assert files.mount_points_below(Path("/sy")) == []


def test_a_folder_with_a_mount_is_refused() -> None:
    with pytest.raises(files.MountedError) as caught:
        files.remove_tree(Path("/proc"))
    assert "umount" in caught.value.next_step
    assert Path("/proc/self").exists()
