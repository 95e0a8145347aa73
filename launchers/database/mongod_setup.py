"""First set-up of the embedded database: the replica set of one member and its user.

Run in a process of its own by the supervisor, which so needs no driver in memory.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from megabar.launchers.database.mongod_folder import REPLICA_SET, USER, MongodFolder, answers

# Error codes of the server
ALREADY_INITIALIZED, NOT_YET_INITIALIZED, IN_PROGRESS, USER_EXISTS = 23, 94, 109, 51003


def prepare(folder: MongodFolder, socket: str, timeout_s: float = 60.0) -> None:
    """Make the replica set and the user where they are missing; safe to run again after a kill.

    The member's name is the path of its socket, so a folder that was moved is configured anew. A server that changes
    its state in the replica set closes its connections: each step can be taken again, so it all is.
    """
    from pymongo.errors import ConnectionFailure

    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return _prepare(folder, socket, deadline)
        except ConnectionFailure:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _prepare(folder: MongodFolder, socket: str, deadline: float) -> None:
    import pymongo
    from pymongo.errors import OperationFailure

    while answers(socket) is None:
        if time.monotonic() > deadline:
            raise TimeoutError("mongod does not answer")
        time.sleep(0.01)
    key = quote_plus(folder.key.read_text(encoding="ascii"))
    uri = f"mongodb://__system:{key}@{quote_plus(socket)}/?authSource=local&directConnection=true"
    client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(uri, serverSelectionTimeoutMS=10_000)
    with client:
        while not _configured(client, socket):
            if time.monotonic() > deadline:
                raise TimeoutError("mongod takes no configuration of the replica set")
            time.sleep(0.05)
        while not answers(socket):
            if time.monotonic() > deadline:
                raise TimeoutError("mongod does not become primary")
            time.sleep(0.01)
        password = folder.password.read_text(encoding="ascii")
        try:
            client.admin.command("createUser", USER, pwd=password, roles=["root"])
        except OperationFailure as error:
            if error.code != USER_EXISTS:
                raise
            client.admin.command("updateUser", USER, pwd=password)


def _configured(client: Any, socket: str) -> bool:
    """Configure the replica set; return False while one who was here before us has begun it and not finished."""
    from pymongo.errors import OperationFailure

    members = [{"_id": 0, "host": socket}]
    try:
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
        return True
    except OperationFailure as error:
        if error.code == IN_PROGRESS:
            return False
        if error.code != ALREADY_INITIALIZED:
            raise
    try:
        present = client.admin.command("replSetGetConfig")["config"]
        if present["members"][0]["host"] != socket:
            changed = {**present, "version": present["version"] + 1, "members": members}
            client.admin.command("replSetReconfig", changed, force=True)
    except OperationFailure as error:
        if error.code in (IN_PROGRESS, NOT_YET_INITIALIZED):
            return False
        raise
    return True


if __name__ == "__main__":
    prepare(MongodFolder(Path(sys.argv[1])), sys.argv[2])
