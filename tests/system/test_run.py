"""``./lab run`` for real: kernels that end well, raise, hang, die, and are interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from lab_helpers.base import settings
from lab_helpers.cli import microvm
from lab_helpers.cli import run as command
from lab_helpers.notebooks import catalogue, source
from lab_helpers.notebooks.execute import Step, execute
from lab_helpers.notebooks.page import fetched


def notebook(*codes: str, tags: list[str] | None = None) -> source.Notebook:
    title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": ["# 42 · Trial"]}
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {"tags": tags or []},
            "source": source.split(code),
            "outputs": [{"output_type": "stream", "name": "stdout", "text": ["old\n"]}],
            "execution_count": 9,
        }
        for number, code in enumerate(codes, start=1)
    ]
    return {"cells": [title, *cells], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def outputs(ran: source.Notebook) -> list[list[dict[str, Any]]]:
    return [cell["outputs"] for cell in source.code_cells(ran)]


@pytest.fixture
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "labs"
    folder.mkdir()
    monkeypatch.setattr(source, "folder", lambda: folder)
    return folder


def test_cells_run_in_order_in_this_python_and_folder(tmp_path: Path) -> None:
    steps: list[Step] = []
    given = notebook("import sys, os\nprint(sys.executable)", "print(os.getcwd())\nos.environ['X']")
    ran = execute(given, folder=tmp_path, environment={"X": "seen"}, on_step=steps.append)
    assert ran.failure is None
    said = outputs(ran.notebook)
    assert said[0][0]["text"] == [f"{sys.executable}\n"]
    assert said[1][0]["text"] == [f"{tmp_path}\n"]
    assert said[1][1]["data"]["text/plain"] == ["'seen'"]
    assert [(step.number, step.total, step.duration_s is None) for step in steps] == [
        (1, 2, True),
        (1, 2, False),
        (2, 2, True),
        (2, 2, False),
    ]
    assert outputs(given)[0][0]["text"] == ["old\n"]


def test_it_stops_at_the_first_cell_that_fails(tmp_path: Path) -> None:
    ran = execute(notebook("print(1)", "1/0", "print(3)"), folder=tmp_path)
    assert ran.failure is not None
    assert (ran.failure.kind, ran.failure.name, ran.failure.step.number) == ("error", "ZeroDivisionError", 2)
    said = outputs(ran.notebook)
    assert said[1][0]["ename"] == "ZeroDivisionError"
    assert said[2] == []


def test_a_dead_kernel_is_noticed_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    ran = execute(notebook("import os\nos.kill(os.getpid(), 9)", "1"), folder=tmp_path)
    assert ran.failure is not None
    assert (ran.failure.kind, ran.failure.step.number) == ("dead kernel", 1)
    assert time.monotonic() - began < 30


def test_a_cell_that_hangs_is_ended(tmp_path: Path) -> None:
    ran = execute(notebook("import time\ntime.sleep(600)"), folder=tmp_path, timeout_s=1)
    assert ran.failure is not None
    assert ran.failure.kind == "timeout"
    assert "did not end within 1 s" in ran.failure.message


def test_skipped_cells_do_not_run(tmp_path: Path) -> None:
    ran = execute(notebook("1/0", tags=["nbval-skip", "skip-trial"]), folder=tmp_path)
    assert ran.failure is None
    assert ran.steps == ()


def test_run_writes_a_notebook_and_a_page_and_leaves_nothing(labs: Path, tmp_path: Path, engine: object) -> None:
    code = "from lab_helpers.kernel import cgroups\nfrom lab_helpers.base import session\nours = session.current()\n"
    code += "cgroups.create('left')\nprint(ours.id, ours.notebook)"
    source.write(labs / "42_trial.ipynb", notebook(code, "from lab_helpers.base import settings\nsettings.solve()"))
    out = tmp_path / "out"
    ran, clean = command.run_notebook(catalogue.find("42"), solve=True)
    assert ran.failure is None, ran.failure
    said = outputs(ran.notebook)
    session, number = said[0][0]["text"][0].split()
    assert number == "42"
    assert said[1][0]["data"]["text/plain"] == ["True"]
    assert clean
    assert not list(Path("/sys/fs/cgroup").glob(f"**/lab-{session}"))
    assert not Path(f"/run/lab/sessions/{session}").exists()
    status = command.run.main(["42", "--out", str(out)], standalone_mode=False)
    assert status == 0
    page = (out / "42_trial.html").read_text()
    assert "Trial" in page
    assert fetched(page) == []
    assert source.read(out / "42_trial.ipynb")["cells"][1]["execution_count"] == 1


def test_a_failure_is_shown_and_written_and_not_saved(
    labs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source.write(labs / "42_trial.ipynb", notebook("raise ValueError('no [b] good')"))
    before = (labs / "42_trial.ipynb").read_text()
    status = command.run.main(["42", "--save", "--out", str(tmp_path / "out")], standalone_mode=False)
    assert status == 1
    said = capsys.readouterr().err
    assert "cell 1 of 1 (cell-1) failed: error" in said
    assert "ValueError: no [b] good" in said
    assert (tmp_path / "out" / "42_trial.html").exists()
    assert (labs / "42_trial.ipynb").read_text() == before


def test_save_writes_the_normal_form_back(labs: Path, tmp_path: Path) -> None:
    source.write(labs / "42_trial.ipynb", notebook("print('lab.session=ab12cd')"))
    assert command.run.main(["42", "--save", "--out", str(tmp_path / "out")], standalone_mode=False) == 0
    saved = source.read(labs / "42_trial.ipynb")
    assert outputs(saved)[0][0]["text"] == ["lab.session=<session>\n"]
    assert set(saved["metadata"]) == {"kernelspec"}


def test_outputs_about_v2_are_not_saved_from_v1(labs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source.write(labs / "42_trial.ipynb", notebook("1", tags=["cgroup-v2-output"]))
    monkeypatch.setattr(command.cgroups, "version", lambda: 1)
    with pytest.raises(command.WrongKernelError) as caught:
        command.check_kernel_of_outputs(labs / "42_trial.ipynb")
    assert caught.value.next_step == "./lab run 42 --solve --save --microvm"
    monkeypatch.setattr(command.cgroups, "version", lambda: 2)
    command.check_kernel_of_outputs(labs / "42_trial.ipynb")


def test_a_wrong_number_lists_what_there_is() -> None:
    argv = [sys.executable, "-m", "lab_helpers.cli", "run", "97"]
    refused = subprocess.run(argv, cwd=settings.PROJECT, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith("unknown-notebook: there is no notebook 97")
    assert "there are: 00_start_here, 01_cgroups" in refused.stderr


INTERRUPTED = """
import sys
from pathlib import Path
from lab_helpers.notebooks import source
source.folder = lambda: Path(sys.argv[1])
from lab_helpers.cli.__main__ import main
sys.exit(main(["run", "42", "--out", sys.argv[1]]))
"""


def test_ctrl_c_ends_the_kernel_and_sweeps(labs: Path) -> None:
    code = "import os, time\nfrom lab_helpers.base import session\nsession.current()\n"
    code += f"open({str(labs / 'pid')!r}, 'w').write(f'{{os.getpid()}} {{session.current().id}}')\ntime.sleep(600)"
    source.write(labs / "42_trial.ipynb", notebook(code))
    argv = [sys.executable, "-c", INTERRUPTED, str(labs)]
    with subprocess.Popen(argv, cwd=settings.PROJECT, stderr=subprocess.PIPE, text=True) as process:
        try:
            end = time.monotonic() + 60
            while not (labs / "pid").exists() or not (labs / "pid").read_text():
                assert time.monotonic() < end
                assert process.poll() is None
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, said
    pid, session = (labs / "pid").read_text().split()
    assert not psutil.pid_exists(int(pid))
    assert not os.path.exists(f"/run/lab/sessions/{session}")  # noqa: PTH110 - a name, not a file of ours


def test_what_the_microvm_wrote_into_the_share_is_fetched_and_saved(
    labs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The guest's part is played by this process: the same command line, parsed and run here, with the same share.
    source.write(labs / "42_trial.ipynb", notebook("print('lab.session=ab12cd')", tags=["cgroup-v2-output"]))
    asked: list[list[str]] = []

    def here(argv: list[str], *, share: Path, **_: Any) -> microvm.Result:
        asked.append(argv)
        assert argv[:4] == [".venv/bin/python", "-m", "lab_helpers.cli", "run"]
        status = command.run.main(argv[4:], standalone_mode=False)
        assert (share / "out" / "42_trial.ipynb").exists()
        return microvm.Result(status, 1.0, "", 0.5, "tcg")

    monkeypatch.setattr(microvm, "run_in_microvm", here)
    out = tmp_path / "out"
    arguments = ["42", "--microvm", "--solve", "--save", "--timeout", "60", "--out", str(out)]
    assert command.run.main(arguments, standalone_mode=False) == 0
    assert asked[0][4] == "42"
    assert "--solve" in asked[0]
    assert "--save" not in asked[0]
    assert {path.name for path in out.iterdir()} == {"42_trial.ipynb", "42_trial.html"}
    assert outputs(source.read(labs / "42_trial.ipynb"))[0][0]["text"] == ["lab.session=<session>\n"]
