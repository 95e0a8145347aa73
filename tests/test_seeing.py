"""What `megabar status`, `watch`, `why` and `cost` say, held against databases whose content is known."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ase.build import bulk

from megabar.launchers.cli import progress
from megabar.launchers.cli.numbers import ago, core_time, counted, hours, spell
from megabar.launchers.cli.printing import plan_picture, show
from megabar.launchers.database.embedded import database_session, stop_database
from megabar.launchers.seeing.explaining import story
from megabar.launchers.seeing.outputs import last_output
from megabar.launchers.seeing.status import MachineStanding, Status, situation, status_in
from megabar.launchers.seeing.status_tables import machine_text, status_picture, study_line
from megabar.launchers.seeing.why_text import why_text
from megabar.structures.errors import InputError
from megabar.workflows.config import Config
from megabar.workflows.cost import PhaseEstimate, StudyEstimate, as_it_stands
from megabar.workflows.indexes import LAUNCHPAD, RESULTS
from megabar.workflows.parts.method import Method
from megabar.workflows.presence import STALE_SECONDS, Presence, Worker
from megabar.workflows.queue.opening import launchpad
from megabar.workflows.spending import spending, total
from megabar.workflows.standing import Standing
from megabar.workflows.store import ResultStore, StudyRecord

MEGABAR = [sys.executable, "-m", "megabar.launchers.cli"]
PADDING = "x" * 20_000
BEGAN = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    config = Config(data=tmp_path_factory.mktemp("seeing") / "data")
    config.data.mkdir()
    with database_session(config):
        yield config
    stop_database(config)


@pytest.fixture(scope="module")
def store(config: Config) -> Iterator[ResultStore]:
    with database_session(config) as address:
        found = ResultStore.connect(address.uri, address.name)
        pad = launchpad(address.uri, address.name)
        yield found
        pad.connection.close()
        found.close()


@pytest.fixture
def filler(store: ResultStore) -> Filler:
    """An empty pair of databases, to be filled by hand."""
    for database in (store.database, store.board.database):
        for name in database.list_collection_names(filter={"name": {"$not": {"$regex": "^system"}}}):
            database[name].delete_many({})
    return Filler(store)


class Filler:
    """Puts studies into a database as workers would have left them."""

    def __init__(self, store: ResultStore) -> None:
        self.store = store
        self._number = 0

    def next(self) -> int:
        self._number += 1
        return self._number

    def study(
        self, name: str, phases: dict[str, Sequence[str]], machine: str = "", **more: Any
    ) -> dict[str, list[str]]:
        """Add a study; phases: the state of each calculation: of a result, of a firework, or ``nowhere``.

        Returns the keys by state.
        """
        keys: dict[str, list[str]] = {}
        rungs, results, fireworks = [], [], []
        for phase, states in phases.items():
            for index, state in enumerate(states):
                key = more.get("shared", {}).get((phase, index)) or f"{name}-{phase}-{index}".ljust(40, "_")
                keys.setdefault(state, []).append(key)
                rungs.append({"phase": phase, "index": str(index), "key": key, "starts": [], "purpose": "ladder"})
                if state in ("done", "failed", "left"):
                    results.append(self.result(key, state, name))
                if state == "READY":
                    fireworks.append(self.firework(key, name, state, machine, f"{phase} {index}"))
        self.add(*results)
        self.add(*fireworks)
        resolved = {"method": {"code": "emt"}, "padding": PADDING}
        record = StudyRecord(
            identifier=name, name=name, kind="stability", definition={}, resolved=resolved, machine=machine, owner="me"
        )
        self.store.put_study(record)
        self.store.add_wanted(name, [{**rung, "kind": "main"} for rung in rungs])
        self.store.database.studies.update_one({"_id": name}, {"$set": more.get("fields", {})})
        return keys

    def add(self, *documents: dict[str, Any]) -> int:
        """Add results or fireworks, and return the number of the first firework."""
        if documents and "fw_id" in documents[0]:
            self.store.board.database.fireworks.insert_many(documents)
        elif documents:
            self.store.database.calculations.insert_many(documents)
        return documents[0].get("fw_id", 0) if documents else 0

    def result(self, key: str, state: str, study: str, **provenance: Any) -> dict[str, Any]:
        return {
            "_id": key,
            "calculation": {"code": "emt", "padding": PADDING},
            "state": state,
            "cause": "scf-not-converged" if state == "failed" else None,
            "detail": "after 200 iterations" if state == "failed" else None,
            "mendings": ["scf-not-converged: gentler mixing"] if state == "failed" else [],
            "ionic_steps": 7,
            "provenance": {
                "host": "node7",
                "worker": "w1",
                "folder": f"/far/away/{key}",
                "started": BEGAN.isoformat(),
                "cpu_s": 36.0,
                "wall_s": 40.0,
                "peak_memory_MB": 100.0,
                "study": study,
                "estimate_core_s": 18.0,
                **provenance,
            },
        }

    def firework(
        self, key: str, study: str, state: str, machine: str, name: str, seconds: float = 3600.0
    ) -> dict[str, Any]:
        spec = {"key": key, "study": study, "machine": machine, "core_seconds": seconds, "padding": PADDING}
        document = {"fw_id": self.next(), "name": name, "state": state, "spec": spec}
        return {**document, "launches": [], "archived_launches": []}

    def launch(self, firework: int, worker: str, end: str | None, minutes: float = 0.0, **env: Any) -> None:
        """Add an attempt of a worker, begun so many minutes after the first."""
        key = self.store.board.database.fireworks.find_one({"fw_id": firework})["spec"]["key"]
        number = self.next()
        document = {
            "launch_id": number,
            "fw_id": firework,
            "fworker": {"name": worker, "env": env},
            "host": "node7",
            "launch_dir": "/far/away/workers",
            "time_start": (BEGAN + timedelta(minutes=minutes)).isoformat(),
            "runtime_secs": 60.0 if end else None,
            "action": {"stored_data": {"key": key, "state": end}} if end else None,
        }
        self.store.board.database.launches.insert_one(document)
        self.store.board.database.fireworks.update_one({"fw_id": firework}, {"$push": {"launches": number}})

    def worker(
        self, name: str, machine: str = "", silent_s: float = 0.0, trouble: str | None = None, **more: Any
    ) -> None:
        presence = Presence(self.store.database)
        worker = Worker(name, "node7", 1, "me", machine, more.get("job", ""), more.get("cores", 1))
        presence.announce(worker)
        presence.beat(worker, None, trouble)
        beat = self.store.database.workers.find_one({"_id": name})["beat"]
        self.store.database.workers.update_one({"_id": name}, {"$set": {"beat": beat - timedelta(seconds=silent_s)}})

    def job(self, identifier: str, state: str, reason: str = "", machine: str = "hpc") -> None:
        content = {"machine": machine, "identifier": identifier, "user": "me", "kind": "shared", "log": "/x"}
        self.store.database.jobs.insert_one({"_id": identifier, **content, "state": state, "reason": reason})

    def running(self, study: str, key: str, worker: str, machine: str = "", seconds: float = 3600.0) -> None:
        firework = self.add(self.firework(key, study, "RUNNING", machine, "A 9", seconds))
        self.launch(firework, worker, None)


def only(status: Status) -> Standing:
    [study] = status.studies
    return study


# --- counting ------------------------------------------------------------------------------------------------------


def test_counts_are_those_of_the_documents(filler: Filler) -> None:
    filler.worker("alive", cores=4)
    filler.worker("gone", silent_s=STALE_SECONDS + 60)
    keys = filler.study(
        "one", {"A": ["done"] * 7 + ["failed", "left"], "B": ["failed", *["READY"] * 3, *["nowhere"] * 3]}
    )
    filler.study("other", {"A": ["done"] * 3})
    taken = keys["nowhere"]
    filler.running("one", taken[0], "alive")
    filler.running("other", taken[1], "alive")  # the same calculation, run for somebody else
    filler.running("one", taken[2], "gone")
    stopped = filler.add(filler.firework(keys["READY"][0], "one", "COMPLETED", "", "B 1"))
    filler.launch(stopped, "gone", "stopped")

    found = only(status_in(filler.store, "one", None, False))
    assert (found.calculations, found.done, found.failed, found.left_phase) == (16, 7, 2, 1)
    assert (found.running, found.lost, found.waiting, found.going_on, found.queued) == (2, 1, 3, 1, 3)
    # Truth is twice the estimate: (3 waiting + 1 lost + 2 running, half done) × 1 h × 2, on 8 cores.
    assert found.core_hours_left == pytest.approx(10.0)
    assert found.time_left_s == pytest.approx(10.0 * 3600 / 8)
    phases = {each.phase: each for each in status_in(filler.store, "one", None, False).phases}
    assert (phases["A"].calculations, phases["A"].done, phases["A"].failed, phases["A"].left_phase) == (9, 7, 1, 1)
    assert (phases["B"].calculations, phases["B"].failed, phases["B"].running, phases["B"].waiting) == (7, 1, 2, 4)


def test_what_failed_after_it_was_stopped_begins_anew(filler: Filler) -> None:
    keys = filler.study("one", {"A": ["READY"] * 3})
    ends = (("stopped", "failed"), ("failed", "stopped"), ("stopped", "taken"))
    for key, both in zip(keys["READY"], ends, strict=True):
        for end in both:
            filler.launch(filler.add(filler.firework(key, "one", "COMPLETED", "", "A")), "w1", end)
    assert only(status_in(filler.store, "one", None, False)).going_on == 2


def test_complete_studies_are_counted_too(filler: Filler) -> None:
    filler.study("old", {"A": ["done"] * 5 + ["failed", "left", "left"]}, fields={"complete": True})
    filler.study("new", {"A": ["done", "READY"]})
    found = {each.study: each for each in status_in(filler.store, None, None, False).studies}
    assert list(found) == ["new", "old"]
    assert (found["old"].done, found["old"].failed, found["old"].left_phase) == (5, 1, 2)
    assert found["old"].core_hours_left == 0.0
    assert (found["new"].done, found["new"].waiting) == (1, 1)
    assert not status_in(filler.store, None, None, False).ended
    assert status_in(filler.store, "old", None, False).ended


def test_reading_on_and_looking_up_count_the_same(filler: Filler, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few calculations of many are looked up, most of them are read in a row."""
    filler.study("few", {"A": ["done", "failed", "READY"]})
    filler.study("many", {"A": ["done"] * 12 + ["left"] * 3 + ["READY"]})
    found = []
    for cost in (0, 10**9):
        monkeypatch.setattr("megabar.workflows.standing.SEEK_COST", cost)
        found.append([replace(each, created="") for each in status_in(filler.store, None, None, True).studies])
    assert found[0] == found[1]


