"""The indexes of both databases: what is asked often is answered from them, whatever the number of calculations."""

from __future__ import annotations

from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import OperationFailure

UNAUTHORIZED = 13

Keys = tuple[tuple[str, int], ...]

ENDS: Keys = (("_id", ASCENDING), ("state", ASCENDING))
"""Which calculations have ended, and how, without their documents."""
BY_STATE: Keys = (("state", ASCENDING), ("_id", ASCENDING))
"""The few that have failed or left their phase."""
NEWEST: Keys = (("created", DESCENDING), ("complete", ASCENDING), ("cancelled", ASCENDING), ("machine", ASCENDING))
"""The studies, whose documents are large, by what they are chosen by."""
OF_STUDY: Keys = (
    ("spec.study", ASCENDING),
    ("state", ASCENDING),
    ("spec._priority", DESCENDING),
    ("created_on", ASCENDING),
    ("spec.core_seconds", ASCENDING),
    ("spec.key", ASCENDING),
)
"""What waits and runs for a study; in the order in which its workers take it."""
OF_MACHINE: Keys = (
    ("state", ASCENDING),
    ("spec.machine", ASCENDING),
    ("spec._priority", DESCENDING),
    ("created_on", ASCENDING),
)
"""What waits for a machine, in the order in which its workers take it."""
ASKED: Keys = (("study", ASCENDING), ("generation", ASCENDING), ("number", ASCENDING))
"""What a study wants, in the order asked."""
ONCE: Keys = (*ASKED[:2], ("kind", ASCENDING), ("phase", ASCENDING), ("index", ASCENDING), ("key", ASCENDING))
"""A study has one key at several places where these coincide; an import may join two keys at one place."""
KEYS_OF_STUDY: Keys = (*ASKED[:2], ("key", ASCENDING))
WANTING: Keys = (("key", ASCENDING), *ASKED[:2])
"""Who wants a calculation."""
PIECES: Keys = (("files_id", ASCENDING), ("n", ASCENDING))
"""GridFS's own, as is that of its files."""
LAUNCH_ENDS: Keys = (
    ("action.stored_data.state", ASCENDING),
    ("action.stored_data.key", ASCENDING),
    ("launch_id", ASCENDING),
)
"""How attempts ended."""

RESULTS: dict[str, tuple[Keys, ...]] = {
    "calculations": (ENDS, BY_STATE, (("calculation.code", ASCENDING), ("state", ASCENDING), ("_id", ASCENDING))),
    "studies": (
        NEWEST,
        (("wanted", ASCENDING),),
        (("name", ASCENDING),),
        (("complete", ASCENDING), ("machine", ASCENDING), ("cancelled", ASCENDING)),
    ),
    "wanted": (ASKED, ONCE, KEYS_OF_STUDY, WANTING),
    "fs.chunks": (PIECES,),
    "fs.files": ((("filename", ASCENDING), ("uploadDate", ASCENDING)),),
    "crashes": ((("key", ASCENDING),),),
    "claims": ((("worker", ASCENDING),),),
    "jobs": ((("machine", ASCENDING), ("user", ASCENDING), ("state", ASCENDING)),),
}
UNIQUE = (ASKED, ONCE, PIECES)
LAUNCHPAD: dict[str, tuple[Keys, ...]] = {"fireworks": (OF_STUDY, OF_MACHINE), "launches": (LAUNCH_ENDS,)}


def make_indexes(database: Any, wanted: dict[str, tuple[Keys, ...]]) -> None:
    """Make what is not there yet; who may only read finds them made."""
    try:
        for collection, indexes in wanted.items():
            database[collection].create_indexes([IndexModel(list(keys), unique=keys in UNIQUE) for keys in indexes])
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
