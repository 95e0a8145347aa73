"""How large a study may become: its plan is read as a whole by everybody who plans for it or looks at it."""

from __future__ import annotations

from bson import encode

from megabar.structures.errors import InputError
from megabar.workflows.store import StudyRecord

MOST_BYTES = 64 * 2**20


def check_size(study: StudyRecord, path: object) -> None:
    """Raise InputError, before anything is submitted, where the plan of a study is too large."""
    ladders, size = study.resolved.get("ladders", []), len(encode(study.resolved))
    if size > MOST_BYTES:
        raise InputError(
            f"{path}: {len(ladders)} phases are too many for one study, whose plan may have "
            f"{MOST_BYTES / 2**20:.0f} MB; about {int(0.9 * MOST_BYTES / size * len(ladders))} of these fit: ask for "
            "them in several studies, which share their results, and `megabar hull STUDY STUDY` shows them as one"
        )
