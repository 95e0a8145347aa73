"""What happened to the calculations of a study, and why others have not run: what `megabar why` shows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from megabar.launchers.database.stored import check_phase, existing_store, find_study
from megabar.launchers.seeing.outputs import Output, last_output
from megabar.launchers.seeing.status import Status, status_in
from megabar.workflows.attempts import Attempt, attempts_at, last_lines
from megabar.workflows.config import Config, load_config
from megabar.workflows.files import read_json
from megabar.workflows.folder import STATE
from megabar.workflows.isolation import attempts_of
from megabar.workflows.mending.record import steps_taken
from megabar.workflows.parts.volumes.ladder import Ladder
from megabar.workflows.runtime import folder_in
from megabar.workflows.standing import Running, running_now, workers_of
from megabar.workflows.store import ResultStore, StudyRecord

ORDER = ("failed", "lost", "running", "waiting", "left", "done")
MOST_OUTPUTS = 20
MAIN = "main"
FIELDS = ("state", "cause", "detail", "mendings", "warnings", "ionic_steps", "provenance")


@dataclass(frozen=True)
class Explanation:
    """What is known of one calculation.

    index, volume_A3_per_atom: its place on the ladder of its phase, where that has one. state: ``failed``, ``left``,
    ``done``, ``running``, ``lost`` (its worker is heard of no more), ``waiting``. waits: why it has not run.
    crash: last line of what the task around it said. core_s: what it has cost, estimate_s: by the cost model.
    ionic_steps: so far. files: the folder on this computer, ``host:folder`` on another one, "" where it has none yet.
    """

    phase: str
    index: str
    volume_A3_per_atom: float | None
    purpose: str
    kind: str
    key: str
    state: str
    cause: str | None
    detail: str | None
    waits: str
    attempts: Sequence[Attempt]
    mendings: Sequence[str]
    warnings: Sequence[str]
    crash: str
    core_s: float | None
    estimate_s: float | None
    ionic_steps: int | None
    files: str
    output: Output | None


@dataclass(frozen=True)
class Story:
    """A study's calculations in the order of interest, what more is to come, and how it stands as a whole.

    phase: the one asked for, None for all. done: calculations that are done and not told of one by one.
    next: what is not asked for yet, and why.
    """

    study: str
    phase: str | None
    status: Status
    calculations: Sequence[Explanation]
    done: int
    next: Sequence[str]

    def json(self) -> dict[str, Any]:
        """Return the same as JSON-able data."""
        state, said = self.status.situations[self.study]
        calculations = [asdict(each) for each in self.calculations]
        shown = {"study": self.study, "phase": self.phase, "state": state, "said": said}
        return {**shown, "calculations": calculations, "done": self.done, "next": list(self.next)}


def why(name: str, phase: str | None) -> Story:
    """Return what happened to a study (its file, name or identifier), or to one of its phases.

    Raises InputError where there is no such study or phase.
    """
    config = load_config()
    with existing_store(config) as store:
        study = find_study(name, store)
        check_phase(study, phase)
        return story(study, phase, store, config)


def story(study: StudyRecord, phase: str | None, store: ResultStore, config: Config) -> Story:
    """Return what happened to a stored study, or to one of its phases; what is done is told of for a phase only."""
    rungs = {rung["key"]: rung for rung in study.rungs if phase in (None, rung["phase"])}
    states: dict[str, str] = dict(store.ended(list(rungs)))
    workers = workers_of(store)
    running = {each.key: each for each in running_now(store, workers)}
    for key in rungs.keys() - states.keys():
        held = running.get(key)
        states[key] = "waiting" if held is None else "lost" if held.lost else "running"
    told = [key for key in rungs if phase is not None or states[key] != "done"]
    told.sort(key=lambda key: ORDER.index(states[key]))
    status = status_in(store, study.identifier, None, True)
    facts = _Facts.of(store, study, told, workers, running, status)
    ladders = {each["phase"]: Ladder.from_dict(each) for each in study.resolved.get("ladders", [])}
    explained = [
        _explained(
            rungs[key], ladders.get(rungs[key]["phase"]), states[key], facts, config, outputs=place < MOST_OUTPUTS
        )
        for place, key in enumerate(told)
    ]
    return Story(
        study=study.identifier,
        phase=phase,
        status=status,
        calculations=explained,
        done=sum(state == "done" for state in states.values()),
        next=_still_to_come(list(ladders.values()), study, phase),
    )


@dataclass(frozen=True)
class _Facts:
    """What the database knows of the calculations that are told of, by key."""

    records: Mapping[str, Mapping[str, Any]]
    attempts: Mapping[str, Sequence[Attempt]]
    crashes: Mapping[str, str]
    running: Mapping[str, Running]
    queued: frozenset[str]
    claimed: Mapping[str, str]
    begun: frozenset[str]
    waits: str

    @classmethod
    def of(
        cls,
        store: ResultStore,
        study: StudyRecord,
        keys: Sequence[str],
        workers: Sequence[Mapping[str, Any]],
        running: Mapping[str, Running],
        status: Status,
    ) -> _Facts:
        found = store.database.calculations.find({"_id": {"$in": list(keys)}}, dict.fromkeys(FIELDS, 1))
        claims = store.database.claims.find({"_id": {"$in": list(keys)}})
        state, said = status.situations[study.identifier]
        return cls(
            records={each["_id"]: each for each in found},
            attempts=attempts_at(store, keys, workers),
            crashes=last_lines(store, keys),
            running=running,
            queued=frozenset(store.board.waiting(study.identifier)),
            claimed={each["_id"]: each["worker"] for each in claims},
            begun=frozenset(store.board.interrupted()),
            waits="the study is cancelled" if study.cancelled else f"{state}{f': {said}' if said else ''}",
        )


def _explained(
    rung: Mapping[str, Any], ladder: Ladder | None, state: str, facts: _Facts, config: Config, outputs: bool
) -> Explanation:
    key = rung["key"]
    record = facts.records.get(key, {})
    provenance = record.get("provenance", {})
    attempts = facts.attempts.get(key, [])
    places = [provenance.get("folder"), *(each.folder for each in attempts[::-1]), str(folder_in(config, key))]
    folder = Path(next(place for place in places if place))
    there = os.access(folder, os.R_OK | os.X_OK)
    host = provenance.get("host") or (attempts[-1].host if attempts else "")
    steps = record.get("ionic_steps")
    if steps is None and there:
        state_kept = read_json(folder / STATE)
        steps = len(state_kept.get("steps", [])) or None if isinstance(state_kept, dict) else None
    spent = [each.wall_s * each.cores for each in attempts if each.wall_s is not None]
    return Explanation(
        phase=rung["phase"],
        index=str(rung["index"]),
        volume_A3_per_atom=round(ladder.volume(Fraction(rung["index"])), 4) if ladder else None,
        purpose=rung.get("purpose", ""),
        kind=rung.get("kind", MAIN),
        key=key,
        state=state,
        cause=record.get("cause"),
        detail=record.get("detail"),
        waits=_waits(key, facts) if state in ("waiting", "lost") else "",
        attempts=attempts,
        mendings=record.get("mendings", []) or (_mendings_so_far(folder) if there else []),
        warnings=record.get("warnings", []),
        crash=facts.crashes.get(key, ""),
        core_s=round(max(sum(spent), provenance.get("cpu_s", 0.0)), 3) if spent or provenance.get("cpu_s") else None,
        estimate_s=attempts[-1].estimate_s if attempts else None,
        ionic_steps=steps,
        files=str(folder) if there else f"{host}:{folder}" if host else "",
        output=last_output(folder) if there and outputs and state != "done" else None,
    )


def _mendings_so_far(folder: Path) -> list[str]:
    """Return what was mended in a calculation that has not ended, and how its processes died."""
    deaths = [f"started again after: {each}" for each in attempts_of(folder)]
    return [*steps_taken(folder), *deaths]


def _waits(key: str, facts: _Facts) -> str:
    """Return why a calculation has not run."""
    held = facts.running.get(key)
    if held is not None and held.lost:
        return f"the worker {held.worker} that had it is heard of no more; it goes on elsewhere"
    begun = "goes on from where it was stopped; " if key in facts.begun else ""
    if key in facts.claimed and key not in facts.queued:
        return f"{begun}the worker {facts.claimed[key]} has it, for another study"
    return begun + facts.waits


def _still_to_come(ladders: Sequence[Ladder], study: StudyRecord, phase: str | None) -> list[str]:
    """Return what is known to be wanted later, and what it waits for."""
    said = []
    for ladder in ladders:
        if phase not in (None, ladder.phase) or study.complete:
            continue
        asked = {str(rung["index"]) for rung in study.rungs if rung["phase"] == ladder.phase and rung["kind"] == MAIN}
        later = [index for index in ladder.first if str(index) not in asked]
        if later:
            volumes = ", ".join(f"{ladder.volume(index):.2f}" for index in later)
            said.append(
                f"{ladder.phase} at {volumes} Å³/atom waits for the results of its neighbours, which it starts from"
            )
    return said
