"""Planning by several processes: nothing is asked for twice, faults are told, stops obeyed, newer versions left be."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ase.build import bulk
from bson import encode
from test_faults import calculation, worker

from megabar.launchers.answering import studies
from megabar.launchers.api import session
from megabar.launchers.database.embedded import stop_database
from megabar.launchers.database.open_runtime import open_runtime
from megabar.launchers.seeing.status import status_in
from megabar.launchers.workers.local import LocalRun, register
from megabar.launchers.workers.worker import Assignment, _fitting, _take, heard
from megabar.structures.errors import InputError
from megabar.workflows import lease, size, store
from megabar.workflows import studies as stored_studies
from megabar.workflows.calculation import Calculation
from megabar.workflows.cancelling import cancel
from megabar.workflows.config import Config
from megabar.workflows.driver import PlanningFailed, advance, advance_if_it_can
from megabar.workflows.execution import execute
from megabar.workflows.kinds import registry as kinds
from megabar.workflows.kinds.interface import slot
from megabar.workflows.kinds.registry import load_study, plan_of
from megabar.workflows.kinds.stability.plan import resolve
from megabar.workflows.queue import firetask as tasks
from megabar.workflows.queue.submission import FORMAT, specification, submit
from megabar.workflows.runtime import Runtime, use
from megabar.workflows.stopping import Control
from megabar.workflows.store import NotOurs, StudyRecord

STUDY = "kind: stability\nsystem: Cu\npressures: {from: 0, to: 20, step: 10}\nphases: [Cu.cif]\nmethod: {code: emt}\n"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    config = Config(data=tmp_path_factory.mktemp("planning") / "data")
    config.data.mkdir()
    with open_runtime(config) as opened:
        yield opened
    stop_database(config)


@pytest.fixture
def runtime(opened: Runtime) -> Runtime:
    """A runtime that runs calculations here and now, on empty databases."""
    for name in ("calculations", "studies", "wanted", "plans", "faults", "claims", "crashes", "workers"):
        opened.store.database[name].delete_many({})
    for name in ("fireworks", "launches", "workflows"):
        opened.launchpad.db[name].delete_many({})
    return replace(opened, run=lambda folder, _: execute(folder, opened.config), owner="me", control=Control())


@pytest.fixture
def study(runtime: Runtime, tmp_path: Path) -> str:
    """A study that was registered and has asked for nothing yet."""
    bulk("Cu", "fcc", a=3.6).write(tmp_path / "Cu.cif")
    (tmp_path / "copper.yaml").write_text(STUDY)
    file = load_study(tmp_path / "copper.yaml")
    return register(file, resolve(file, runtime.config), runtime)


def wanting(monkeypatch: pytest.MonkeyPatch, wants: Any) -> None:
    """Have stability studies want something else."""
    monkeypatch.setitem(kinds.KINDS, "stability", replace(kinds.KINDS["stability"], wants=wants))


def work_off(runtime: Runtime, identifier: str, most: int = 60) -> None:
    """Be a worker until the study is complete, or nothing waits."""
    use(runtime)
    with heard(worker(runtime.owner, "here"), runtime):
        for _ in range(most):
            if _take(runtime, Assignment(code="emt", study=identifier)):
                continue
            if advance(identifier, runtime) or not waiting(runtime):
                return
    raise AssertionError("it never ends")


# --- one planner at a time ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_right_to_plan_lasts_as_long_as_the_planning(
    runtime: Runtime, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (stored_studies, lease):
        monkeypatch.setattr(module, "LEASE_SECONDS", 1)
    renewed = threading.Semaphore(0)
    renew = store.ResultStore.renew_lease

    def counted(self: store.ResultStore, identifier: str, owner: str) -> str | None:
        found = renew(self, identifier, owner)
        renewed.release()
        return found

    monkeypatch.setattr(store.ResultStore, "renew_lease", counted)
    with lease.lease(study, runtime) as ours:
        assert ours
        for _ in range(6):  # a lease and a half
            assert renewed.acquire(timeout=30)
        assert not runtime.store.take_lease(study, "another")
    assert runtime.store.take_lease(study, "another")


def test_a_run_lets_a_large_study_rest_while_something_of_it_waits_or_runs(
    runtime: Runtime, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks every two seconds, and would plan all the time where that takes ten."""
    wants, planned = kinds.KINDS["stability"].wants, []

    def counted(plan: Any, rungs: Any, records: Any) -> Any:
        planned.append(len(records))
        return wants(plan, rungs, records)

    advance(study, runtime)
    wanting(monkeypatch, counted)
    run, fireworks = LocalRun(study, plan_of(runtime.store.get_study(study)), runtime), runtime.launchpad.fireworks

    def cares(state: str, rest_s: int) -> int:
        planned.clear()
        fireworks.update_many({"spec.study": study, "state": "READY"}, {"$set": {"state": state}})
        rest = {"$add": ["$$NOW", 1000 * rest_s]}
        runtime.store.database.studies.update_one({"_id": study}, [{"$set": {"rest_until": rest}}])
        assert not run._care()
        return len(planned)

    assert cares("READY", 60) == 0
    assert cares("READY", -1) > 0
    assert cares("ARCHIVED", 60) > 0
    assert fireworks.count_documents({"spec.study": study, "state": "READY"}) > 0
    # What was taken from a worker that is lost (here one that never was) is submitted at once.
    past = {"state": "RUNNING", "updated_on": "2000-01-01T00:00:00+00:00"}
    fireworks.update_one({"spec.study": study, "state": "READY"}, {"$set": past})
    assert cares("READY", 60) > 0


