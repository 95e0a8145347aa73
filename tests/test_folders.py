"""Folders of calculations that cannot be used, or that are taken away: told, and nothing is stuck or lost."""

from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ase.build import bulk
from bson import ObjectId
from fireworks import FWorker
from test_faults import calculation, mounted, worker
from test_planning import opened, runtime, study, work_off  # noqa: F401
from test_run import MEGABAR

from megabar.launchers.seeing.status import status_in
from megabar.launchers.workers.local import LocalRun
from megabar.launchers.workers.worker import Assignment, _take, heard, lock_path, sweep_locks
from megabar.workflows.config import Config
from megabar.workflows.driver import advance
from megabar.workflows.execution import execute, prepare
from megabar.workflows.files import sweep
from megabar.workflows.isolation import _child, _watch, fork_server, run_isolated
from megabar.workflows.kinds.registry import plan_of
from megabar.workflows.queue import firetask as tasks
from megabar.workflows.retrying import forget_failures
from megabar.workflows.runtime import Runtime, use
from megabar.workflows.stopping import Control
from megabar.workflows.store import put_history, record_of
from megabar.workflows.sweeping import sweep_pieces
from megabar.workflows.tasks.interface import Begin
from megabar.workflows.troubles import FOLDER_CODE, FolderTrouble, MachineTrouble, exit_code, trouble_of

# --- what errors are -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.EACCES, FolderTrouble, "make the folder one that the workers may write, or move it away"),
        (errno.EPERM, FolderTrouble, "make the folder one that the workers may write"),
        (errno.EROFS, FolderTrouble, "have it mounted for writing"),
        (errno.EEXIST, FolderTrouble, "a file is where a folder should be: move it away"),
        (errno.ENOTDIR, FolderTrouble, "a file is where a folder should be"),
        (errno.ENOSPC, MachineTrouble, "free some space there"),
        (errno.EDQUOT, MachineTrouble, "free some space there"),
        (errno.EMFILE, MachineTrouble, "ulimit -n"),
    ],
)
def test_errors_of_the_machine_name_the_path_and_what_to_do(number: int, kind: type, words: str) -> None:
    error = OSError(number, os.strerror(number), "/data/calculations/ab/abc/input.json")
    found = trouble_of(error, Path("/data/calculations/ab/abc"))
    assert type(found) is kind
    assert str(found).startswith(f"{os.strerror(number)}: /data/calculations/ab/abc/input.json; ")
    assert words in str(found)


def test_other_errors_are_no_trouble_of_the_machine() -> None:
    assert trouble_of(FileNotFoundError(errno.ENOENT, "No such file", "x"), Path("y")) is None


# --- a folder of one calculation cannot be used --------------------------------------------------------------------


