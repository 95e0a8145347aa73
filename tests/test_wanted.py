"""What studies want, in a collection of its own: nothing twice, nothing lost, earlier versions' studies go on."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from pymongo.errors import DuplicateKeyError

from megabar.launchers.database.embedded import stop_database
from megabar.launchers.database.open_runtime import open_runtime
from megabar.launchers.seeing.status import status_in
from megabar.launchers.workers.local import register
from megabar.structures.errors import InputError
from megabar.workflows import archive_import, planning, studies
from megabar.workflows.archive import MANIFEST, STUDY, write_archive
from megabar.workflows.archive_import import import_archive
from megabar.workflows.config import Config
from megabar.workflows.driver import advance
from megabar.workflows.execution import execute
from megabar.workflows.kinds import registry as kinds
from megabar.workflows.kinds.registry import load_study, plan_of, resolve
from megabar.workflows.queue import firetask as tasks
from megabar.workflows.records import Parts
from megabar.workflows.runtime import Runtime
from megabar.workflows.spending import spending
from megabar.workflows.stopping import Control
from megabar.workflows.store import CalculationRecord, NotOurs, ResultStore, StudyRecord, record_of
from megabar.workflows.sweeping import sweep_pieces
from megabar.workflows.wanted import new_token

STUDY_TEXT = (
    "kind: stability\nsystem: Cu\npressures: {from: 0, to: 20, step: 10}\nphases: [Cu.cif]\nmethod: {code: emt}\n"
)
COLLECTIONS = ("calculations", "studies", "wanted", "plans", "faults", "claims", "crashes", "workers", "retries")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    config = Config(data=tmp_path_factory.mktemp("wanted") / "data")
    config.data.mkdir()
    with open_runtime(config) as opened:
        yield opened
    stop_database(config)


@pytest.fixture
def runtime(opened: Runtime) -> Runtime:
    """A runtime that runs calculations here and now, on empty databases."""
    for name in COLLECTIONS:
        opened.store.database[name].delete_many({})
    for name in ("fireworks", "launches", "workflows"):
        opened.launchpad.db[name].delete_many({})
    return fresh(opened, "me")


def fresh(runtime: Runtime, owner: str) -> Runtime:
    """Return the runtime of another process, which remembers nothing."""
    run = runtime.config
    return replace(runtime, run=lambda folder, _: execute(folder, run), owner=owner, control=Control(), memory={})


@pytest.fixture
def study(runtime: Runtime, tmp_path: Path) -> str:
    """A study that was registered and has asked for nothing yet."""
    bulk("Cu", "fcc", a=3.6).write(tmp_path / "Cu.cif")
    (tmp_path / "copper.yaml").write_text(STUDY_TEXT)
    file = load_study(tmp_path / "copper.yaml")
    return register(file, resolve(file, runtime.config), runtime)


def whole(runtime: Runtime, study: str) -> StudyRecord:
    found = runtime.store.get_study(study)
    assert found is not None
    return found


def compute(runtime: Runtime, study: str, most: int = 100) -> None:
    """Store the results of what a study wants, as workers do, and count them as run."""
    found = whole(runtime, study)
    plan, states = plan_of(found), runtime.store.ended(found.wanted)
    for rung in [rung for rung in found.rungs if rung["key"] not in states][:most]:
        tasks.run_and_store(plan.calculation(rung), runtime)
        ours = {"spec.key": rung["key"], "state": "READY"}
        runtime.launchpad.fireworks.update_many(ours, {"$set": {"state": "COMPLETED"}})


def finish(runtime: Runtime, study: str) -> None:
    for _ in range(40):
        if advance(study, runtime):
            return
        compute(runtime, study)
    raise AssertionError("it never ends")


def as_before(runtime: Runtime, study: str) -> dict[str, Any]:
    """Put a study back as an earlier version stored it, and return its document."""
    found = whole(runtime, study)
    document = {
        "_id": study,
        **found.model_dump(exclude={"identifier", "generation", "edition"}),
        "wanted": list(found.wanted),
    }
    runtime.store.database.studies.replace_one({"_id": study}, document)
    runtime.store.database.wanted.delete_many({})
    runtime.memory.clear()
    return document


# --- one small document each ----------------------------------------------------------------------------------------


def test_what_is_wanted_is_a_small_document_each_in_the_order_asked(runtime: Runtime, study: str) -> None:
    advance(study, runtime)
    first = whole(runtime, study)
    finish(runtime, study)
    found = whole(runtime, study)
    assert found.rungs[: len(first.rungs)] == first.rungs
    assert len(found.rungs) > len(first.rungs)
    documents = list(runtime.store.database.wanted.find().sort("number", 1))
    assert [each["number"] for each in documents] == list(range(len(found.rungs)))
    assert [each["key"] for each in documents] == [rung["key"] for rung in found.rungs]
    assert not any("structure" in each for each in documents)
    stored = runtime.store.database.studies.find_one({"_id": study})
    assert (stored["wanted"], stored["rungs"]) == ([], [])  # where earlier versions look for them


def test_who_wants_a_calculation_is_asked_of_an_index(runtime: Runtime, study: str) -> None:
    advance(study, runtime)
    key = whole(runtime, study).wanted[0]
    assert runtime.store.studies_wanting(key) == [study]
    assert runtime.store.studies_wanting("0" * 40) == []
    plan = runtime.store.database.wanted.find({"key": key}, {"_id": 0, "study": 1, "generation": 1}).explain()
    assert "COLLSCAN" not in json.dumps(plan["queryPlanner"], default=str)
    assert plan["executionStats"]["totalDocsExamined"] == 0
    runtime.store.mark_complete(study)
    assert runtime.store.studies_wanting(key) == []


def test_the_database_itself_refuses_what_is_there(runtime: Runtime, study: str) -> None:
    """Whatever two planners believe: a number is given once, and a place has a key once."""
    advance(study, runtime)
    there = runtime.store.database.wanted.find_one({"study": study}, {"_id": 0})
    for change in ({"key": "1" * 40, "index": "77"}, {"number": 1000}):
        with pytest.raises(DuplicateKeyError):
            runtime.store.database.wanted.insert_one({**there, **change})
    before = whole(runtime, study)
    other = {**before.rungs[0], "index": "99", "key": "2" * 40}
    assert not runtime.store.add_wanted(study, [other], known=0)
    assert not runtime.store.mark_complete(study, known=len(before.rungs) - 1)
    assert whole(runtime, study) == before


def test_who_was_overtaken_while_adding_opens_the_study_again(
    runtime: Runtime, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stood still for a minute after it had looked: another one found meanwhile that nothing more is wanted."""
    finish(runtime, study)
    runtime.store.database.studies.update_one({"_id": study}, {"$set": {"complete": False}})
    known = len(whole(runtime, study).rungs)
    assert runtime.store.take_lease(study, "slow")
    add = ResultStore._add

    def stands_still(self: ResultStore, identifier: str, *others: Any) -> bool:
        self.database.studies.update_one({"_id": study}, {"$set": {"lease": None}})
        assert self.take_lease(identifier, "quick")
        assert self.mark_complete(identifier, known, "quick")
        return add(self, identifier, *others)

    monkeypatch.setattr(ResultStore, "_add", stands_still)
    late = {**whole(runtime, study).rungs[0], "index": "99", "key": "3" * 40}
    assert not runtime.store.add_wanted(study, [late], known, "slow")
    assert not whole(runtime, study).complete


