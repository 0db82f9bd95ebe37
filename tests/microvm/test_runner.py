"""The runner's rules, without a machine: what it tells QEMU and the guest, and what it reads from the console."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lab_helpers.base import settings
from lab_helpers.cli import microvm

X86 = microvm.machine("x86_64")


@pytest.mark.parametrize(
    ("console", "status"),
    [
        ("microvm: [9.1] ready\nhello\n\nmicrovm: abcd1234 exit 0\n[ 11.0] reboot: Power down", 0),
        ("microvm: abcd1234 exit 137", 137),
        ("microvm: 00000000 exit 0", None),  # another run's, or a program's that prints such lines
        ("microvm: abcd1234 exit", None),
        ("microvm: abcd1234 exit -1", None),
        ("all tests passed", None),
        ("", None),
    ],
)
def test_only_the_guests_last_word_is_an_exit_status(console: str, status: int | None) -> None:
    assert microvm.exit_status(console, "abcd1234") == status


def test_the_step_that_failed_is_read_from_the_console() -> None:
    console = "[1.0] x\nmicrovm: abcd1234 setup-failed docker load /a.tar\n[ 2.0] reboot"
    assert microvm.failed_step(console, "abcd1234") == "docker load /a.tar"
    assert microvm.failed_step(console, "ffffffff") is None


@pytest.mark.parametrize("word", ["plain", "two words", "quote's", "$HOME", "`id`", "a\nb", "", "*"])
def test_bash_reads_the_request_as_it_was_meant(word: str, tmp_path: Path) -> None:
    request = tmp_path / "request"
    request.write_text(microvm.request_text({"ONE": word}, {"TWO": word}, {"COMMAND": ["printf", word], "NONE": []}))
    script = 'source "$0"; printf "%s|%s|%s|%s|" "$ONE" "${COMMAND[1]}" "${#COMMAND[@]}" "${#NONE[@]}"; printenv TWO'
    printed = subprocess.run(["bash", "-euc", script, request], capture_output=True, text=True, check=True).stdout
    assert printed == f"{word}|{word}|2|0|{word}\n"


@pytest.mark.parametrize("accelerator", ["kvm", "tcg"])
def test_the_machine_has_no_network_card(accelerator: str) -> None:
    argv = microvm.qemu_argv(X86, Path("/k"), accelerator=accelerator, memory_mb=512, append="probe")
    assert argv[argv.index("-nic") + 1] == "none"
    assert not any("netdev" in word or "virtio-net" in word for word in argv)


def test_a_comma_in_a_folders_name_does_not_start_another_option() -> None:
    assert "path=/a,,b,mount_tag" in microvm.shared_folder(Path("/a,b"), "share", readonly=False)[1]


def test_only_the_hosts_root_is_exported_read_only() -> None:
    assert microvm.shared_folder(Path("/"), "hostroot", readonly=True)[1].endswith(",readonly=on")
    assert "readonly" not in microvm.shared_folder(Path("/s"), "share", readonly=False)[1]


def test_an_unknown_architecture_is_a_clear_error() -> None:
    with pytest.raises(microvm.MicrovmError, match="no microVM for riscv64"):
        microvm.machine("riscv64")


def test_without_qemu_the_build_names_the_command_that_installs_it(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for folder in ("/usr/sbin", "/usr/bin"):
        for program in Path(folder).iterdir():
            if not program.name.startswith("qemu-system") and not (tools / program.name).is_symlink():
                (tools / program.name).symlink_to(program)
    completed = subprocess.run(
        [settings.PROJECT / "environment/microvm/build.sh"],
        env={**os.environ, "PATH": str(tools), "LAB_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 1
    assert "next: apt-get install -y --no-install-recommends qemu-system-" in completed.stderr
    assert not (tmp_path / "home").exists()
