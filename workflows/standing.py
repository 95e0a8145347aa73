"""How studies stand, counted in the database: keys, states and sums, never the document of a calculation."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from megabar.workflows.presence import STALE_SECONDS, Presence
from megabar.workflows.store import ResultStore

SEEK_COST = 3
"""How many entries of an index are read in the time in which one is looked up."""
SAMPLE = 200
CODES = ("resolved.method.code", "resolved.volumes.method.code")
"""Where the plans of the kinds of studies have the code that most of their calculations use."""
FIELDS = {
    **dict.fromkeys(("name", "kind", "owner", "machine", "created", "complete", "cancelled"), 1),
    **dict.fromkeys(("wanted", "generation"), 1),
    **dict.fromkeys(("lease.until", "rest_until", *CODES), 1),
}


@dataclass(frozen=True)
class Running:
    """A calculation that a worker has taken: which, for which study, where and since when.

    core_seconds: of the cost model. silent_s: since its worker was last heard of, None where it is known no more.
    """

    key: str
    study: str
    name: str
    core_seconds: float
    worker: str
    host: str
    job: str
    cores: int
    since: str
    silent_s: float | None

    @property
    def lost(self) -> bool:
        """Whether its worker is not heard of any more."""
        return self.silent_s is None or self.silent_s > STALE_SECONDS


@dataclass(frozen=True)
class Standing:
    """How a study stands.

    calculations: asked for so far, of which ``done``, ``failed``, ``left_phase`` have ended and ``running``,
    ``lost`` (by workers that are heard of no more) and ``waiting`` have not; ``going_on`` of these were stopped and go
    on from where they were; ``queued`` of them are in the LaunchPad for this study.
    core_hours_left: of what has not ended, by the cost model and its truth so far; time_left_s: at the present speed,
    None where nothing runs. planning: whether somebody works out just now what it wants next. fault: why it cannot be
    planned further, "" where it can. kind: of study.
    """

    study: str
    name: str
    owner: str
    machine: str
    created: str
    complete: bool
    cancelled: bool
    calculations: int
    done: int
    failed: int
    left_phase: int
    running: int
    lost: int
    waiting: int
    going_on: int
    queued: int
    core_hours_left: float
    time_left_s: float | None
    planning: bool
    fault: str = ""
    kind: str = "stability"


@dataclass(frozen=True)
class PhaseStanding:
    """How one phase of a study stands: its calculations, counted as those of a study."""

    phase: str
    calculations: int
    done: int
    failed: int
    left_phase: int
    running: int
    waiting: int


def choose_studies(
    store: ResultStore, identifier: str | None = None, machine: str | None = None, newest: int | None = None
) -> tuple[list[dict[str, Any]], int]:
    """Return what is to be known of one study, or of those of a machine or all; and how many others there are.

    Those that are not complete come first, each kind newest first. newest: how many of the others.
    """
    studies = store.database.studies
    if identifier is not None:
        return list(studies.find({"_id": identifier}, FIELDS)), 0
    on = {} if machine is None else {"machine": machine}
    unfinished = {"complete": False, "cancelled": {"$ne": True}, **on}
    others = {"$or": [{"complete": True}, {"cancelled": True}], **on}
    found = list(studies.find(unfinished, FIELDS).sort("created", -1))
    ended = studies.find(others, FIELDS).sort("created", -1)
    found += list(ended if newest is None else ended.limit(newest))
    if newest is None:
        return found, 0
    # To be counted by the index too, they have to be read in its order.
    count = sum(1 for _ in studies.find(others, {"_id": 0, "created": 1}).sort("created", -1))
    return found, max(0, count - newest)


def running_now(store: ResultStore, workers: Sequence[Mapping[str, Any]]) -> list[Running]:
    """Return the calculations that workers have taken; workers: all known (``Presence.workers``)."""
    known = {each["_id"]: each for each in workers}
    found = []
    for each in store.board.held():
        worker = known.get(each.worker, {})
        found.append(
            Running(
                key=each.key,
                study=each.study,
                name=each.name,
                core_seconds=each.core_seconds,
                worker=each.worker,
                host=each.host,
                job=worker.get("job", ""),
                cores=worker.get("cores", 1),
                since=each.since,
                # One without a worker is being taken this moment.
                silent_s=worker.get("silent_s") if each.worker else 0.0,
            )
        )
    return found


def standings(store: ResultStore, studies: Sequence[Mapping[str, Any]], running: Iterable[Running]) -> list[Standing]:
    """Return how studies (as ``choose_studies`` returns them) stand."""
    unfinished = [study for study in studies if not study["complete"]]
    wanted = store.keys_of(studies)
    states = states_of(store, [key for study in unfinished for key in wanted[study["_id"]]])
    unusual = _unusual(store) if len(unfinished) < len(studies) else {}
    missing = {study["_id"]: set(wanted[study["_id"]]) - states.keys() for study in unfinished}
    queued = store.board.queued(list(missing))
    begun = store.board.interrupted() if unfinished else set()
    taken = {each.key: each for each in running}
    ratios = _ratios(store, unfinished, wanted, states)
    faults = store.faults([study["_id"] for study in studies])
    found = []
    for study in studies:
        keys = missing.get(study["_id"], set())
        count = _count(wanted[study["_id"]], unusual if study["complete"] else states, study["complete"])
        held = [taken[key] for key in keys & taken.keys()]
        busy = [each for each in held if not each.lost]
        waiting = keys - {each.key for each in held}
        number, seconds = queued.get(study["_id"], (0, 0.0))
        # On average half of what runs is done.
        seconds += sum(each.core_seconds * (1.0 if each.lost else 0.5) for each in held)
        seconds *= ratios.get(_pool(study), 1.0)
        cores = sum(each.cores for each in busy)
        found.append(
            Standing(
                study=study["_id"],
                name=study["name"],
                owner=study.get("owner", ""),
                machine=study.get("machine", ""),
                created=study.get("created", ""),
                complete=study["complete"],
                cancelled=study.get("cancelled", False),
                calculations=len(wanted[study["_id"]]),
                done=count["done"],
                failed=count["failed"],
                left_phase=count["left"],
                running=len(busy),
                lost=len(held) - len(busy),
                waiting=len(waiting),
                going_on=len(waiting & begun),
                queued=number,
                core_hours_left=seconds / 3600,
                time_left_s=seconds / cores if cores else None,
                planning=_planning(study),
                fault=faults.get(study["_id"], ""),
                kind=study.get("kind", "stability"),
            )
        )
    return found


def phase_standings(store: ResultStore, study: Standing, running: Iterable[Running]) -> list[PhaseStanding]:
    """Return how the phases of a study stand, in the order in which it asked for them."""
    keys = {phase: set(keys) for phase, keys in store.keys_by_phase(study.study).items()}
    states = states_of(store, set().union(*keys.values()))
    busy = {each.key for each in running if not each.lost}
    found = []
    for phase, own in keys.items():
        count = Counter(state for state in map(states.get, own) if state is not None)
        runs = len((own & busy) - states.keys())
        waits = len(own) - sum(count.values()) - runs
        found.append(PhaseStanding(phase, len(own), count["done"], count["failed"], count["left"], runs, waits))
    return found


def states_of(store: ResultStore, keys: Collection[str]) -> dict[str, str]:
    """Return the states of those of some calculations that have ended, each by a look-up or all by reading on."""
    calculations = store.database.calculations
    if SEEK_COST * len(keys) < calculations.estimated_document_count():
        return store.ended(list(keys))
    ended = calculations.find({"state": {"$in": ["done", "failed", "left"]}}, {"state": 1})
    return {each["_id"]: each["state"] for each in ended}


def _unusual(store: ResultStore) -> dict[str, str]:
    """Return the states of all calculations that have ended otherwise than done."""
    found = store.database.calculations.find({"state": {"$in": ["failed", "left"]}}, {"state": 1})
    return {each["_id"]: each["state"] for each in found}


def _count(keys: Sequence[str], states: Mapping[str, str], complete: bool) -> Counter[str]:
    """Return how many calculations are in each state; of a complete study all have ended, and most are done."""
    if not complete:
        return Counter(state for state in map(states.get, keys) if state is not None)
    count = Counter(states[key] for key in states.keys() & set(keys))
    count["done"] = len(keys) - sum(count.values())
    return count


def _planning(study: Mapping[str, Any]) -> bool:
    until = ((study.get("lease") or {}).get("until"), study.get("rest_until"))
    return any(each is not None and each > datetime.now(UTC) for each in until)


def _pool(study: Mapping[str, Any]) -> tuple[str, str]:
    return study.get("machine", ""), usual_code(study)


def usual_code(study: Mapping[str, Any]) -> str:
    """Return the code that most calculations of a stored study use, "" where its plan does not say."""
    for place in CODES:
        found: Any = study
        for name in place.split("."):
            found = found.get(name, {})
        if found:
            return str(found)
    return ""


def _ratios(
    store: ResultStore,
    studies: Sequence[Mapping[str, Any]],
    wanted: Mapping[str, Sequence[str]],
    states: Mapping[str, str],
) -> dict[tuple[str, str], float]:
    """Return CPU seconds by those of the cost model, by machine and code, from a sample of what is done."""
    done: dict[tuple[str, str], list[str]] = defaultdict(list)
    for study in studies:
        done[_pool(study)] += [key for key in wanted[study["_id"]] if states.get(key) == "done"]
    found = {}
    for pool, keys in done.items():
        sample = keys[:: max(1, len(keys) // SAMPLE)]
        ratio = _true_to_estimated(store, sample)
        if ratio is not None:
            found[pool] = ratio
    return found


def _true_to_estimated(store: ResultStore, keys: Sequence[str]) -> float | None:
    """Return the ratio of CPU seconds to those of the cost model, of those of some calculations that know both."""
    known = {"provenance.cpu_s": {"$gt": 0}, "provenance.estimate_core_s": {"$gt": 0}}
    total = {"truth": {"$sum": "$provenance.cpu_s"}, "estimate": {"$sum": "$provenance.estimate_core_s"}}
    pipeline = [{"$match": {"_id": {"$in": list(keys)}, **known}}, {"$group": {"_id": None, **total}}]
    found = list(store.database.calculations.aggregate(pipeline))
    return float(found[0]["truth"] / found[0]["estimate"]) if found else None


def workers_of(store: ResultStore) -> list[dict[str, Any]]:
    """Return all workers known, with ``silent_s``, the seconds since each was last heard of."""
    return Presence(store.database).workers()
