"""How many threads linear algebra takes: one for our own work, what the user grants for codes."""

import io
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from elph_data import DATA

from megabar.structures.threads import OURS, VARIABLES, limited, outside, release

IN_FORCE = """
import json, sys
import threadpoolctl
blas = [each for each in threadpoolctl.threadpool_info() if each["user_api"] == "blas"]
print(json.dumps({each["filepath"]: each["num_threads"] for each in blas}))
"""
COMMAND = """
import io, sys
sys.argv = ["megabar", "gap", {path!r}, "--json"]
out, sys.stdout = sys.stdout, io.StringIO()
from megabar.launchers.cli.command import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
sys.stdout = out
"""


def in_force(before: str, **environment: str) -> list[int]:
    """Return the threads of each library for linear algebra after some Python, as the libraries say themselves."""
    clean = {name: value for name, value in os.environ.items() if name not in (*VARIABLES, OURS)}
    done = subprocess.run(
        [sys.executable, "-c", before + IN_FORCE],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    return list(json.loads(done.stdout.splitlines()[-1]).values())


several = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="with one core there is one thread anyway")
LOADED = "import numpy, scipy.linalg\n"


@several
def test_without_a_limit_there_are_several() -> None:
    """The tests below would see it if nothing was limited."""
    assert max(in_force(LOADED, OMP_NUM_THREADS="8")) > 1


@several
@pytest.mark.slow
def test_a_command_takes_one_thread() -> None:
    """`megabar gap` took five times the CPU time for BLAS threads that spin; both libraries, NumPy's and SciPy's."""
    found = in_force(COMMAND.format(path=str(DATA / "epw" / "al.a2f")), OMP_NUM_THREADS="8")
    assert len(found) >= 2 and set(found) == {1}


@several
def test_libraries_that_are_loaded_already_are_told() -> None:
    """Where megabar is used as a library, or NumPy was there before the command."""
    limiting = "from megabar.structures.threads import limit\nlimit()\n"
    assert set(in_force(LOADED + limiting, OMP_NUM_THREADS="8")) == {1}
    assert set(in_force(limiting + LOADED, OMP_NUM_THREADS="8")) == {1}


@several
def test_what_the_user_says_of_linear_algebra_stands() -> None:
    limiting = "from megabar.structures.threads import limit\nlimit()\n"
    assert set(in_force(limiting + LOADED, OPENBLAS_NUM_THREADS="2")) == {2}
    assert set(in_force(LOADED + limiting, OPENBLAS_NUM_THREADS="2")) == {2}


@several
def test_a_code_in_the_process_of_a_worker_has_what_the_machine_grants() -> None:
    """GPAW runs in a child of the worker: with OMP_NUM_THREADS of `prepare` in machines.yaml, 1 without it."""
    child = "from megabar.structures.threads import limit, release\nlimit()\n" + LOADED + "release()\n"
    assert set(in_force(child, OMP_NUM_THREADS="2")) == {2}
    assert set(in_force(child)) == {1}


def test_programs_that_are_started_see_nothing_of_it() -> None:
    there = {"PATH": "/bin", "OMP_NUM_THREADS": "4", "MKL_NUM_THREADS": "2"}
    ours = limited(there)
    assert ours["OPENBLAS_NUM_THREADS"] == "1" and ours["OMP_NUM_THREADS"] == "4" and ours["MKL_NUM_THREADS"] == "2"
    assert limited(ours) == ours
    assert outside(ours) == there
    assert outside(limited({"PATH": "/bin"})) == {"PATH": "/bin", "OMP_NUM_THREADS": "1"}
    release(ours)
    assert ours == there


def test_a_code_is_started_without_our_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from megabar.workflows.codes.running import run_program

    for name, value in limited({"OMP_NUM_THREADS": "4"}).items():
        monkeypatch.setenv(name, value)
    run_program(["env"], tmp_path, tmp_path / "out")
    found = dict(line.split("=", 1) for line in (tmp_path / "out").read_text().splitlines() if "=" in line)
    assert found["OMP_NUM_THREADS"] == "4"
    assert not {OURS, "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"} & found.keys()


def test_workers_are_limited_from_their_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They import NumPy before their `main`."""
    from megabar.launchers.workers import local
    from megabar.launchers.workers.worker import Assignment
    from megabar.workflows.config import Config

    seen = {}

    class Started:
        def __init__(self, *arguments: object, env: dict[str, str], **options: object) -> None:
            seen.update(env)
            self.stdin = io.BytesIO()

    for name in (*VARIABLES, OURS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(local.subprocess, "Popen", Started)
    workers = local.WorkerPool(Config(data=tmp_path), Assignment("emt", study="s"), 1)
    workers._start()
    assert seen["OPENBLAS_NUM_THREADS"] == seen["OMP_NUM_THREADS"] == "1"


def test_the_process_of_a_calculation_is_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from megabar.workflows import isolation
    from megabar.workflows.config import Config

    def told(folder: Path, config: Config) -> None:
        (folder / "environment").write_text("\n".join(name for name in os.environ if name in (*VARIABLES, OURS)))

    for name, value in limited({"OMP_NUM_THREADS": "2"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(isolation, "execute", told)
    child = multiprocessing.get_context("fork").Process(
        target=isolation._child, args=(str(tmp_path), Config(data=tmp_path).model_dump_json())
    )
    child.start()
    child.join()
    assert (tmp_path / "environment").read_text() == "OMP_NUM_THREADS"
