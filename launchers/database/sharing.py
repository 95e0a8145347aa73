"""Who uses the database, and whose studies they may change.

What a user can see and write at all the MongoDB server enforces, workspace by workspace (docs/database.md). Within a
workspace all members see everything, and nobody changes another's study by accident.
"""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING, Any

from megabar.launchers.database.access import AUTHENTICATION_FAILED, UNAUTHORIZED, read_only
from megabar.launchers.database.configured import explained
from megabar.structures.errors import InputError
from megabar.workflows.config import Config
from megabar.workflows.secrecy import user_of

if TYPE_CHECKING:
    from pymongo import MongoClient

    from megabar.workflows.store import StudyRecord


def current_user(config: Config, client: MongoClient[dict[str, Any]]) -> str:
    """Return who this is: the database user where there is one of one's own, else the system's."""
    if config.database.uri is None:  # all users of the embedded database are one and the same
        return system_user()
    users = client.admin.command("connectionStatus")["authInfo"]["authenticatedUsers"]
    return str(users[0]["user"]) if users else system_user()


def refusal(error: Exception, config: Config) -> str | None:
    """Return the sentence for what the database's server forbids this user, None for every other error."""
    from pymongo.errors import OperationFailure

    uri = config.database.uri
    if uri is None or not isinstance(error, OperationFailure):
        return None
    if error.code == UNAUTHORIZED:
        return read_only(user_of(uri), config.database.name)
    return explained(error, uri) if error.code == AUTHENTICATION_FAILED else None


def system_user() -> str:
    """Return the name of the user of this process, its number where it has no name (in containers)."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid{os.getuid()}"


def may_change(study: StudyRecord, user: str) -> bool:
    """Return whether a study is a user's own, or nobody's."""
    return study.owner in ("", user)


def check_may_change(study: StudyRecord, user: str, force: bool = False) -> None:
    """Raise InputError where a study is another's and the user has not said that it is meant."""
    if not force and not may_change(study, user):
        raise InputError(
            f"the study {study.identifier} is {study.owner}'s, and you are {user}; with --force it is done"
        )


def check_may_replan(study: StudyRecord, user: str) -> None:
    """Raise InputError where a study, planned otherwise than it would be now, is another's."""
    if not may_change(study, user):
        raise InputError(
            f"the study {study.identifier} is {study.owner}'s and was planned otherwise (with another version or other "
            "data of its code); give your study file another name to compute it your way"
        )
