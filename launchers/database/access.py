"""What a database user may do: asked from the server, told in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from megabar.workflows.store import LAUNCHPAD_SUFFIX

if TYPE_CHECKING:
    from pymongo import MongoClient

UNAUTHORIZED, AUTHENTICATION_FAILED = 13, 18
READING, WRITING = frozenset({"find"}), frozenset({"find", "insert", "update", "remove"})
COLLECTIONS = {"": ("calculations", "studies"), LAUNCHPAD_SUFFIX: ("fireworks", "launches", "workflows")}


@dataclass(frozen=True)
class Access:
    """What a user may do in a workspace, a pair of databases: results, and the LaunchPad's beside it.

    user: empty where the server wants none; read, write: in both databases.
    workspaces: others that the user has rights in, as far as they are named in the rights.
    """

    user: str
    read: bool
    write: bool
    workspaces: tuple[str, ...]


def access(client: MongoClient[dict[str, Any]], name: str) -> Access:
    """Return what the user of a client may do in the workspace of a name. Raises pymongo's errors."""
    said = client.admin.command("connectionStatus", showPrivileges=True)["authInfo"]
    users = said["authenticatedUsers"]
    if not users:
        # A server that wants no user lets anybody list collections; one that wants one raises here.
        client[name].command("listCollections", nameOnly=True, authorizedCollections=True)
        return Access("", read=True, write=True, workspaces=())
    privileges = said["authenticatedUserPrivileges"]
    return Access(
        user=str(users[0]["user"]),
        read=_may(READING, privileges, name),
        write=_may(WRITING, privileges, name),
        workspaces=tuple(_workspaces(privileges)),
    )


def _may(actions: frozenset[str], privileges: Sequence[Mapping[str, Any]], name: str) -> bool:
    return all(
        actions <= _granted(privileges, name + suffix, collection)
        for suffix, collections in COLLECTIONS.items()
        for collection in collections
    )


def _granted(privileges: Sequence[Mapping[str, Any]], database: str, collection: str) -> set[str]:
    granted: set[str] = set()
    for privilege in privileges:
        where = privilege["resource"]
        everywhere = where.get("anyResource", False)
        if everywhere or (where.get("db") in ("", database) and where.get("collection") in ("", collection)):
            granted.update(privilege["actions"])
    return granted


def _workspaces(privileges: Sequence[Mapping[str, Any]]) -> list[str]:
    named = {privilege["resource"].get("db") for privilege in privileges}
    return sorted(str(each) for each in named if each and f"{each}{LAUNCHPAD_SUFFIX}" in named)


def no_access(found: Access, name: str) -> str:
    """Return the sentence for a user without rights in a workspace."""
    others = f" (workspaces of this user: {', '.join(found.workspaces)})" if found.workspaces else ""
    return (
        f"the database user {found.user} has no rights in the workspace {name!r}{others}; set database.name "
        "(MEGABAR_DATABASE_NAME), or ask the database's administrator"
    )


def read_only(user: str, name: str) -> str:
    """Return the sentence for a user who may read a workspace and wants to change it."""
    return (
        f"the database user {user} may read the workspace {name!r} but not change it; ask the database's administrator "
        "for the right to write"
    )
