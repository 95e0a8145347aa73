"""Ctrl-C: heard though it was ignored, while modules are imported, and a second one at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ase.build import bulk

from megabar.launchers.cli import interrupts
from megabar.launchers.database.embedded import stop_database
from megabar.workflows.config import Config

MEGABAR = [sys.executable, "-m", "megabar.launchers.entry"]
STOPPED = f"{interrupts.STOPPED}\n"
STUDY = """\
kind: stability
system: Cu
pressures: {from: 0, to: 300, step: 10}
phases: [Cu-fcc.cif, Cu-hcp.cif, Cu-bcc.cif]
method: {code: emt}
"""
MACHINE = "here: {scheduler: slurm, cores: 1, wall_time: 1:00:00}\n"


def ignore() -> None:
    """What a script's ``trap "" INT``, or its ``&``, hands on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


# In the code.


def python(code: str, count: int = 1) -> subprocess.CompletedProcess[str]:
    """Run code that prints a line when it is ready for so many interrupts."""
    head = "import os, signal, sys, time\nfrom megabar.launchers.cli import interrupts\ninterrupts.listen()\n"
    process = subprocess.Popen(
        [sys.executable, "-c", head + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=ignore,
    )
    said = ""
    for _ in range(count):
        assert process.stdout is not None
        said += process.stdout.readline()
        process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    return subprocess.CompletedProcess([], process.returncode, said + out, error)


def test_the_first_says_what_is_waited_for_and_the_second_ends() -> None:
    done = python(
        "with interrupts.waiting_for('two things are put away'):\n"
        "    try:\n        print('up', flush=True); time.sleep(60)\n"
        "    finally:\n        print('stopping', flush=True); time.sleep(60); print('never')\n",
        count=2,
    )
    assert done.returncode == interrupts.CODE
    assert done.stdout == "up\nstopping\n"
    heard = "megabar: Ctrl-C was heard: two things are put away; a second one ends at once\n"
    assert done.stderr == heard + STOPPED


def test_without_anything_to_wait_for_it_is_an_ordinary_interrupt() -> None:
    done = python(
        "try:\n    print('up', flush=True); time.sleep(60)\nexcept KeyboardInterrupt:\n    print('interrupted')\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "up\ninterrupted\n", "")


def test_one_that_a_library_swallows_is_followed_by_one_that_is_not() -> None:
    done = python(
        "try:\n    print('up', flush=True); time.sleep(60)\nexcept BaseException:\n    pass\n"
        "print('on', flush=True); time.sleep(60)\n",
        count=2,
    )
    assert (done.returncode, done.stdout, done.stderr) == (interrupts.CODE, "up\non\n", STOPPED)


# While modules are imported.

SITE = """\
import os, signal, sys


class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPTED_AT"]:
            os.kill(os.getpid(), signal.SIGINT)


sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("typer", "--version"),
        ("yaml", "phases Na-He"),
        ("numpy", "phases Na-He"),
        ("ase.cell", "phases Na-He"),
        ("rich.table", "phases Na-He"),
    ],
)
def test_while_modules_are_imported(tmp_path: Path, module: str, arguments: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(SITE)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "INTERRUPTED_AT": module}
    done = subprocess.run(
        [*MEGABAR, *arguments.split()], env=environment, capture_output=True, text=True, check=False, preexec_fn=ignore
    )
    assert (done.returncode, done.stdout, done.stderr) == (interrupts.CODE, "", STOPPED)


# The real commands.


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    bulk("Cu", "fcc", a=3.6).write(tmp_path / "Cu-fcc.cif")
    bulk("Cu", "hcp", a=2.55, c=4.16).write(tmp_path / "Cu-hcp.cif")
    bulk("Cu", "bcc", a=2.87).write(tmp_path / "Cu-bcc.cif")
    (tmp_path / "toy.yaml").write_text(STUDY)
    (tmp_path / "machines.yaml").write_text(MACHINE)
    yield tmp_path
    stop_database(Config(data=tmp_path / ".megabar"))


def interrupted(folder: Path, arguments: str, ready: Callable[[], bool]) -> str:
    """Return what a command says that is interrupted once it is ready, which must be the last that it does."""
    log = folder / "said"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*MEGABAR, *arguments.split()], cwd=folder, stdout=stream, stderr=stream, preexec_fn=ignore
        )
    deadline = time.monotonic() + 120
    while not ready():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == interrupts.CODE
    said = log.read_text()
    assert said.endswith(STOPPED)
    assert "Traceback" not in said
    assert "failure of ours" not in said
    return said


@pytest.mark.slow
def test_commands_hear_it_though_it_was_ignored(folder: Path) -> None:
    base = folder / ".megabar"
    heard = "megabar: Ctrl-C was heard: the calculations that run are stopped, to go on later, within"
    said = interrupted(folder, "run toy.yaml", lambda: any(base.glob("calculations/*/*/result.json")))
    assert heard in said
    submitted = subprocess.run([*MEGABAR, "submit", "toy.yaml"], cwd=folder, capture_output=True, check=False)
    assert submitted.returncode == 0, submitted.stderr
    interrupted(folder, "watch toy", lambda: b"toy" in (folder / "said").read_bytes())
    said = interrupted(folder, "worker", lambda: any(base.glob("workers/*.lock")))
    assert heard in said


@pytest.mark.slow
def test_the_set_up_hears_it_though_it_was_ignored(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from megabar.launchers.setup import bootstrap\n"
        "bootstrap.set_up = lambda *_: os.kill(os.getpid(), signal.SIGINT)\n"
        "bootstrap.main(['--version'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, preexec_fn=ignore, cwd=tmp_path
    )
    assert done.returncode == interrupts.CODE
    assert done.stderr == "megabar: interrupted; the same command goes on where it stopped\n"
