"""Removes what processes that were killed have left in the database, once a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

OLD = timedelta(days=1)
"""So old is what nobody can be writing any more."""


def sweep_pieces(database: Any, now: datetime | None = None) -> int:
    """Remove pieces of arrays whose file was never finished, and return of how many files; nothing where done today.

    Those are meant that versions before wrote; of what is stored now the next one that stores the same finds them.
    """
    moment = now or datetime.now(UTC)
    try:
        database.sweeps.update_one(
            {"_id": "pieces", "at": {"$lt": moment - OLD}}, {"$set": {"at": moment}}, upsert=True
        )
    except DuplicateKeyError:
        return 0
    _sweep_tokens(database, moment)
    pieces = {each["_id"] for each in database.fs.chunks.aggregate([{"$group": {"_id": "$files_id"}}])}
    files = {each["_id"] for each in database.fs.files.find({}, {"_id": 1})}
    lost = [each for each in pieces - files if isinstance(each, ObjectId) and each.generation_time < moment - OLD]
    if lost:
        database.fs.chunks.delete_many({"files_id": {"$in": lost}})
    return len(lost)


def _sweep_tokens(database: Any, moment: datetime) -> None:
    """Remove what studies wanted, and parts of plans, that were stored for a study that never came to know of them."""
    for name, field in (("wanted", "generation"), ("plans", "edition")):
        known = set(database.studies.distinct(field))
        tokens = [token for token in database[name].distinct(field) if token not in known]
        lost = [token for token in tokens if ObjectId(token).generation_time < moment - OLD]
        if lost:
            database[name].delete_many({field: {"$in": lost}})
