"""What happens on machines: workers and nodes vanish, databases are out of reach, disks full; codes hang or die."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from ase.build import bulk
from user_mongod import UserMongod, free_port

from megabar.launchers.database.embedded import database_session, running, stop_database
from megabar.launchers.database.open_runtime import open_runtime
from megabar.launchers.workers.local import register
from megabar.launchers.workers.worker import Assignment, _loop, heard
from megabar.workflows.calculation import Calculation
from megabar.workflows.codes.interface import Request
from megabar.workflows.codes.registry import code
from megabar.workflows.config import Config, DatabaseConfig
from megabar.workflows.driver import advance, recover_lost, retry_crashed
from megabar.workflows.execution import execute, prepare
from megabar.workflows.isolation import MachineTrouble, fork_server, run_isolated
from megabar.workflows.kinds.registry import load_study
from megabar.workflows.kinds.stability.plan import resolve
from megabar.workflows.presence import STALE_SECONDS, SUSPECT_SECONDS, Presence, Worker
from megabar.workflows.queue import firetask as tasks
from megabar.workflows.queue.opening import launchpad
from megabar.workflows.runtime import Runtime, use
from megabar.workflows.stopping import Control, Stopped
from megabar.workflows.store import CalculationRecord, ResultStore, StudyRecord, record_of
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Begin


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """A data folder with a database of its own."""
    config = Config(data=tmp_path_factory.mktemp("faults") / "data")
    config.data.mkdir()
    with database_session(config):
        yield config
    stop_database(config)


@pytest.fixture
def runtime(config: Config, request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """Store and LaunchPad in a fresh database."""
    with database_session(config) as address:
        name = f"t{abs(hash(request.node.name)) % 10**8}"
        store = ResultStore.connect(address.uri, name)
        pad = launchpad(address.uri.replace(f"/{address.name}?", f"/{name}?"), name)
        yield Runtime(store, pad, config, run=lambda folder, _: pytest.fail("nothing is to be run"), owner="me")
        store.client.drop_database(name)
        store.client.drop_database(f"{name}_fireworks")
        store.close()
        pad.connection.close()


def calculation(
    name: str, element: str, scale: float = 1.0, kpoints: int = 2, config: Config | None = None
) -> Calculation:
    """Return a single point of an element's fcc crystal."""
    adapter, config = code(name), config or Config()
    atoms = bulk(element, "fcc", a=scale * {"Cu": 3.6, "He": 3.4}[element])
    functional = adapter.functionals[0]
    data = adapter.atomic_data([element], functional, "fast", {(element, element): 2.0}, config)
    settings = adapter.settings(Request(atoms, "fast", functional, element == "He", data))
    settings = {**settings, "kpoints": [kpoints] * 3} if "kpoints" in settings else settings
    version = adapter.installation(config).version
    return Calculation(name, version, settings, Structure.of(atoms), tuple(data))


def age(presence: Presence, worker: str, seconds: float) -> None:
    """Let a worker have been silent, and suspected where it is, for some seconds longer."""
    document = presence.database.workers.find_one({"_id": worker})
    older = {"beat": document["beat"] - timedelta(seconds=seconds)}
    if document.get("suspected"):
        older = {
            "suspected.at": document["suspected"]["at"] - timedelta(seconds=seconds),
        }
    presence.database.workers.update_one({"_id": worker}, {"$set": older})


def worker(name: str, host: str = "node2") -> Worker:
    return Worker(name, host, 1, "somebody")


# --- a node is gone: nothing but silence tells it ------------------------------------------------------------------


def test_a_silent_worker_is_suspected_first_and_lost_when_it_stays_silent(runtime: Runtime) -> None:
    presence = runtime.presence
    presence.announce(worker("a"))
    assert presence.sweep() == []
    age(presence, "a", STALE_SECONDS + 1)
    assert presence.sweep() == []  # suspected now
    assert presence.known(["a"]) == {"a"}
    age(presence, "a", SUSPECT_SECONDS + 1)
    assert presence.sweep() == ["a"]
    assert presence.known(["a"]) == set()


