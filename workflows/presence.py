"""Which workers live, and which calculation is whose.

Every worker says every few seconds that it lives, by the database's clock, since those of the machines may be wrong
or jump. One that has been silent for long is first suspected and, when it stays silent, no more: after an outage of
the database all are silent, and the living ones speak up before anybody loses his calculation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from pymongo.errors import DuplicateKeyError

BEAT_SECONDS = 10
STALE_SECONDS = 75
SUSPECT_SECONDS = 30


@dataclass(frozen=True)
class Worker:
    """A worker process: its name, where it runs, for which machine's queue and in which job ("" where in none)."""

    name: str
    host: str
    pid: int
    user: str
    machine: str = ""
    job: str = ""
    cores: int = 1


@dataclass(frozen=True)
class Presence:
    """The workers and claims of one database."""

    database: Any

    def announce(self, worker: Worker) -> None:
        """Say that a worker begins."""
        content = {**asdict(worker), "running": None, "trouble": None}
        content.pop("name")
        self.database.workers.update_one(
            {"_id": worker.name},
            {"$set": content, "$currentDate": {"beat": True, "started": True}},
            upsert=True,
        )

    def beat(self, worker: Worker, running: str | None, trouble: str | None = None) -> None:
        """Say that a worker lives, which calculation it runs, and what keeps it from working.

        One that was taken for lost (its machine slept, say) is there again.
        """
        content = {**asdict(worker), "running": running, "trouble": trouble}
        content.pop("name")
        self.database.workers.update_one(
            {"_id": worker.name},
            {"$set": content, "$unset": {"suspected": ""}, "$currentDate": {"beat": True}},
            upsert=True,
        )

    def leave(self, name: str) -> None:
        """Say that a worker ends, and let go of what it had claimed."""
        self.database.claims.delete_many({"worker": name})
        self.database.workers.delete_one({"_id": name})

    def workers(self) -> list[dict[str, Any]]:
        """Return all workers known, with ``silent_s``, the seconds since each was last heard of."""
        silent = {"$divide": [{"$subtract": ["$$NOW", "$beat"]}, 1000]}
        return list(self.database.workers.aggregate([{"$addFields": {"silent_s": silent}}, {"$sort": {"_id": 1}}]))

    def known(self, names: Iterable[str]) -> set[str]:
        """Return those of some workers that live as far as is known."""
        return {each["_id"] for each in self.database.workers.find({"_id": {"$in": list(names)}}, {"_id": 1})}

    def sweep(self) -> list[str]:
        """Forget the workers that are no more, and return their names."""
        age = {"$abs": {"$subtract": ["$$NOW", "$beat"]}}
        stale = {"$gt": [age, 1000 * STALE_SECONDS]}
        watched = {"$eq": ["$suspected.beat", "$beat"]}
        long_ago = {"$gt": [{"$abs": {"$subtract": ["$$NOW", "$suspected.at"]}}, 1000 * SUSPECT_SECONDS]}
        workers = self.database.workers
        gone = list(workers.find({"$expr": {"$and": [stale, watched, long_ago]}}, {"beat": 1}))
        lost = [each["_id"] for each in gone if workers.delete_one(each).deleted_count]
        workers.update_many(
            {"$expr": {"$and": [stale, {"$not": [watched]}]}},
            [{"$set": {"suspected": {"at": "$$NOW", "beat": "$beat"}}}],
        )
        self.forget(lost)
        return lost

    def forget(self, names: Iterable[str]) -> None:
        """Take everything away from workers that are no more."""
        lost = list(names)
        if lost:
            self.database.workers.delete_many({"_id": {"$in": lost}})
            self.database.claims.delete_many({"worker": {"$in": lost}})

    def claim(self, key: str, worker: str) -> bool:
        """Take the right to run a calculation; False where another worker that lives has it."""
        claims = self.database.claims
        try:
            claims.insert_one({"_id": key, "worker": worker})
            return True
        except DuplicateKeyError:
            holder = (claims.find_one({"_id": key}) or {}).get("worker")
        if holder == worker:
            return True
        if holder is None or self.known([holder]):
            return False
        return bool(claims.update_one({"_id": key, "worker": holder}, {"$set": {"worker": worker}}).modified_count)

    def release(self, key: str, worker: str) -> None:
        """Give the right to run a calculation back."""
        self.database.claims.delete_one({"_id": key, "worker": worker})

    def release_all(self, worker: str) -> None:
        """Give all rights of a worker back that runs nothing: an outage of the database may have left it some."""
        self.database.claims.delete_many({"worker": worker})

    def running(self) -> set[str]:
        """Return the calculations that a worker which lives is running."""
        found = {each["_id"]: each["worker"] for each in self.database.claims.find()}
        living = self.known(set(found.values()))
        return {key for key, worker in found.items() if worker in living}
