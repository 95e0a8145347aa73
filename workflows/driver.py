"""Keeps studies going: whoever finishes a calculation asks here what its studies want next.

What is wanted follows from the study and the results alone, so that any process can do this at any time: a worker
that has stored a result, `megabar run` when it looks, somebody who starts again after a power cut. Fireworks are
single and independent; which calculation must wait for which is known to the study, not to the LaunchPad.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from megabar.workflows.calculation import Calculation
from megabar.workflows.cost import seconds
from megabar.workflows.execution import RESULT
from megabar.workflows.isolation import ATTEMPTS
from megabar.workflows.plan import StabilityPlan
from megabar.workflows.runtime import Runtime
from megabar.workflows.stability import wanted_next
from megabar.workflows.store import CalculationRecord, StudyRecord, record_of

ALIVE = ("WAITING", "READY", "RESERVED", "RUNNING")
CRASHES = ("killed", "internal-error", "task-crashed")
MOST_CRASHES = 3
CHECKOUT_SECONDS = 10


def advance_all(key: str, runtime: Runtime) -> None:
    """Let every unfinished study that waits for a calculation go on."""
    for identifier in runtime.store.studies_wanting(key):
        advance(identifier, runtime)


def advance(identifier: str, runtime: Runtime) -> bool:
    """Submit what a study wants next and return whether it is complete.

    Safe to call at any time by anybody; while somebody else does it, this call does nothing.
    """
    store = runtime.store
    if not store.take_lease(identifier, runtime.owner):
        return False
    try:
        study = store.get_study(identifier)
        if study is None or study.complete:
            return study is not None
        plan = StabilityPlan.from_dict(study.resolved)
        known, records = list(study.rungs), store.get_many(study.wanted)
        while rungs := [rung.to_dict() for rung in wanted_next(plan, known, records)]:
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
        store.release_lease(identifier, runtime.owner)


def _submit_missing(
    plan: StabilityPlan,
    study: StudyRecord,
    rungs: Iterable[dict[str, Any]],
    records: dict[str, CalculationRecord],
    runtime: Runtime,
) -> None:
    """Submit the wanted calculations that have neither result nor living firework."""
    known = runtime.store.ended([rung["key"] for rung in rungs if rung["key"] not in records])
    open_rungs = {rung["key"]: rung for rung in rungs if rung["key"] not in records and rung["key"] not in known}
    states = _firework_states(list(open_rungs), runtime)
    orphans = []
    for key, rung in open_rungs.items():
        if states[key]["FIZZLED"] >= MOST_CRASHES:
            failure = {"state": "failed", "cause": "task-crashed", "detail": f"its task crashed {MOST_CRASHES} times"}
            runtime.store.save(record_of(plan.calculation(rung), failure, {"worker": runtime.owner}))
        elif not any(states[key][state] for state in ALIVE):
            orphans.append((plan.calculation(rung), f"{rung['phase']} {rung['index']}"))
    submit(orphans, study.name, runtime)


def _firework_states(keys: list[str], runtime: Runtime) -> dict[str, Counter[str]]:
    """Return, for each calculation, how many fireworks it has in each state."""
    states: dict[str, Counter[str]] = {key: Counter() for key in keys}
    for document in runtime.launchpad.fireworks.find({"spec.key": {"$in": keys}}, {"spec.key": 1, "state": 1}):
        states[document["spec"]["key"]][document["state"]] += 1
    return states


def submit(calculations: list[tuple[Calculation, str]], study: str, runtime: Runtime) -> None:
    """Put calculations, each with a name, into the LaunchPad as workflows of one firework each."""
    if not calculations:
        return
    from fireworks import Firework, Workflow

    from megabar.workflows.tasks import CalculationTask

    workflows = []
    for calculation, name in calculations:
        # The longest first, so that they do not end alone.
        priority = round(seconds(calculation, None))
        spec = {
            "key": calculation.key,
            "calculation": calculation.to_dict(),
            "study": study,
            "_priority": priority,
        }
        firework = Firework(CalculationTask(), spec=spec, name=name)
        workflows.append(Workflow([firework], name=f"{study}: {name}"))
    runtime.launchpad.bulk_add_wfs(workflows)


def retry_crashed(identifier: str, runtime: Runtime) -> int:
    """Forget failures that say nothing about the calculation (killed, crashed), so that they are tried once more.

    Returns how many there were. What the code itself said, such as not converged, stands.
    """
    study = runtime.store.get_study(identifier)
    records = runtime.store.get_many(study.wanted if study else [])
    crashed = [record.key for record in records.values() if not record.done and record.cause in CRASHES]
    for key in crashed:
        for name in (RESULT, ATTEMPTS):
            (runtime.folder(key) / name).unlink(missing_ok=True)
        runtime.launchpad.fireworks.update_many({"spec.key": key, "state": "FIZZLED"}, {"$set": {"state": "ARCHIVED"}})
    if crashed:
        runtime.store.forget(crashed)
        runtime.store.reopen(identifier)
    return len(crashed)


def recover_lost(runtime: Runtime, is_alive: Callable[[str], bool]) -> int:
    """Take fireworks away from workers that are no more, and return how many there were.

    is_alive: whether the worker of a name is at work. The fireworks are archived, not run again: ``advance``
    submits what still has no result, and the calculation goes on from what lies in its folder.
    """
    pad = runtime.launchpad
    lost = 0
    fields = {"fw_id": 1, "launches": 1, "updated_on": 1}
    for document in list(pad.fireworks.find({"state": {"$in": ["RESERVED", "RUNNING"]}}, fields)):
        launch = pad.launches.find_one({"launch_id": {"$in": document.get("launches", [])}}, sort=[("launch_id", -1)])
        worker = launch["fworker"]["name"] if launch else None
        if worker is not None and is_alive(worker):
            continue
        if worker is None and _age(document.get("updated_on")) < timedelta(seconds=CHECKOUT_SECONDS):
            continue  # a worker may be taking it this moment
        archived = pad.fireworks.update_one(
            {"fw_id": document["fw_id"], "state": {"$in": ["RESERVED", "RUNNING"]}}, {"$set": {"state": "ARCHIVED"}}
        )
        lost += archived.modified_count
    return lost


def _age(moment: datetime | str | None) -> timedelta:
    if moment is None:
        return timedelta.max
    known = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return datetime.now(UTC) - (known if known.tzinfo else known.replace(tzinfo=UTC))
