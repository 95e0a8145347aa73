"""A study is cancelled, and taken up again; failures are tried once more, wherever they lie."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from ase.build import bulk
from slurm_cluster import SlurmCluster

from megabar.launchers.database.embedded import database_session, stop_database
from megabar.launchers.workers.local import register
from megabar.workflows.cancelling import cancel
from megabar.workflows.config import Config
from megabar.workflows.driver import advance
from megabar.workflows.execution import execute, finished
from megabar.workflows.files import write_json
from megabar.workflows.kinds.registry import load_study
from megabar.workflows.kinds.stability.plan import StabilityPlan, resolve
from megabar.workflows.queue import firetask as tasks
from megabar.workflows.queue.opening import launchpad
from megabar.workflows.retrying import RETRIES, failed_of, forget_failures
from megabar.workflows.runtime import Runtime
from megabar.workflows.stopping import Control
from megabar.workflows.store import ResultStore, StudyRecord, record_of

MEGABAR = [sys.executable, "-m", "megabar.launchers.cli"]
STUDY = """\
kind: stability
system: {system}
pressures: {{from: 0, to: {to}, step: 10}}
phases: [{phases}]
method: {{code: emt}}
"""


def write_studies(folder: Path) -> None:
    """Write studies of copper that share calculations, and one of an alloy whose relaxation takes long."""
    bulk("Cu", "fcc", a=3.6).write(folder / "Cu-fcc.cif")
    bulk("Au", "fcc", a=4.06).write(folder / "Au-fcc.cif")
    alloy = bulk("Cu", "fcc", a=3.62, cubic=True) * (4, 4, 4)
    alloy.symbols[np.random.default_rng(1).choice(len(alloy), 60, replace=False)] = "Au"
    alloy.rattle(0.1, seed=1)
    alloy.write(folder / "alloy.cif")
    (folder / "copper.yaml").write_text(STUDY.format(system="Cu", to=40, phases="Cu-fcc.cif"))
    (folder / "wide.yaml").write_text(STUDY.format(system="Cu", to=150, phases="Cu-fcc.cif"))
    (folder / "alloy.yaml").write_text(
        STUDY.format(system="Cu-Au", to=40, phases="Cu-fcc.cif, Au-fcc.cif, {file: alloy.cif, pressure: 0}")
    )


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    folder = tmp_path_factory.mktemp("cancel")
    write_studies(folder)
    config = Config(data=folder / "data")
    config.data.mkdir()
    with database_session(config):
        yield config
    stop_database(config)


@pytest.fixture
def runtime(config: Config) -> Iterator[Runtime]:
    """Empty databases; calculations run in this process."""
    with database_session(config) as address:
        store = ResultStore.connect(address.uri, address.name)
        pad = launchpad(address.uri, address.name)
        for name in ("calculations", "studies", "wanted", "retries", "workers", "claims", "crashes"):
            store.database[name].delete_many({})
        pad.fireworks.delete_many({})
        yield Runtime(store, pad, config, run=lambda folder, _: execute(folder, config), owner="me")
        pad.connection.close()
        store.close()


def submitted(name: str, runtime: Runtime) -> StudyRecord:
    file = load_study(runtime.config.data.parent / f"{name}.yaml")
    identifier = register(file, resolve(file, runtime.config), runtime)
    advance(identifier, runtime)
    study = runtime.store.get_study(identifier)
    assert study is not None
    return study


def states(runtime: Runtime, study: StudyRecord) -> list[str]:
    found = runtime.launchpad.fireworks.find({"spec.study": study.identifier})
    return sorted(each["state"] for each in found)


# --- cancelling ----------------------------------------------------------------------------------------------------


def test_nothing_of_a_cancelled_study_waits_and_it_can_be_taken_up_again(runtime: Runtime) -> None:
    study = submitted("copper", runtime)
    count = len(study.wanted)
    done = cancel(study.identifier, runtime)
    assert (done.waiting, done.stopping, done.shared) == (count, (), 0)
    assert states(runtime, study) == ["ARCHIVED"] * count
    advance(study.identifier, runtime)
    assert states(runtime, study) == ["ARCHIVED"] * count
    assert runtime.store.unfinished("") == []
    again = submitted("copper", runtime)
    assert not again.cancelled
    assert states(runtime, again) == ["ARCHIVED"] * count + ["READY"] * count


def test_what_waits_for_an_old_plan_waits_no_more(runtime: Runtime, capfd: pytest.CaptureFixture[str]) -> None:
    """Another version of a code makes other calculations; nobody wants those of the old one."""
    study = submitted("copper", runtime)
    old = {"$set": {"resolved.method.version": "ASE 1.0"}}
    runtime.store.database.studies.update_one({"_id": study.identifier}, old)
    again = submitted("copper", runtime)
    assert "was planned otherwise" in capfd.readouterr().err
    states = Counter(each["state"] for each in runtime.launchpad.fireworks.find({"spec.study": study.identifier}))
    assert states == {"ARCHIVED": len(study.wanted), "READY": len(again.wanted)}


def test_what_another_study_wants_runs_on(runtime: Runtime) -> None:
    copper, wide = submitted("copper", runtime), submitted("wide", runtime)
    shared = set(copper.wanted) & set(wide.wanted)
    alone = set(wide.wanted) - shared
    assert shared
    assert alone
    for key in (min(shared), min(alone)):
        query = {"spec.key": key, "spec.study": wide.identifier}
        runtime.launchpad.fireworks.update_one(query, {"$set": {"state": "RUNNING"}})
    done = cancel(wide.identifier, runtime)
    assert done.stopping == (min(alone),)
    assert done.shared == 1
    assert states(runtime, copper) == ["READY"] * len(copper.wanted)
    assert runtime.store.unwanted(min(alone))
    assert not runtime.store.unwanted(min(shared))
    assert not runtime.store.unwanted("0" * 40)  # no study ever asked for it: not ours to judge
    runtime.store.mark_complete(copper.identifier)
    assert runtime.store.unwanted(min(shared))


def test_who_plans_this_moment_submits_nothing_afterwards(runtime: Runtime) -> None:
    """The planner has read the study before it was cancelled, and submits after."""
    study = submitted("copper", runtime)
    assert runtime.store.take_lease(study.identifier, "planner")
    planned = threading.Event()

    def plan() -> None:
        time.sleep(1.0)
        runtime.launchpad.fireworks.update_many({"spec.study": study.identifier}, {"$set": {"state": "READY"}})
        planned.set()
        runtime.store.release_lease(study.identifier, "planner")

    thread = threading.Thread(target=plan)
    thread.start()
    cancel(study.identifier, runtime)
    thread.join()
    assert planned.is_set()
    assert set(states(runtime, study)) == {"ARCHIVED"}


def test_only_the_calculation_that_nobody_wants_is_stopped() -> None:
    control = Control(running="a", unwanted="b")
    assert not control.stopping
    control.unwanted = "a"
    assert control.stopping
    control.running = None
    assert not control.stopping  # the worker itself goes on
    control.reset()
    assert control.unwanted is None


# --- trying again --------------------------------------------------------------------------------------------------


def fail(key: str, study: StudyRecord, runtime: Runtime, cause: str = "scf-not-converged") -> Path:
    """Let a calculation have failed, in its folder and in the database; return the folder."""
    plan = StabilityPlan.from_dict(study.resolved)
    [rung] = [rung for rung in study.rungs if rung["key"] == key]
    failure = {"state": "failed", "cause": cause, "detail": "by a test"}
    folder = runtime.folder(key)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("result.json", RETRIES):
        (folder / name).unlink(missing_ok=True)
    write_json(folder / "result.json", failure)
    write_json(folder / "attempts.json", ["killed by signal 9"])
    runtime.store.save(record_of(plan.calculation(rung), failure, {"worker": "w"}))
    return folder


def run(key: str, study: StudyRecord, runtime: Runtime) -> str:
    plan = StabilityPlan.from_dict(study.resolved)
    [rung] = [rung for rung in study.rungs if rung["key"] == key]
    return tasks.run_and_store(plan.calculation(rung), runtime)


def test_a_failure_is_forgotten_in_the_database_and_on_disk(runtime: Runtime) -> None:
    study = submitted("copper", runtime)
    key = study.wanted[0]
    folder = fail(key, study, runtime)
    assert run(key, study, runtime) == "failed"  # a failure stands
    assert failed_of(study.identifier, None, runtime.store) == [key]
    assert failed_of(study.identifier, "Cu-fcc", runtime.store) == [key]
    assert failed_of(study.identifier, "Cu-hcp", runtime.store) == []
    runtime.store.mark_complete(study.identifier)
    forget_failures([key], study.identifier, runtime)
    assert finished(folder) is None
    assert not (folder / "attempts.json").exists()
    reopened = runtime.store.get_study(study.identifier)
    assert reopened is not None
    assert not reopened.complete
    assert run(key, study, runtime) == "done"


def test_a_failure_in_a_folder_out_of_reach_is_forgotten_there_when_it_is_run(runtime: Runtime) -> None:
    study = submitted("copper", runtime)
    key = study.wanted[0]
    folder = fail(key, study, runtime)
    away = folder.with_name("away")
    folder.rename(away)
    forget_failures([key], study.identifier, runtime)
    away.rename(folder)
    assert finished(folder) is not None
    assert run(key, study, runtime) == "done"


def test_a_failure_after_it_was_tried_again_stands(runtime: Runtime) -> None:
    """An outage kept it from the database: it is taken in from the folder, not run a third time."""
    study = submitted("copper", runtime)
    key = study.wanted[0]
    folder = fail(key, study, runtime)
    forget_failures([key], study.identifier, runtime)
    write_json(folder / "result.json", {"state": "failed", "cause": "scf-not-converged", "detail": "once more"})
    assert run(key, study, runtime) == "failed"
    record = runtime.store.get(key)
    assert record is not None
    assert record.detail == "once more"


# --- the commands --------------------------------------------------------------------------------------------------


def megabar(folder: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run([*MEGABAR, *arguments], cwd=folder, text=True, capture_output=True, check=False, timeout=280)
    assert done.returncode == code, (arguments, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def status(folder: Path, name: str) -> dict[str, Any]:
    [study] = json.loads(megabar(folder, "status", name, "--json"))["studies"]
    return dict(study)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    write_studies(tmp_path)
    yield tmp_path
    if (tmp_path / ".megabar").exists():
        stop_database(Config(data=tmp_path / ".megabar"))


def relaxing(folder: Path) -> list[psutil.Process]:
    """Return the processes that relax something below a folder, and have made a step."""
    found = []
    for process in psutil.process_iter():
        try:
            place = Path(process.cwd())
            if place.is_relative_to(folder / ".megabar" / "calculations") and (place / "state.json").exists():
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait(what: str, true: Any, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"{what}: not within {seconds} s"
        time.sleep(0.3)


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Have a command run in the background, and end it at the end."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*MEGABAR, *arguments], cwd=folder, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=90)


def busy(folder: Path) -> dict[str, Any]:
    """Return what `megabar why` says of the calculation that runs."""
    told = json.loads(megabar(folder, "why", "alloy", "--json"))
    running = [each for each in told["calculations"] if each["state"] == "running"]
    [found] = [each for each in running if (each.get("output") or {}).get("file") == "relaxation.log"]
    return dict(found)


@pytest.mark.slow
def test_a_running_calculation_is_stopped_and_goes_on_when_it_is_wanted_again(folder: Path) -> None:
    with started(folder, "run", "alloy.yaml") as process:
        wait("ionic steps", lambda: relaxing(folder), 120)
        [child] = relaxing(folder)
        child.kill()
        wait("started again", lambda: [each for each in relaxing(folder) if each.pid != child.pid], 60)
        before = busy(folder)
        assert before["mendings"] == ["started again after: killed by signal 9 (SIGKILL)"]
        assert before["ionic_steps"] >= 1
        assert [each["end"] for each in before["attempts"]] == ["running"]
        assert before["output"]["file"] == "relaxation.log"
        assert json.loads(megabar(folder, "cancel", "alloy", "--json"))["stopping"] == 1
        assert process.wait(timeout=90) == 2
    said = (folder / "log").read_text()
    assert "was cancelled; what is done is kept, and the same command takes it up again" in said
    assert relaxing(folder) == []
    found = status(folder, "alloy")
    assert (found["state"], found["running"], found["going_on"]) == ("cancelled", 0, 1)
    assert "is cancelled" in megabar(folder, "retry", "alloy", code=2)
    kept = json.loads((Path(before["files"]) / "state.json").read_text())["steps"]
    assert len(kept) >= before["ionic_steps"]

    megabar(folder, "submit", "alloy.yaml")
    found = status(folder, "alloy")
    assert (found["state"], found["going_on"]) == ("waiting for workers", 1)
    with started(folder, "worker", "--count", "1"):
        wait("running again", lambda: relaxing(folder), 60)
        after = busy(folder)
        assert after["key"] == before["key"]
        assert [each["end"] for each in after["attempts"]] == ["stopped", "running"]
        assert after["ionic_steps"] >= len(kept)
        spent = json.loads(megabar(folder, "cost", "alloy", "--json"))
        assert spent["total"]["interrupted_core_hours"] > 0


@pytest.mark.slow
def test_failed_calculations_are_tried_again(folder: Path) -> None:
    megabar(folder, "run", "copper.yaml")
    config = Config(data=folder / ".megabar")
    with database_session(config) as address:
        store = ResultStore.connect(address.uri, address.name)
        [study] = store.find_studies()
        key = study.wanted[0]
        store.database.calculations.delete_one({"_id": key})
        pad = launchpad(address.uri, address.name)
        fail(key, study, Runtime(store, pad, config, run=lambda folder, _: {}))
        pad.connection.close()
        store.database.studies.update_one({"_id": study.identifier}, {"$set": {"owner": "somebody"}})
        store.close()
    assert status(folder, "copper")["failed"] == 1
    assert "scf-not-converged" in megabar(folder, "why", "copper")
    megabar(folder, "run", "copper.yaml")  # what a code said stands
    for command in ("retry", "cancel"):
        assert "is somebody's, and you are" in megabar(folder, command, "copper", code=2)
    assert status(folder, "copper")["failed"] == 1
    assert json.loads(megabar(folder, "retry", "copper", "--force", "--json"))["calculations"] == 1
    found = status(folder, "copper")
    assert (found["failed"], found["waiting"], found["state"]) == (0, 1, "waiting for workers")
    megabar(folder, "run", "copper.yaml")
    assert status(folder, "copper")["failed"] == 0
    told = json.loads(megabar(folder, "why", "copper", "Cu-fcc", "--json"))
    assert {each["state"] for each in told["calculations"]} == {"done"}


@pytest.mark.slow
def test_jobs_that_have_nothing_left_to_do_are_cancelled_in_the_queue(folder: Path, slurm: SlurmCluster) -> None:
    machine = '{{scheduler: slurm, partition: all, cores: 2, wall_time: "00:05:00", grace: 60, options: [{}]}}\n'
    (folder / "machines.yaml").write_text("held: " + machine.format('"--hold"') + "other: " + machine.format(""))
    for name in ("copper", "wide"):
        megabar(folder, "submit", f"{name}.yaml", "--machine", "held")
    fed = json.loads(megabar(folder, "queue", "held", "--once", "--json"))
    assert fed["submitted"] >= 1
    jobs = slurm.run("squeue", "-h", "-r", "-o", "%i").split()
    assert len(jobs) == fed["submitted"]
    megabar(folder, "queue", "held", "--once")  # asks for the reasons
    found = json.loads(megabar(folder, "status", "--machine", "held", "--json"))
    assert {study["state"] for study in found["studies"]} == {"waiting for jobs"}
    assert found["machines"][0]["jobs_by_state"] == {"pending": len(jobs)}
    assert list(found["machines"][0]["reasons"]) == ["JobHeldUser"]
    assert "JobHeldUser" in megabar(folder, "why", "copper")

    first = json.loads(megabar(folder, "cancel", "copper", "--json"))
    assert (first["waiting"] > 0, first["jobs"]) == (True, 0)  # the other study has use for them
    environment = {**os.environ, "PATH": os.path.dirname(sys.executable)}
    blind = subprocess.run(
        [*MEGABAR, "cancel", "wide"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert blind.returncode == 0, blind.stderr
    assert "jobs stay in the queue" in blind.stderr
    assert len(slurm.run("squeue", "-h", "-r").split("\n")) >= len(jobs)
    second = json.loads(megabar(folder, "cancel", "wide", "--json"))
    assert (second["waiting"], second["jobs"]) == (0, len(jobs))
    wait("queue empty", lambda: not slurm.run("squeue", "-h").strip(), 30)
    found = json.loads(megabar(folder, "status", "--machine", "held", "--json"))
    assert found["machines"][0]["jobs"] == []
    assert {study["state"] for study in found["studies"]} == {"cancelled"}
