"""The studies of a database: what was asked, how that goes on, and who may plan for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from megabar.workflows.records import StudyRecord, study_from

LEASE_SECONDS = 60
REST_SHARE, QUICK_SECONDS = 10.0, 0.5
"""After each result a study is planned anew; where that takes long, it gets no more than a tenth of the time."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Studies:
    """The part of the result store that knows of studies."""

    @property
    def database(self) -> Any:
        """The database of results."""
        raise NotImplementedError

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
        return study_from(document) if document else None

    def find_studies(self, name: str | None = None) -> list[StudyRecord]:
        """Return the studies with a name or identifier (all where none is given), newest first."""
        query = {} if name is None else {"$or": [{"_id": name}, {"name": name}]}
        return [study_from(document) for document in self.database.studies.find(query).sort("created", -1)]

    def study_names(self, name: str | None = None) -> list[tuple[str, str]]:
        """Return identifier and name of the studies with a name or identifier (of all without), newest first."""
        query = {} if name is None else {"$or": [{"_id": name}, {"name": name}]}
        found = self.database.studies.find(query, {"name": 1}).sort("created", -1)
        return [(each["_id"], each["name"]) for each in found]

    def unfinished_named(self, name: str) -> list[StudyRecord]:
        """Return the studies of a name that are neither complete nor cancelled."""
        query = {"name": name, "complete": False, "cancelled": {"$ne": True}}
        return [study_from(document) for document in self.database.studies.find(query, {"rungs": 0, "wanted": 0})]

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


def _as_planned(identifier: str, known: int | None, owner: str | None) -> dict[str, Any]:
    """Return the query of a study that is still as it was when somebody began to plan for it."""
    query: dict[str, Any] = {"_id": identifier}
    if known is not None:
        query["rungs"] = {"$size": known}
    if owner is not None:
        query |= {"lease.owner": owner, "cancelled": {"$ne": True}}
    return query
