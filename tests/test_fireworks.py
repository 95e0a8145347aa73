"""What bites in FireWorks (version 2.1.4), each with what keeps it from biting here; docs/queue.md has the table."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from fireworks import Firework, FWAction, FWorker, Workflow
from pymongo.errors import AutoReconnect

from megabar.launchers.database.embedded import stop_database
from megabar.launchers.database.open_runtime import open_runtime
from megabar.launchers.workers.worker import Assignment, _fitting, _take, heard
from megabar.workflows import driver
from megabar.workflows.calculation import Calculation
from megabar.workflows.config import Config
from megabar.workflows.driver import recover_lost
from megabar.workflows.presence import Worker
from megabar.workflows.queue import firetask as tasks
from megabar.workflows.queue.submission import submit
from megabar.workflows.runtime import Runtime, use
from megabar.workflows.store import CalculationRecord, ResultStore, StudyRecord
from megabar.workflows.structure import Structure

AWKWARD: Mapping[str, Any] = {
    "kpoints": [2, 2, 2],
    "iso_date": "2024-02-29T12:34:56.789",
    "number_as_text": "1",
    "tiny": 1e-15,
    "whole": 3.0,
    "yes": True,
    "nothing": None,
    "nested": {"a": {"b": [1, 2.5, "{{module.Class}}", {"c": "å"}]}},
}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    config = Config(data=tmp_path_factory.mktemp("fireworks") / "data")
    config.data.mkdir()
    with open_runtime(config) as opened:
        yield opened
    stop_database(config)


@pytest.fixture(autouse=True)
def empty(runtime: Runtime) -> None:
    for name in ("fireworks", "launches", "workflows"):
        runtime.launchpad.db[name].delete_many({})
    for name in ("workers", "claims", "calculations", "crashes"):
        runtime.store.database[name].delete_many({})


def calculation(number: int = 0, **settings: Any) -> Calculation:
    atoms = bulk("Cu", "fcc", a=3.5 + 0.01 * number)
    return Calculation("emt", "ASE 0", {"kpoints": [1, 1, 1], **settings}, Structure.of(atoms), ())


def study(name: str = "s", machine: str = "") -> StudyRecord:
    return StudyRecord(identifier=name, name=name, kind="stability", definition={}, resolved={}, machine=machine)


def checked_out(runtime: Runtime, query: dict[str, Any], name: str = "w") -> str | None:
    found, _ = runtime.launchpad.checkout_fw(FWorker(name=name, query=query), "/tmp")
    return str(found.spec["key"]) if found else None


def test_stored_workflows_find_the_task_where_it_has_always_been() -> None:
    assert tasks.CalculationTask().to_dict() == {"_fw_name": "{{megabar.workflows.tasks.CalculationTask}}"}


def test_what_is_submitted_arrives_as_it_was(runtime: Runtime) -> None:
    """FireWorks takes text for dates and forgets types; numbers that are no plain ones do not get that far."""
    item = calculation(**AWKWARD, numpy=np.int64(3), array=np.array([1.0, 0.5]), flag=np.bool_(True))
    submit([(item, "Cu 0")], study(), runtime)
    found, _ = runtime.launchpad.checkout_fw(FWorker(name="w"), "/tmp")
    arrived = tasks.submitted(found.spec)
    assert arrived.key == found.spec["key"] == item.key
    assert arrived.settings == {"kpoints": [2, 2, 2], **AWKWARD, "numpy": 3, "array": [1.0, 0.5], "flag": True}
    with pytest.raises(TypeError, match="object"):
        submit([(calculation(odd=object()), "Cu 0")], study(), runtime)
    # What the versions before this one submitted is run too.
    assert tasks.submitted({"calculation": item.to_dict()}) == item


def test_what_was_changed_on_its_way_is_not_run(runtime: Runtime) -> None:
    item, other = calculation(1), calculation(2)
    use(runtime)  # which fails where it is asked to run anything
    said = tasks.CalculationTask().run_task({"key": item.key, "calculation": other.to_dict(), "study": "s"})
    assert said.stored_data["state"] == "crashed"
    assert "was changed on its way" in runtime.store.crashes([item.key, other.key])[item.key][0]
    assert runtime.store.ended([item.key, other.key]) == {}


def test_a_task_hands_nothing_on_through_fireworks(runtime: Runtime) -> None:
    """No update_spec to be overwritten or too large, no detour, no result that its serialiser would change."""
    item = calculation(3)
    runtime.store.database.calculations.insert_one({"_id": item.key, "state": "done", "calculation": item.to_dict()})
    use(runtime)
    said = tasks.CalculationTask().run_task({"key": item.key, "calculation": item.to_dict(), "study": "s"})
    assert said.to_dict() == FWAction(stored_data={"key": item.key, "state": "done"}).to_dict()


def test_fireworks_are_single(runtime: Runtime) -> None:
    """No parent that is lost can block a child, and no workflow grows until each of its jobs takes seconds."""
    submit([(calculation(number), str(number)) for number in range(5)], study(), runtime)
    found = list(runtime.launchpad.workflows.find({}, {"nodes": 1, "links": 1}))
    assert len(found) == 5
    assert all(len(each["nodes"]) == 1 and list(each["links"].values()) == [[]] for each in found)


def test_a_worker_takes_what_is_its_own_and_the_longest_and_oldest_first(runtime: Runtime) -> None:
    """Neither everything, as one without a category does, nor the newest."""
    items = [calculation(number) for number in range(6)]
    submit([(items[0], "0")], study("theirs", "other"), runtime)
    submit([(items[1], "1"), (items[2], "2")], study("ours", "here"), runtime)
    submit([(items[3], "3")], study("byhand"), runtime)
    fireworks = runtime.launchpad.fireworks
    fireworks.update_one({"spec.key": items[2].key}, {"$set": {"spec._priority": 100}})
    here, by_hand = (_fitting(Assignment(code="emt", machine=machine)) for machine in ("here", ""))
    assert [checked_out(runtime, here) for _ in range(3)] == [items[2].key, items[1].key, None]
    assert [checked_out(runtime, by_hand) for _ in range(2)] == [items[3].key, None]
    assert fireworks.find_one({"spec.key": items[0].key})["state"] == "READY"
    submit([(items[4], "4")], study("ours", "here"), runtime)
    time.sleep(0.01)
    submit([(items[5], "5")], study("ours", "here"), runtime)
    assert [checked_out(runtime, here) for _ in range(2)] == [items[4].key, items[5].key]


def test_a_worker_takes_only_what_fits_into_its_time(runtime: Runtime) -> None:
    """An estimate of a minute and a half, believed to within half of it more: 135 s on one core."""
    item = calculation()
    submit([(item, "0")], study("ours", "here"), runtime)
    runtime.launchpad.fireworks.update_many({}, {"$set": {"spec.core_seconds": 90.0}})

    def takes(left_s: float, **more: Any) -> bool:
        asked = {"length_s": 1000.0, "patience_s": 5.0, **more}
        task = Assignment(code="emt", machine="here", ends=time.monotonic() + left_s + asked["patience_s"], **asked)
        return runtime.launchpad.fireworks.count_documents(_fitting(task)) == 1

    assert takes(140.0)
    assert not takes(130.0)
    assert takes(70.0, cores=2)
    assert takes(70.0, speed=2.0)
    assert not takes(140.0, most=80.0)  # what needs a job alone is not for a shared one
    assert not takes(140.0, above=100.0)
    assert takes(60.0, length_s=100.0)  # in the first half of a job even what goes on in the next
    assert takes(math.inf)


def test_one_killed_in_mid_checkout_or_between_two_updates_loses_nothing(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RESERVED without a launch, and a launch that is over in a firework that runs; FireWorks finds neither."""
    pad = runtime.launchpad
    items = [calculation(number) for number in range(3)]
    submit([(each, "0") for each in items], study(), runtime)
    reserved, half, living = items
    pad.fireworks.update_one({"spec.key": reserved.key}, {"$set": {"state": "RESERVED"}})
    pad.fireworks.update_one({"spec.key": reserved.key}, {"$set": {"updated_on": datetime.now(UTC).isoformat()}})
    assert checked_out(runtime, {"spec.key": half.key}, "dead") == half.key
    pad.launches.update_many({"fworker.name": "dead"}, {"$set": {"state": "COMPLETED"}})
    runtime.presence.announce(Worker("alive", "here", 1, "me"))
    assert checked_out(runtime, {"spec.key": living.key}, "alive") == living.key
    assert recover_lost(runtime) == 1  # the second; a worker may be taking the first this moment
    past = datetime.now(UTC) - timedelta(seconds=driver.CHECKOUT_SECONDS + 1)
    pad.fireworks.update_one({"spec.key": reserved.key}, {"$set": {"updated_on": past.isoformat()}})
    assert recover_lost(runtime) == 1
    states = {each["spec"]["key"]: each["state"] for each in pad.fireworks.find()}
    assert states == {reserved.key: "ARCHIVED", half.key: "ARCHIVED", living.key: "RUNNING"}