def test_of_two_planners_one_is_refused(runtime: Runtime, study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is so slow that its lease is taken away: what it then adds is based on what is no more."""
    wants, second = kinds.KINDS["stability"].wants, replace(runtime, owner="second")

    def slow(plan: Any, rungs: Any, records: Any) -> list[dict[str, Any]]:
        wanting(monkeypatch, wants)
        runtime.store.database.studies.update_one({"_id": study}, {"$set": {"lease": None}})
        advance(study, second)
        return wants(plan, rungs, records)

    wanting(monkeypatch, slow)
    assert not advance(study, runtime)
    found = runtime.store.get_study(study)
    assert found is not None
    assert len(found.rungs) == len(found.wanted) > 1
    ready = runtime.launchpad.fireworks.count_documents({"spec.study": study, "state": "READY"})
    assert ready == len(found.wanted)
    # Nor where both still believe to have the right, and where a study was planned anew meanwhile.
    assert not runtime.store.add_wanted(study, found.rungs[:1], known=0)
    assert not runtime.store.mark_complete(study, known=0)
    runtime.store.take_lease(study, "me")
    runtime.store.put_study(found, anew=True)
    assert not runtime.store.add_wanted(study, found.rungs, known=0, owner="me")


def test_what_is_asked_for_again_while_somebody_plans_does_not_end_as_complete(
    runtime: Runtime, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance(study, runtime)
    work_off(runtime, study)
    assert runtime.store.get_study(study).complete
    runtime.store.reopen(study)
    wants = kinds.KINDS["stability"].wants

    def retried_meanwhile(plan: Any, rungs: Any, records: Any) -> list[dict[str, Any]]:
        runtime.store.reopen(study)
        return wants(plan, rungs, records)

    wanting(monkeypatch, retried_meanwhile)
    assert not advance(study, runtime)
    assert not runtime.store.get_study(study).complete


# --- a kind that has a fault ----------------------------------------------------------------------------------------


def test_a_kind_that_wants_again_what_it_has_asked_for_is_refused_and_the_study_ends(
    runtime: Runtime, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wants = kinds.KINDS["stability"].wants

    def again(plan: Any, rungs: Any, records: Any) -> list[dict[str, Any]]:
        # With another purpose and other neighbours, and so another key, it is still the same volume.
        repeated = [{**rung, "purpose": "once more", "key": "0" * 40} for rung in rungs[:1]]
        return [*wants(plan, rungs, records), *repeated]

    wanting(monkeypatch, again)
    advance(study, runtime)
    work_off(runtime, study)
    found = runtime.store.get_study(study)
    assert found.complete
    assert len(found.rungs) == len({slot(rung) for rung in found.rungs})
    state, said = status_in(runtime.store, study, None, True).situations[study]
    assert state == "complete"
    assert "a failure of ours: it wanted again what it had asked for (Cu 0), and does without" in said


def test_a_kind_that_fails_is_told_and_harms_nobody(
    runtime: Runtime, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wants = kinds.KINDS["stability"].wants

    def broken(plan: Any, rungs: Any, records: Any) -> list[dict[str, Any]]:
        raise ZeroDivisionError("no volume")

    wanting(monkeypatch, broken)
    with pytest.raises(PlanningFailed, match=r"what it wants next cannot be told \(ZeroDivisionError: no volume\)"):
        advance(study, runtime)
    assert not advance_if_it_can(study, runtime)  # as a worker does, which has other studies too
    state, said = status_in(runtime.store, study, None, True).situations[study]
    assert state == "stuck"
    assert "ZeroDivisionError" in said
    wanting(monkeypatch, wants)
    assert runtime.store.take_lease(study, "another")  # it was given back
    runtime.store.release_lease(study, "another")
    advance(study, runtime)
    assert runtime.store.faults([study]) == {}


# --- told to stop ---------------------------------------------------------------------------------------------------

ENDLESS = """
import json, os, signal, sys, time
from dataclasses import replace
from megabar.launchers.workers import worker
from megabar.workflows.kinds import registry as kinds
from megabar.workflows.config import Config

def endless(plan, rungs, records):
    print("plans", flush=True)
    while True:
        time.sleep(0.01)

kinds.KINDS["stability"] = replace(kinds.KINDS["stability"], wants=endless)
worker.CARE_SECONDS = 0.0
ends = time.monotonic() + float(sys.argv[3])
worker.work(Config.model_validate_json(sys.argv[1]), worker.Assignment(code="emt", study=sys.argv[2], ends=ends))
print("ended", flush=True)
"""


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.slow
def test_a_worker_that_plans_without_end_obeys_a_stop_and_the_end_of_its_time(
    runtime: Runtime, study: str, told: bool
) -> None:
    # On a busy computer a worker may come to its end before it has come to planning.
    assert any(obeys(runtime, study, told, ends) for ends in (["3600"] if told else ["12", "60", "240"]))
    assert runtime.store.take_lease(study, "another")  # which it has given back


def obeys(runtime: Runtime, study: str, told: bool, ends: str) -> bool:
    """Return whether a worker that has so many seconds came to planning; it has obeyed then."""
    words = [sys.executable, "-c", ENDLESS, runtime.config.model_dump_json(), study, ends]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            first = process.stdout.readline()
            if first == "ended\n" and not told:
                return False
            assert first == "plans\n"
            if told:
                process.terminate()
            assert process.stdout.read() == "ended\n"
            assert process.wait() == 0
        finally:
            process.kill()
    return True


def test_cancel_takes_effect_while_somebody_plans(
    runtime: Runtime, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    planning, cancelled = threading.Event(), threading.Event()
    wants = kinds.KINDS["stability"].wants

    def slow(plan: Any, rungs: Any, records: Any) -> list[dict[str, Any]]:
        planning.set()
        assert cancelled.wait(60)
        return wants(plan, rungs, records)

    wanting(monkeypatch, slow)
    thread = threading.Thread(target=advance, args=(study, runtime))
    thread.start()
    assert planning.wait(60)
    mark = store.ResultStore.mark_cancelled

    def marked(self: store.ResultStore, identifier: str) -> None:
        mark(self, identifier)
        cancelled.set()

    monkeypatch.setattr(store.ResultStore, "mark_cancelled", marked)
    cancel(study, replace(runtime, owner="another"))
    thread.join()
    assert runtime.launchpad.fireworks.count_documents({"state": "READY"}) == 0
    assert runtime.store.get_study(study).rungs == []


# --- too large ------------------------------------------------------------------------------------------------------


def test_a_study_that_is_too_large_is_told_before_anything_is_submitted(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk("Cu", "fcc", a=3.6).write(tmp_path / "Cu.cif")
    names = ", ".join(f"{{file: Cu.cif, name: Cu-{number}, pressure: 0}}" for number in range(20))
    (tmp_path / "many.yaml").write_text(STUDY.replace("Cu.cif", names))
    file = load_study(tmp_path / "many.yaml")
    plan = resolve(file, runtime.config)
    monkeypatch.setattr(size, "MOST_BYTES", 1_000)
    with pytest.raises(InputError, match=r"many.yaml: [0-9]+ phases are too many .* about [0-9]+ of these fit"):
        register(file, plan, runtime)
    assert runtime.store.find_studies() == []
    monkeypatch.setattr(session, "load_config", lambda: runtime.config)
    with pytest.raises(InputError, match=r"many.yaml: [0-9]+ phases are too many"):
        studies.plan_study(tmp_path / "many.yaml")
    monkeypatch.undo()
    assert register(file, plan, runtime)


def test_a_study_whose_document_is_full_says_so(runtime: Runtime, study: str) -> None:
    """Padded to just below 16 MB: not even who plans for it can be noted."""
    studies = runtime.store.database.studies
    document = studies.find_one_and_delete({"_id": study})
    document["definition"]["padding"] = "x" * (16 * 2**20 - len(encode(document)) - 40)
    studies.insert_one(document)
    with pytest.raises(InputError, match="has grown too large to be stored"):
        advance(study, runtime)
    _, said = status_in(runtime.store, study, None, True).situations[study]
    assert "has grown too large to be stored: ask for fewer phases" in said


# --- newer versions on the same database ----------------------------------------------------------------------------


def waiting(runtime: Runtime) -> list[str]:
    return [each["spec"]["key"] for each in runtime.launchpad.fireworks.find({"state": "READY"})]


def older_worker_meets(runtime: Runtime, calculation: dict[str, Any], key: str, **spec: Any) -> None:
    """Have a worker of this version meet what a newer one has submitted, beside a calculation that it knows."""
    known = globals()["calculation"]("emt", "Cu", 1.02)
    record = StudyRecord(identifier="new", name="new", kind="melt", definition={}, resolved={})
    runtime.store.put_study(record)
    runtime.store.add_wanted("new", [{"key": key, "phase": "Cu", "index": "0"}])
    submitted = {**specification(known, record), "key": key, "calculation": json.dumps(calculation), **spec}
    runtime.store.board.insert([({**submitted, "_priority": 10**6}, "newer")], "new")
    submit([(known, "known")], replace_study(record, "old"), runtime)
    use(runtime)
    with heard(worker("me", "here"), runtime):
        task = Assignment(code="emt")
        while _take(runtime, task):
            pass
        assert runtime.store.get(known.key).done
        assert waiting(runtime) == [key]  # for those that know it
        assert runtime.store.ended([key]) == {}
        assert runtime.store.crashes([key]) == {}
        assert runtime.presence.running() == set()
        assert not _take(runtime, task)  # it is not taken again and again


def replace_study(record: StudyRecord, name: str) -> StudyRecord:
    return record.model_copy(update={"identifier": name, "name": name})


NEWER: dict[str, dict[str, Any]] = {
    "a task": {"task": "stretch"},
    "a code": {"code": "castep"},
    "a field": {"temperature_K": 300.0},
    "a field of the structure": {"structure": {"magnetic": [1.0]}},
    "a field of the relaxation": {"relaxation": {"force_eV_A": 0.1, "stress_GPa": 0.1, "shape": True, "cell": "abc"}},
    "a field of the atomic data": {"data": [{"element": "Cu", "spin": 1}]},
}


@pytest.mark.parametrize("what", NEWER)
def test_what_this_version_does_not_know_is_left_to_others(runtime: Runtime, what: str) -> None:
    content = calculation("emt", "Cu", 1.01).to_dict()
    for name, value in NEWER[what].items():
        content[name] = {**content[name], **value} if isinstance(content.get(name), dict) else value
    older_worker_meets(runtime, content, f"{abs(hash(what)):040x}"[:40])


def test_what_has_a_newer_format_is_not_even_taken(runtime: Runtime) -> None:
    content = calculation("emt", "Cu", 1.01).to_dict()
    older_worker_meets(runtime, content, "f" * 40, format=FORMAT + 1)
    assert runtime.launchpad.launches.count_documents({}) == 1
    assert _fitting(Assignment(code="emt"), ["k"])["spec.key"] == {"$nin": ["k"]}


def test_a_result_of_a_newer_version_stays_what_it_is(runtime: Runtime, study: str) -> None:
    advance(study, runtime)
    first = runtime.store.get_study(study).wanted[0]
    newer = {"_id": first, "calculation": {}, "state": "done", "free_energy_eV": 1.0}
    runtime.store.database.calculations.insert_one(newer)
    use(runtime)
    with heard(worker("me", "here"), runtime):
        while _take(runtime, Assignment(code="emt", study=study)):
            pass
    assert runtime.store.database.calculations.find_one({"_id": first}) == newer
    assert runtime.store.ended(runtime.store.get_study(study).wanted)[first] == "done"
    with pytest.raises(NotOurs, match="stored by a newer version of megabar \\(free_energy_eV\\)"):
        advance(study, runtime)
    assert runtime.store.crashes([first]) == {}
    assert not runtime.store.get_study(study).complete


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "melt"},
        {"resolved.temperatures_K": [300]},
        {"resolved.ladders.0.spin": True},
        {"resolved.ladders.0.structure.magnetic": [1.0]},
        {"temperatures": [300]},
    ],
)
def test_a_study_of_a_newer_version_is_left_to_it(runtime: Runtime, study: str, change: dict[str, Any]) -> None:
    studies = runtime.store.database.studies
    studies.update_one({"_id": study}, {"$set": change})
    before = studies.find_one({"_id": study}, {"lease": 0, "rest_until": 0})
    assert not advance_if_it_can(study, runtime)
    with pytest.raises(NotOurs):
        advance(study, runtime)
    assert studies.find_one({"_id": study}, {"lease": 0, "rest_until": 0}) == before
    assert runtime.launchpad.fireworks.count_documents({}) == 0
    assert runtime.store.faults([study]) == {}


def test_a_rung_whose_key_this_version_would_make_otherwise_is_not_submitted(runtime: Runtime, study: str) -> None:
    advance(study, runtime)
    runtime.launchpad.fireworks.delete_many({})
    runtime.store.database.wanted.update_one({"study": study}, {"$set": {"key": "a" * 40}})
    runtime.memory.clear()
    with pytest.raises(NotOurs, match="planned by another version"):
        advance(study, runtime)
    assert waiting(runtime) == []


def test_what_never_arrives_as_it_was_submitted_fails_and_the_study_ends(
    runtime: Runtime, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its crashes are counted by the key that the study knows: it is not submitted again and again."""
    advance(study, runtime)
    bad = runtime.store.get_study(study).wanted[0]
    arrives = tasks.submitted

    def changed(spec: dict[str, Any]) -> Calculation:
        found = arrives(spec)
        return replace(found, settings={**found.settings, "lost": "text"}) if spec["key"] == bad else found

    monkeypatch.setattr(tasks, "submitted", changed)
    for _ in range(3):
        work_off(runtime, study)
    found = runtime.store.get_study(study)
    assert found.complete
    record = runtime.store.get(bad)
    assert (record.state, record.cause) == ("failed", "task-crashed")
    assert "its task crashed 3 times" in record.detail
    assert "was changed on its way" in record.detail
