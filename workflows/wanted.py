"""What studies want: one small document each time that a study asks for a calculation, in the order asked.

Such a document is a rung (what the kind of study says of it: ``key``, ``phase``, ``index``, ``kind``, …) with the
study, a number and a generation. Numbers of a study follow each other, and none is there twice: of two planners that
both add to what they have seen, one is refused. A study that is planned anew gets another generation, and what was
asked for before, or is still being added by somebody slow, is nobody's any more.

Studies of earlier versions have all this in their own document: it is read there, and moved when something is added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bson import ObjectId
from pymongo.errors import BulkWriteError, DuplicateKeyError

RUNG = {"_id": 0, "study": 0, "generation": 0}
AT_ONCE = 10_000
DUPLICATE = 11000


def new_token() -> str:
    """Return what nothing else is called."""
    return str(ObjectId())


class Wanted:
    """The part of the result store that knows what studies have asked for."""

    @property
    def database(self) -> Any:
        """The database of results."""
        raise NotImplementedError

    def rungs_of(self, identifier: str, generation: str, first: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Return the rungs of a generation of a study from a number on, in the order asked, and the next number."""
        query = {"study": identifier, "generation": generation, "number": {"$gte": first}}
        found = list(self.database.wanted.find(query, RUNG).sort("number", 1))
        numbers = [each.pop("number") for each in found]
        return found, numbers[-1] + 1 if numbers else first

    def keys_by_phase(self, identifier: str) -> dict[str, list[str]]:
        """Return the keys that a study has asked for, each once, by phase in the order in which these came."""
        found: dict[str, dict[str, None]] = {}
        study = self.database.studies.find_one({"_id": identifier}, {"generation": 1, "rungs.key": 1, "rungs.phase": 1})
        if study is None:
            return {}
        rungs = study.get("rungs", [])
        if "generation" in study:
            query = {"study": identifier, "generation": study["generation"]}
            rungs = self.database.wanted.find(query, {"_id": 0, "phase": 1, "key": 1}).sort("number", 1)
        for rung in rungs:
            found.setdefault(rung["phase"], {})[rung["key"]] = None
        return {phase: list(keys) for phase, keys in found.items()}

    def keys_of(self, studies: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
        """Return the keys that studies have asked for, each once; studies: documents with ``wanted`` and generation."""
        found = {study["_id"]: list(study.get("wanted", ())) for study in studies}
        current = {study["_id"]: study["generation"] for study in studies if "generation" in study}
        group = {"_id": {"study": "$study", "generation": "$generation"}, "keys": {"$addToSet": "$key"}}
        order = dict.fromkeys(("study", "generation", "key"), 1)  # that of an index, which alone is read then
        pipeline = [{"$match": {"study": {"$in": list(current)}}}, {"$sort": order}, {"$group": group}]
        for each in self.database.wanted.aggregate(pipeline) if current else ():
            if current[each["_id"]["study"]] == each["_id"]["generation"]:
                found[each["_id"]["study"]] = each["keys"]
        return found

    def studies_wanting(self, key: str) -> list[str]:
        """Return the identifiers of the unfinished studies that asked for a calculation."""
        return [each["_id"] for each in self._wanting(key, {"complete": False}, {})]

    def unwanted(self, key: str) -> bool:
        """Return whether a study that was cancelled wanted a calculation, and none that is not complete wants it."""
        found = list(self._wanting(key, {}, {"cancelled": 1, "complete": 1}))
        cancelled = [bool(study.get("cancelled")) for study in found]
        return any(cancelled) and all(study["complete"] or off for study, off in zip(found, cancelled, strict=True))

    def _wanting(self, key: str, query: dict[str, Any], fields: dict[str, int]) -> Iterator[dict[str, Any]]:
        """Return some fields of the studies that asked for a calculation and of which ``query`` is true."""
        asked = list(self.database.wanted.find({"key": key}, {"_id": 0, "study": 1, "generation": 1}))
        names = {each["study"]: set[str]() for each in asked}
        for each in asked:
            names[each["study"]].add(each["generation"])
        either = {"$or": [{"wanted": key}, {"_id": {"$in": list(names)}}]} if names else {"wanted": key}
        for study in self.database.studies.find({**either, **query}, {**fields, "generation": 1}):
            if "generation" not in study or study["generation"] in names.get(study["_id"], ()):
                yield study

    def _add(self, identifier: str, generation: str, rungs: Sequence[Mapping[str, Any]], first: int) -> bool:
        """Add rungs with the numbers from ``first`` on; False where somebody else has given these away."""
        documents = [
            {"study": identifier, "generation": generation, "number": number, "kind": "main", **rung}
            for number, rung in enumerate(rungs, first)
        ]
        try:
            for start in range(0, len(documents), AT_ONCE):
                self.database.wanted.insert_many(documents[start : start + AT_ONCE])
        except (BulkWriteError, DuplicateKeyError) as error:
            if not _only_duplicates(error):
                raise
            return False
        return True

    def _add_first(self, identifier: str, generation: str, rungs: Sequence[Mapping[str, Any]]) -> None:
        """Add the rungs that a generation begins with, each once though databases and archives may have it twice."""
        names = ("phase", "index", "key")
        own = {(rung.get("kind", "main"), *(str(rung[name]) for name in names)): rung for rung in rungs}
        if not self._add(identifier, generation, list(own.values()), 0):
            raise RuntimeError(f"what {identifier} wants could not be stored: some of it is there already")

    def _next_number(self, identifier: str, generation: str) -> int:
        query = {"study": identifier, "generation": generation}
        last = self.database.wanted.find_one(query, {"number": 1}, sort=[("number", -1)])
        return last["number"] + 1 if last else 0

    def _forget_wanted(self, identifier: str, generation: str) -> None:
        self.database.wanted.delete_many({"study": identifier, "generation": generation})

    def moved(self, identifier: str, owner: str | None = None) -> str | None:
        """Return the generation of a study, having moved its rungs here where they are in its own document yet.

        None where there is no such study. Whoever planned for it meanwhile in the way of earlier versions has lost the
        right to, but for ``owner``.
        """
        studies = self.database.studies
        while True:
            study = studies.find_one({"_id": identifier}, {"generation": 1, "edition": 1, "rungs": 1, "lease.owner": 1})
            if study is None or "generation" in study:
                return study["generation"] if study else None
            rungs, generation = study.get("rungs", []), new_token()
            self._add_first(identifier, generation, rungs)
            mine = owner is not None and (study.get("lease") or {}).get("owner") == owner
            # Earlier versions read the lists, and are to find them.
            edition = study.get("edition", generation)
            change = {"generation": generation, "edition": edition, "rungs": [], "wanted": []}
            query: dict[str, Any] = {"_id": identifier, "generation": {"$exists": False}}
            query["rungs"] = {"$size": len(rungs)} if "rungs" in study else {"$exists": False}
            if mine:
                query["lease.owner"] = owner
            found = studies.update_one(query, {"$set": {**change, **({} if mine else {"lease": None})}})
            if found.matched_count:
                return generation
            self._forget_wanted(identifier, generation)
            if mine and not studies.find_one({"_id": identifier, "lease.owner": owner}, {"_id": 1}):
                return None


def _only_duplicates(error: Exception) -> bool:
    if isinstance(error, DuplicateKeyError):
        return True
    details = getattr(error, "details", None) or {}
    errors = details.get("writeErrors") or [{"code": 0}]
    return all(each["code"] == DUPLICATE for each in errors) and not details.get("writeConcernErrors")
