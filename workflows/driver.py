"""Keeps studies going: whoever finishes a calculation asks here what its studies want next.

What is wanted follows from the study and the results alone, so that any process can do this at any time: a worker
that has stored a result, `megabar run` when it looks, somebody who starts again after a power cut. Fireworks are
single and independent; which calculation must wait for which is known to the study, not to the LaunchPad.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from megabar.workflows.kinds import Plan, kind_of
from megabar.workflows.retrying import forget_failures
from megabar.workflows.runtime import Runtime
from megabar.workflows.store import CalculationRecord, StudyRecord, record_of
from megabar.workflows.submission import submit

CRASHES = (
    *("killed", "internal-error", "task-crashed"),
    *("mpi-failed", "out-of-memory", "too-many-processes", "cannot-start"),
)
"""Causes of failures that tell of the machine, or of us, and nothing of the calculation."""
MOST_CRASHES = 3
CHECKOUT_SECONDS = 10


def advance_all(key: str, runtime: Runtime) -> None:
    """Let every unfinished study that waits for a calculation go on."""
    for identifier in runtime.store.studies_wanting(key):
        advance(identifier, runtime, patient=True)


def advance(identifier: str, runtime: Runtime, patient: bool = False) -> bool:
    """Submit what a study wants next and return whether it is complete.

    Safe to call at any time by anybody; while somebody else does it, this call does nothing.
    patient: nor where it was done a moment ago: whoever finds nothing to do calls it again.
    """
    store = runtime.store
    began = time.monotonic()
    if not store.take_lease(identifier, runtime.owner, patient):
        return False
    try:
        study = store.get_study(identifier)
        if study is None or study.complete or study.cancelled:
            return study is not None
        kind = kind_of(study.kind)
        plan = kind.read(study.resolved)
        known, records = list(study.rungs), store.get_many(study.wanted)
        while rungs := kind.wants(plan, known, records):
            store.add_wanted(identifier, rungs)
            known += rungs
            stored = store.get_many(rung["key"] for rung in rungs)
            records |= stored
            if len(stored) < len(rungs):
                break  # else another study has computed them all: plan on with its results
        _submit_missing(plan, study, known, records, runtime)
        # Judged by what the planning saw: results that came since may make the study want more.
        if rungs or any(rung["key"] not in records for rung in known):
            return False
        store.mark_complete(identifier)
        return True
    finally:
        store.release_lease(identifier, runtime.owner, time.monotonic() - began)


def _submit_missing(
    plan: Plan,
    study: StudyRecord,
    rungs: Iterable[dict[str, Any]],
    records: dict[str, CalculationRecord],
    runtime: Runtime,
) -> None:
    """Submit the wanted calculations that have no result, no living firework, and no worker that runs them."""
    ended = runtime.store.ended([rung["key"] for rung in rungs if rung["key"] not in records])
    missing = {rung["key"]: rung for rung in rungs if rung["key"] not in records and rung["key"] not in ended}
    if not missing:
        return
    alive = _alive(list(missing), study.identifier, runtime)
    orphans = {key: rung for key, rung in missing.items() if key not in alive}
    crashes = runtime.store.crashes(list(orphans)) if orphans else {}
    for key in [key for key, tracebacks in crashes.items() if len(tracebacks) >= MOST_CRASHES]:
        last = crashes[key][-1].strip().splitlines()[-1]
        failure = {
            "state": "failed",
            "cause": "task-crashed",
            "detail": f"its task crashed {len(crashes[key])} times, last with: {last}",
        }
        calculation = plan.calculation(orphans.pop(key))
        runtime.store.save(record_of(calculation, failure, {"worker": runtime.owner}))
    submit([(plan.calculation(rung), f"{rung['phase']} {rung['index']}") for rung in orphans.values()], study, runtime)


def _alive(keys: list[str], study: str, runtime: Runtime) -> set[str]:
    """Return those of some calculations that a worker runs, or that wait for one on behalf of a study.

    Two studies may wait for one calculation on two machines; whoever comes second finds the result.
    """
    states = {"$in": ["RESERVED", "RUNNING"]}
    here = {"state": {"$in": ["WAITING", "READY"]}, "spec.study": study}
    query = {"spec.key": {"$in": keys}, "$or": [{"state": states}, here]}
    found = runtime.launchpad.fireworks.find(query, {"spec.key": 1})
    return {document["spec"]["key"] for document in found} | runtime.presence.claimed(keys)


def retry_crashed(identifier: str, runtime: Runtime) -> int:
    """Forget failures that say nothing about the calculation (``CRASHES``), so that they are tried once more.

    Returns how many there were. What the code itself said, such as not converged, stands.
    """
    study = runtime.store.get_study(identifier)
    records = runtime.store.get_many(study.wanted if study else [])
    crashed = [record.key for record in records.values() if not record.done and record.cause in CRASHES]
    forget_failures(crashed, identifier, runtime)
    return len(crashed)


def recover_lost(runtime: Runtime, gone: Callable[[str], bool] = lambda name: False) -> int:
    """Take fireworks away from workers that are no more, and return how many there were.

    gone: what this host knows of a worker by other means than the database (its lock is free). The fireworks are
    archived, not run again: ``advance`` submits what still has no result, and the calculation goes on from what lies
    in its folder.
    """
    pad, presence = runtime.launchpad, runtime.presence
    presence.sweep()
    fields = {"fw_id": 1, "launches": 1, "updated_on": 1}
    taken = list(pad.fireworks.find({"state": {"$in": ["RESERVED", "RUNNING"]}}, fields))
    launches = [launch for document in taken for launch in document.get("launches", [])[-1:]]
    workers = {
        each["launch_id"]: each["fworker"]["name"]
        for each in pad.launches.find({"launch_id": {"$in": launches}}, {"launch_id": 1, "fworker.name": 1})
    }
    names = set(workers.values())
    dead = {name for name in names if gone(name)}
    presence.forget(dead)
    living = presence.known(names)
    lost = []
    for document in taken:
        worker = next((workers[each] for each in document.get("launches", [])[-1:] if each in workers), None)
        if worker in living:
            continue
        if worker is None and _age(document.get("updated_on")) < timedelta(seconds=CHECKOUT_SECONDS):
            continue  # a worker may be taking it this moment
        lost.append(document["fw_id"])
    return give_back({"fw_id": {"$in": lost}}, runtime)


def give_back(query: dict[str, Any], runtime: Runtime) -> int:
    """Archive taken fireworks, so that what they were to do is found to be wanted again; return how many."""
    taken = {**query, "state": {"$in": ["RESERVED", "RUNNING"]}}
    return int(runtime.launchpad.fireworks.update_many(taken, {"$set": {"state": "ARCHIVED"}}).modified_count)


def _age(moment: datetime | str | None) -> timedelta:
    if moment is None:
        return timedelta.max
    known = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return datetime.now(UTC) - (known if known.tzinfo else known.replace(tzinfo=UTC))