def test_after_an_outage_who_lives_speaks_up_before_he_is_taken_for_lost(runtime: Runtime) -> None:
    presence = runtime.presence
    for name in ("alive", "dead"):
        presence.announce(worker(name))
        age(presence, name, 3600)
    assert presence.sweep() == []
    presence.beat(worker("alive"), None)
    age(presence, "dead", SUSPECT_SECONDS + 1)
    assert presence.sweep() == ["dead"]
    assert presence.known(["alive", "dead"]) == {"alive"}


def test_a_clock_that_jumps_back_is_no_reason_to_live_for_ever(runtime: Runtime) -> None:
    presence = runtime.presence
    presence.announce(worker("future"))
    age(presence, "future", -7200)  # the database's clock went back two hours
    assert presence.sweep() == []
    age(presence, "future", SUSPECT_SECONDS + 1)
    assert presence.sweep() == ["future"]


def test_what_a_lost_node_held_is_run_by_another(runtime: Runtime) -> None:
    from fireworks import Firework, FWorker, Workflow

    item = calculation("emt", "Cu")
    presence, pad = runtime.presence, runtime.launchpad
    pad.bulk_add_wfs([Workflow([Firework(tasks.CalculationTask(), spec={"key": item.key, "machine": ""})])])
    presence.announce(worker("node2-1"))
    taken, _ = pad.checkout_fw(FWorker(name="node2-1"), "/tmp")
    assert taken is not None
    assert presence.claim(item.key, "node2-1")
    assert recover_lost(runtime) == 0
    assert not presence.claim(item.key, "me")
    age(presence, "node2-1", STALE_SECONDS + 1)
    assert recover_lost(runtime) == 0
    age(presence, "node2-1", SUSPECT_SECONDS + 1)
    assert recover_lost(runtime) == 1
    assert pad.fireworks.find_one({"spec.key": item.key})["state"] == "ARCHIVED"
    presence.announce(worker("me", "here"))
    assert presence.claim(item.key, "me")


# --- two workers reach for one calculation -------------------------------------------------------------------------