def test_what_is_added_to_an_old_plan_is_nobodys(runtime: Runtime, study: str) -> None:
    advance(study, runtime)
    old = whole(runtime, study)
    runtime.store.put_study(old, anew=True)
    assert whole(runtime, study).rungs == []
    assert runtime.store.database.wanted.count_documents({}) == 0
    # One who was adding just then comes too late, and the numbers are free for the new plan.
    assert runtime.store._add(study, old.generation, old.rungs, 0)
    assert whole(runtime, study).rungs == []
    assert runtime.store.studies_wanting(old.wanted[0]) == []
    assert not runtime.store.unwanted(old.wanted[0])
    advance(study, runtime)
    assert whole(runtime, study).rungs == old.rungs


# --- studies of earlier versions ------------------------------------------------------------------------------------


def test_a_study_stored_by_an_earlier_version_is_read_and_goes_on(runtime: Runtime, study: str) -> None:
    advance(study, runtime)
    compute(runtime, study, most=1)
    before, now = status_in(runtime.store, study, None, True), whole(runtime, study)
    document = as_before(runtime, study)
    assert whole(runtime, study).rungs == now.rungs
    assert whole(runtime, study).wanted == now.wanted
    assert runtime.store.studies_wanting(now.wanted[0]) == [study]
    assert not runtime.store.unwanted(now.wanted[0])
    again = status_in(runtime.store, study, None, True)
    assert (again.studies[0].calculations, again.phases) == (before.studies[0].calculations, before.phases)
    assert sum(each.run + each.reused for each in spending(runtime.store).values()) == 1
    assert runtime.store.database.studies.find_one({"_id": study}) == document  # whoever looks changes nothing
    advance(study, runtime)
    assert runtime.store.database.studies.find_one({"_id": study})["rungs"] == []
    assert whole(runtime, study).rungs[: len(now.rungs)] == now.rungs
    finish(runtime, study)
    assert len(whole(runtime, study).rungs) == len({json.dumps(each) for each in whole(runtime, study).rungs})


