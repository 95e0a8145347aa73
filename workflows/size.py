"""How large a study may become: it is one document of the database, which takes 16 MB."""

from __future__ import annotations

from bson import encode

from megabar.structures.errors import InputError
from megabar.workflows.store import StudyRecord

MOST_BYTES = 16 * 2**20
RUNG_BYTES, ADDED_RUNGS = 300, 3
"""Of a calculation that it asks for (the key twice, those it starts from); how many a phase gets beyond its first."""


def check_size(study: StudyRecord, path: object) -> None:
    """Raise InputError, before anything is submitted, where a study would not fit into one document."""
    ladders = study.resolved.get("ladders", [])
    rungs = sum(len(ladder["first"]) + ADDED_RUNGS for ladder in ladders)
    size = len(encode(study.model_dump())) + RUNG_BYTES * rungs
    if size > MOST_BYTES:
        raise InputError(
            f"{path}: {len(ladders)} phases are too many for one study, whose record may have 16 MB; about "
            f"{int(0.9 * MOST_BYTES / size * len(ladders))} of these fit: ask for them in several studies, which share "
            "their results, and `megabar hull STUDY STUDY` shows them as one"
        )
