"""What studies have cost: core-hours by study, phase and code, against what was estimated, and what was not spent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from megabar.workflows.standing import CODES, usual_code
from megabar.workflows.store import ResultStore

AT_ONCE = 20_000
COSTS = {
    **dict.fromkeys(("calculation.code", "provenance.study", "provenance.estimate_core_s"), 1),
    **dict.fromkeys((f"provenance.{name}" for name in ("cpu_s", "wall_s", "interrupted_wall_s")), 1),
    **dict.fromkeys(("provenance.cores", "provenance.peak_memory_MB"), 1),
}


class Account(NamedTuple):
    """What costs are added up by."""

    study: str
    phase: str
    code: str


@dataclass(frozen=True)
class Spending:
    """What some calculations have cost.

    run: calculations run for the study; reused: those whose result another study, or another database, had.
    core_s: core-seconds of those run, ``interrupted_core_s`` of these in attempts that did not come to the end.
    estimate_core_s: by the cost model, of those for which ``estimated_core_s`` is the truth: those that ended by
    themselves and have an estimate. saved_core_s: what the reused ones once cost. peak_memory_MB: of one process.
    """

    run: int = 0
    reused: int = 0
    core_s: float = 0.0
    interrupted_core_s: float = 0.0
    estimate_core_s: float = 0.0
    estimated_core_s: float = 0.0
    saved_core_s: float = 0.0
    peak_memory_MB: float = 0.0

    def __add__(self, other: Spending) -> Spending:
        """Return both together."""
        sums = {each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)}
        return Spending(**{**sums, "peak_memory_MB": max(self.peak_memory_MB, other.peak_memory_MB)})

    @property
    def ratio(self) -> float | None:
        """Truth by estimate, None where there is no estimate."""
        return self.estimated_core_s / self.estimate_core_s if self.estimate_core_s > 0 else None


def total(some: Iterable[Spending]) -> Spending:
    """Return all together."""
    return sum(some, Spending())


def core_seconds(provenance: Mapping[str, Any]) -> float:
    """Return what a run has cost: the cores that it held for its time, or the CPU time used where that is more."""
    held = (provenance.get("wall_s") or 0.0) * (provenance.get("cores") or 1)
    return float(max(held, provenance.get("cpu_s") or 0.0))


def spending(store: ResultStore, identifier: str | None = None) -> dict[Account, Spending]:
    """Return what the calculations of a study, or of all, have cost so far."""
    found: dict[Account, Spending] = defaultdict(Spending)
    query = {} if identifier is None else {"_id": identifier}
    interrupted = _interrupted(store)
    for study in store.database.studies.find(query, dict.fromkeys(CODES, 1)).sort("created", -1):
        phases = {key: phase for phase, keys in store.keys_by_phase(study["_id"]).items() for key in keys}
        usual = usual_code(study)
        told: dict[str, float] = defaultdict(float)
        for key in interrupted.keys() & phases.keys():
            told[key] += sum(seconds for owner, seconds in interrupted[key] if owner == study["_id"])
        for record in _records(store, list(phases)):
            account = Account(study["_id"], phases[record["_id"]], record["calculation"]["code"])
            found[account] += _ended(record, study["_id"], told.pop(record["_id"], 0.0))
        for key, seconds in told.items():
            if seconds:
                found[Account(study["_id"], phases[key], usual)] += Spending(core_s=seconds, interrupted_core_s=seconds)
    return dict(found)


def _records(store: ResultStore, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    for start in range(0, len(keys), AT_ONCE):
        yield from store.database.calculations.find({"_id": {"$in": keys[start : start + AT_ONCE]}}, COSTS)


def _ended(record: Mapping[str, Any], study: str, told_s: float) -> Spending:
    """Return what a calculation that has ended has cost a study.

    told_s: core-seconds of its attempts for this study that were told of and did not come to the end. What the folder
    it ended in knows of them is in its own time, with the parts that were killed; parts elsewhere are not.
    """
    provenance = record["provenance"]
    cost, estimate = core_seconds(provenance), provenance.get("estimate_core_s")
    if provenance.get("study") != study:
        return Spending(reused=1, saved_core_s=cost, core_s=told_s, interrupted_core_s=told_s)
    within = (provenance.get("interrupted_wall_s") or 0.0) * (provenance.get("cores") or 1)
    known = bool(estimate and cost)
    return Spending(
        run=1,
        core_s=cost + max(0.0, told_s - within),
        interrupted_core_s=max(told_s, within),
        estimate_core_s=estimate if known else 0.0,
        estimated_core_s=cost if known else 0.0,
        peak_memory_MB=provenance.get("peak_memory_MB") or 0.0,
    )


def _interrupted(store: ResultStore) -> dict[str, list[tuple[str, float]]]:
    """Return the attempts that did not end by themselves, by calculation: for which study, and core-seconds."""
    found: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for each in store.board.unfinished_launches():
        found[each.key].append((each.study, float(each.wall_s or 0.0) * each.cores))
    return found
