"""The studies of a database: what was asked, how that goes on, and who may plan for them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bson import decode, encode
from pymongo.errors import DuplicateKeyError

from megabar.structures.errors import InputError
from megabar.workflows.records import StudyRecord, study_from
from megabar.workflows.wanted import Wanted, new_token

LEASE_SECONDS = 60
REST_SHARE, QUICK_SECONDS = 10.0, 0.5
"""After each result a study is planned anew; where that takes long, or where there is plenty of other work, it gets no
more than a tenth of the time."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


PLAN_BYTES = 500_000
"""A plan of more is stored in parts beside the study, so that every document stays small."""
LARGE = ("definition", "resolved", "wanted", "rungs")


class JustRenewed(InputError):
    """The plan of a study was stored anew while it was read: who looks again sees it."""


class Studies(Wanted):
    """The part of the result store that knows of studies."""

    def put_study(self, study: StudyRecord, anew: bool = False) -> None:
        """Store a study, or renew what it was resolved to; what it has asked for before is kept.

        anew: it is forgotten (its results stay), and whoever plans for the study now has lost the right to.
        """
        left_out = {"identifier", "wanted", "rungs", "created", "complete", "owner", "generation", "edition"}
        content = {**study.model_dump(exclude=left_out), "complete": False}
        first = {"created": datetime.now(UTC).isoformat(timespec="seconds"), "owner": study.owner}
        # The lists are for earlier versions, which look for them; to plan for what is here they are too old.
        nothing: dict[str, Any] = {"generation": new_token(), "wanted": [], "rungs": []}
        plan = self._stored_plan(study.identifier, study.resolved)
        before = self.database.studies.find_one_and_update(
            {"_id": study.identifier},
            {
                "$set": {**content, **plan, **({**nothing, "lease": None} if anew else {})},
                "$setOnInsert": {**first, **({} if anew else nothing)},
            },
            {"generation": 1, "edition": 1},
            upsert=True,
        )
        if before is not None:
            self._forget_plan(study.identifier, before.get("edition", ""))
            if anew and "generation" in before:
                self._forget_wanted(study.identifier, before["generation"])
        self.forget_fault(study.identifier)

    def insert_study(self, study: StudyRecord) -> bool:
        """Store a study with all that it has asked for; False where there is one of this identifier already."""
        generation = new_token()
        self._add_first(study.identifier, generation, study.rungs)
        document = {
            **study.model_dump(exclude={"identifier", "wanted", "rungs", "generation", "edition"}),
            **self._stored_plan(study.identifier, study.resolved),
            **{"generation": generation, "wanted": [], "rungs": []},
        }
        try:
            self.database.studies.insert_one({"_id": study.identifier, **document})
        except DuplicateKeyError:
            self._forget_wanted(study.identifier, generation)
            self._forget_plan(study.identifier, document["edition"])
            return False
        return True

    def get_study(self, identifier: str) -> StudyRecord | None:
        """Return a study by its identifier, with its plan and all that it has asked for."""
        document = self.database.studies.find_one({"_id": identifier})
        return self._whole(document) if document else None

    def outline(self, identifier: str) -> StudyRecord | None:
        """Return a study as ``get_study``, but without definition, plan and what it has asked for: these are empty."""
        document = self.database.studies.find_one({"_id": identifier}, dict.fromkeys(LARGE, 0))
        return study_from({**document, "definition": {}, "resolved": {}}) if document else None

    def find_studies(self, name: str | None = None) -> list[StudyRecord]:
        """Return the studies with a name or identifier (all where none is given), newest first."""
        query = {} if name is None else {"$or": [{"_id": name}, {"name": name}]}
        return [self._whole(document) for document in self.database.studies.find(query).sort("created", -1)]

    def _whole(self, document: dict[str, Any]) -> StudyRecord:
        """Return a study with what other collections have of it."""
        study = study_from({**document, "resolved": self._plan_in(document)})
        if not study.generation:
            return study
        rungs, _ = self.rungs_of(study.identifier, study.generation)
        return study.model_copy(update={"rungs": rungs, "wanted": list(dict.fromkeys(rung["key"] for rung in rungs))})

    def _stored_plan(self, identifier: str, resolved: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a study's document has of a plan; one that is large is stored beside it first, in parts."""
        edition, content = new_token(), encode(resolved)
        if len(content) <= PLAN_BYTES:
            return {"resolved": dict(resolved), "edition": edition, "plan_parts": 0}
        packed = zlib.compress(content)
        parts = [packed[start : start + PLAN_BYTES] for start in range(0, len(packed), PLAN_BYTES)]
        for number, part in enumerate(parts):
            self.database.plans.insert_one({"study": identifier, "edition": edition, "number": number, "data": part})
        return {"resolved": _codes(resolved), "edition": edition, "plan_parts": len(parts)}

    def _plan_in(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return the plan of a stored study; raises InputError where parts of it are missing."""
        count = document.get("plan_parts", 0)
        if not count:
            return dict(document["resolved"])
        query = {"study": document["_id"], "edition": document["edition"]}
        parts = [each["data"] for each in self.database.plans.find(query).sort("number", 1)]
        if len(parts) != count:
            raise JustRenewed(f"the plan of {document['_id']} was just renewed; try again")
        return dict(decode(zlib.decompress(b"".join(parts))))

    def _forget_plan(self, identifier: str, edition: str) -> None:
        self.database.plans.delete_many({"study": identifier, "edition": edition})

    def study_names(self, name: str | None = None) -> list[tuple[str, str]]:
        """Return identifier and name of the studies with a name or identifier (of all without), newest first."""
        query = {} if name is None else {"$or": [{"_id": name}, {"name": name}]}
        found = self.database.studies.find(query, {"name": 1}).sort("created", -1)
        return [(each["_id"], each["name"]) for each in found]

    def unfinished_named(self, name: str) -> list[StudyRecord]:
        """Return the studies of a name that are neither complete nor cancelled."""
        query = {"name": name, "complete": False, "cancelled": {"$ne": True}}
        return [study_from(document) for document in self.database.studies.find(query)]

    def note_look(self, machine: str) -> None:
        """Note that the scheduler of a machine was asked for its jobs just now."""
        self.database.queues.update_one({"_id": machine}, {"$currentDate": {"looked": True}}, upsert=True)

    def queues_looked_s(self) -> dict[str, float]:
        """Return how long ago (s) the scheduler of each machine was last asked for its jobs."""
        ago = {"$divide": [{"$subtract": ["$$NOW", "$looked"]}, 1000]}
        return {each["_id"]: each["ago"] for each in self.database.queues.aggregate([{"$project": {"ago": ago}}])}

    def unfinished(self, machine: str) -> list[str]:
        """Return the identifiers of the studies that run on a machine ("" for local workers) and want more."""
        query = {
            "complete": False,
            "cancelled": {"$ne": True},
            "machine": {"$in": [machine, *([] if machine else [None])]},
        }
        return [each["_id"] for each in self.database.studies.find(query, {"_id": 1})]

    def add_wanted(
        self, identifier: str, rungs: Sequence[Mapping[str, Any]], known: int | None = None, owner: str | None = None
    ) -> bool:
        """Add rungs (each with its ``key``) to what a study has asked for, and return whether they were taken.

        They are not where others were added since ``known`` was the next number (``rungs_of``), or where ``owner`` has
        lost the right to plan: of two planners one is refused, and nothing is asked for twice. Where the right was lost
        while they were added, the study may have been found complete without them, and is open again.
        """
        held = None if owner is None else self.renew_lease(identifier, owner)
        generation = held or (None if held is None and owner is not None else self.moved(identifier, owner))
        if generation is None:
            return False
        first = self._next_number(identifier, generation) if known is None else known
        if not self._add(identifier, generation, rungs, first):
            return False
        if owner is None or self.renew_lease(identifier, owner) is None:
            self.database.studies.update_one(
                {"_id": identifier, "generation": generation}, {"$set": {"complete": False, "lease": None}}
            )
            return owner is None
        return True

    def reopen(self, identifier: str) -> None:
        """Say that a study may want more again; whoever plans for it now did not know of that."""
        self.database.studies.update_one({"_id": identifier}, {"$set": {"complete": False, "lease": None}})
        self.forget_fault(identifier)

    def cancelled(self, identifier: str) -> bool:
        """Return whether nothing more is to be run for a study."""
        return bool((self.database.studies.find_one({"_id": identifier}, {"cancelled": 1}) or {}).get("cancelled"))

    def has_ended(self, identifier: str) -> bool:
        """Return whether nothing more is wanted of a study, or to be run for it."""
        study = self.database.studies.find_one({"_id": identifier}, {"cancelled": 1, "complete": 1}) or {}
        return bool(study.get("complete") or study.get("cancelled"))

    def mark_cancelled(self, identifier: str) -> None:
        """Say that nothing more is to be run for a study; ``put_study`` takes it back."""
        self.database.studies.update_one({"_id": identifier}, {"$set": {"cancelled": True}})

    def mark_complete(self, identifier: str, known: int | None = None, owner: str | None = None) -> bool:
        """Say that a study wants nothing more; False where that is not as it was planned (``add_wanted``)."""
        query = _as_planned(identifier, owner)
        if known is not None:
            generation = self.moved(identifier, owner)
            if generation is None or self._next_number(identifier, generation) != known:
                return False
            query["generation"] = generation
        return bool(self.database.studies.update_one(query, {"$set": {"complete": True}}).matched_count)

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

    def renew_lease(self, identifier: str, owner: str) -> str | None:
        """Keep the right to plan for another minute, and return the generation of what the study has asked for.

        None where the right is lost, or nothing is to be planned any more; "" where an earlier version stored it.
        """
        until = {"$add": ["$$NOW", 1000 * LEASE_SECONDS]}
        found = self.database.studies.find_one_and_update(
            _as_planned(identifier, owner), [{"$set": {"lease.until": until}}], {"generation": 1}
        )
        return None if found is None else found.get("generation", "")

    def release_lease(self, identifier: str, owner: str, took_s: float = 0.0, plenty: bool = False) -> None:
        """Give the right to plan back; took_s: how long it took to plan; plenty: there is other work for a while."""
        rest_s = REST_SHARE * max(0.0, took_s - (0.0 if plenty else QUICK_SECONDS))
        rest = {"$add": ["$$NOW", round(1000 * rest_s)]}
        self.database.studies.update_one(
            {"_id": identifier, "lease.owner": owner}, [{"$set": {"lease": None, "rest_until": rest}}]
        )


def _as_planned(identifier: str, owner: str | None) -> dict[str, Any]:
    """Return the query of a study for which somebody still has the right to plan."""
    query: dict[str, Any] = {"_id": identifier}
    if owner is not None:
        query |= {"lease.owner": owner, "cancelled": {"$ne": True}}
    return query


def _codes(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a plan what is asked of all studies at once: the code that most of its calculations use."""
    own, volumes = resolved.get("method"), resolved.get("volumes", {}).get("method")
    found = {"method": {"code": own["code"]}} if own else {}
    return {**found, **({"volumes": {"method": {"code": volumes["code"]}}} if volumes else {})}