def test_a_study_of_an_earlier_version_that_is_asked_for_again_goes_on_at_once(runtime: Runtime, study: str) -> None:
    advance(study, runtime)
    rungs = whole(runtime, study).rungs
    as_before(runtime, study)
    runtime.launchpad.fireworks.delete_many({})
    runtime.store.put_study(whole(runtime, study))  # as `megabar run` does
    advance(study, runtime)
    assert whole(runtime, study).rungs == rungs
    assert runtime.launchpad.fireworks.count_documents({"state": "READY"}) == len(rungs)


def test_a_complete_study_of_an_earlier_version_stays_as_it_is(runtime: Runtime, study: str) -> None:
    finish(runtime, study)
    found, json_of = whole(runtime, study), kinds.answer_of(whole(runtime, study), runtime.store).json()
    document = as_before(runtime, study)
    assert advance(study, runtime)
    assert kinds.answer_of(whole(runtime, study), runtime.store).json() == json_of
    stored = runtime.store.database.studies.find_one({"_id": study}, {"lease": 0, "rest_until": 0})
    assert stored == document
    assert whole(runtime, study).rungs == found.rungs


def test_a_planner_of_an_earlier_version_is_refused_once_a_study_was_moved(runtime: Runtime, study: str) -> None:
    """It holds the right to plan, has seen nothing asked for yet, and pushes into the study's own document."""
    as_before(runtime, study)
    assert runtime.store.take_lease(study, "earlier")
    assert runtime.store.moved(study)
    as_it_saw_it = {"_id": study, "rungs": {"$size": 0}, "lease.owner": "earlier", "cancelled": {"$ne": True}}
    assert runtime.store.database.studies.count_documents(as_it_saw_it) == 0


def test_an_earlier_version_takes_a_moved_study_for_a_newer_ones(runtime: Runtime, study: str) -> None:
    """Its model of a study knows no other fields than its own, and it leaves alone what has more."""
    advance(study, runtime)
    known = set(StudyRecord.model_fields) - {"generation", "edition"}
    document = runtime.store.database.studies.find_one({"_id": study})
    assert set(document) - known - {"_id", "lease", "rest_until"} == {"generation", "edition", "plan_parts"}