@contextmanager
def a_file_in_its_place(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("")
    yield
    folder.unlink()


@contextmanager
def a_file_in_the_place_of_its_parent(folder: Path) -> Iterator[None]:
    folder.parent.parent.mkdir(parents=True, exist_ok=True)
    folder.parent.write_text("")
    yield
    folder.parent.unlink()


@contextmanager
def immutable(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True)
    made = shutil.which("chattr") and subprocess.run(["chattr", "+i", folder], check=False, capture_output=True)
    if not made or made.returncode:
        pytest.skip("this file system has no immutable folders")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", folder], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    if not mounted(folder, "size=256k,ro"):
        pytest.skip("file systems can be mounted by root only")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("spoilt", [a_file_in_its_place, a_file_in_the_place_of_its_parent, immutable, read_only])
def test_the_others_are_run_the_study_says_what_it_waits_for_and_goes_on_when_that_is_mended(
    runtime: Runtime,  # noqa: F811
    study: str,  # noqa: F811
    spoilt: Callable[[Path], Any],
) -> None:
    advance(study, runtime)
    [bad, *others] = runtime.store.get_study(study).wanted
    folder = runtime.folder(bad)
    shutil.rmtree(runtime.config.data / "calculations", ignore_errors=True)
    # The worst case: it is the one that every worker takes first.
    runtime.launchpad.fireworks.update_one({"spec.key": bad}, {"$set": {"spec._priority": 10**6}})
    with spoilt(folder):
        use(runtime)
        with heard(worker("me", "here"), runtime):
            task = Assignment(code="emt", study=study)
            while _take(runtime, task):
                assert runtime.control.complaint is None  # others may wait
            assert set(runtime.store.ended(others)) == set(others)
            assert runtime.store.ended([bad]) == {}
            assert runtime.presence.running() == set()
            assert runtime.store.crashes([bad]) == {}
            runtime.presence.beat(worker("me", "here"), runtime.control.running, runtime.control.complaint)
            state, said = status_in(runtime.store, study, None, True).situations[study]
            assert state == "in trouble"
            assert str(folder.parent) in said
            assert "move it away" in said or "mounted for writing" in said
    runtime.control.avoided.clear()  # a minute later
    work_off(runtime, study)
    assert runtime.store.get_study(study).complete
    assert all(state == "done" for state in runtime.store.ended(runtime.store.get_study(study).wanted).values())


def test_a_tree_in_which_nothing_can_be_made_is_the_machines_trouble(
    runtime: Runtime,  # noqa: F811
    study: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Not thousands of calculations are taken in vain one after the other."""
    (tmp_path / "calculations").write_text("")
    here = replace(runtime, config=Config(data=tmp_path))
    for number in range(tasks.MOST_REFUSED + 3):
        with pytest.raises(FolderTrouble, match="Not a directory"):
            tasks.run_and_store(calculation("emt", "Cu", 1.0 + 0.01 * number), here)
    advance(study, runtime)
    use(here)
    here.control.refused = tasks.MOST_REFUSED - 1
    assert not _take(here, Assignment(code="emt", study=study))
    assert "Not a directory" in str(here.control.trouble)


def as_nobody(action: Callable[[], None]) -> int:
    """Return the exit code of a child process without rights that does something: 0, or that of its trouble."""
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            action()
        except OSError as error:
            os._exit(exit_code(error))
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
@pytest.mark.filterwarnings("ignore:.*fork")
@pytest.mark.parametrize("whose", ["folder", "file"])
def test_what_belongs_to_somebody_else_is_the_machines_trouble(whose: str) -> None:
    """As a user without rights, in a folder of root's, or with a file of root's in a folder of one's own."""
    item = calculation("emt", "Cu", 1.05)
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder, config = Path(name) / "folder", Config(data=Path(name))
        prepare(folder, item, Begin(item.structure.atoms()))
        execute(shutil.copytree(folder, Path(name) / "before"), config)  # imports what nobody else may read
        if whose == "file":
            os.chown(folder, 65534, 65534)
            (folder / "output.log").touch(mode=0o600)
        assert as_nobody(lambda: _child(str(folder), config.model_dump_json())) == FOLDER_CODE
        if whose == "folder":
            assert as_nobody(lambda: prepare(folder, item, Begin(bulk("Cu", "fcc", a=3.0)))) == FOLDER_CODE
        assert not (folder / "result.json").exists()


# --- the folder of a running calculation is taken away -------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*fork")
def test_what_cannot_be_told_to_stop_is_killed(tmp_path: Path) -> None:
    """It would go on beside the next calculation."""
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    process.start()
    try:
        assert _watch(process, tmp_path / "moved", Control(stop=True, patience_s=0.0), local=True) is None
        assert not process.is_alive()
    finally:
        process.kill()


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.slow
def test_a_calculation_whose_folder_is_moved_away_is_run_again(
    runtime: Runtime,  # noqa: F811
    study: str,  # noqa: F811
    times: int,
    tmp_path: Path,
) -> None:
    moved: list[Path] = []
    context = fork_server("emt")

    def run(folder: Path, _: str) -> dict[str, Any]:
        if len(moved) < times:
            moved.append(folder.rename(tmp_path / f"moved-{len(moved)}"))
        return run_isolated(context, folder, runtime.config, runtime.control)

    shutil.rmtree(runtime.config.data / "calculations", ignore_errors=True)
    here = replace(runtime, run=run)
    advance(study, here)
    work_off(here, study)
    found = here.store.get_study(study)
    assert found.complete
    assert all(state == "done" for state in here.store.ended(found.wanted).values())
    assert len(moved) == times


def test_three_crashes_of_the_task_are_a_failure_that_is_told(
    runtime: Runtime,  # noqa: F811
    study: str,  # noqa: F811
) -> None:
    """Whatever comes out of the middle of it, the calculation is given back, and a study is not stuck for it."""
    runs: list[str] = []

    def run(folder: Path, _: str) -> dict[str, Any]:
        runs.append(folder.name)
        if folder.name == bad:
            folder.rename(folder.with_name(f"taken-{len(runs)}"))
            (folder / "result.json").read_text()
        return execute(folder, runtime.config)

    shutil.rmtree(runtime.config.data / "calculations", ignore_errors=True)
    here = replace(runtime, run=run)
    advance(study, here)
    bad = here.store.get_study(study).wanted[0]
    work_off(here, study)
    work_off(here, study)
    assert here.presence.running() == set()
    found = here.store.get_study(study)
    assert found.complete
    assert runs.count(bad) == 3
    record = here.store.get(bad)
    assert (record.state, record.cause) == ("failed", "task-crashed")
    assert "its task crashed 3 times, last with: RuntimeError: the folder" in record.detail
    assert "was taken away while its calculation ran" in record.detail


@pytest.mark.slow
def test_megabar_run_ends_with_a_sentence_and_goes_on_once_that_is_mended(tmp_path: Path) -> None:
    """The folders of some calculations belong to somebody else, as far as this process can tell."""
    bulk("Cu", "fcc", a=3.6).write(tmp_path / "Cu.cif")
    (tmp_path / "cu.yaml").write_text(
        "kind: stability\nsystem: Cu\npressures: {from: 0, to: 20, step: 10}\nphases: [Cu.cif]\nmethod: {code: emt}\n"
    )

    def run() -> subprocess.CompletedProcess[str]:
        words = [*MEGABAR, "run", "cu.yaml", "--json", "--workers", "1"]
        return subprocess.run(words, cwd=tmp_path, text=True, capture_output=True, check=False, timeout=240)

    calculations = tmp_path / ".megabar" / "calculations"
    calculations.mkdir(parents=True)
    for number in range(256):
        (calculations / f"{number:02x}").write_text("")
    said = run()
    assert said.returncode == 2, said.stderr
    assert f"Not a directory: {calculations}" in said.stderr
    assert "a file is where a folder should be: move it away" in said.stderr
    assert "nothing is lost: mend that, and the same command goes on from here" in said.stderr
    for path in calculations.iterdir():
        path.unlink()
    done = run()
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["failures"] == []
    assert answer["calculations_run"] >= 2


# --- what lies in a folder cannot be trusted -----------------------------------------------------------------------


BROKEN: dict[str, Any] = {
    "state.json": {"steps": [{"energy": -3.7, "positions": "x"}], "wall_s": "long", "cpu_s": None},
    "spent.json": {"wall_s": [1], "cpu_s": {}},
    "attempts.json": {"killed": 9},
    "mendings.json": {"change": {}, "steps": 3},
    "retries.json": {"count": "many"},
    "result.json": {"state": "done", "energy_eV_per_atom": "low"},
    "history.npz": b"no arrays",
    "half of result.json": b'{"state": "done", "energy_eV_per_',
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_parses_but_makes_no_sense_is_computed_again(runtime: Runtime, name: str) -> None:  # noqa: F811
    item = calculation("emt", "Cu", 1.06)
    shutil.rmtree(runtime.config.data / "calculations", ignore_errors=True)
    folder, context = runtime.folder(item.key), fork_server("emt")
    here = replace(runtime, run=lambda folder, _: run_isolated(context, folder, runtime.config, runtime.control))
    prepare(folder, item, Begin(item.structure.atoms()))
    if name == "history.npz":
        execute(folder, runtime.config)
    content = BROKEN[name]
    written = content if isinstance(content, bytes) else json.dumps(content).encode()
    file = folder / name.rsplit(maxsplit=1)[-1]
    file.write_bytes(written)
    assert tasks.run_and_store(item, here) == "done"
    assert here.store.crashes([item.key]) == {}
    assert len(here.store.history(item.key)["energy_eV"]) == 1
    # What claimed to be a result is kept for whoever wants to know, and the record tells of it.
    untrusted, said = folder / f"untrusted-{file.name}", here.store.get(item.key).mendings
    if file.name in ("result.json", "history.npz"):
        assert untrusted.read_bytes() == written
        assert len(said) == 1
        assert said[0].startswith("begun anew: ")
        assert untrusted.name in said[0]
    else:
        assert not untrusted.exists()
        assert said == []


def test_what_is_tried_again_after_an_internal_error_begins_anew(runtime: Runtime, study: str) -> None:  # noqa: F811
    """What led to it may be anything that was kept; after another failure all of that is used again."""
    advance(study, runtime)
    [internal, other] = runtime.store.get_study(study).wanted[:2]
    items = {rung["key"]: rung for rung in runtime.store.get_study(study).rungs}
    plan = plan_of(runtime.store.get_study(study))
    for key, cause in ((internal, "internal-error"), (other, "scf-not-converged")):
        folder, failure = runtime.folder(key), {"state": "failed", "cause": cause, "detail": "by a test"}
        shutil.rmtree(folder, ignore_errors=True)
        prepare(folder, plan.calculation(items[key]), Begin(bulk("Cu", "fcc", a=3.6)))
        (folder / "restart").mkdir()
        for name in ("state.json", "output.log", "restart/density"):
            (folder / name).write_text('{"steps": [{"wrong": 1}]}')
        (folder / "result.json").write_text(json.dumps(failure))
        runtime.store.save(record_of(plan.calculation(items[key]), failure, {}))
    forget_failures([internal, other], study, runtime)
    left = {key: {path.name for path in runtime.folder(key).iterdir()} for key in (internal, other)}
    assert left[internal] == {"retries.json", "output.log"}
    assert left[other] == {"retries.json", "output.log", "input.json", "state.json", "restart"}
    work_off(runtime, study)
    assert runtime.store.get_study(study).complete


def test_steps_are_kept_up_to_the_first_that_is_damaged() -> None:
    from megabar.workflows.resuming import kept_steps

    good = {"energy_eV": -1.0, "cell_A": [[1.0, 0, 0]] * 3, "positions": [[0, 0, 0.5]] * 2}
    good |= {"forces_eV_A": [[0, 0, 0]] * 2, "stress_GPa": [0.0] * 6}
    assert kept_steps({"steps": [good, good]}, 2) == [good, good]
    for name, value in (
        ("energy_eV", "low"),
        ("energy_eV", float("nan")),
        ("cell_A", [[1.0, 0, 0]] * 2),
        ("positions", [[0, 0, 0.5]]),
        ("forces_eV_A", None),
        ("stress_GPa", [0.0] * 5),
        ("pressure", 1.0),
    ):
        assert kept_steps({"steps": [good, {**good, name: value}, good]}, 2) == [good], name
    without = {key: value for key, value in good.items() if key != "forces_eV_A"}
    assert kept_steps({"steps": [without]}, 2) == []
    assert kept_steps({"steps": {"0": good}}, 2) == kept_steps([good], 2) == kept_steps(None, 2) == []


def test_locks_of_workers_that_were_killed_are_swept(tmp_path: Path) -> None:
    config = Config(data=tmp_path)
    names = [f"{platform.node()}-{number}" for number in ("1-old", "2-alive", "3-new")] + ["elsewhere-4-old"]
    for name in names:
        path = lock_path(config, name)
        path.parent.mkdir(exist_ok=True)
        path.touch()
        if "new" not in name:
            os.utime(path, (1, 1))
    with lock_path(config, names[1]).open() as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        sweep_locks(config)
    assert {path.stem for path in (tmp_path / "workers").iterdir()} == set(names[1:])


def test_who_starts_again_after_a_kill_takes_back_at_once_what_long_lived_workers_held(
    runtime: Runtime,  # noqa: F811
    study: str,  # noqa: F811
) -> None:
    """The free lock tells that one is gone before it is swept; else its silence would be waited for."""
    advance(study, runtime)
    name, fireworks = f"{platform.node()}-1-1", runtime.launchpad.fireworks
    runtime.presence.announce(replace(worker(name), host=platform.node()))
    taken, _ = runtime.launchpad.checkout_fw(FWorker(name=name), "/tmp")
    assert runtime.presence.claim(taken.spec["key"], name)
    path = lock_path(runtime.config, name)
    path.parent.mkdir(exist_ok=True)
    path.touch()
    os.utime(path, (1, 1))
    run = LocalRun(study, plan_of(runtime.store.get_study(study)), runtime)
    steps = iter(run)
    next(steps)
    steps.close()
    assert fireworks.find_one({"fw_id": taken.fw_id})["state"] == "ARCHIVED"
    assert runtime.presence.known([name]) == set()
    assert not path.exists()


def test_pieces_of_arrays_that_were_never_whole_are_swept_or_replaced(runtime: Runtime) -> None:  # noqa: F811
    database, now = runtime.store.database, datetime.now(UTC)
    for name in ("fs.chunks", "fs.files", "sweeps"):
        database[name].delete_many({})
    old = ObjectId.from_datetime(now - timedelta(days=3))
    put_history(database, "whole", b"x" * 300_000)
    for identifier in (old, ObjectId(), "being written"):
        database.fs.chunks.insert_one({"files_id": identifier, "n": 0, "data": b"half"})
    assert sweep_pieces(database) == 1
    assert set(database.fs.chunks.distinct("files_id")) > {"whole", "being written"}
    assert old not in database.fs.chunks.distinct("files_id")
    database.fs.chunks.insert_one({"files_id": old, "n": 0, "data": b"half"})
    assert sweep_pieces(database) == 0  # once a day
    assert sweep_pieces(database, now + timedelta(days=1.5)) == 2
    # What is stored now is found by whoever stores the same again, and there once.
    for _ in range(2):
        put_history(database, "being written", b"whole")
    assert runtime.store.packed_history("being written") == b"whole"
    assert runtime.store.packed_history("whole") == b"x" * 300_000
    assert database.fs.files.count_documents({}) == 2


def test_what_writers_that_were_killed_have_left_is_swept(tmp_path: Path) -> None:
    for name in (".result.json.4711", ".history.npz.12", ".state.json.1", ".hidden", ".nfs0001.x", "result.json"):
        (tmp_path / name).write_text("")
    (tmp_path / f".input.json.{os.getpid()}").write_text("")
    sweep(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {".hidden", ".nfs0001.x", "result.json", f".input.json.{os.getpid()}"}
