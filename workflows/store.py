"""The result store: one document a calculation, one a study, arrays beside them in GridFS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from gridfs import GridFS
from gridfs.errors import FileExists
from pydantic import BaseModel, ConfigDict, ValidationError
from pymongo import MongoClient, UpdateOne
from pymongo.errors import DuplicateKeyError

from megabar.structures.errors import InputError
from megabar.workflows.files import packed, unpacked
from megabar.workflows.indexes import RESULTS, make_indexes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from megabar.workflows.calculation import Calculation

LEASE_SECONDS = 60
REST_SHARE, QUICK_SECONDS = 10.0, 0.5
"""After each result a study is planned anew; where that takes long, it gets no more than a tenth of the time."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAUNCHPAD_SUFFIX = "_fireworks"
Model = TypeVar("Model", bound=BaseModel)


class NotOurs(InputError):
    """A newer version stored this, and this one does not know what it means: it is left to those that do."""


class CalculationRecord(BaseModel):
    """What is known of one calculation that has ended; its ``_id`` in the database is its key.

    state: ``done``; ``failed`` (then ``cause`` and ``detail`` say why); ``left`` where the relaxation left its phase,
    which thus ends before this volume.
    energy_eV_per_atom: energy consistent with the forces (with smearing: the Mermin free energy).
    pressure_GPa: from the stress; None where the code gives none.
    structure: the final one; stress_deviation_GPa: largest deviation from hydrostatic stress.
    stiffness_eV_A2: curvature along the last step of the relaxation, for the neighbours to begin with.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    calculation: dict[str, Any]
    state: str
    cause: str | None = None
    detail: str | None = None
    energy_eV_per_atom: float | None = None
    pressure_GPa: float | None = None
    volume_A3_per_atom: float | None = None
    structure: dict[str, Any] | None = None
    ionic_steps: int | None = None
    largest_force_eV_A: float | None = None
    stress_deviation_GPa: float | None = None
    stiffness_eV_A2: float | None = None
    space_group: str | None = None
    symmetry_change: str | None = None
    warnings: list[str] = []
    observables: dict[str, Any] = {}
    mendings: list[str] = []
    provenance: dict[str, Any] = {}

    @property
    def done(self) -> bool:
        """Whether the calculation finished and converged."""
        return self.state == "done"


class StudyRecord(BaseModel):
    """A study as it was asked for and as it was resolved; its ``_id`` in the database is its identifier.

    definition: the study file's content; resolved: phases, methods and ladders as planned on submission.
    wanted: keys of all calculations that the study has asked for, in the order asked.
    complete: whether nothing more is wanted. owner: who submitted it first, empty where that is not known.
    machine: whose queue it runs on, "" for local workers.
    cancelled: whether nothing more is to be run for it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    identifier: str
    name: str
    kind: str
    definition: dict[str, Any]
    resolved: dict[str, Any]
    wanted: list[str] = []
    rungs: list[dict[str, Any]] = []
    complete: bool = False
    created: str = ""
    owner: str = ""
    machine: str = ""
    cancelled: bool = False