def test_of_old_studies_only_the_newest_are_shown(filler: Filler) -> None:
    for number in range(25):
        fields = {"complete": True, "created": f"2026-01-{number + 1:02d}"}
        filler.study(f"old{number}", {"A": ["done"]}, fields=fields)
    filler.study("open", {"A": ["READY"]}, fields={"created": "2025-01-01"})
    shown = status_in(filler.store, None, None, False)
    assert [each.study for each in shown.studies[:2]] == ["open", "old24"]
    assert (len(shown.studies), shown.older) == (21, 5)
    everything = status_in(filler.store, None, None, True)
    assert (len(everything.studies), everything.older) == (26, 0)


def test_a_machine_has_its_studies_jobs_and_workers(filler: Filler) -> None:
    keys = filler.study("mine", {"A": ["READY", "nowhere"]}, machine="hpc")
    filler.study("here", {"A": ["READY"]})
    filler.worker("w1", "hpc", job="17", cores=8)
    filler.worker("w2", "hpc", job="17", trouble="No space left on device: /scratch")
    filler.running("mine", keys["nowhere"][0], "w1", "hpc")
    filler.job("17", "running")
    filler.job("18", "pending", "Priority")
    filler.job("19", "pending", "Priority")
    filler.job("20", "ended")
    filler.store.note_look("hpc")
    found = status_in(filler.store, None, "hpc", False)
    assert [each.study for each in found.studies] == ["mine"]
    machine = found.machines["hpc"]
    assert machine.states == {"running": 1, "pending": 2}
    assert machine.reasons == {"Priority": 2}
    assert machine.attended
    assert machine.troubles == {"No space left on device: /scratch": 1}
    assert [each["running"]["calculation"] for each in machine.workers if each["running"]] == ["A 9"]
    text = machine_text(machine)
    for expected in (
        "1 job running, 2 waiting (Priority: 2)",
        "2 workers, 1 at work",
        "No space left",
        "asked ",
    ):
        assert expected in text
    assert found.situations["mine"] == ("running", "No space left on device: /scratch (1 worker)")
    content = json.loads(json.dumps(found.json(), allow_nan=False))
    assert content["machines"][0]["jobs_by_state"] == {"running": 1, "pending": 2}
    assert content["studies"][0]["state"] == "running"