def test_two_workers_that_reach_for_one_calculation_run_it_once(runtime: Runtime) -> None:
    item = calculation("emt", "Cu", 1.01)
    runs: list[str] = []

    def run(owner: str) -> Runtime:
        def slowly(folder: Path, _: str) -> dict[str, Any]:
            runs.append(owner)
            time.sleep(0.5)
            return {"state": "done", "energy_eV_per_atom": -1.0}

        return Runtime(runtime.store, runtime.launchpad, runtime.config, slowly, owner)

    both = [run("one"), run("two")]
    said: dict[str, str] = {}
    for each in both:
        runtime.presence.announce(worker(each.owner))
    threads = [
        threading.Thread(target=lambda each=each: said.__setitem__(each.owner, tasks.run_and_store(item, each)))
        for each in both
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 1
    assert sorted(said.values()) == ["done", "taken"]
    assert tasks.run_and_store(item, both[1]) == "done"
    assert len(runs) == 1


def test_a_folder_that_a_hanging_node_holds_is_left_alone(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its worker was taken for lost, but its processes may go on writing."""
    monkeypatch.setattr(tasks, "LONGEST_WAIT_SECONDS", 0.3)
    item = calculation("emt", "Cu", 1.011)
    folder = runtime.folder(item.key)
    folder.mkdir(parents=True)
    with (folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert tasks.run_and_store(item, runtime) == "taken"  # `runtime` fails where it is asked to run anything
        assert item.key not in runtime.presence.running()
        monkeypatch.setattr(tasks, "LONGEST_WAIT_SECONDS", 300.0)
        with pytest.raises(Stopped):
            tasks.run_and_store(item, replace(runtime, control=Control(stop=True)))
    ran = replace(runtime, run=lambda *_: {"state": "done", "energy_eV_per_atom": -1.0})
    assert tasks.run_and_store(item, ran) == "done"


@pytest.mark.slow
def test_a_calculation_waits_for_the_process_that_a_killed_worker_left(config: Config, tmp_path: Path) -> None:
    """It lives a moment longer than its worker, and may just write the result: nothing is computed again then."""
    item = calculation("emt", "Cu", 1.012)
    folder = tmp_path / "left"
    prepare(folder, item, Begin(item.structure.atoms()))
    found: list[dict[str, Any]] = []
    with (folder / "child.lock").open("w") as left:
        fcntl.flock(left, fcntl.LOCK_EX)
        run = threading.Thread(
            target=lambda: found.append(run_isolated(fork_server("emt"), folder, config, Control(idle_s=300.0)))
        )
        run.start()
        time.sleep(2.0)
        assert not (folder / "result.json").exists()
        (folder / "result.json").write_text(json.dumps({"state": "done", "energy_eV_per_atom": -7.0}))
    run.join(timeout=60)
    assert [each["energy_eV_per_atom"] for each in found] == [-7.0]


# --- the database is out of reach ----------------------------------------------------------------------------------


def mongod_of(config: Config) -> psutil.Process:
    state = running(config)
    assert state is not None
    return next(each for each in psutil.Process(state.supervisor_pid).children() if "mongod" in each.name())


@pytest.mark.slow
def test_a_result_waits_for_a_database_out_of_reach_for_longer_than_the_time_out(config: Config) -> None:
    """mongod is stopped (SIGSTOP) for four of the client's time-outs while a calculation ends."""
    with database_session(config) as address:
        uri = f"{address.uri}&socketTimeoutMS=1500".replace(
            "serverSelectionTimeoutMS=120000", "serverSelectionTimeoutMS=1500"
        )
        store = ResultStore.connect(uri, "outage")
        pad = launchpad(address.uri.replace(f"/{address.name}?", "/outage?"), "outage")
        item, server = calculation("emt", "Cu", 1.02), mongod_of(config)
        runs = []

        def run(folder: Path, _: str) -> dict[str, Any]:
            runs.append(1)
            server.suspend()
            result = {"state": "done", "energy_eV_per_atom": -2.0}
            (folder / "result.json").write_text(json.dumps(result))
            threading.Timer(6.0, server.resume).start()
            return result

        began = time.monotonic()
        assert tasks.run_and_store(item, Runtime(store, pad, config, run, "w")) == "done"
        assert time.monotonic() - began > 5.0
        assert store.get(item.key).energy_eV_per_atom == -2.0
        assert len(runs) == 1
        store.close()
        pad.connection.close()


def test_told_to_stop_during_an_outage_a_worker_leaves_the_result_on_disk_for_the_next(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymongo.errors import ServerSelectionTimeoutError

    item = calculation("emt", "Cu", 1.03)

    def run(folder: Path, _: str) -> dict[str, Any]:
        result = {"state": "done", "energy_eV_per_atom": -3.0}
        (folder / "result.json").write_text(json.dumps(result))
        return result

    def unreachable(*_: object, **__: object) -> None:
        raise ServerSelectionTimeoutError("no server")

    stopping = Runtime(runtime.store, runtime.launchpad, runtime.config, run, "first", Control(stop=True))
    with monkeypatch.context() as patch:
        patch.setattr(ResultStore, "save", unreachable)
        with pytest.raises(ServerSelectionTimeoutError):
            tasks.run_and_store(item, stopping)
    assert runtime.store.get(item.key) is None
    # `runtime` fails the test where it is asked to run anything.
    assert tasks.run_and_store(item, runtime) == "done"
    assert runtime.store.get(item.key).energy_eV_per_atom == -3.0


TIME_OUT_S = 3.0
"""Of the clients' below: a fortieth of the two minutes that users have."""


@pytest.fixture(scope="module")
def user_mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UserMongod]:
    """A server of a user's own, which nobody starts again by itself."""
    server = UserMongod(tmp_path_factory.mktemp("server"), free_port(), TIME_OUT_S)
    server.start()
    try:
        server.initiate()
        yield server
    finally:
        server.kill()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*ping_launch")  # FireWorks' own heartbeat ends with an outage; ours does not
@pytest.mark.parametrize(
    ("outage_s", "moment"),
    [
        pytest.param(1.0, "before", id="1 s"),
        pytest.param(60.0 / 120.0 * TIME_OUT_S, "before", id="1 min, times shortened by 40"),
        pytest.param(2 * TIME_OUT_S, "before", id="longer than the time-out, the result not stored yet"),
        pytest.param(2 * TIME_OUT_S, "after", id="longer than the time-out, the result just stored"),
    ],
)
def test_a_worker_outlives_kill_minus_9_of_the_database(
    user_mongod: UserMongod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outage_s: float, moment: str
) -> None:
    """While a calculation ends; it is run once, the study goes on by itself, and nothing has failed."""
    name = f"outage{abs(hash((outage_s, moment))) % 10**6}"
    for lattice, length in (("fcc", 3.6), ("bcc", 2.87)):
        bulk("Cu", lattice, a=length).write(tmp_path / f"Cu-{lattice}.cif")
    (tmp_path / "study.yaml").write_text(
        "kind: stability\nsystem: Cu\npressures: {from: 0, to: 20, step: 10}\nmethod: {code: emt}\n"
        "phases: [{file: Cu-fcc.cif, name: A, pressure: 0}, {file: Cu-bcc.cif, name: B, pressure: 0}]\n"
    )
    config = Config(data=tmp_path / "data", database=DatabaseConfig(uri=user_mongod.uri, name=name))
    runs: list[str] = []
    saved: list[str] = []

    def away() -> None:
        user_mongod.kill()
        user_mongod.start_after(outage_s)

    def run(folder: Path, _: str) -> dict[str, Any]:
        runs.append(folder.name)
        result = execute(folder, config)
        if len(runs) == 2 and moment == "before":
            away()
        return result

    save = ResultStore.save

    def save_and_lose(store: ResultStore, record: CalculationRecord, history: Any = None) -> None:
        save(store, record, history)
        saved.append(record.key)
        if len(saved) == 2 and moment == "after":
            away()

    monkeypatch.setattr(ResultStore, "save", save_and_lose)
    monkeypatch.setattr("megabar.workflows.runtime._current", None)
    monkeypatch.setattr("megabar.launchers.workers.worker.CARE_SECONDS", 1.0)
    config.data.mkdir()
    with open_runtime(config) as opened:
        runtime = replace(opened, run=run, owner="worker")
        use(runtime)
        file = load_study(tmp_path / "study.yaml")
        identifier = register(file, resolve(file, config), runtime)
        advance(identifier, runtime)
        with heard(worker("worker", "here"), runtime):
            _loop(runtime, Assignment(code="emt", study=identifier, idle_s=30.0, job="ends when the study is complete"))
        study = runtime.store.get_study(identifier)
        assert study is not None
        assert study.complete
        found = runtime.store.get_many(study.wanted)
        assert set(found) == set(study.wanted)
        assert all(record.done for record in found.values())
    assert sorted(runs) == sorted(set(study.wanted))  # each once
    assert len(runs) > 4


# --- the disk is full, or read-only --------------------------------------------------------------------------------


def mounted(folder: Path, options: str) -> bool:
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    folder = tmp_path / "small"
    if not mounted(folder, "size=256k"):
        pytest.skip("file systems can be mounted by root only")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_full_disk_is_the_machines_trouble_not_the_calculations(small_disk: Path, runtime: Runtime) -> None:
    config = Config(data=small_disk)
    item = calculation("emt", "Cu", 1.04)
    full = small_disk / "full"
    with pytest.raises(OSError, match="No space"), full.open("wb", buffering=0) as file:
        while True:
            file.write(b"0" * 4096)
    context = fork_server("emt")
    here = Runtime(
        runtime.store,
        runtime.launchpad,
        config,
        lambda folder, _: run_isolated(context, folder, config, Control()),
        "w",
    )
    with pytest.raises(MachineTrouble, match="No space left on device"):
        tasks.run_and_store(item, here)
    assert runtime.store.get(item.key) is None
    full.unlink()
    assert tasks.run_and_store(item, here) == "done"


def test_a_read_only_file_system_is_the_machines_trouble(small_disk: Path, runtime: Runtime) -> None:
    item = calculation("emt", "Cu", 1.05)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    here = Runtime(runtime.store, runtime.launchpad, Config(data=small_disk), lambda folder, _: {}, "w")
    with pytest.raises(MachineTrouble, match="Read-only file system"):
        tasks.run_and_store(item, here)
    assert runtime.store.get(item.key) is None


# --- the code hangs, dies, or is told to stop: a real one ----------------------------------------------------------

needs_espresso = pytest.mark.skipif(shutil.which("pw.x") is None, reason="Quantum ESPRESSO is not installed")


def child_of_ours(name: str, seconds: float = 60.0) -> psutil.Process:
    """Return the running process of a name below this one, once it has computed for a moment."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for each in psutil.Process().children(recursive=True):
            try:
                if each.name() == name and each.cpu_times().user > 0.2:
                    return each
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.05)
    raise AssertionError(f"no {name} was started")


def disturbed(folder: Path, config: Config, control: Control, disturb: Any) -> dict[str, Any]:
    """Run what a folder holds, do something to its first pw.x, and return the result."""
    thread = threading.Thread(target=lambda: disturb(child_of_ours("pw.x")))
    thread.start()
    try:
        return run_isolated(fork_server("espresso"), folder, config, control)
    finally:
        thread.join()


@pytest.fixture(params=[15])
def helium(request: pytest.FixtureRequest, config: Config, tmp_path: Path) -> tuple[Path, float]:
    """A folder with a calculation of a few seconds, and its energy when nothing happens (eV/atom)."""
    item = calculation("espresso", "He", 0.8, request.param, config)
    for name in ("quiet", "disturbed"):
        prepare(tmp_path / name, item, Begin(item.structure.atoms()))
    quiet = run_isolated(fork_server("espresso"), tmp_path / "quiet", config, Control())
    return tmp_path / "disturbed", float(quiet["energy_eV_per_atom"])


@pytest.mark.slow
@needs_espresso
def test_a_code_that_hangs_or_dies_is_started_again(helium: tuple[Path, float], config: Config, tmp_path: Path) -> None:
    folder, energy = helium
    result = disturbed(folder, config, Control(idle_s=3.0), lambda process: process.suspend())
    assert result["energy_eV_per_atom"] == pytest.approx(energy, abs=1e-5)
    assert any("hung" in each for each in result["mendings"])
    for number in (signal.SIGKILL, signal.SIGSEGV):
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "quiet", folder, symlinks=True)
        for name in ("result.json", "espresso.pwo", "density.json"):
            (folder / name).unlink(missing_ok=True)
        result = disturbed(folder, config, Control(), lambda process, number=number: process.send_signal(number))
        assert result["state"] == "done"
        assert result["energy_eV_per_atom"] == pytest.approx(energy, abs=1e-5)
        assert any("started again" in each for each in result["mendings"])


@pytest.mark.slow
@needs_espresso
@pytest.mark.parametrize("helium", [28], indirect=True)
def test_at_the_end_of_its_time_a_calculation_stops_and_goes_on(helium: tuple[Path, float], config: Config) -> None:
    folder, energy = helium
    control = Control(patience_s=20.0)

    def tell(process: psutil.Process) -> None:
        control.stop = True

    with pytest.raises(Stopped):
        disturbed(folder, config, control, tell)
    assert not (folder / "result.json").exists()
    result = run_isolated(fork_server("espresso"), folder, config, Control())
    assert result["energy_eV_per_atom"] == pytest.approx(energy, abs=1e-5)


@pytest.mark.parametrize("name", ["state.json", "attempts.json", "input.json", "result.json"])
def test_half_a_file_is_no_file(name: str, config: Config, tmp_path: Path) -> None:
    item = calculation("emt", "Cu", 1.06)
    folder = tmp_path / "half"
    prepare(folder, item, Begin(item.structure.atoms()))
    (folder / name).write_text('{"steps": [{"energy_eV": -3.7, "cell_')
    prepare(folder, item, Begin(item.structure.atoms()))
    result = run_isolated(fork_server("emt"), folder, config, Control())
    assert result["state"] == "done"


@pytest.mark.parametrize(
    ("cause", "again"),
    [
        *((cause, True) for cause in ("killed", "mpi-failed", "out-of-memory", "cannot-start", "task-crashed")),
        *((cause, False) for cause in ("scf-not-converged", "too-few-bands", "relaxation-not-converged")),
    ],
)
def test_what_failed_by_the_machine_is_tried_again_and_what_the_code_said_stands(
    runtime: Runtime, cause: str, again: bool
) -> None:
    item = calculation("emt", "Cu", 1.08)
    failure = {"state": "failed", "cause": cause, "detail": "by a test"}
    runtime.store.put_study(
        StudyRecord(identifier="s", name="s", kind="stability", definition={}, resolved={}, machine="")
    )
    runtime.store.add_wanted("s", [{"key": item.key, "phase": "Cu", "index": "0"}])
    folder = runtime.folder(item.key)
    prepare(folder, item, Begin(item.structure.atoms()))
    (folder / "result.json").write_text(json.dumps(failure))
    runtime.store.save(record_of(item, failure, {}))
    assert retry_crashed("s", runtime) == again
    assert (runtime.store.get(item.key) is None) == again
    assert (folder / "result.json").exists() != again


# --- somebody else's launcher ---------------------------------------------------------------------------------------


def test_fireworks_fizzled_by_a_bare_rlaunch_are_submitted_again(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FireWorks' own launcher takes whatever is READY and ruins it, from whichever shell it is started."""
    from fireworks import FWorker
    from fireworks.core.rocket import Rocket

    bulk("Cu", "fcc", a=3.6).write(tmp_path / "Cu.cif")
    study = (
        "kind: stability\nsystem: Cu\npressures: {from: 0, to: 20, step: 9}\nphases: [Cu.cif]\nmethod: {code: emt}\n"
    )
    (tmp_path / "study.yaml").write_text(study)
    file = load_study(tmp_path / "study.yaml")
    identifier = register(file, resolve(file, runtime.config), runtime)
    advance(identifier, runtime)
    fireworks = runtime.launchpad.fireworks
    waiting = fireworks.count_documents({"state": "READY"})
    assert waiting > 0
    monkeypatch.setattr("megabar.workflows.runtime._current", None)
    monkeypatch.chdir(tmp_path)
    while Rocket(runtime.launchpad, FWorker(name="somebody"), None).run():
        pass
    assert fireworks.count_documents({"state": "FIZZLED"}) == waiting
    for _ in range(5):  # and again and again: nothing is counted as a failure of the calculation
        advance(identifier, runtime)
        assert fireworks.count_documents({"state": "READY"}) == waiting
        while Rocket(runtime.launchpad, FWorker(name="somebody"), None).run():
            pass
    assert runtime.store.get_many(runtime.store.get_study(identifier).wanted) == {}


def test_another_version_of_the_code_is_the_machines_trouble(runtime: Runtime) -> None:
    """What another version computes must not be stored under the key of the one that was planned with."""
    here = calculation("emt", "Cu", 1.07)
    other = replace(here, version="ASE 1.0")
    with pytest.raises(MachineTrouble, match=r"emt is ASE 3\S+ here, and the study was planned with ASE 1\.0"):
        tasks.run_and_store(other, runtime)
    assert runtime.store.get(other.key) is None
