"""The parts of environment/images that need neither packages nor an engine: package sources, the archive's format."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

IMAGES = Path(__file__).parents[3] / "environment/images"
DEB822 = """\
Types: deb
# a comment does not end the paragraph
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

"""


def bash(script: str, *arguments: str) -> str:
    shown = subprocess.run(["bash", "-euc", script, "bash", *arguments], capture_output=True, text=True, check=True)
    return shown.stdout


def sources(folder: Path, suite: str) -> str:
    script = f'. {IMAGES}/sources.sh; apt_directory=$1; write_distribution_sources "$2"'
    return bash(script, str(folder), suite)


@pytest.mark.parametrize(
    ("file", "text", "ours"),
    [
        ("sources.list", "deb http://a.example/debian bookworm main contrib", True),
        ("sources.list", "deb http://a.example/debian bookworm contrib main", True),
        (
            "sources.list",
            "  deb [signed-by=/k.gpg arch=amd64] http://a.example/debian-security bookworm-security main",
            True,
        ),
        ("sources.list", "# deb http://a.example/debian bookworm main", False),
        ("sources.list", "deb-src http://a.example/debian bookworm main", False),
        ("sources.list", "deb http://a.example/debian trixie main", False),
        ("sources.list", "deb http://a.example/debian bookworm-backports main", False),
        ("sources.list", "deb http://a.example/debian bookworm contrib", False),
        ("sources.list", "deb http://a.example/debian bookworm mainline", False),
        ("sources.list.d/cloud.list", "deb http://b.example/apt cloud-sdk-bookworm main", False),
        ("sources.list.d/docker.list", "deb http://b.example/docker bookworm stable", False),
        ("sources.list.d/debian.sources", DEB822, True),
        ("sources.list.d/debian.sources", DEB822.replace("Types: deb", "Types: deb-src"), False),
        (
            "sources.list.d/debian.sources",
            DEB822 + "Enabled: no\n",
            True,
        ),  # an empty line is between: another paragraph
        ("sources.list.d/debian.sources", DEB822.replace("Types", "Enabled: no\nTypes"), False),
        ("sources.list.d/node.sources", DEB822.replace("bookworm bookworm-updates", "nodistro"), False),
        ("sources.list.d/docker.sources", DEB822.replace("Components: main", "Components: stable"), False),
    ],
)
def test_only_the_distributions_own_sources_serve_an_image(tmp_path: Path, file: str, text: str, ours: bool) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / file).write_text(text + "\n", encoding="utf-8")
    shown = sources(tmp_path, "bookworm")
    assert bool(shown.strip()) == ours
    if ours:
        assert text.splitlines()[0].strip() in shown  # as the machine has it


def test_paragraphs_stay_apart(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    security = DEB822.replace("bookworm bookworm-updates", "bookworm-security")
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822 + security, encoding="utf-8")
    paragraphs = sources(tmp_path, "bookworm").strip().split("\n\n")
    assert [paragraph.count("Suites:") for paragraph in paragraphs] == [1, 1]


def archive(tree: Path, path: Path) -> None:
    script = f'. {IMAGES}/archive.sh; write_archive "$1" "$2" lab/demo:1 cafe \'["/x"]\' \'["A=b"]\' amd64 1700000000'
    bash(script, str(tree), str(path))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "bin").mkdir(parents=True)
    (root / "bin/x").write_text("hello", encoding="utf-8")
    (root / "bin/y").symlink_to("x")
    return root


def member(path: Path, name: str) -> bytes:
    with tarfile.open(path) as stream:
        found = stream.extractfile(name)
        assert found
        return found.read()


def test_an_archive_is_what_docker_load_reads(tree: Path, tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    archive(tree, path)
    (manifest,) = json.loads(member(path, "manifest.json"))
    assert manifest["RepoTags"] == ["lab/demo:1"]
    text = member(path, manifest["Config"])
    assert (
        manifest["Config"] == f"{hashlib.sha256(text).hexdigest()}.json"
    )  # an image's id is its configuration's digest
    config = json.loads(text)
    assert config["config"] == {"Cmd": ["/x"], "Env": ["A=b"], "Labels": {"lab.image": "cafe"}}
    assert config["created"] == "2023-11-14T22:13:20Z"
    layer = member(path, manifest["Layers"][0])
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("image.tar.")] == []


def test_the_same_tree_gives_the_same_archive(tree: Path, tmp_path: Path) -> None:
    archive(tree, tmp_path / "first.tar")
    (tree / "bin/x").write_text("hello", encoding="utf-8")  # younger, and the same
    archive(tree, tmp_path / "second.tar")
    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()
    (tree / "bin/x").write_text("hallo", encoding="utf-8")
    archive(tree, tmp_path / "third.tar")
    assert (tmp_path / "first.tar").read_bytes() != (tmp_path / "third.tar").read_bytes()


def test_a_packages_own_dates_stay(tree: Path, tmp_path: Path) -> None:
    os.utime(tree / "bin/x", (1_600_000_000, 1_600_000_000))
    archive(tree, tmp_path / "image.tar")
    (manifest,) = json.loads(member(tmp_path / "image.tar", "manifest.json"))
    (tmp_path / "layer.tar").write_bytes(member(tmp_path / "image.tar", manifest["Layers"][0]))
    with tarfile.open(tmp_path / "layer.tar") as stream:
        dates = {entry.name: entry.mtime for entry in stream}
    assert dates["./bin/x"] == 1_600_000_000
    assert dates["./bin"] == 1_700_000_000