@dataclass(frozen=True)
class ResultStore:
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
    def launchpad(self) -> Any:
        """The database of the LaunchPad beside it, for what is to be counted there without loading FireWorks."""
        return self.client[self.name + LAUNCHPAD_SUFFIX]

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
        return _record(document) if document else None

    def get_many(self, keys: Iterable[str]) -> dict[str, CalculationRecord]:
        """Return the calculations, of those with these keys, that have ended."""
        found = self.database.calculations.find({"_id": {"$in": list(keys)}})
        return {document["_id"]: _record(document) for document in found}

    def ended(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the state (``done``, ``failed``, ``left``) of those of these calculations that have ended."""
        found = self.database.calculations.find({"_id": {"$in": list(keys)}}, {"state": 1})
        return {document["_id"]: document["state"] for document in found}

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

    def costs(self, code: str) -> list[dict[str, Any]]:
        """Return settings, structure and provenance of a code's finished calculations, to estimate costs from."""
        fields = {"calculation.structure": 1, "calculation.settings": 1, "ionic_steps": 1, "provenance": 1}
        query = {"calculation.code": code, "state": "done", "calculation.task": None}
        return list(self.database.calculations.find(query, fields).sort("_id", -1).limit(60))

    def put_study(self, study: StudyRecord, anew: bool = False) -> None:
        """Store a study, or renew what it was resolved to; what it has asked for before is kept.

        anew: it is forgotten (its results stay), and whoever plans for the study now has lost the right to.
        """
        content = study.model_dump(exclude={"identifier", "wanted", "rungs", "created", "complete", "owner"})
        first = {"created": datetime.now(UTC).isoformat(timespec="seconds"), "owner": study.owner}
        nothing: dict[str, Any] = {"wanted": [], "rungs": []}
        self.database.studies.update_one(
            {"_id": study.identifier},
            {
                "$set": {**content, "complete": False, **({**nothing, "lease": None} if anew else {})},
                "$setOnInsert": {**first, **({} if anew else nothing)},
            },
            upsert=True,
        )
        self.forget_fault(study.identifier)

    def get_study(self, identifier: str) -> StudyRecord | None:
        """Return a study by its identifier."""
        document = self.database.studies.find_one({"_id": identifier})
        return _study(document) if document else None

    def find_studies(self, name: str | None = None) -> list[StudyRecord]:
        """Return the studies with a name or identifier (all where none is given), newest first."""
        query = {} if name is None else {"$or": [{"_id": name}, {"name": name}]}
        return [_study(document) for document in self.database.studies.find(query).sort("created", -1)]

    def study_names(self, name: str | None = None) -> list[tuple[str, str]]:
        """Return identifier and name of the studies with a name or identifier (of all without), newest first."""
        query = {} if name is None else {"$or": [{"_id": name}, {"name": name}]}
        found = self.database.studies.find(query, {"name": 1}).sort("created", -1)
        return [(each["_id"], each["name"]) for each in found]

    def unfinished_named(self, name: str) -> list[StudyRecord]:
        """Return the studies of a name that are neither complete nor cancelled."""
        query = {"name": name, "complete": False, "cancelled": {"$ne": True}}
        return [_study(document) for document in self.database.studies.find(query, {"rungs": 0, "wanted": 0})]

    def note_look(self, machine: str) -> None:
        """Note that the scheduler of a machine was asked for its jobs just now."""
        self.database.queues.update_one({"_id": machine}, {"$currentDate": {"looked": True}}, upsert=True)

    def queues_looked_s(self) -> dict[str, float]:
        """Return how long ago (s) the scheduler of each machine was last asked for its jobs."""
        ago = {"$divide": [{"$subtract": ["$$NOW", "$looked"]}, 1000]}
        return {each["_id"]: each["ago"] for each in self.database.queues.aggregate([{"$project": {"ago": ago}}])}

    def studies_wanting(self, key: str) -> list[str]:
        """Return the identifiers of the unfinished studies that asked for a calculation."""
        return [each["_id"] for each in self.database.studies.find({"wanted": key, "complete": False}, {"_id": 1})]

    def unfinished(self, machine: str) -> list[str]:
        """Return the identifiers of the studies that run on a machine ("" for local workers) and want more."""
        query = {
            "complete": False,
            "cancelled": {"$ne": True},
            "machine": {"$in": [machine, *([] if machine else [None])]},
        }
        return [each["_id"] for each in self.database.studies.find(query, {"_id": 1})]

    def add_wanted(
        self, identifier: str, rungs: Sequence[dict[str, Any]], known: int | None = None, owner: str | None = None
    ) -> bool:
        """Add rungs (each with its ``key``) to what a study has asked for, and return whether they were taken.

        They are not where the study has not just the ``known`` rungs that they were planned with, or where ``owner``
        has lost the right to plan: of two planners one is refused, and nothing is asked for twice.
        """
        found = self.database.studies.update_one(
            _as_planned(identifier, known, owner),
            {"$push": {"rungs": {"$each": list(rungs)}}, "$addToSet": {"wanted": {"$each": [r["key"] for r in rungs]}}},
        )
        return bool(found.matched_count)

    def reopen(self, identifier: str) -> None:
        """Say that a study may want more again; whoever plans for it now did not know of that."""
        self.database.studies.update_one({"_id": identifier}, {"$set": {"complete": False, "lease": None}})
        self.forget_fault(identifier)

    def cancelled(self, identifier: str) -> bool:
        """Return whether nothing more is to be run for a study."""
        return bool((self.database.studies.find_one({"_id": identifier}, {"cancelled": 1}) or {}).get("cancelled"))

    def mark_cancelled(self, identifier: str) -> None:
        """Say that nothing more is to be run for a study; ``put_study`` takes it back."""
        self.database.studies.update_one({"_id": identifier}, {"$set": {"cancelled": True}})

    def unwanted(self, key: str) -> bool:
        """Return whether a study that was cancelled wanted a calculation, and none that is not complete wants it."""
        found = list(self.database.studies.find({"wanted": key}, {"cancelled": 1, "complete": 1}))
        cancelled = [bool(study.get("cancelled")) for study in found]
        return any(cancelled) and all(study["complete"] or off for study, off in zip(found, cancelled, strict=True))

    def mark_complete(self, identifier: str, known: int | None = None, owner: str | None = None) -> bool:
        """Say that a study wants nothing more; False where that is not as it was planned (``add_wanted``)."""
        found = self.database.studies.update_one(_as_planned(identifier, known, owner), {"$set": {"complete": True}})
        return bool(found.matched_count)

    def note_fault(self, identifier: str, said: str) -> None:
        """Note why a study cannot be planned further, for those who ask how it stands."""
        self.database.faults.update_one({"_id": identifier}, {"$set": {"said": said}}, upsert=True)

    def forget_fault(self, identifier: str) -> None:
        """Forget that a study could not be planned."""
        self.database.faults.delete_one({"_id": identifier})

    def faults(self, identifiers: Sequence[str]) -> dict[str, str]:
        """Return why those of some studies that cannot be planned further cannot."""
        return {each["_id"]: each["said"] for each in self.database.faults.find({"_id": {"$in": list(identifiers)}})}

    def take_lease(self, identifier: str, owner: str, patient: bool = False) -> bool:
        """Take the right to plan for a study for a minute; False where somebody else has it.

        patient: also where the last planning was too short a time ago, measured by how long it took.
        """
        free: dict[str, Any] = {
            "$or": [
                {"$lt": [{"$ifNull": ["$lease.until", EPOCH]}, "$$NOW"]},
                {"$eq": ["$lease.owner", owner]},
            ]
        }
        if patient:
            free = {"$and": [free, {"$lt": [{"$ifNull": ["$rest_until", EPOCH]}, "$$NOW"]}]}
        lease = {"owner": owner, "until": {"$add": ["$$NOW", 1000 * LEASE_SECONDS]}}
        found = self.database.studies.update_one({"_id": identifier, "$expr": free}, [{"$set": {"lease": lease}}])
        return bool(found.matched_count)

    def renew_lease(self, identifier: str, owner: str) -> bool:
        """Keep the right to plan for another minute; False where it is lost, or nothing is to be planned any more."""
        until = {"$add": ["$$NOW", 1000 * LEASE_SECONDS]}
        found = self.database.studies.update_one(
            _as_planned(identifier, None, owner), [{"$set": {"lease.until": until}}]
        )
        return bool(found.matched_count)

    def release_lease(self, identifier: str, owner: str, took_s: float = 0.0) -> None:
        """Give the right to plan back; took_s: how long it took to plan."""
        rest = {"$add": ["$$NOW", round(1000 * REST_SHARE * max(0.0, took_s - QUICK_SECONDS))]}
        self.database.studies.update_one(
            {"_id": identifier, "lease.owner": owner}, [{"$set": {"lease": None, "rest_until": rest}}]
        )


def put_history(database: Any, key: str, content: bytes) -> None:
    """Store the arrays of a calculation once; what one that was killed left of them is replaced.

    The file's ``_id`` is the key, so that the pieces without a file are found by whoever stores it next.
    """
    files = GridFS(database)
    if files.exists({"filename": key}):
        return
    database.fs.chunks.delete_many({"files_id": key})
    with suppress(FileExists, DuplicateKeyError):  # another one stores the same at this moment
        files.put(content, filename=key, _id=key)


def record_of(calculation: Calculation, result: Mapping[str, Any], extra: Mapping[str, Any]) -> CalculationRecord:
    """Return the record of a calculation and what its execution said; ``extra`` joins the provenance."""
    content = dict(result)
    provenance = {**content.pop("provenance", {}), **extra}
    return CalculationRecord(key=calculation.key, calculation=calculation.to_dict(), provenance=provenance, **content)


def _as_planned(identifier: str, known: int | None, owner: str | None) -> dict[str, Any]:
    """Return the query of a study that is still as it was when somebody began to plan for it."""
    query: dict[str, Any] = {"_id": identifier}
    if known is not None:
        query["rungs"] = {"$size": known}
    if owner is not None:
        query |= {"lease.owner": owner, "cancelled": {"$ne": True}}
    return query


def _record(document: dict[str, Any]) -> CalculationRecord:
    key = document.pop("_id")
    return _read(CalculationRecord, f"the calculation {key}", {"key": key, **document})


def _study(document: dict[str, Any]) -> StudyRecord:
    for name in ("lease", "rest_until"):
        document.pop(name, None)
    identifier = document.pop("_id")
    return _read(StudyRecord, f"the study {identifier}", {"identifier": identifier, **document})


def newer_fields(error: Exception) -> list[str]:
    """Return the fields that a model does not know, where these are all that is wrong with a document."""
    if not isinstance(error, ValidationError):
        return []
    wrong = error.errors()
    unknown = [".".join(map(str, each["loc"])) for each in wrong if each["type"] == "extra_forbidden"]
    return unknown if len(unknown) == len(wrong) else []


def _read(model: type[Model], what: str, content: Mapping[str, Any]) -> Model:
    """Return a stored document as its model; raises NotOurs where it has what this version does not know."""
    try:
        return model(**content)
    except ValidationError as error:
        unknown = newer_fields(error)
        if not unknown:
            raise
        raise NotOurs(
            f"{what} was stored by a newer version of megabar ({', '.join(unknown)}); update this one"
        ) from error
