"""Mends megabar's own database: a lost key or password, damaged data files; what cannot be mended begins anew.

What is computed here is not lost with it: each result lies in its calculation's folder too, as long as that is kept,
and is taken in from there when a study asks. Imported results lie in the database alone.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from megabar.launchers.database.embedded import check_space, database_session, own_folder, stop_database
from megabar.launchers.database.mongod_binary import find_mongod
from megabar.launchers.database.mongod_folder import SOCKET_NAME, MongodFolder, library_folder, socket_folder, try_lock
from megabar.structures.errors import InputError, SetupError
from megabar.workflows.config import Config

OF_DATA = ("STORAGE", "WT", "RECOVERY")
"""Parts of mongod whose errors tell of its data files."""
OF_MACHINE = (
    *("no space left", "quota exceeded", "cannot allocate memory", "out of memory", "too many open files"),
    *("read-only file system", "permission denied", "operation not permitted", "input/output error"),
)
"""Errors that sound data files may meet too."""


@dataclass(frozen=True)
class Repaired:
    """What was done, in sentences; set_aside: where the data files are that could not be mended, None where they could.

    bad: collections that were damaged.
    """

    said: tuple[str, ...]
    bad: tuple[str, ...] = ()
    set_aside: Path | None = None


def repair(config: Config) -> Repaired:
    """Make the embedded database work again and say what that took.

    Raises InputError where the database is another one, is in use or was never there, SetupError where it cannot be
    looked at for another reason than its data files (a full disk, too little memory) or even a new one does not start.
    """
    if config.database.uri is not None:
        raise InputError("only megabar's own database is repaired; a configured one is its administrator's")
    if not (config.data / "mongodb").is_dir():
        raise InputError(f"there is no database in {config.data}: nothing is to be repaired")
    folder = own_folder(config)
    check_space(folder)
    said = ["its key and password are new"]
    with _alone(folder, config):
        for path in (folder.key, folder.password, folder.prepared):
            path.unlink(missing_ok=True)
    bad = _damaged(config)
    if bad == ():
        return Repaired((*said, "its data files are sound"))
    with _alone(folder, config):
        mended = _mend(folder)
        folder.prepared.unlink(missing_ok=True)
    if mended and _damaged(config) == ():
        said.append(f"its data files were damaged ({', '.join(bad or ('it did not start',))}) and are mended")
        return Repaired(tuple(said), bad or ())
    with _alone(folder, config):
        place = _free_name(folder)
        folder.data.rename(place)
    said.append(f"its data files could not be mended and are set aside in {place}; an empty database is in their place")
    try:
        left = _damaged(config)
    except SetupError:
        left = None
    if left is None:
        raise SetupError(f"{'; '.join(said)}, and that does not start either: see {folder.log}")
    return Repaired(tuple(said), bad or (), place)


def _damaged(config: Config) -> tuple[str, ...] | None:
    """Return the collections that are damaged, by a look at all data, None where mongod refuses its data files.

    Raises SetupError where it does not work for another reason.
    """
    from pymongo import MongoClient
    from pymongo.errors import OperationFailure, PyMongoError

    found = []
    folder = own_folder(config)
    before = _log_size(folder)
    client: MongoClient[dict[str, Any]]
    try:
        with database_session(config) as address, MongoClient(address.uri, serverSelectionTimeoutMS=10_000) as client:
            for name in client.list_database_names():
                for collection in client[name].list_collection_names(filter={"type": "collection"}):
                    try:
                        valid = client[name].command("validate", collection)["valid"]
                    except OperationFailure as error:  # those that a server keeps for itself cannot be looked at
                        valid = name in ("local", "config", "admin") and error.code != 8
                    found += [] if valid else [f"{name}.{collection}"]
    except SetupError:
        if not _refused(folder, before):
            raise
        return None
    except PyMongoError:
        if not _refused(folder, before):
            raise _interrupted(folder) from None
        return None
    return tuple(found)


def _log_size(folder: MongodFolder) -> int:
    return folder.log.stat().st_size if folder.log.exists() else 0


def _refused(folder: MongodFolder, before: int) -> bool:
    """Return whether mongod has complained of its data files, and not of the machine, since its log had a size."""
    content = folder.log.read_bytes() if folder.log.exists() else b""
    lines = content[before if before <= len(content) else 0 :].decode(errors="replace").splitlines()
    entries = [entry for line in lines if (entry := _entry(line)).get("s") in ("E", "F")]
    text = json.dumps(entries).lower()
    if any(each in text for each in OF_MACHINE):
        return False
    return any(entry["s"] == "F" or entry.get("c") in OF_DATA for entry in entries)


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _interrupted(folder: MongodFolder) -> SetupError:
    return SetupError(
        f"mongod ended while it looked at the data files in {folder.data}, without a complaint of them (was it killed, "
        f"for memory?): nothing is set aside; see {folder.log}, and run `megabar database repair` again"
    )


def _mend(folder: MongodFolder) -> bool:
    """Have mongod save what it can of its data files, and return whether it could.

    Raises SetupError where it could not for another reason than these files.
    """
    binary = find_mongod(folder.state().binary, library_folder(folder))
    environment = {**os.environ, **binary.environment}
    socket, before = socket_folder(folder) / SOCKET_NAME, _log_size(folder)
    alone = [binary.path, "--dbpath", str(folder.data), "--bind_ip", str(socket), "--nounixsocket"]
    with folder.log.open("ab") as log:
        start = partial(subprocess.Popen, cwd="/", env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if start([*alone, "--repair"]).wait() == 0:
            server = start([*alone, "--filePermissions", "0600"])
            try:
                if _leave_replica_set(socket):
                    return True
            finally:
                server.terminate()
                server.wait()
    if not _refused(folder, before):
        raise _interrupted(folder)
    return False


def _leave_replica_set(socket: Path) -> bool:
    """Take a server out of its replica set, which may lack writes that it had: the next start makes a new one."""
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    client: MongoClient[dict[str, object]] = MongoClient(f"mongodb://{quote_plus(str(socket))}/?directConnection=true")
    try:
        with client:
            client.drop_database("local")
    except PyMongoError:
        return False
    return True


@contextmanager
def _alone(folder: MongodFolder, config: Config) -> Iterator[None]:
    """Keep the database stopped while the block runs; raises InputError where somebody uses it."""
    lock = try_lock(folder.supervisor_lock) if stop_database(config) else None
    if lock is None:
        raise InputError(
            f"the database in {folder.root} is in use; first end what uses it (`megabar run`, `worker`, `queue`, …)"
        )
    try:
        yield
    finally:
        os.close(lock)


def _free_name(folder: MongodFolder) -> Path:
    number = 1
    while (place := folder.root / f"damaged-{number}").exists():
        number += 1
    return place