def test_an_hour_without_fireworks_heartbeat_is_no_loss(runtime: Runtime) -> None:
    """FireWorks pings once an hour and takes whoever is older for lost; here only our own heartbeat counts."""
    item = calculation()
    submit([(item, "0")], study(), runtime)
    runtime.presence.announce(Worker("alive", "here", 1, "me"))
    assert checked_out(runtime, {}, "alive") == item.key
    assert runtime.presence.claim(item.key, "alive")
    long_ago = datetime.now(UTC) - timedelta(hours=6)
    runtime.launchpad.launches.update_many({}, {"$set": {"state_history.$[].updated_on": long_ago.isoformat()}})
    runtime.launchpad.fireworks.update_many({}, {"$set": {"updated_on": long_ago.isoformat()}})
    assert recover_lost(runtime) == 0
    # Somebody runs `lpad detect_lostruns --rerun` all the same: the calculation is not run a second time.
    lost, _, _ = runtime.launchpad.detect_lostruns(expiration_secs=1, rerun=True)
    assert lost
    assert not runtime.presence.claim(item.key, "another")


def test_a_duplicate_is_one_by_its_key_and_only_what_is_done_counts(runtime: Runtime, tmp_path: Path) -> None:
    """The order of the settings and the form of numbers make no difference; a firework that failed is no victim."""
    one = calculation(scf={"a": 1, "b": 2.0})
    other = Calculation(
        one.code,
        one.version,
        {"scf": {"b": np.float64(2.0), "a": np.int64(1)}, "kpoints": [1, 1, 1]},
        one.structure,
        (),
    )
    assert one.key == other.key
    pad = runtime.launchpad
    pad.bulk_add_wfs([Workflow([Firework(tasks.CalculationTask(), spec={"key": one.key, "machine": ""})])])
    pad.fireworks.update_many({}, {"$set": {"state": "FIZZLED"}})
    submit([(other, "0")], study("byhand"), runtime)
    ran: list[str] = []

    def run(folder: Path, _: str) -> dict[str, Any]:
        ran.append(folder.name)
        return {"state": "done", "energy_eV_per_atom": -1.0}

    here = Runtime(runtime.store, pad, Config(data=tmp_path), run, "w")
    use(here)
    with pytest.MonkeyPatch.context() as patch, heard(Worker("w", "here", 1, "me"), here):
        patch.setattr(tasks, "check_version", lambda *_: None)
        patch.chdir(tmp_path)
        assert _take(here, Assignment(code="emt"))
        submit([(one, "again")], study("byhand"), runtime)
        assert _take(here, Assignment(code="emt"))
    assert ran == [one.key]


class Interrupted(ResultStore):
    """A store that is out of reach the second time that it is asked for a calculation."""

    def get(self, key: str) -> CalculationRecord | None:
        """Return nothing, or fail."""
        asked = self.__dict__.setdefault("asked", [])
        asked.append(key)
        if len(asked) == 2:
            raise AutoReconnect("by a test")
        return None


def test_an_outage_that_fireworks_keeps_to_itself_leaves_no_claim(runtime: Runtime) -> None:
    """Its rocket catches what a task raises and ends well once the database is back; the claim would stay for ever."""
    item = calculation(4)
    submit([(item, "0")], study("byhand"), runtime)
    store = Interrupted(runtime.store.client, runtime.store.name)
    here = Runtime(store, runtime.launchpad, runtime.config, lambda *_: pytest.fail("nothing is to be run"), "w")
    use(here)
    with heard(Worker("w", "here", 1, "me"), here):
        assert _take(here, Assignment(code="emt"))
        assert store.__dict__["asked"] == [item.key] * 2  # the second time it was claimed
        assert here.launchpad.fireworks.find_one({"spec.key": item.key})["state"] == "FIZZLED"
        assert item.key not in here.presence.running()