def test_what_is_neither_described_nor_known_is_told(filler: Filler, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    filler.study("mine", {"A": ["READY"]})
    with pytest.raises(InputError, match="no machine 'hpc'"):
        status_in(filler.store, None, "hpc", False)
    with pytest.raises(InputError, match="did you mean mine"):
        status_in(filler.store, "minee", None, False)
    with pytest.raises(InputError, match="not both"):
        status_in(filler.store, "mine", "hpc", False)


# --- speed ---------------------------------------------------------------------------------------------------------


def test_no_query_reads_a_collection_through_or_loads_documents(filler: Filler) -> None:
    """By the server's own record of what it did."""
    filler.worker("alive")
    for number in range(4):
        states = ["done"] * 40 + ["failed"] * 2 + ["READY"] * 5 + ["nowhere"]
        keys = filler.study(f"study{number}", {"A": states}, "hpc", fields={"complete": number > 1})
        filler.running(f"study{number}", keys["nowhere"][0], "alive")
    databases = (filler.store.database, filler.store.board.database)
    for database in databases:
        database.command("profile", 2)
    for arguments in ((None, None, False), (None, None, True), ("study1", None, False), (None, "hpc", False)):
        status_in(filler.store, *arguments)
    filler.store.unfinished("hpc")
    profiles = []
    for database in databases:
        database.command("profile", 0)
        profiles += [each for each in database["system.profile"].find() if each["op"] in ("query", "command")]
    of_interest = [each for each in profiles if re.search(r"\.(calculations|studies|fireworks|launches)$", each["ns"])]
    assert len(of_interest) > 20
    for each in of_interest:
        assert "COLLSCAN" not in each.get("planSummary", ""), (each["ns"], each["command"])
        assert each.get("responseLength", 0) < len(PADDING), (each["ns"], each["command"])


def test_indexes_are_there_and_made_once(filler: Filler) -> None:
    for database, wanted in ((filler.store.database, RESULTS), (filler.store.board.database, LAUNCHPAD)):
        for collection, indexes in wanted.items():
            there = [tuple(each["key"]) for each in database[collection].index_information().values()]
            for keys in indexes:
                assert there.count(keys) == 1


# --- situations ----------------------------------------------------------------------------------------------------

NAMES = {"study": "one", "name": "one", "owner": "me", "machine": "hpc", "created": ""}
COUNTS = {"calculations": 9, "done": 2, "failed": 1, "left_phase": 0, "running": 0, "lost": 0, "waiting": 6}
REST = {"queued": 6, "complete": False, "cancelled": False, "going_on": 0, "core_hours_left": 1.0, "time_left_s": None}
STANDING = Standing(**NAMES, **COUNTS, **REST, planning=False)  # type: ignore[arg-type]
WORKER = {"worker": "w", "running": None, "trouble": None, "lost": False, "silent_s": 1.0}
PENDING = {"state": "pending", "reason": "Priority"}
RUNNING = {"state": "running", "reason": ""}


@pytest.mark.parametrize(
    ("changes", "machine", "state", "said"),
    [
        ({"complete": True, "failed": 0}, {}, "complete", ""),
        ({"complete": True}, {}, "complete", "1 calculation failed: `megabar why one`"),
        ({"cancelled": True, "running": 2}, {}, "cancelled", "2 calculations still stopping"),
        ({"running": 2}, {}, "running", ""),
        ({}, {}, "waiting for jobs", "`megabar queue hpc` submits them"),
        ({}, {"jobs": [PENDING] * 3, "looked_s": 5.0}, "waiting for jobs", "3 in the queue (Priority: 3)"),
        ({}, {"jobs": [PENDING], "looked_s": 5000.0}, "waiting for jobs", "nobody looks after it"),
        ({}, {"looked_s": 5.0}, "waiting for jobs", "none is in the queue yet"),
        ({}, {"jobs": [RUNNING]}, "waiting for workers", "1 job running"),
        ({}, {"workers": [{**WORKER, "trouble": "disk full"}]}, "in trouble", "disk full (1 worker)"),
        ({"machine": ""}, {}, "waiting for workers", "none is there: `megabar run` or `megabar worker`"),
        ({"machine": ""}, {"workers": [WORKER]}, "waiting for workers", "busy with other studies"),
        ({"queued": 0}, {}, "stuck", "`megabar queue hpc` lets it go on"),
        ({"queued": 0, "kind": "melts"}, {}, "stuck", "has no studies of the kind `melts`: update it here, or install"),
        ({"queued": 0, "kind": "melts"}, {"workers": [WORKER]}, "stuck", "no studies of the kind `melts`"),
        ({"queued": 0, "kind": "melts", "planning": True}, {}, "planning", ""),
        ({"machine": "", "kind": "melts"}, {}, "waiting for workers", "no studies of the kind `melts`"),
        ({"cancelled": True, "running": 2, "kind": "melts"}, {}, "cancelled", "stopping; megabar"),
        ({"running": 2, "kind": "melts"}, {}, "running", ""),
        ({"queued": 0, "kind": "../kinds/stability"}, {}, "stuck", "no studies of the kind"),
        ({"queued": 0, "lost": 3}, {}, "stuck", "workers of 3 calculations are heard of no more"),
        ({"queued": 0, "planning": True}, {}, "planning", ""),
        ({"queued": 0}, {"workers": [WORKER]}, "planning", ""),
        ({"queued": 0}, {"workers": [{**WORKER, "lost": True}]}, "stuck", "lets it go on"),
    ],
)
def test_situations(changes: dict[str, Any], machine: dict[str, Any], state: str, said: str) -> None:
    study = replace(STANDING, **changes)
    found = situation(study, MachineStanding(study.machine, **machine) if machine else None)
    assert found[0] == state
    assert said in found[1]
    assert bool(said) == bool(found[1])
    assert state in study_line(study, found)


def test_numbers_in_words() -> None:
    assert [spell(each) for each in (None, 3, 120, 7500, 400000)] == ["–", "3 s", "2 min", "2 h 05 min", "4.6 days"]
    assert [hours(each) for each in (0.0, 0.0123, 5.06, 12345.6)] == ["0", "0.012", "5.1", "12 346"]
    assert [core_time(each) for each in (1.23, 45, 36000)] == ["1.2 core-s", "45 core-s", "10.0 core-h"]
    assert (counted(1, "job"), counted(0, "job"), ago(-3.0)) == ("1 job", "0 jobs", "0 s ago")


def test_the_table_has_a_row_for_each_study_and_a_remark_once(filler: Filler) -> None:
    from rich.console import Console

    for number in range(5):
        filler.study(f"study{number}", {"A": ["READY"] * (number + 1)}, "hpc")
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(status_picture(status_in(filler.store, None, None, False), in_full=False))
    text = console.export_text()
    assert all(re.search(rf"^study{number} .*waiting for jobs", text, re.MULTILINE) for number in range(5))
    assert text.count("submits them") == 1


# --- why -----------------------------------------------------------------------------------------------------------


def test_why_tells_attempts_mendings_and_waits(filler: Filler, config: Config) -> None:
    filler.worker("w2", job="4712")
    keys = filler.study("one", {"A": ["failed", "READY", "done"], "B": ["READY", "nowhere", "nowhere"]})
    failed, again, [busy, elsewhere] = keys["failed"][0], keys["READY"][0], keys["nowhere"]
    first = filler.add(filler.firework(failed, "one", "COMPLETED", "", "A 0", 18.0))
    filler.launch(first, "w0", None, -30, job="4709")  # lost: no end is known
    second = filler.add(filler.firework(failed, "one", "COMPLETED", "", "A 0", 18.0))
    filler.launch(second, "w1", "stopped", -20, job="4710", cores=2)
    third = filler.add(filler.firework(failed, "one", "COMPLETED", "", "A 0", 18.0))
    filler.launch(third, "w1", "failed", 0, job="4711")
    filler.launch(third, "w3", "taken", 0)
    other = filler.add(filler.firework(failed, "other", "COMPLETED", "", "A 0"))
    filler.launch(other, "w4", "failed", 30)  # found the result
    stopped = filler.add(filler.firework(again, "one", "COMPLETED", "", "A 1"))
    filler.launch(stopped, "w1", "stopped")
    filler.store.note_crash(again, "Traceback\nRuntimeError: the folder is gone\n")
    filler.running("one", busy, "w2")
    filler.store.database.claims.insert_one({"_id": elsewhere, "worker": "w9"})

    study = filler.store.get_study("one")
    assert study is not None
    told = story(study, None, filler.store, config)
    assert [each.state for each in told.calculations] == ["failed", "running", "waiting", "waiting", "waiting"]
    assert told.done == 1
    bad = told.calculations[0]
    assert [(each.end, each.job) for each in bad.attempts] == [
        ("lost", "4709"),
        ("stopped", "4710"),
        ("failed", "4711"),
    ]
    assert bad.cause == "scf-not-converged"
    assert bad.mendings == ["scf-not-converged: gentler mixing"]
    assert bad.core_s == pytest.approx(2 * 60 + 60)
    assert bad.estimate_s == 18.0
    assert bad.files == f"node7:/far/away/{failed}"
    by_key = {each.key: each for each in told.calculations}
    assert by_key[again].waits.startswith("goes on from where it was stopped; ")
    assert by_key[again].crash == "RuntimeError: the folder is gone"
    assert by_key[busy].attempts[0].end == "running"
    assert "the worker w9 has it" in by_key[elsewhere].waits
    text = why_text(told)
    for expected in (
        "A 0: failed: scf-not-converged",
        "after 200 iterations",
        "job 4710, 2 cores, worker w1: stopped, to go on from there after 60 s",
        "job 4709, worker w0: its worker was heard of no more",
        "mended     scf-not-converged: gentler mixing",
        "180 core-s, 10 times the estimate of 18 core-s",
        "crash      RuntimeError: the folder is gone",
        f"files      node7:/far/away/{failed}",
    ):
        assert expected in text
    assert len(text.splitlines()) <= 40
    of_phase = story(study, "A", filler.store, config)
    assert [each.state for each in of_phase.calculations] == ["failed", "waiting", "done"]
    json.dumps(of_phase.json(), allow_nan=False)


def test_a_retried_failure_is_still_an_attempt(filler: Filler, config: Config) -> None:
    keys = filler.study("one", {"A": ["done"]})
    for minutes, worker, end in ((-60, "w0", "failed"), (-0.01, "w1", "done")):
        number = filler.add(filler.firework(keys["done"][0], "one", "COMPLETED", "", "A 0"))
        filler.launch(number, worker, end, minutes)
    study = filler.store.get_study("one")
    assert study is not None
    [told] = story(study, "A", filler.store, config).calculations
    assert [each.end for each in told.attempts] == ["failed", "done"]


def test_a_study_of_a_kind_that_is_not_here_is_not_to_be_run_here(filler: Filler) -> None:
    filler.study("liquid", {"A": ["READY"]}, fields={"kind": "melts"})
    filler.study("solid", {"A": ["READY"]})
    found = status_in(filler.store, None, None, False).situations
    assert "`megabar run`" in found["solid"][1]
    assert "`megabar run`" not in found["liquid"][1] and "`melts`" in found["liquid"][1]


def test_studies_of_other_kinds_are_told_of_too(filler: Filler, config: Config) -> None:
    """Their rungs need have no more than key, phase and index."""
    filler.study("tc", {"A": ["done"]}, fields={"kind": "superconductivity"})
    filler.add(filler.result("phonon", "failed", "tc"))
    filler.store.add_wanted("tc", [{"phase": "H3S at 200 GPa", "index": "3", "key": "phonon", "kind": "phonon"}])
    study = filler.store.get_study("tc")
    assert study is not None
    text = why_text(story(study, None, filler.store, config))
    assert "H3S at 200 GPa 3, phonon: failed: scf-not-converged" in text
    assert only(status_in(filler.store, "tc", None, False)).failed == 1


def test_the_screen_stays_one_however_much_there_is(filler: Filler, config: Config) -> None:
    filler.study("big", {f"P{number}": ["failed"] * 5 + ["READY"] * 10 + ["left"] for number in range(10)})
    study = filler.store.get_study("big")
    assert study is not None
    text = why_text(story(study, None, filler.store, config))
    assert len(text.splitlines()) <= 50
    assert "failed: scf-not-converged (50)" in text
    assert "100 calculations of P0 (10), P1 (10), P2 (10), P3 (10) and 6 more phases" in text


def test_nothing_is_cut_off(filler: Filler, config: Config) -> None:
    keys = filler.study("one", {"A": ["failed"]})
    long = "the reason is " + "long " * 100 + "and this is its end"
    filler.store.database.calculations.update_one({"_id": keys["failed"][0]}, {"$set": {"detail": long}})
    study = filler.store.get_study("one")
    assert study is not None
    assert long in why_text(story(study, None, filler.store, config))


# --- plan and run --------------------------------------------------------------------------------------------------


def estimate_of(*phases: tuple[str, int, int]) -> StudyEstimate:
    """An estimate of phases, each with its calculations and how many of them are stored; each costs a minute."""
    rows = tuple(
        PhaseEstimate(name, "X", 1, (0.0, 1.0), (1, 1, 1), False, volumes, stored, float(volumes - stored))
        for name, volumes, stored in phases
    )
    return StudyEstimate("one", "emt", "1", "fast", "EMT", rows, 6, 1.3 * sum(row.core_minutes for row in rows))


def test_the_plan_of_a_study_that_has_begun_counts_what_it_asked_for(filler: Filler) -> None:
    """Also where these are other calculations than its first ones, or of a kind that is not known before."""
    filler.study("one", {"A": ["done"] * 4 + ["READY"], "B": ["failed", "nowhere"]})
    study = filler.store.get_study("one")
    assert study is not None
    found = as_it_stands(estimate_of(("A", 3, 0), ("B", 3, 1), ("C", 2, 0)), study, filler.store)
    assert [(row.volumes, row.stored) for row in found.phases] == [(5, 4), (3, 1), (2, 0)]
    assert found.calculations == 1 + 2 + 2
    assert [row.core_minutes for row in found.phases] == pytest.approx([1, 2, 2])
    assert found.core_minutes == pytest.approx(1.3 * 5)
    assert found.extra_calculations == 4
    assert not found.complete


def test_the_plan_of_a_complete_study_has_nothing_to_run(filler: Filler, capsys: pytest.CaptureFixture[str]) -> None:
    filler.study("one", {"A": ["done", "left", "failed"]}, fields={"complete": True})
    study = filler.store.get_study("one")
    assert study is not None
    found = as_it_stands(estimate_of(("A", 3, 0), ("A at 20 GPa", 9, 0)), study, filler.store)
    assert (found.calculations, found.extra_calculations, found.core_minutes) == (0, 0, 0.0)
    show(plan_picture(found))
    said = capsys.readouterr().out
    assert "one: complete, nothing is left to run" in said
    assert "calculations to run" not in said


class Toy:
    """As much of a plan as its progress needs."""

    method = Method("emt", "1", "fast", "EMT", ())

    def calculation(self, rung: Mapping[str, Any]) -> str:
        return str(rung["key"])


def test_without_a_terminal_a_line_when_something_has_changed(
    filler: Filler, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", -1.0)
    monkeypatch.setattr(progress, "REST_SHARE", 0.0)
    monkeypatch.setattr(progress, "seconds", lambda *_: 60.0)
    monkeypatch.setattr(progress, "measured_rate", lambda *_: None)
    keys = filler.study("one", {"A": ["done", "READY", "READY"]})
    shown = progress.Progress("one", Toy(), filler.store, workers=2)  # type: ignore[arg-type]

    def look() -> str:
        study = filler.store.get_study("one")
        assert study is not None
        shown.update(study)
        return capsys.readouterr().err

    with shown:
        assert re.fullmatch(r"one: 1 of 3 calculations, \d s, about 60 s left for these\n", look())
        assert look() == ""
        filler.add(filler.result(keys["READY"][0], "failed", "one"))
        assert re.fullmatch(r"one: 2 of 3 calculations, 1 failed, \d s, about \d+ s left for these\n", look())
        assert look() == ""
        filler.add(filler.result(keys["READY"][1], "done", "one"))
        filler.store.database.studies.update_one({"_id": "one"}, {"$set": {"complete": True}})
        assert re.fullmatch(r"one: 3 of 3 calculations, 1 failed, \d s, complete\n", look())
        assert look() == ""
    assert shown.computed == 2


def test_the_last_output_is_that_of_the_code(tmp_path: Path) -> None:
    assert last_output(tmp_path) is None
    (tmp_path / "relaxation.log").write_text("BFGS: 1\n")
    found = last_output(tmp_path)
    assert found is not None
    assert (found.file, found.lines) == ("relaxation.log", ("BFGS: 1",))
    (tmp_path / "espresso.pwo").write_bytes(
        b"\xff\n" * 50_000 + b"\n".join(b"line %d  " % n for n in range(20)) + b"\n\n"
    )
    (tmp_path / "output.log").write_text("")
    found = last_output(tmp_path)
    assert found is not None
    assert found.file == "espresso.pwo"
    assert found.lines[-1] == "line 19"
    assert len(found.lines) == 8


# --- cost ----------------------------------------------------------------------------------------------------------


def test_costs_are_those_of_the_runs(filler: Filler) -> None:
    filler.study("first", {"A": ["done", "done"], "B": ["failed"]})
    keys = filler.study("second", {"A": ["nowhere", "READY"]}, shared={("A", 0): "first-A-0".ljust(40, "_")})
    wide = "wide".ljust(40, "_")
    filler.add(filler.result(wide, "done", "second", cores=16, wall_s=100.0, cpu_s=500.0, estimate_core_s=400.0))
    rung = {"phase": "W", "index": "0", "key": wide, "starts": [], "purpose": "ladder", "kind": "main"}
    filler.store.add_wanted("second", [rung])
    for end in ("stopped", "crashed", "taken"):
        number = filler.add(filler.firework(keys["READY"][0], "second", "COMPLETED", "", "A 1"))
        filler.launch(number, "w1", end, cores=3)
    found = {(each.study, each.phase): spent for each, spent in spending(filler.store).items()}
    assert {each.run for each in (found["first", "A"],)} == {2}
    assert found["first", "A"].core_s == pytest.approx(80.0)  # wall time of one core, more than its CPU time
    assert found["first", "A"].ratio == pytest.approx(40 / 18)
    assert found["first", "B"].core_s == pytest.approx(40.0)
    assert (found["second", "A"].run, found["second", "A"].reused) == (0, 1)
    assert found["second", "A"].saved_core_s == pytest.approx(40.0)
    assert found["second", "A"].interrupted_core_s == found["second", "A"].core_s == pytest.approx(2 * 60 * 3)
    assert found["second", "W"].core_s == pytest.approx(1600.0)
    assert found["second", "W"].ratio == pytest.approx(4.0)
    assert total(found.values()).core_s == pytest.approx(80 + 40 + 360 + 1600)
    assert total(found.values()).peak_memory_MB == 100.0
    assert set(spending(filler.store, "first")) == {each for each in spending(filler.store) if each.study == "first"}


def test_what_an_interrupted_part_has_cost_counts_once(filler: Filler) -> None:
    """A result knows the time of the parts before it in its folder; the LaunchPad that of those that were stopped."""
    keys = filler.study("parts", {"stopped": ["nowhere"], "killed": ["nowhere"], "moved": ["nowhere"]})["nowhere"]
    times = {"cores": 2, "wall_s": 100.0, "cpu_s": 90.0}
    for key, before_s in zip(keys, (60.0, 70.0, 0.0), strict=True):
        filler.add(filler.result(key, "done", "parts", **times, interrupted_wall_s=before_s))
    for key in (keys[0], keys[2]):
        number = filler.add(filler.firework(key, "parts", "COMPLETED", "", "0"))
        filler.launch(number, "w1", "stopped", cores=2)  # 60 s
    found = {each.phase: spent for each, spent in spending(filler.store).items()}
    assert (found["stopped"].core_s, found["stopped"].interrupted_core_s) == (200.0, 120.0)
    assert (found["killed"].core_s, found["killed"].interrupted_core_s) == (200.0, 140.0)
    assert (found["moved"].core_s, found["moved"].interrupted_core_s) == (320.0, 120.0)


# --- the commands --------------------------------------------------------------------------------------------------


def megabar(folder: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run([*MEGABAR, *arguments], cwd=folder, text=True, capture_output=True, check=False, timeout=280)
    assert done.returncode == code, (arguments, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    bulk("Cu", "fcc", a=3.6).write(tmp_path / "Cu-fcc.cif")
    bulk("Cu", "hcp", a=2.55, c=4.16).write(tmp_path / "Cu-hcp.cif")
    (tmp_path / "copper.yaml").write_text(
        "kind: stability\nsystem: Cu\npressures: {from: 0, to: 40, step: 10}\n"
        "phases: [Cu-fcc.cif, Cu-hcp.cif]\nmethod: {code: emt}\n"
    )
    (tmp_path / "wider.yaml").write_text((tmp_path / "copper.yaml").read_text().replace("to: 40", "to: 150"))
    yield tmp_path
    if (tmp_path / ".megabar").exists():
        stop_database(Config(data=tmp_path / ".megabar"))


@pytest.mark.slow
def test_of_a_study_that_was_run(folder: Path) -> None:
    assert "no results" in megabar(folder, "status", code=2)
    for command in ("why", "cost", "watch", "cancel", "retry"):
        assert "no results" in megabar(folder, command, "copper", code=2)
    megabar(folder, "run", "copper.yaml")
    megabar(folder, "submit", "wider.yaml")
    status = json.loads(megabar(folder, "status", "--json"))
    wider, copper = status["studies"]
    assert (copper["name"], copper["state"], wider["name"], wider["state"]) == (
        *("copper", "complete", "wider", "waiting for workers"),
    )
    assert copper["calculations"] == copper["done"] > 0
    assert wider["waiting"] == wider["queued"] == wider["calculations"] - wider["done"] > 0
    waiting = megabar(folder, "why", "wider")
    assert "waiting for workers: none is there: `megabar run` or `megabar worker` starts some" in waiting
    watched = megabar(folder, "watch", "copper.yaml")
    assert re.search(r"copper-\w+: complete; \d+ of \d+ calculations done", watched)
    assert len(watched.splitlines()) == 1

    assert "nothing to wait for" not in watched
    live = subprocess.Popen(
        [*MEGABAR, "watch", "wider", "--every", "0.5"], cwd=folder, stdout=subprocess.PIPE, text=True
    )
    megabar(folder, "run", "wider.yaml")
    seen, _ = live.communicate(timeout=60)
    assert live.returncode == 0
    assert ": complete; " in seen.splitlines()[-1]
    assert len(seen.splitlines()) >= 2
    assert "nothing to wait for" in megabar(folder, "watch")
    costs = json.loads(megabar(folder, "cost", "--json"))
    own = {each["study"]: each for each in costs["studies"]}
    assert own[copper["study"]]["reused"] == 0
    assert own[wider["study"]]["reused"] > 0
    assert own[wider["study"]]["saved_core_hours"] > 0
    assert costs["total"]["core_hours"] == pytest.approx(sum(each["core_hours"] for each in own.values()), abs=1e-5)
    assert [each["code"] for each in costs["codes"]] == ["emt"]
    assert costs["total"]["truth_by_estimate"] > 0
    told = json.loads(megabar(folder, "why", "copper", "Cu-hcp", "--json"))
    assert {each["state"] for each in told["calculations"]} == {"done"}
    assert all(Path(each["files"]).is_dir() for each in told["calculations"])
    assert all([attempt["end"] for attempt in each["attempts"]] == ["done"] for each in told["calculations"])
    assert "did you mean" in megabar(folder, "why", "copper", "Cu-hcq", code=2)
    assert "there is no study 'coper'" in megabar(folder, "status", "coper", code=2)
    assert "there is no machine 'x'" in megabar(folder, "status", "--machine", "x", code=2)
    assert megabar(folder, "cancel", "copper").startswith(f"{copper['study']} is complete")
    assert "nothing has failed" in megabar(folder, "retry", "copper", "Cu-fcc")
