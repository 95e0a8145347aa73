"""The result store: one document a calculation, one a study, arrays beside them in GridFS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bson import Binary
from gridfs import GridFS
from pymongo import MongoClient, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from megabar.workflows.files import packed, unpacked
from megabar.workflows.indexes import RESULTS, make_indexes
from megabar.workflows.queue.board import Board
from megabar.workflows.records import (
    LATER,
    CalculationRecord,
    NotOurs,
    Parts,
    StudyRecord,
    newer_fields,
    record_from,
    summary_from,
)
from megabar.workflows.studies import Studies

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from megabar.workflows.calculation import Calculation

__all__ = ["CalculationRecord", "NotOurs", "ResultStore", "StudyRecord", "newer_fields", "put_history", "record_of"]
LAUNCHPAD_SUFFIX = "_fireworks"
PIECE_BYTES = 255 * 1024
"""GridFS's own."""


@dataclass(frozen=True)
class ResultStore(Studies):
    """Calculations and studies in one MongoDB database."""

    client: MongoClient[dict[str, Any]] = field(repr=False)
    name: str

    @classmethod
    def connect(cls, uri: str, name: str) -> ResultStore:
        """Return the store at a MongoDB URI, its indexes made by whoever may write."""
        store = cls(MongoClient(uri, tz_aware=True), name)
        make_indexes(store.database, RESULTS)
        return store

    def close(self) -> None:
        """Close the connection."""
        self.client.close()

    @property
    def database(self) -> Any:
        """The database of results."""
        return self.client[self.name]

    @property
    def board(self) -> Board:
        """What waits for workers, and what they have taken; FireWorks need not be loaded for it."""
        return Board(self.client[self.name + LAUNCHPAD_SUFFIX])

    def save(self, record: CalculationRecord, history: Mapping[str, NDArray[Any]] | None = None) -> None:
        """Store a calculation's end, once: a second one with the same key leaves the first as it is."""
        if history:
            put_history(self.database, record.key, packed(history))
        document = {"_id": record.key, **record.model_dump(exclude={"key"})}
        try:
            self.database.calculations.insert_one(document)
        except DuplicateKeyError:
            if record.done:
                self.database.calculations.replace_one({"_id": record.key, "state": "failed"}, document)

    def note_crash(self, key: str, traceback: str) -> None:
        """Note that the task of a calculation crashed, outside of the calculation itself."""
        self.database.crashes.insert_one({"key": key, "traceback": traceback, "at": datetime.now(UTC)})

    def crashes(self, keys: Sequence[str]) -> dict[str, list[str]]:
        """Return the tracebacks of the tasks that crashed, by calculation."""
        found: dict[str, list[str]] = {}
        for each in self.database.crashes.find({"key": {"$in": list(keys)}}):
            found.setdefault(each["key"], []).append(each["traceback"])
        return found

    def forget(self, keys: Sequence[str]) -> None:
        """Remove failed calculations, and that their tasks crashed; those that are done stay."""
        self.database.crashes.delete_many({"key": {"$in": list(keys)}})
        self.database.calculations.delete_many({"_id": {"$in": list(keys)}, "state": "failed"})

    def note_retries(self, keys: Sequence[str]) -> dict[str, int]:
        """Count that failed calculations are asked for again, and return how often each was by now."""
        retries = self.database.retries
        retries.bulk_write([UpdateOne({"_id": key}, {"$inc": {"count": 1}}, upsert=True) for key in keys])
        return {each["_id"]: each["count"] for each in retries.find({"_id": {"$in": list(keys)}})}

    def retries(self, key: str) -> int:
        """Return how often a failed calculation was asked for again."""
        return int((self.database.retries.find_one({"_id": key}) or {}).get("count", 0))

    def get(self, key: str) -> CalculationRecord | None:
        """Return the calculation with a key, None where it has not ended."""
        document = self.database.calculations.find_one({"_id": key})
        return record_from(document) if document else None

    def get_many(self, keys: Iterable[str]) -> dict[str, CalculationRecord]:
        """Return the calculations, of those with these keys, that have ended."""
        found = self.database.calculations.find({"_id": {"$in": list(keys)}})
        return {document["_id"]: record_from(document) for document in found}

    def summaries(self, keys: Iterable[str]) -> dict[str, CalculationRecord]:
        """Return the same as ``get_many``, for many: what is large of a record is read when it is looked at."""
        there = {name: {"$eq": [{"$type": f"${name}"}, "object"]} for name in LATER}
        found = self.database.calculations.aggregate([{"$match": {"_id": {"$in": list(keys)}}}, {"$set": there}])
        documents = {document["_id"]: document for document in found}
        parts = Parts(list(documents), self._parts)
        return {key: summary_from(document, parts.get) for key, document in documents.items()}

    def _parts(self, keys: Sequence[str], name: str) -> dict[str, dict[str, Any]]:
        """Return a part of the records of some calculations, of those that have it."""
        found = self.database.calculations.find({"_id": {"$in": list(keys)}}, {name: 1})
        return {each["_id"]: dict(each[name] or {}) for each in found if name in each}

    def with_structures(self, rungs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return rungs with their structures where these are the results of calculations, named by ``structure_of``."""
        found = [dict(rung) for rung in rungs]
        without = [rung for rung in found if rung.get("structure_of") and not rung.get("structure")]
        known = self._parts(list({rung["structure_of"] for rung in without}), "structure") if without else {}
        for rung in without:
            rung["structure"] = known.get(rung["structure_of"])
        return found

    def find(self, query: Mapping[str, Any]) -> list[CalculationRecord]:
        """Return the calculations that have ended and match a query of MongoDB, by key."""
        return [record_from(document) for document in self.database.calculations.find(dict(query)).sort("_id", 1)]

    def ended(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the state (``done``, ``failed``, ``left``) of those of these calculations that have ended."""
        found = self.database.calculations.find({"_id": {"$in": list(keys)}}, {"state": 1})
        return {document["_id"]: document["state"] for document in found}

    def causes(self, keys: Sequence[str]) -> dict[str, str | None]:
        """Return why those of these calculations that have failed or left their phase did so."""
        query = {"_id": {"$in": list(keys)}, "state": {"$ne": "done"}}
        return {each["_id"]: each.get("cause") for each in self.database.calculations.find(query, {"cause": 1})}

    def history(self, key: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of a calculation: energy, cell, positions, forces and stress at every ionic step."""
        file = GridFS(self.database).find_one({"filename": key})
        return {} if file is None else unpacked(file.read())

    def packed_history(self, key: str) -> bytes | None:
        """Return a calculation's arrays as the content of an npz file, as stored; None where it has none."""
        file = GridFS(self.client[self.name]).find_one({"filename": key})
        return None if file is None else bytes(file.read())

    def workers_of(self, keys: Sequence[str]) -> dict[str, str]:
        """Return which worker stored each of some calculations, "" where that is not known."""
        found = self.database.calculations.find({"_id": {"$in": list(keys)}}, {"provenance.worker": 1})
        return {each["_id"]: each.get("provenance", {}).get("worker", "") for each in found}

    def costs(self, code: str, tasks: Iterable[str]) -> list[dict[str, Any]]:
        """Return calculation, ionic steps and provenance of finished calculations of a code, to estimate costs from.

        tasks: names of theirs; those of before there were names are among them.
        """
        fields = {"calculation": 1, "ionic_steps": 1, "provenance": 1}
        query = {"calculation.code": code, "state": "done", "calculation.task": {"$in": [None, *tasks]}}
        return list(self.database.calculations.find(query, fields).sort("_id", -1).limit(60))


def put_history(database: Any, key: str, content: bytes) -> None:
    """Store the arrays of a calculation once; what one that was killed left of them is replaced.

    As a file of GridFS whose ``_id`` is the key, so that the pieces without a file are found by whoever stores it next;
    written without GridFS's own looks for indexes and leftovers, which take longer than the rest.
    """
    if database.fs.files.find_one({"filename": key}, {"_id": 1}) is not None:
        return
    pieces = [content[start : start + PIECE_BYTES] for start in range(0, len(content), PIECE_BYTES)]
    chunks = [{"files_id": key, "n": number, "data": Binary(piece)} for number, piece in enumerate(pieces)]
    try:
        database.fs.chunks.insert_many(chunks)
    except BulkWriteError:
        if database.fs.files.find_one({"filename": key}, {"_id": 1}) is not None:
            return  # another one has stored it meanwhile
        database.fs.chunks.delete_many({"files_id": key})
        with suppress(BulkWriteError):  # another one stores the same at this moment
            database.fs.chunks.insert_many(chunks)
    size = {"length": len(content), "chunkSize": PIECE_BYTES}
    with suppress(DuplicateKeyError):
        database.fs.files.insert_one({"_id": key, "filename": key, **size, "uploadDate": datetime.now(UTC)})


def record_of(calculation: Calculation, result: Mapping[str, Any], extra: Mapping[str, Any]) -> CalculationRecord:
    """Return the record of a calculation and what its execution said; ``extra`` joins the provenance."""
    content = dict(result)
    provenance = {**content.pop("provenance", {}), **extra}
    return CalculationRecord(key=calculation.key, calculation=calculation.to_dict(), provenance=provenance, **content)
