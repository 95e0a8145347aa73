"""Takes a study's archive into a database: checked to the last byte before anything is written, nothing overwritten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo.errors import BulkWriteError

from megabar.structures.errors import InputError
from megabar.workflows.archive import BATCH
from megabar.workflows.archive_reading import Archive, opened
from megabar.workflows.kinds.interface import slot
from megabar.workflows.kinds.registry import plan_of
from megabar.workflows.store import CalculationRecord, ResultStore, StudyRecord, put_history

AGREE_EV, AGREE_GPA = 1e-4, 0.1
"""Two runs of one calculation, on different processors, differ by less (eV/atom, GPa); more is another result."""
DUPLICATE = 11000
WRITERS = 8
ELSEWHERE = "nothing was imported; MEGABAR_DATABASE_NAME=ANOTHER imports it into a database of its own"


@dataclass(frozen=True)
class Imported:
    """What an import came to.

    new: calculations that were not there; mended: failed ones that the archive has a result of; present: those that
    were there already, ``agreeing`` of them computed independently; their own results stay.
    study_state: ``new``, ``joined`` (calculations were added to the study that was there) or ``unchanged``.
    """

    study: str
    name: str
    complete: bool
    calculations: int
    new: int
    mended: int
    present: int
    agreeing: int
    study_state: str


def import_archive(path: Path, store: ResultStore, owner: str) -> Imported:
    """Take an archive into a database and return what was new; done twice, the second time changes nothing.

    owner: whose the study is there. Raises InputError, before anything is written, where the archive is damaged or of
    another version, where one of its calculations is stored with another result, and where the study is there with
    another plan.
    """
    with opened(path) as archive:
        archive.check()
        study = archive.study()
        known = store.get_study(study.identifier)
        if known is not None:
            _check_same_plan(path, study, known)
        agreeing = _check_results(archive, store)
        counts = {"new": 0, "mended": 0, "present": 0}
        for batch in _batches(archive.records()):
            for name, count in _store_batch(batch, archive, store).items():
                counts[name] += count
        state = _store_study(study.model_copy(update={"owner": owner}), store)
    stored = store.get_study(study.identifier)
    return Imported(
        study=study.identifier,
        name=study.name,
        complete=stored is not None and stored.complete,
        calculations=sum(counts.values()),
        agreeing=agreeing,
        study_state=state,
        **counts,
    )


def _batches(records: Iterator[CalculationRecord]) -> Iterator[list[CalculationRecord]]:
    batch: list[CalculationRecord] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _check_same_plan(path: Path, study: StudyRecord, known: StudyRecord) -> None:
    plans = [plan_of(each) for each in (study, known)]
    if plans[0].fingerprint != plans[1].fingerprint:
        ours, theirs = (f"{plan.method.code} {plan.method.version}" for plan in reversed(plans))
        differs = f" ({ours} here, {theirs} there)" if ours != theirs else ""
        raise InputError(
            f"{path}: the study {study.identifier} is in this database with another plan{differs}; {ELSEWHERE}"
        )


def _check_results(archive: Archive, store: ResultStore) -> int:
    """Return how many calculations were computed independently here; raises InputError where results disagree."""
    agreeing, wrong = 0, []
    for batch in _batches(archive.records()):
        stored = store.get_many(record.key for record in batch)
        for record in batch:
            own = stored.get(record.key)
            if own is None or "failed" in (own.state, record.state):
                continue
            if not _agree(own, record):
                wrong.append((own, record))
            elif (own.energy_eV_per_atom, own.pressure_GPa) != (record.energy_eV_per_atom, record.pressure_GPa):
                agreeing += 1
    if wrong:
        own, record = wrong[0]
        raise InputError(
            f"{archive.path}: {len(wrong)} of its calculations have other results in this database, first {record.key} "
            f"({_result(record)} in the archive, {_result(own)} here); {ELSEWHERE}"
        )
    return agreeing


def _agree(one: CalculationRecord, other: CalculationRecord) -> bool:
    if one.state != other.state:
        return False
    pairs = (
        (one.energy_eV_per_atom, other.energy_eV_per_atom, AGREE_EV),
        (one.pressure_GPa, other.pressure_GPa, AGREE_GPA),
    )
    return all(a == b or (a is not None and b is not None and abs(a - b) <= limit) for a, b, limit in pairs)


def _result(record: CalculationRecord) -> str:
    if record.energy_eV_per_atom is None:
        return record.state
    return f"{record.energy_eV_per_atom:.6f} eV/atom"


def _store_batch(batch: Sequence[CalculationRecord], archive: Archive, store: ResultStore) -> dict[str, int]:
    """Store the calculations of a batch that are not there, their histories first; return what became of them."""
    database = store.client[store.name]
    states = store.ended([record.key for record in batch])
    new = [record for record in batch if record.key not in states]
    mended = [record for record in batch if states.get(record.key) == "failed" and record.state != "failed"]
    _store_histories([record.key for record in [*new, *mended]], archive, database)
    if new:
        try:
            database.calculations.insert_many([_document(record) for record in new], ordered=False)
        except BulkWriteError as error:  # somebody else has stored one meanwhile: that one stays
            if any(each["code"] != DUPLICATE for each in error.details["writeErrors"]):
                raise
    for record in mended:
        database.calculations.replace_one({"_id": record.key, "state": "failed"}, _document(record))
    return {"new": len(new), "mended": len(mended), "present": len(batch) - len(new) - len(mended)}


def _store_histories(keys: Sequence[str], archive: Archive, database: Any) -> None:
    """Store the histories that are not there; several at once, as each waits for the server's disk."""
    there = set(database.fs.files.distinct("filename", {"filename": {"$in": list(keys)}}))
    missing = [key for key in keys if key not in there]

    def put(key: str, history: bytes | None) -> None:
        if history is not None:
            put_history(database, key, history)

    with ThreadPoolExecutor(WRITERS) as pool:
        for start in range(0, len(missing), WRITERS):
            part = missing[start : start + WRITERS]
            list(pool.map(put, part, [archive.history(key) for key in part]))


def _document(record: CalculationRecord) -> dict[str, Any]:
    return {"_id": record.key, **record.model_dump(exclude={"key"})}


def _store_study(study: StudyRecord, store: ResultStore) -> str:
    """Store a study, or add to the one that is there what it has not asked for; return which of the two."""
    if store.insert_study(study):
        return "new"
    while True:
        known = store.get_study(study.identifier)
        assert known is not None
        there = {_place(rung) for rung in known.rungs}
        missing = list({_place(rung): rung for rung in study.rungs if _place(rung) not in there}.values())
        # It is refused where somebody plans for the study at this moment: what is there is then another.
        if not missing or store.add_wanted(study.identifier, missing, len(known.rungs)):
            break
    if study.complete and set(known.wanted) <= set(study.wanted):
        store.mark_complete(study.identifier)
    elif missing and not set(known.wanted) <= set(study.wanted):
        store.reopen(study.identifier)  # both know more than the other: what is wanted must be worked out anew
    return "joined" if missing else "unchanged"


def _place(rung: Mapping[str, Any]) -> tuple[Any, ...]:
    return (*slot(rung), rung["key"])
