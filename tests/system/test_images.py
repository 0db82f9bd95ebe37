"""The base images: loaded into any engine with no network, they do what the labs ask of them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab_helpers.base import commands, settings
from lab_helpers.cli.engine import Engine
from lab_helpers.cli.offline import offline_engine

IMAGES = settings.PROJECT / "environment/images"
MIB = 1 << 20


@dataclass(frozen=True)
class Image:
    """What build.sh says of one image."""

    name: str
    tag: str
    hash: str
    archive: Path


def built() -> list[Image]:
    lines = commands.run([str(IMAGES / "build.sh"), "--hash"], quiet=True).stdout.splitlines()
    fields = [line.split() for line in lines]
    return [Image(name, tag, digest, Path(archive)) for name, tag, digest, archive in fields]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """Give an engine of the tests' own, in a network namespace without a way out, that has no image yet."""
    with offline_engine(images=False) as own:
        yield own


@pytest.fixture(scope="module")
def loaded(engine: Engine) -> Engine:
    """Give the same engine after load.sh, which ran inside the namespace without a way out as well."""
    assert engine.docker("images", "--quiet") == ""
    in_namespace = engine.command([str(IMAGES / "load.sh")])
    commands.run(in_namespace, env=engine.environment, quiet=True, timeout_s=300)
    return engine


def in_image(engine: Engine, tag: str, *argv: str) -> str:
    return engine.docker("run", "--rm", "--network", "none", tag, *argv)


def test_the_engine_has_no_way_out(engine: Engine) -> None:
    code = "from lab_helpers.cli.offline import way_out; print(way_out())"
    python = str(settings.PROJECT / ".venv/bin/python")
    assert commands.run(engine.command([python, "-c", code]), quiet=True).stdout.strip() == "None"


def test_there_are_the_two_base_images() -> None:
    assert {image.tag for image in built()} == {"lab/busybox:1", "lab/python:1"}


def test_each_carries_its_recipes_hash_and_no_session(loaded: Engine) -> None:
    for image in built():
        labels = json.loads(loaded.docker("image", "inspect", "--format", "{{json .Config.Labels}}", image.tag))
        assert labels == {"lab.image": image.hash}


def test_a_second_load_finds_everything_there(loaded: Engine) -> None:
    before = loaded.docker("images", "--no-trunc")
    shown = commands.run([str(IMAGES / "load.sh")], env=loaded.environment, quiet=True).stdout.splitlines()
    assert [line.split(" (")[0].partition(" is ")[2] for line in shown] == ["loaded"] * len(built())
    assert loaded.docker("images", "--no-trunc") == before


def test_an_image_of_an_older_recipe_is_replaced(loaded: Engine) -> None:
    """The label decides, not the tag: an engine may hold last year's lab/busybox:1."""
    image = next(image for image in built() if image.name == "busybox")
    container = loaded.docker("create", image.tag).strip()
    loaded.docker("commit", "--change", "LABEL lab.image=0000000000000000", container, image.tag)
    loaded.docker("rm", container)
    older = loaded.docker("image", "inspect", "--format", "{{.Id}}", image.tag).strip()
    shown = commands.run([str(IMAGES / "load.sh"), "busybox"], env=loaded.environment, quiet=True).stdout
    assert f"loaded from {image.archive}" in shown
    label = loaded.docker("image", "inspect", "--format", '{{index .Config.Labels "lab.image"}}', image.tag)
    assert label.strip() == image.hash
    assert older not in loaded.docker("images", "--all", "--quiet", "--no-trunc").split()


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(commands.CommandError) as caught:
        commands.run([str(IMAGES / "build.sh"), "buzybox"], quiet=True)
    assert "buzybox" in caught.value.completed.stderr
    assert "busybox.recipe" in caught.value.completed.stderr


def test_busybox_is_one_static_program_and_links(loaded: Engine) -> None:
    tag = "lab/busybox:1"
    applets = in_image(loaded, tag, "busybox", "--list").split()
    assert len(applets) > 200
    listed = in_image(loaded, tag, "ls", "/bin").split()
    assert sorted({*applets, "busybox"}) == sorted(listed)
    assert {in_image(loaded, tag, "readlink", f"/bin/{applet}").strip() for applet in ("sh", "httpd")} == {"busybox"}
    assert in_image(loaded, tag, "id", "-un").strip() == "root"
    assert in_image(loaded, tag, "stat", "-c", "%a", "/tmp").strip() == "1777"  # noqa: S108
    size = int(loaded.docker("image", "inspect", "--format", "{{.Size}}", tag))
    assert size < 4 * MIB


def test_busybox_starts_a_shell_by_default(loaded: Engine) -> None:
    shown = subprocess.run(
        ["docker", "run", "--rm", "--interactive", "--network", "none", "lab/busybox:1"],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", **loaded.environment},
        input="echo $((6 * 7))",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert shown.stdout == "42\n"


def test_python_has_its_library_bash_and_coreutils(loaded: Engine) -> None:
    tag = "lab/python:1"
    code = "import asyncio, ctypes, http.server, json, mmap, multiprocessing, socket, sqlite3, ssl; print('all')"
    assert in_image(loaded, tag, "python3", "-c", code) == "all\n"
    paths = in_image(loaded, tag, "bash", "-c", "type -P dd bash timeout")
    assert [Path(line).name for line in paths.split()] == ["dd", "bash", "timeout"]
    size = int(loaded.docker("image", "inspect", "--format", "{{.Size}}", tag))
    assert size < 150 * MIB


def test_pythons_compiled_modules_are_believed(loaded: Engine) -> None:
    """A layer with other dates on its sources would make every start compile the library again."""
    shown = in_image(loaded, "lab/python:1", "bash", "-c", "python3 -v -c 'import json, asyncio' 2>&1")
    assert shown.count(" matches ") > 20
    assert "bytecode is stale" not in shown
    assert "wrote " not in shown


def test_nothing_of_the_building_machine_is_inside(loaded: Engine) -> None:
    """Its sources, its proxies, its name and its identity stay at home."""
    files = "/etc/apt/sources.list /etc/apt/sources.list.d/* /etc/machine-id /etc/hostname"
    shown = in_image(
        loaded, "lab/python:1", "bash", "-c", f"cat {files} 2>/dev/null; ls /var/lib/apt/lists /etc/apt/apt.conf.d"
    )
    assert "99mmdebstrap" not in shown
    assert "://" not in shown
