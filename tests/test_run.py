"""The whole way with a toy code and real parts: command, database, workers, answer; and what kills may not do to it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.build import bulk

from megabar.launchers.database.embedded import database_session, running, stop_database
from megabar.workflows.config import Config
from megabar.workflows.store import CalculationRecord, ResultStore

MEGABAR = [sys.executable, "-m", "megabar.launchers.cli"]
STUDY = """\
kind: stability
system: Cu-Au
pressures: {from: 0, to: 60, step: 10}
phases: [Cu-fcc.cif, Au-fcc.cif, Cu3Au-L12.cif, {file: hcp.cif, name: Cu-hcp, pressure: 0}]
method: {code: emt}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A project folder with a study, its database stopped at the end."""
    bulk("Cu", "fcc", a=3.6).write(tmp_path / "Cu-fcc.cif")
    bulk("Au", "fcc", a=4.06).write(tmp_path / "Au-fcc.cif")
    corners = [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    Atoms("AuCu3", cell=[3.75] * 3, scaled_positions=corners, pbc=True).write(tmp_path / "Cu3Au-L12.cif")
    bulk("Cu", "hcp", a=2.55, c=4.16).write(tmp_path / "hcp.cif")
    (tmp_path / "cuau.yaml").write_text(STUDY)
    yield tmp_path
    if (tmp_path / ".megabar").exists():
        stop_database(Config(data=tmp_path / ".megabar"))


@contextmanager
def opened(folder: Path) -> Iterator[ResultStore]:
    with database_session(Config(data=folder / ".megabar")) as address:
        store = ResultStore.connect(address.uri, address.name)
        yield store
        store.close()


def megabar(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MEGABAR, *arguments], cwd=folder, text=True, capture_output=True, check=False, timeout=240)


def started(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with (folder / "run.log").open("wb") as log:
        return subprocess.Popen([*MEGABAR, *arguments], cwd=folder, stdout=log, stderr=log, start_new_session=True)


def results(folder: Path) -> dict[str, CalculationRecord]:
    with opened(folder) as store:
        [study] = store.find_studies()
        return store.get_many(study.wanted)


def wait_for_results(folder: Path, count: int, seconds: float = 120.0) -> set[str]:
    """Return the keys of the results that are on disk once there are so many."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = {path.parent.name for path in (folder / ".megabar" / "calculations").glob("*/*/result.json")}
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError(f"no {count} results; log: {(folder / 'run.log').read_text()[-2000:]}")


def times_of(folder: Path, keys: set[str]) -> dict[str, float]:
    base = folder / ".megabar" / "calculations"
    return {key: (base / key[:2] / key / "result.json").stat().st_mtime for key in keys}


@pytest.mark.slow
def test_run_again_and_share(folder: Path) -> None:
    first = megabar(folder, "run", "cuau.yaml", "--json")
    assert first.returncode == 0, first.stderr
    answer: dict[str, Any] = json.loads(first.stdout)
    assert {each["phase"] for each in answer["stable"]} >= {"Cu-fcc", "Au-fcc"}
    assert answer["calculations_run"] >= 10
    assert answer["failures"] == []
    assert any("toy" in note for note in answer["notes"])
    page = (folder / answer["report"]).read_text(encoding="utf-8")
    assert "toy" in page

    assert "the figures and the report are being made" in first.stderr
    shown = [line for line in first.stderr.splitlines() if " calculations, " in line]
    lines = [(line.partition(" calculations, ")[0], line.endswith("complete")) for line in shown]
    assert len(lines) == len(set(lines))  # none says what the one before said

    planned = megabar(folder, "plan", "cuau.yaml")
    assert "cuau: complete, nothing is left to run" in planned.stdout
    assert json.loads(megabar(folder, "plan", "cuau.yaml", "--json").stdout)["calculations"] == 0

    again = json.loads(megabar(folder, "run", "cuau.yaml", "--json").stdout)
    assert again["calculations_run"] == 0
    assert again["stable"] == answer["stable"]

    (folder / "narrow.yaml").write_text(STUDY.replace("to: 60", "to: 40"))
    other = json.loads(megabar(folder, "run", "narrow.yaml", "--json").stdout)
    assert other["calculations_reused"] >= 5
    assert other["calculations_run"] < other["calculations_reused"]

    hull = json.loads(megabar(folder, "hull", "cuau", "--json", "--at", "20").stdout)
    assert hull["stable"] == answer["stable"]
    assert set(hull["above_hull_eV_per_atom"]) == {"Cu-fcc", "Au-fcc", "Cu3Au-L12", "Cu-hcp"}
    status = json.loads(megabar(folder, "status", "--json").stdout)
    assert {row["complete"] for row in status["studies"]} == {True}

    key = next(iter(results_of_all(folder)))
    with opened(folder) as store:
        crashed = {"$set": {"state": "failed", "cause": "killed", "detail": "by a test"}}
        store.client[store.name].calculations.update_one({"_id": key}, crashed)
    mended = [megabar(folder, "run", name, "--json") for name in ("cuau.yaml", "narrow.yaml")]
    assert sum(json.loads(each.stdout)["calculations_run"] for each in mended) == 1
    assert any("tried again" in each.stderr for each in mended)

    for record in results_of_all(folder).values():
        assert record.provenance["packages"]["ase"]
        assert record.provenance["host"]
        assert record.calculation["code"] == "emt"


def results_of_all(folder: Path) -> dict[str, CalculationRecord]:
    with opened(folder) as store:
        keys = {key for study in store.find_studies() for key in study.wanted}
        assert store.history(next(iter(keys)))["cell_A"].shape[1:] == (3, 3)
        return store.get_many(keys)


def finish_and_check(folder: Path, before: dict[str, float]) -> None:
    """Call the same command again: it ends, and what had its result before was not computed again."""
    ended = megabar(folder, "run", "cuau.yaml", "--json")
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    assert answer["failures"] == []
    assert times_of(folder, set(before)) == before
    assert set(before) <= set(results(folder))
    assert {each["phase"] for each in answer["stable"]} >= {"Cu-fcc", "Au-fcc"}


@pytest.mark.slow
def test_kill_minus_9_of_everything(folder: Path) -> None:
    run = started(folder, "run", "cuau.yaml")
    keys = wait_for_results(folder, 3)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    time.sleep(1.0)  # workers follow their parent
    keys = wait_for_results(folder, len(keys))
    finish_and_check(folder, times_of(folder, keys))


@pytest.mark.slow
def test_two_runs_at_once_share_the_work_and_each_says_its_own_part(folder: Path) -> None:
    words = [*MEGABAR, "run", "cuau.yaml", "--json", "--workers", "1"]
    options: dict[str, Any] = {"cwd": folder, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    runs = [subprocess.Popen([*words, "--report", f"report-{number}"], **options) for number in range(2)]
    said = [each.communicate(timeout=240) for each in runs]
    assert [each.returncode for each in runs] == [0, 0], said
    answers = [json.loads(out) for out, _ in said]
    count = len(results(folder))
    assert sum(each["calculations_run"] for each in answers) == count
    assert [each["calculations_run"] + each["calculations_reused"] for each in answers] == [count, count]


@pytest.mark.slow
def test_interrupt_says_how_to_go_on(folder: Path) -> None:
    run = started(folder, "run", "cuau.yaml")
    wait_for_results(folder, 2)
    os.kill(run.pid, signal.SIGINT)
    assert run.wait(timeout=30) == 130
    said = (folder / "run.log").read_text()
    assert "the same command goes on" in said
    assert "Traceback" not in said
    finish_and_check(folder, times_of(folder, wait_for_results(folder, 2)))


@pytest.mark.slow
def test_kill_minus_9_of_workers_and_of_the_database(folder: Path) -> None:
    import psutil

    run = started(folder, "run", "cuau.yaml")
    wait_for_results(folder, 2)
    workers = [child for child in psutil.Process(run.pid).children() if "launchers.worker" in " ".join(child.cmdline())]
    assert workers
    for worker in workers:
        worker.kill()
    wait_for_results(folder, 4)
    state = running(Config(data=folder / ".megabar"))
    assert state is not None
    servers = [each for each in psutil.Process(state.supervisor_pid).children() if "mongod" in each.name()]
    assert servers
    servers[0].kill()
    assert run.wait(timeout=200) == 0, (folder / "run.log").read_text()[-3000:]
    records = results(folder)
    assert all(record.done for record in records.values())
    finish_and_check(folder, times_of(folder, set(records)))


@pytest.mark.slow
def test_wrong_commands_are_told_in_a_sentence(folder: Path) -> None:
    cases = {
        ("run", "nothing.yaml"): "no such file",
        ("hull", "nobody"): "no results",
        ("hull", "nothing.csv"): "nothing.csv",
        ("phases", "Xx"): "Xx",
        ("report", "nobody"): "no results",
        ("phases", "W"): "the library has no phase made of W; a study of it names files",
        (
            "plan",
            "tungsten.yaml",
        ): "line 4: the library has no phase of pure W, and formation enthalpies need one; list",
    }
    tungsten = STUDY.replace("Cu-Au", "W").replace(STUDY.splitlines()[3], "phases: library")
    (folder / "tungsten.yaml").write_text(tungsten)
    for arguments, expected in cases.items():
        said = megabar(folder, *arguments)
        assert said.returncode == 2, (arguments, said.stderr)
        assert expected in said.stderr
        assert "Traceback" not in said.stderr
        assert said.stdout == ""
    assert not (folder / ".megabar").exists()


@pytest.mark.slow
def test_unreachable_database_is_told(folder: Path) -> None:
    (folder / "megabar.yaml").write_text(
        "database: {uri: 'mongodb://u:secret@127.0.0.1:9/?serverSelectionTimeoutMS=500'}\n"
    )
    (folder / "megabar.yaml").chmod(0o600)
    said = megabar(folder, "run", "cuau.yaml")
    assert said.returncode == 2
    assert "does not answer" in said.stderr
    assert "secret" not in said.stderr
    assert "Traceback" not in said.stderr
    assert not list(folder.glob(".megabar/calculations/*"))


@pytest.mark.slow
def test_data_folder_that_cannot_be_written_is_told(folder: Path) -> None:
    (folder / "file").write_text("")
    said = subprocess.run(
        [*MEGABAR, "run", "cuau.yaml"],
        cwd=folder,
        env={**os.environ, "MEGABAR_DATA": str(folder / "file" / "data")},
        text=True,
        capture_output=True,
        check=False,
    )
    assert said.returncode == 2
    assert "cannot be written" in said.stderr