def test_a_move_that_somebody_overtakes_leaves_nothing(
    runtime: Runtime, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier version asks for one more just when the others were copied: it is copied too."""
    advance(study, runtime)
    rungs = whole(runtime, study).rungs
    as_before(runtime, study)
    database, add, times = runtime.store.database, ResultStore._add, []
    late = {**rungs[0], "index": "99", "key": "4" * 40}

    def overtaken(self: ResultStore, *arguments: Any) -> bool:
        done = add(self, *arguments)
        if not times:
            database.studies.update_one({"_id": study}, {"$push": {"rungs": late, "wanted": late["key"]}})
        times.append(1)
        return done

    monkeypatch.setattr(ResultStore, "_add", overtaken)
    runtime.store.moved(study)
    assert len(times) == 2
    assert whole(runtime, study).rungs == [*rungs, late]
    assert database.wanted.count_documents({}) == len(rungs) + 1


def test_rungs_that_this_version_does_not_know_are_left_to_newer_ones(runtime: Runtime, study: str) -> None:
    advance(study, runtime)
    runtime.launchpad.fireworks.delete_many({})
    known = whole(runtime, study)
    runtime.store.add_wanted(study, [{**known.rungs[0], "kind": "force set", "key": "5" * 40}])
    for process in (runtime, fresh(runtime, "another")):  # one remembers the study, one does not
        with pytest.raises(NotOurs, match="asks for what a newer version"):
            advance(study, process)
    assert runtime.launchpad.fireworks.count_documents({}) == 0
    assert runtime.store.faults([study]) == {}
    old = as_before(runtime, study)
    with pytest.raises(NotOurs):
        advance(study, runtime)
    del old["complete"]
    stored = runtime.store.database.studies.find_one({"_id": study}, {"lease": 0, "rest_until": 0, "complete": 0})
    assert stored == old


# --- reading what is new --------------------------------------------------------------------------------------------


def test_a_planner_reads_results_once_and_never_their_structures(
    runtime: Runtime, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[str]] = []
    summaries = ResultStore.summaries

    def counted(self: ResultStore, keys: Any) -> dict[str, CalculationRecord]:
        found = summaries(self, keys)
        read.append(sorted(found))
        return found

    monkeypatch.setattr(ResultStore, "summaries", counted)
    monkeypatch.setattr(ResultStore, "_parts", lambda *_: pytest.fail("a structure was read"))
    finish(runtime, study)
    keys = [key for some in read for key in some]
    assert sorted(keys) == sorted(whole(runtime, study).wanted)


def test_a_failure_that_is_asked_for_again_is_not_remembered(
    runtime: Runtime, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance(study, runtime)
    found = whole(runtime, study)
    rung, calculation = found.rungs[0], plan_of(found).calculation(found.rungs[0])
    runtime.store.save(record_of(calculation, {"state": "failed", "cause": "scf-not-converged", "detail": ""}, {}))
    wants, seen = kinds.KINDS["stability"].wants, []

    def watched(plan: Any, rungs: Any, records: Any) -> Any:
        seen.append(records[rung["key"]].state if rung["key"] in records else "open")
        return wants(plan, rungs, records)

    monkeypatch.setitem(kinds.KINDS, "stability", replace(kinds.KINDS["stability"], wants=watched))  # type: ignore[call-overload]
    advance(study, runtime)
    runtime.store.forget([rung["key"]])
    advance(study, runtime)
    tasks.run_and_store(calculation, runtime)
    advance(study, runtime)
    assert (seen[0], seen[-1]) == ("failed", "done")
    assert "open" in seen


def test_results_that_were_taken_away_are_missed_before_a_study_is_complete(runtime: Runtime, study: str) -> None:
    finish(runtime, study)
    runtime.store.reopen(study)
    lost = whole(runtime, study).wanted[0]
    assert runtime.memory[study].records[lost].done
    runtime.store.database.calculations.delete_one({"_id": lost})
    assert not advance(study, runtime)
    advance(study, runtime)
    waiting = runtime.launchpad.fireworks.find({"state": "READY"})
    assert lost in [each["spec"]["key"] for each in waiting]


def test_a_plan_that_is_renewed_is_read_again(runtime: Runtime, study: str) -> None:
    advance(study, runtime)
    one = runtime.memory[study]
    advance(study, runtime)
    assert runtime.memory[study].plan is one.plan
    runtime.store.put_study(whole(runtime, study))
    advance(study, runtime)
    assert runtime.memory[study].plan is not one.plan


def test_a_process_remembers_some_studies_only(runtime: Runtime, study: str) -> None:
    advance(study, runtime)
    known = runtime.memory[study]
    for number in range(3 * planning.MOST_STUDIES):
        other = known.study.model_copy(update={"identifier": f"other-{number}"})
        planning.remember(replace(known, study=other), runtime)
    assert len(runtime.memory) == planning.MOST_STUDIES
    assert study not in runtime.memory


def test_while_plenty_waits_planning_rests(runtime: Runtime, study: str) -> None:
    """Less than half a second of planning after each result is nothing, but where the workers do not wait for it."""
    for plenty, rests in ((False, False), (True, True)):
        assert runtime.store.take_lease(study, "me")
        runtime.store.release_lease(study, "me", took_s=0.4, plenty=plenty)
        assert runtime.store.take_lease(study, "another", patient=True) is not rests
        runtime.store.release_lease(study, "another")


# --- what large parts of records are read later ---------------------------------------------------------------------


def test_summaries_have_everything_in_the_end(runtime: Runtime, study: str) -> None:
    finish(runtime, study)
    keys = whole(runtime, study).wanted
    short, long = runtime.store.summaries(keys), runtime.store.get_many(keys)
    assert short.keys() == long.keys()
    for key, record in long.items():
        assert record.structure is not None and short[key].structure is not None
        assert dict(short[key].structure or {}) == record.structure
        assert dict(short[key].calculation) == record.calculation
        left_out = {"structure": None, "calculation": {}}
        assert short[key].model_copy(update=left_out) == record.model_copy(update=left_out)
    failed = CalculationRecord(key="6" * 40, calculation=long[keys[0]].calculation, state="failed", cause="x")
    runtime.store.save(failed)
    assert runtime.store.summaries([failed.key])[failed.key].structure is None
    runtime.store.database.calculations.update_one({"_id": failed.key}, {"$set": {"free_energy_eV": 1.0}})
    with pytest.raises(NotOurs, match="free_energy_eV"):
        runtime.store.summaries([failed.key])


def test_whoever_looks_at_many_large_parts_has_them_read_many_at_once() -> None:
    read: list[int] = []

    def reads(keys: Any, name: str) -> dict[str, dict[str, Any]]:
        read.append(len(keys))
        return {key: {"of": key, "name": name} for key in keys}

    keys = [str(number) for number in range(300)]
    parts = Parts(keys, reads)
    assert [parts.get(key, "structure") for key in keys] == [{"of": key, "name": "structure"} for key in keys]
    assert read[:4] == [1, 2, 4, 8] and max(read) == 64 and len(read) < 12
    assert parts.get("7", "calculation") == {"of": "7", "name": "calculation"}
    assert Parts(["a"], lambda *_: {}).get("a", "structure") == {}


# --- large plans ----------------------------------------------------------------------------------------------------


def test_a_large_plan_lies_beside_its_study(runtime: Runtime, study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    advance(study, runtime)
    small = whole(runtime, study)
    monkeypatch.setattr(studies, "PLAN_BYTES", 300)
    runtime.store.put_study(small)
    stored = runtime.store.database.studies.find_one({"_id": study})
    assert stored["plan_parts"] > 1
    assert stored["resolved"] == {"method": {"code": "emt"}}
    assert runtime.store.database.plans.count_documents({"study": study}) == stored["plan_parts"]
    found = whole(runtime, study)
    assert found.resolved == small.resolved
    assert plan_of(found).fingerprint == plan_of(small).fingerprint
    finish(runtime, study)
    # What it was before goes, and a part that is missing is told.
    runtime.store.put_study(found)
    assert len(runtime.store.database.plans.distinct("edition")) == 1
    runtime.store.database.plans.delete_one({"study": study})
    with pytest.raises(InputError, match="was just renewed"):
        runtime.store.get_study(study)
    monkeypatch.undo()
    runtime.store.put_study(small)
    assert runtime.store.database.plans.count_documents({}) == 0


@pytest.mark.slow
def test_a_study_of_many_large_cells_has_no_large_document(runtime: Runtime, tmp_path: Path) -> None:
    """1,700 phases: the document of a study had no room for them."""
    bulk("Cu", "fcc", a=3.6, cubic=True).repeat((2, 2, 3)).write(tmp_path / "Cu.cif")
    (tmp_path / "many.yaml").write_text(STUDY_TEXT)
    file = load_study(tmp_path / "many.yaml")
    plan = resolve(file, runtime.config)
    ladder = replace(plan.ladders[0], relaxation=None, first=(Fraction(0), Fraction(1)))
    many = replace(plan, ladders=tuple(replace(ladder, phase=f"Cu-{number}") for number in range(1700)))
    identifier = register(file, many, runtime)
    advance(identifier, runtime)
    assert len(whole(runtime, identifier).rungs) == 3400
    assert plan_of(whole(runtime, identifier)).fingerprint == many.fingerprint
    size = {"$group": {"_id": None, "size": {"$max": {"$bsonSize": "$$ROOT"}}}}
    for database in (runtime.store.database, runtime.launchpad.db):
        for name in database.list_collection_names():
            assert all(each["size"] < 1e6 for each in database[name].aggregate([size])), name


def test_what_killed_ones_left_is_swept_after_a_day(
    runtime: Runtime, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "PLAN_BYTES", 300)
    advance(study, runtime)
    runtime.store.put_study(whole(runtime, study))
    found, database = whole(runtime, study), runtime.store.database
    runtime.store._add(study, new_token(), found.rungs, 0)
    runtime.store._stored_plan(study, found.resolved)
    counts = [database[name].count_documents({}) for name in ("wanted", "plans")]
    for later, share in ((timedelta(hours=23), 1), (timedelta(days=2), 2)):
        database.sweeps.delete_many({})
        sweep_pieces(database, datetime.now(UTC) + later)
        assert [database[name].count_documents({}) for name in ("wanted", "plans")] == [n // share for n in counts]
    assert whole(runtime, study) == found


# --- archives -------------------------------------------------------------------------------------------------------


def test_an_archive_is_what_it_was_and_brings_all_that_was_wanted(runtime: Runtime, study: str, tmp_path: Path) -> None:
    finish(runtime, study)
    found = whole(runtime, study)
    write_archive(tmp_path / "new.zip", found, runtime.store)
    as_before(runtime, study)
    write_archive(tmp_path / "old.zip", whole(runtime, study), runtime.store)
    assert (tmp_path / "new.zip").read_bytes() == (tmp_path / "old.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "new.zip") as content:
        members = json.loads(content.read(STUDY))
        assert members["rungs"] == found.rungs and members["wanted"] == found.wanted
        assert "generation" not in members
        assert json.loads(content.read(MANIFEST))["format_version"] == 1
    for name in COLLECTIONS:
        runtime.store.database[name].delete_many({})
    import_archive(tmp_path / "new.zip", runtime.store, "me")
    again = whole(runtime, study)
    assert (again.rungs, again.wanted, again.complete) == (found.rungs, found.wanted, True)
    assert runtime.store.database.studies.find_one({"_id": study})["rungs"] == []


# --- behind the driver ----------------------------------------------------------------------------------------------


def test_the_store_is_looked_into_once_more_when_the_folder_is_ones_own(
    runtime: Runtime, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waited for a folder's lock finds there what the one before has stored, and runs nothing."""
    advance(study, runtime)
    found = whole(runtime, study)
    calculation = plan_of(found).calculation(found.rungs[0])
    done = {"state": "done", "energy_eV_per_atom": -1.0, "pressure_GPa": 1.0, "volume_A3_per_atom": 11.0}
    alone = tasks._alone

    def later(folder: Path, runtime: Runtime) -> Any:
        runtime.store.save(record_of(calculation, done, {"worker": "the one before"}))
        return alone(folder, runtime)

    monkeypatch.setattr(tasks, "_alone", later)
    watched = replace(runtime, run=lambda *_: pytest.fail("it was run again"))
    assert tasks.run_and_store(calculation, watched) == "done"
    record = runtime.store.get(calculation.key)
    assert record is not None and record.provenance == {"worker": "the one before"}


def test_what_ends_while_its_worker_is_looked_for_is_not_submitted_again(
    runtime: Runtime, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its result is stored, and its firework done, after the planner has read the results."""
    advance(study, runtime)
    found = whole(runtime, study)
    calculation = plan_of(found).calculation(found.rungs[0])
    wants = kinds.KINDS["stability"].wants

    def meanwhile(plan: Any, rungs: Any, records: Any) -> Any:
        tasks.run_and_store(calculation, fresh(runtime, "worker"))
        runtime.launchpad.fireworks.update_many({"spec.key": calculation.key}, {"$set": {"state": "COMPLETED"}})
        return wants(plan, rungs, records)

    monkeypatch.setitem(kinds.KINDS, "stability", replace(kinds.KINDS["stability"], wants=meanwhile))  # type: ignore[call-overload]
    assert not advance(study, runtime)
    assert runtime.launchpad.fireworks.count_documents({"spec.key": calculation.key}) == 1


def test_arrays_are_stored_once_and_what_a_killed_one_left_is_replaced(runtime: Runtime) -> None:
    from megabar.workflows.store import PIECE_BYTES, put_history

    database, content = runtime.store.database, np.random.default_rng(1).bytes(2 * PIECE_BYTES + 1)
    database.fs.chunks.insert_one({"files_id": "k", "n": 0, "data": b"half"})
    put_history(database, "k", content)
    put_history(database, "k", b"another")
    assert runtime.store.packed_history("k") == content
    assert database.fs.files.count_documents({"filename": "k"}) == 1
    assert database.fs.chunks.count_documents({"files_id": "k"}) == 3


def test_what_an_old_study_asked_for_twice_is_moved_once(runtime: Runtime, study: str) -> None:
    advance(study, runtime)
    before = whole(runtime, study)
    as_before(runtime, study)
    twice = [*before.rungs[:1], *before.rungs]
    runtime.store.database.studies.update_one({"_id": study}, {"$set": {"rungs": twice}})
    assert runtime.store.moved(study) is not None
    assert whole(runtime, study).rungs == before.rungs


def test_an_import_that_a_planner_overtakes_adds_all_the_same(
    runtime: Runtime, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(runtime, study)
    complete = whole(runtime, study)
    store = runtime.store
    runtime.store.database.studies.delete_many({})
    runtime.store.database.wanted.delete_many({})
    assert store.insert_study(complete.model_copy(update={"rungs": complete.rungs[:1], "complete": False}))
    looked: list[str] = []
    get_study = ResultStore.get_study

    def overtaken(self: ResultStore, identifier: str) -> StudyRecord | None:
        found = get_study(self, identifier)
        if not looked:  # somebody plans between the look and the adding
            store.add_wanted(study, complete.rungs[1:2])
        looked.append(identifier)
        return found

    monkeypatch.setattr(ResultStore, "get_study", overtaken)
    assert archive_import._store_study(complete, store) == "joined"
    monkeypatch.undo()
    found = whole(runtime, study)
    assert len(looked) == 2
    assert found.complete
    assert {rung["key"] for rung in found.rungs} == {rung["key"] for rung in complete.rungs}
    assert len(found.rungs) == len(complete.rungs)


def test_a_plan_that_is_renewed_while_it_is_read_is_no_fault(
    runtime: Runtime, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def renewed(self: ResultStore, identifier: str) -> StudyRecord | None:
        raise studies.JustRenewed("just renewed")

    monkeypatch.setattr(ResultStore, "get_study", renewed)
    assert not advance(study, runtime)
    monkeypatch.undo()
    assert runtime.store.faults([study]) == {}
    finish(runtime, study)
