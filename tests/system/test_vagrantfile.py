"""The Vagrantfile: Vagrant itself checks it for both providers, and what it asks for is read back.

`vagrant validate` looks only at the block of the provider that it picks, and picks VirtualBox only where VBoxManage
answers: hence the stand-in beside this file. It proves names and settings, not that a VM boots.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
VAGRANTFILE = PROJECT / "Vagrantfile"
STAND_IN = Path(__file__).parent / "vagrant"

# Evaluates a Vagrantfile without Vagrant: every setting and every call, by its dotted name.
RECORDER = """
require "json"
class Recorder
  def initialize(name, seen) = (@name, @seen = name, seen)
  def method_missing(name, *arguments, **options, &block)
    path = "#{@name}.#{name.to_s.delete_suffix("=")}"
    path += ".#{arguments[0]}" if block
    @seen << [path, arguments, options] unless arguments.empty? && options.empty?
    child = Recorder.new(path, @seen)
    block&.call(child)
    child
  end
  def respond_to_missing?(*) = true
end
module Vagrant
  def self.configure(_version)
    seen = []
    yield Recorder.new("config", seen)
    puts JSON.generate(seen)
  end
end
load ARGV[0]
"""


def run(argv: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LAB_", "VAGRANT_"))}
    return subprocess.run(argv, env=clean | environment, capture_output=True, text=True, timeout=120, check=False)


def validate(folder: Path, provider: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(
        ["vagrant", "validate"],
        VAGRANT_CWD=str(folder),
        VAGRANT_HOME=str(home / "vagrant-home"),
        VAGRANT_DOTFILE_PATH=str(home / "vagrant-dotfiles"),  # else it writes .vagrant into the checkout
        VAGRANT_DEFAULT_PROVIDER=provider,
        VAGRANT_CHECKPOINT_DISABLE="1",
        VAGRANT_BOX_UPDATE_CHECK_DISABLE="1",
        VAGRANT_NO_COLOR="1",
        PATH=f"{STAND_IN}:{os.environ['PATH']}",
        **environment,
    )


def settings(**environment: str) -> dict[str, list[tuple[list[object], dict[str, object]]]]:
    shown = run(["ruby", "-e", RECORDER, str(VAGRANTFILE)], **environment)
    assert shown.returncode == 0, shown.stderr
    found: dict[str, list[tuple[list[object], dict[str, object]]]] = {}
    for path, arguments, options in json.loads(shown.stdout):
        found.setdefault(path, []).append((arguments, options))
    return found


@pytest.mark.parametrize("provider", ["libvirt", "virtualbox"])
def test_vagrant_accepts_it(provider: str, tmp_path: Path) -> None:
    shown = validate(PROJECT, provider, tmp_path)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "validated successfully" in shown.stdout


@pytest.mark.parametrize(
    ("provider", "good", "broken", "named"),
    [
        ("libvirt", "libvirt.memory", "libvirt.memry", "memry"),
        ("virtualbox", "vb.memory", "vb.memry", "memry"),
        ("libvirt", "config.vm.hostname", "config.vm.hostnam", "hostnam"),
        ("virtualbox", "guest: 8888, ", "", "guest"),
        ("libvirt", "Vagrant.configure", "Vagrant.configure(", "syntax error"),
    ],
)
def test_vagrant_refuses_a_broken_copy(provider: str, good: str, broken: str, named: str, tmp_path: Path) -> None:
    text = VAGRANTFILE.read_text(encoding="utf-8")
    assert good in text
    (tmp_path / "Vagrantfile").write_text(text.replace(good, broken, 1), encoding="utf-8")
    shown = validate(tmp_path, provider, tmp_path)
    assert shown.returncode != 0
    assert named in shown.stdout + shown.stderr


def test_a_size_that_is_no_number_is_refused(tmp_path: Path) -> None:
    shown = validate(PROJECT, "libvirt", tmp_path, LAB_VM_MEMORY="plenty")
    assert shown.returncode != 0
    assert "plenty" in shown.stdout + shown.stderr


def test_ruby_has_nothing_to_warn_of() -> None:
    shown = run(["ruby", "-wc", str(VAGRANTFILE)])
    assert (shown.returncode, shown.stdout.strip(), shown.stderr) == (0, "Syntax OK", "")


@pytest.mark.parametrize(
    ("environment", "memory_mib", "cpus", "box"),
    [
        ({}, 4096, 2, "debian/bookworm64"),
        ({"LAB_VM_MEMORY": "8192", "LAB_VM_CPUS": "4", "LAB_VM_BOX": "debian/trixie64"}, 8192, 4, "debian/trixie64"),
    ],
)
def test_size_and_box_come_from_variables(environment: dict[str, str], memory_mib: int, cpus: int, box: str) -> None:
    found = settings(**environment)
    assert found["config.vm.box"] == [([box], {})]
    for provider in ("virtualbox", "libvirt"):
        assert found[f"config.vm.provider.{provider}.memory"] == [([memory_mib], {})]
        assert found[f"config.vm.provider.{provider}.cpus"] == [([cpus], {})]


def test_the_lab_is_forwarded_to_loopback_only() -> None:
    forwards = settings()["config.vm.network"]
    assert [arguments for arguments, _ in forwards] == [["forwarded_port"]]
    assert all(options["host_ip"] == "127.0.0.1" for _, options in forwards)


def test_no_plug_in_no_driver_and_rsync_by_name() -> None:
    found = settings()
    assert not [path for path in found if "plugin" in path or path.endswith(".driver")]
    assert [options["type"] for _, options in found["config.vm.synced_folder"]] == ["rsync"]


def test_it_runs_the_one_provisioning_script_of_the_checkout() -> None:
    inline = [str(options["inline"]) for _, options in settings()["config.vm.provision"]]
    named = [line.removeprefix("/home/vagrant/lab/") for line in inline if line.endswith("provision.sh")]
    assert named == ["environment/provision.sh"]
    assert os.access(PROJECT / named[0], os.X_OK)


def test_what_a_learner_saved_survives_a_new_copy_of_the_kit(tmp_path: Path) -> None:
    """The copy provisioner, run for real with the VM's two folders under another root."""
    copy = next(
        str(options["inline"]) for arguments, options in settings()["config.vm.provision"] if arguments == ["copy"]
    )
    root = tmp_path / "vm"
    copy = re.sub(r"(?<![\w/])(?=/vagrant/|/home/|/etc/)", str(root), copy)
    host, learner = root / "vagrant", root / "home/vagrant/lab"
    for folder in (host / "labs", host / "environment/images", root / "home/vagrant", root / "etc"):
        folder.mkdir(parents=True)
    (root / "etc/environment").touch()
    for script in ("lab", "environment/provision.sh", "environment/images/build.sh"):
        (host / script).write_text("#!/bin/bash\n", encoding="utf-8")

    def original(name: str, text: str, age_s: int) -> None:
        (host / "labs" / name).write_text(text, encoding="utf-8")
        os.utime(host / "labs" / name, (1_700_000_000 - age_s,) * 2)

    original("saved.ipynb", "first", 100)
    original("changed.ipynb", "first", 100)
    assert run(["sh", "-c", copy]).returncode == 0
    (learner / "labs/saved.ipynb").write_text("my answers", encoding="utf-8")
    original("changed.ipynb", "second", 0)
    assert run(["sh", "-c", copy]).returncode == 0

    assert (learner / "labs/saved.ipynb").read_text(encoding="utf-8") == "my answers"
    assert (learner / "labs/changed.ipynb").read_text(encoding="utf-8") == "second"
    kept = list((root / "home/vagrant/lab-replaced").rglob("changed.ipynb"))
    assert [path.read_text(encoding="utf-8") for path in kept] == ["first"]
    assert os.access(learner / "environment/images/build.sh", os.X_OK)
    assert (root / "etc/environment").read_text(encoding="utf-8") == "LAB_BIND=0.0.0.0\n"
