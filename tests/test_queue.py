"""The whole way over a queue, on a real Slurm: submitted, fed, run in jobs, stopped at the wall time, gone on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from ase.build import bulk
from slurm_cluster import SlurmCluster

from megabar.launchers.database.embedded import database_session, stop_database
from megabar.launchers.machines.description import Machine
from megabar.launchers.workers.feeding import SHARED, WHOLE, Waiting, jobs_wanted, requests, threshold_core_seconds
from megabar.workflows.config import Config
from megabar.workflows.store import CalculationRecord, ResultStore

MEGABAR = [sys.executable, "-m", "megabar.launchers.cli"]
MACHINES = """\
cluster: {{scheduler: slurm, partition: all, cores: 2, wall_time: "00:{minutes:02d}:00", grace: {grace},
  jobs_per_array: 2, most_jobs: 3}}
"""
TOY = """\
kind: stability
system: Cu-Au
pressures: {from: 0, to: 60, step: 10}
phases: [Cu-fcc.cif, Au-fcc.cif, {file: hcp.cif, name: Cu-hcp, pressure: 0}]
method: {code: emt}
"""
HELIUM = """\
kind: stability
system: He
pressures: {from: 20, to: 60, step: 20}
phases: [He-fcc]
method: {code: espresso, protocol: fast, kpoint_density: 5.0}
"""


@pytest.fixture
def folder(tmp_path: Path, slurm: SlurmCluster) -> Iterator[Path]:
    """A folder with studies on a machine with a queue; its database is stopped at the end."""
    bulk("Cu", "fcc", a=3.6).write(tmp_path / "Cu-fcc.cif")
    bulk("Au", "fcc", a=4.06).write(tmp_path / "Au-fcc.cif")
    bulk("Cu", "hcp", a=2.55, c=4.16).write(tmp_path / "hcp.cif")
    (tmp_path / "toy.yaml").write_text(TOY)
    (tmp_path / "helium.yaml").write_text(HELIUM)
    (tmp_path / "machines.yaml").write_text(MACHINES.format(minutes=5, grace=60))
    yield tmp_path
    slurm.wait_until_empty()
    if (tmp_path / ".megabar").exists():
        stop_database(Config(data=tmp_path / ".megabar"))


def megabar(folder: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run([*MEGABAR, *arguments], cwd=folder, text=True, capture_output=True, check=False, timeout=280)
    assert done.returncode == code, (arguments, done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stderr


def records(folder: Path) -> dict[str, CalculationRecord]:
    with database_session(Config(data=folder / ".megabar")) as address:
        store = ResultStore.connect(address.uri, address.name)
        found = {key: record for study in store.find_studies() for key, record in store.get_many(study.wanted).items()}
        store.close()
    return found


def complete(folder: Path) -> bool:
    with database_session(Config(data=folder / ".megabar")) as address:
        store = ResultStore.connect(address.uri, address.name)
        studies = store.find_studies()
        store.close()
    return all(study.complete for study in studies)


def wait(what: str, true: Any, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"{what}: not within {seconds} s"
        time.sleep(0.5)


def logs(folder: Path) -> str:
    return "".join(path.read_text() for path in (folder / ".megabar").glob("jobs/*/*.log"))


@pytest.mark.slow
def test_a_study_over_the_queue(folder: Path, slurm: SlurmCluster) -> None:
    said = json.loads(megabar(folder, "submit", "toy.yaml", "--machine", "cluster", "--json"))
    assert said["calculations"] >= 6
    assert said["stored"] == 0
    fed = json.loads(megabar(folder, "queue", "cluster", "--once", "--json"))
    assert fed["submitted"] >= 1
    again = json.loads(megabar(folder, "queue", "cluster", "--once", "--json"))
    assert again["submitted"] == 0  # what is in the queue is not submitted once more
    wait("complete", lambda: complete(folder), 120)
    wait("jobs end by themselves", lambda: not slurm.run("squeue", "-h").strip(), 60)
    assert {record.provenance["worker"].rpartition("-")[0] for record in records(folder).values()}
    assert all(record.done for record in records(folder).values())
    last = json.loads(megabar(folder, "queue", "cluster", "--once", "--json"))
    assert (last["submitted"], last["unfinished_studies"], last["jobs_running"]) == (0, 0, 0)
    answer = json.loads(megabar(folder, "run", "toy.yaml", "--json"))
    assert answer["calculations_run"] == 0
    assert "Traceback" not in logs(folder)


@pytest.mark.slow
def test_a_job_that_somebody_cancels_loses_nothing(folder: Path, slurm: SlurmCluster) -> None:
    """scancel by hand, then kill -9 of a node: the next look submits again, and what was done is not done twice."""
    megabar(folder, "submit", "toy.yaml", "--machine", "cluster")
    megabar(folder, "queue", "cluster", "--once")
    results = folder / ".megabar" / "calculations"
    wait("first result", lambda: list(results.glob("*/*/result.json")), 90)
    slurm.run("scancel", "--user", str(os.getuid()))
    wait("job gone", lambda: not slurm.run("squeue", "-h").strip(), 60)
    before = {path: path.stat().st_mtime for path in results.glob("*/*/result.json")}
    if not complete(folder):
        fed = json.loads(megabar(folder, "queue", "cluster", "--once", "--json"))
        assert fed["submitted"] >= 1 or fed["unfinished_studies"] == 0
    wait("complete", lambda: complete(folder), 120)
    assert all(record.done for record in records(folder).values())
    assert {path: path.stat().st_mtime for path in before} == before


def computing(folder: Path) -> bool:
    """Return whether a pw.x has computed for a moment in a calculation of a folder."""
    for process in psutil.process_iter(["name"]):
        try:
            here = process.info["name"] == "pw.x" and Path(process.cwd()).is_relative_to(folder)
            if here and process.cpu_times().user > 0.5:
                return True
        except psutil.Error:
            continue
    return False


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pw.x") is None, reason="Quantum ESPRESSO is not installed")
def test_told_by_slurm_to_stop_calculations_go_on_in_the_next_job(folder: Path, slurm: SlurmCluster) -> None:
    """The signal that Slurm sends some minutes before the end of the wall time, while pw.x runs; then again."""
    (folder / "machines.yaml").write_text(MACHINES.format(minutes=10, grace=60).replace("cores: 2", "cores: 1"))
    megabar(folder, "submit", "helium.yaml", "--machine", "cluster")
    with (folder / "queue.log").open("wb") as log:
        feeder = subprocess.Popen([*MEGABAR, "queue", "cluster", "--every", "3"], cwd=folder, stdout=log, stderr=log)
    try:
        wait("pw.x computes", lambda: computing(folder), 120)
        jobs = slurm.run("squeue", "-h", "-t", "R", "-o", "%i").split()
        assert jobs
        slurm.run("scancel", "--batch", "--signal=TERM", *jobs)
        wait("told jobs end", lambda: not set(jobs) & set(slurm.run("squeue", "-h", "-o", "%i").split()), 90)
        wait("complete", lambda: feeder.poll() is not None, 240)
    finally:
        feeder.kill()
    assert feeder.returncode == 0, (folder / "queue.log").read_text()
    found = records(folder)
    assert found
    assert all(record.done for record in found.values())
    assert not any("started again after" in mending for record in found.values() for mending in record.mendings)
    assert "told to stop" in logs(folder)
    assert "Traceback" not in logs(folder)
    with database_session(Config(data=folder / ".megabar")) as address:
        store = ResultStore.connect(address.uri, address.name)
        launches = store.client[f"{address.name}_fireworks"].launches
        assert launches.count_documents({"action.stored_data.state": "stopped"}) >= 1
        store.close()


def pw_in(folder: Path) -> dict[Path, psutil.Process]:
    """Return the pw.x that have computed for a moment below a folder, by the folder of their calculation."""
    found = {}
    for process in psutil.process_iter(["name"]):
        try:
            place = Path(process.cwd()) if process.info["name"] == "pw.x" else None
            if place is not None and place.is_relative_to(folder) and process.cpu_times().user > 0.3:
                found[place] = process
        except psutil.Error:
            continue
    return found


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pw.x") is None, reason="Quantum ESPRESSO is not installed")
def test_when_the_wall_time_runs_out_calculations_go_on_in_the_next_job(folder: Path, slurm: SlurmCluster) -> None:
    """Two minutes, which run out for real: Slurm itself says so, within half a minute (its resolution).

    Two pw.x are held (SIGSTOP) until then, so that they are in the middle however quick the computer is. One of them
    may go on as soon as it is told to stop, and does; the other one is like a program that does not listen.
    """
    machines = MACHINES.replace("{{scheduler", "{{codes: {{espresso: {{}}}}, scheduler")
    (folder / "machines.yaml").write_text(machines.format(minutes=2, grace=30))
    megabar(folder, "submit", "helium.yaml", "--machine", "cluster")
    megabar(folder, "queue", "cluster", "--once")
    held: dict[Path, psutil.Process] = {}
    until = time.monotonic() + 60
    while len(held) < 2 and time.monotonic() < until:
        for place, process in pw_in(folder).items():
            if place not in held:
                process.suspend()
                held[place] = process
        time.sleep(0.02)
    assert len(held) == 2
    before = {path: path.stat().st_mtime for path in (folder / ".megabar").glob("calculations/*/*/result.json")}
    gentle, deaf = held
    wait("told to stop", lambda: (gentle / "stop").exists() and (deaf / "stop").exists(), 120)
    held[gentle].resume()
    wait("the job ends", lambda: not slurm.run("squeue", "-h").strip(), 60)
    [job] = [line for line in slurm.run("scontrol", "-o", "show", "jobs").splitlines() if "JobId=" in line][-1:]
    assert "CANCELLED" not in job
    assert not any((place / "result.json").exists() for place in held)
    (folder / "machines.yaml").write_text(machines.format(minutes=10, grace=30))
    megabar(folder, "queue", "cluster", "--once")
    wait("complete", lambda: complete(folder), 240)
    found = records(folder)
    assert found
    assert all(record.done for record in found.values())
    assert not any("started again after" in mending for record in found.values() for mending in record.mendings)
    assert {path: path.stat().st_mtime for path in before} == before
    assert found[gentle.name].provenance["interrupted_wall_s"] > 10
    assert "restart" in (gentle / "espresso.pwi").read_text()
    assert "Traceback" not in logs(folder)
    with database_session(Config(data=folder / ".megabar")) as address:
        store = ResultStore.connect(address.uri, address.name)
        launches = store.board.database.launches
        stopped = launches.distinct("action.stored_data.key", {"action.stored_data.state": "stopped"})
        assert set(stopped) >= {place.name for place in held}
        assert launches.count_documents({"action.stored_data.state": {"$in": ["failed", "crashed"]}}) == 0
        store.close()


@pytest.mark.slow
def test_worker_by_hand_for_so_many_seconds(folder: Path) -> None:
    megabar(folder, "submit", "toy.yaml")
    began = time.monotonic()
    megabar(folder, "worker", "--seconds", "20", "--count", "1")
    assert time.monotonic() - began < 60
    assert complete(folder)


@pytest.mark.slow
def test_a_worker_of_a_job_is_replaced_when_it_is_killed(folder: Path) -> None:
    megabar(folder, "submit", "toy.yaml")
    with (folder / "worker.log").open("wb") as log:
        parent = subprocess.Popen([*MEGABAR, "worker", "--count", "1"], cwd=folder, stdout=log, stderr=log)
    try:
        wait("first result", lambda: list((folder / ".megabar").glob("calculations/*/*/result.json")), 90)
        for child in psutil.Process(parent.pid).children():
            if "launchers.worker" in " ".join(child.cmdline()):
                child.kill()
        wait("complete", lambda: complete(folder), 120)
    finally:
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(timeout=60) == 0
    assert all(record.done for record in records(folder).values())


@pytest.mark.slow
def test_wrong_input_is_told(folder: Path) -> None:
    assert "there is no machine 'clustre'" in megabar(folder, "submit", "toy.yaml", "--machine", "clustre", code=2)
    assert "did you mean cluster" in megabar(folder, "queue", "clustre", "--once", code=2)
    assert "shared or whole" in megabar(folder, "worker", "--kind", "big", code=2)
    assert not (folder / ".megabar").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("cores: 2", "cores: 5"), "`cluster.cores`: 5 is more than all has, 4"),
        (("00:05:00", "2-00:00:00"), "`cluster.wall_time`: 48:00:00 is more than all has, 24:00:00"),
        (("partition: all", "partition: short, memory_GB: 9"), "`cluster.memory_GB`: 9 is more than short has"),
        (("scheduler: slurm", "scheduler: slrum"), "`cluster.scheduler`: input should be 'slurm'"),
    ],
)
@pytest.mark.slow
def test_a_job_that_asks_for_more_than_there_is_is_not_submitted(
    folder: Path, slurm: SlurmCluster, change: tuple[str, str], words: str
) -> None:
    """Slurm itself takes one with too long a wall time, and lets it wait for ever."""
    (folder / "machines.yaml").write_text((folder / "machines.yaml").read_text().replace(*change))
    said = megabar(folder, "queue", "cluster", "--once", code=2)
    assert words in said
    assert said.count("\n") == 1
    assert not slurm.run("squeue", "-h").strip()


@pytest.mark.slow
def test_a_wrong_password_is_told(folder: Path) -> None:
    config = Config(data=folder / "elsewhere")
    with database_session(config) as address:
        password = address.uri.partition("@")[0].rpartition(":")[2]
        (folder / "uri").write_text(address.uri.replace(password, "wrong"))
        (folder / "uri").chmod(0o600)
        (folder / "megabar.yaml").write_text(f"database: {{uri_file: uri, name: {address.name}}}\n")
        for words in (("submit", "toy.yaml", "--machine", "cluster"), ("queue", "cluster", "--once"), ("worker",)):
            said = megabar(folder, *words, code=2)
            assert "refused the user or the password" in said
            assert said.count("\n") == 1
    stop_database(config)


@pytest.mark.slow
def test_an_edited_study_is_not_submitted_beside_the_one_that_is_not_complete(folder: Path) -> None:
    first = json.loads(megabar(folder, "submit", "toy.yaml", "--machine", "cluster", "--json"))["identifier"]
    moved = subprocess.run([*MEGABAR, "submit", "toy.yaml"], cwd=folder, text=True, capture_output=True, check=True)
    assert f"{first} was for the queue of cluster, and is for workers here from now on" in moved.stderr
    (folder / "toy.yaml").write_text(TOY.replace("to: 60", "to: 70"))
    said = megabar(folder, "submit", "toy.yaml", "--machine", "cluster", code=2)
    assert f"asks for something else is not complete, {first}; end it with `megabar cancel" in said
    assert said.count("\n") == 1
    assert len(json.loads(megabar(folder, "status", "--json"))["studies"]) == 1
    megabar(folder, "cancel", first)
    megabar(folder, "submit", "toy.yaml", "--machine", "cluster")


@pytest.mark.slow
def test_running_here_helps_the_queue_and_takes_nothing_from_it(folder: Path) -> None:
    """The study stays the queue's: whoever stops here leaves it there."""
    megabar(folder, "submit", "toy.yaml", "--machine", "cluster")
    done = subprocess.run([*MEGABAR, "run", "toy.yaml", "--json"], cwd=folder, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert "is in the queue of cluster, and workers here help with it" in done.stderr
    assert json.loads(done.stdout)["calculations_run"] >= 6
    [study] = json.loads(megabar(folder, "status", "--json", "--all"))["studies"]
    assert study["machine"] == "cluster"


# --- how many jobs are worth it ------------------------------------------------------------------------------------

NODE = Machine(
    name="node", scheduler="slurm", cores=128, cores_per_calculation=16, wall_time="24:00:00", launch="srun -n {cores}"
)


def test_small_calculations_share_jobs_and_large_ones_get_their_own() -> None:
    assert NODE.calculations_at_once == 8
    # A hundred calculations of ten minutes on 16 cores: 100 × 600 s / 8 at a time = 2.1 h of a node, five half hours.
    assert jobs_wanted(NODE, SHARED, Waiting(100, 100 * 600 * 16, 9600), 1.0) == 5
    # Fewer calculations than a node has room for are one job, however long they are.
    assert jobs_wanted(NODE, SHARED, Waiting(8, 8 * 36000 * 16, 576000), 1.0) == 1
    assert jobs_wanted(NODE, WHOLE, Waiting(3, 3 * 86400 * 128, 86400 * 128), 1.0) == 3
    assert jobs_wanted(NODE, SHARED, Waiting(), 1.0) == 0
    # Measured to be twice as quick as estimated: half the jobs.
    assert jobs_wanted(NODE, SHARED, Waiting(200, 200 * 600 * 16, 9600), 2.0) == 5
    # Half a job's time on 16 cores is the most that shares a node.
    assert threshold_core_seconds(NODE, 1.0) == pytest.approx(0.5 * (86400 - 300) * 16)
    assert threshold_core_seconds(NODE.model_copy(update={"launch": ()}), 1.0) == float("inf")


def test_jobs_are_submitted_in_arrays_as_large_as_the_machine_takes(tmp_path: Path) -> None:
    made = requests(NODE, SHARED, 23, tmp_path, tmp_path, {})
    assert [request.array for request in made] == [10, 10, 3]
    assert made[0].command[-5:] == ("worker", "--machine", "node", "--kind", "shared")
