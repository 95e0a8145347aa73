"""A database shared by a group: its users and their workspaces.

A workspace is a pair of databases, one of results and the LaunchPad's beside it. The server itself lets a member reach
his workspaces only: he has the built-in role ``readWrite`` or ``read`` in their databases and none elsewhere.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from megabar.launchers.database.access import UNAUTHORIZED
from megabar.launchers.database.configured import connected, explained
from megabar.launchers.database.uri_parts import authority_of, for_user, with_hosts, with_options
from megabar.structures.errors import InputError, SetupError
from megabar.workflows.config import Config
from megabar.workflows.secrecy import hosts, read_uri_file, user_of, with_absolute_files
from megabar.workflows.store import LAUNCHPAD_SUFFIX

if TYPE_CHECKING:
    from pymongo import MongoClient

    Client = MongoClient[dict[str, Any]]

USER_EXISTS, ALREADY_INITIALIZED, NO_REPLICATION = 51003, 23, 76
PRIMARY_TIMEOUT_S = 30.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_WORKSPACE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,49}")
_RESERVED = ("admin", "local", "config")


@dataclass(frozen=True)
class NewUser:
    """A user with rights in a workspace; ``uri_file`` holds the address with the password, None where it stays."""

    name: str
    workspace: str
    read_only: bool
    uri_file: Path | None


def admin_uri(config: Config, uri_file: Path | None, environment: Mapping[str, str] | None = None) -> str:
    """Return the administrator's address: of a file, of MEGABAR_ADMIN_URI, else the configured one.

    It is no argument of a command, as everybody on the computer can read those. Raises InputError where there is none.
    """
    environment = os.environ if environment is None else environment
    if uri_file is not None:
        return read_uri_file(uri_file, "--admin-uri-file")
    if environment.get("MEGABAR_ADMIN_URI"):
        return with_absolute_files(environment["MEGABAR_ADMIN_URI"], Path.cwd())
    if config.database.uri:
        return config.database.uri
    raise InputError(
        "there is no shared database: give its administrator's address in a file (--admin-uri-file) or in "
        "MEGABAR_ADMIN_URI; megabar's own database serves one user"
    )


@contextmanager
def _administrator(uri: str, refused: str) -> Iterator[Client]:
    """Have a client of the administrator; raises SetupError, ``refused`` where the server forbids what he does."""
    from pymongo.errors import OperationFailure, PyMongoError

    client = connected(uri)
    try:
        client.admin.command("ping")
        yield client
    except OperationFailure as error:
        if error.code == UNAUTHORIZED:
            raise SetupError(refused) from None
        raise SetupError(explained(error, uri)) from None
    except PyMongoError as error:
        raise SetupError(explained(error, uri)) from None
    finally:
        client.close()


def create_user(
    admin: str, name: str, workspace: str, read_only: bool, target: Path, new_password: bool = False
) -> NewUser:
    """Give a user rights in a workspace, and where he is new a password, in a file that only its owner can read.

    A user who is there keeps his password and his other workspaces. Raises InputError for impossible names and a file
    that is there already, SetupError where the server refuses.
    """
    _check_names(name, workspace)
    role = "read" if read_only else "readWrite"
    pair = (workspace, workspace + LAUNCHPAD_SUFFIX)
    roles = [{"role": role, "db": each} for each in pair]
    other = [{"role": "readWrite" if read_only else "read", "db": each} for each in pair]
    with _administrator(admin, _no_administrator(admin)) as client:
        known = bool(client.admin.command("usersInfo", name)["users"])
        if known:
            client.admin.command("revokeRolesFromUser", name, roles=other)
            client.admin.command("grantRolesToUser", name, roles=roles)
            if not new_password:
                return NewUser(name, workspace, read_only, None)
        password = secrets.token_urlsafe(24)
        with _secret_file(target, for_user(admin, name, password, _authority(target).name)):
            if known:
                client.admin.command("updateUser", name, pwd=password)
            else:
                client.admin.command("createUser", name, pwd=password, roles=roles)
        _copy_authority(admin, target)
    return NewUser(name, workspace, read_only, target)


def remove_user(admin: str, name: str, workspace: str) -> bool:
    """Take a user's rights in a workspace away; return whether he is gone, having none left.

    His studies stay. Raises InputError where there is no such user.
    """
    _check_names(name, workspace)
    pair = (workspace, workspace + LAUNCHPAD_SUFFIX)
    with _administrator(admin, _no_administrator(admin)) as client:
        found = client.admin.command("usersInfo", name)["users"]
        if not found:
            raise InputError(f"there is no database user {name}")
        roles = [{"role": each["role"], "db": each["db"]} for each in found[0]["roles"]]
        here = [each for each in roles if each["db"] in pair]
        if not here:
            raise InputError(f"the database user {name} has no rights in the workspace {workspace!r}")
        if len(here) == len(roles):
            client.admin.command("dropUser", name)
            return True
        client.admin.command("revokeRolesFromUser", name, roles=here)
    return False


def create_admin(uri: str, name: str, host: str | None, target: Path) -> None:
    """Make a new MongoDB ready: a replica set of one member, and its administrator with a password in a file.

    uri: without user, of a server on this computer that has no users yet (MongoDB's localhost exception).
    host: HOST:PORT by which others reach it; by default what the server takes for its own name.
    Raises SetupError where the server has users already, or is no member of a replica set (``--replSet``).
    """
    from pymongo.errors import OperationFailure

    _check_names(name, "w")
    direct = with_options(uri, {"directConnection": "true"})
    refused = f"the database at {hosts(uri)} has users already, or does not run on this computer"
    with _administrator(direct, refused) as client:
        try:
            client.admin.command("replSetInitiate", {})
        except OperationFailure as error:
            if error.code == NO_REPLICATION:
                raise SetupError(
                    f"the database at {hosts(uri)} runs without --replSet; give it one, so that writes survive restarts"
                ) from None
            if error.code != ALREADY_INITIALIZED:
                raise
        hello = _primary(client, uri)
        password = secrets.token_urlsafe(24)
        reached = with_hosts(with_options(uri, {"replicaSet": hello["setName"]}), host or hello["me"])
        with _secret_file(target, for_user(reached, name, password, _authority(target).name)):
            client.admin.command("createUser", name, pwd=password, roles=["root"])
        _copy_authority(uri, target)
    if host is not None and host != hello["me"]:
        with _administrator(with_options(for_user(direct, name, password), {"directConnection": "true"}), "") as client:
            present = client.admin.command("replSetGetConfig")["config"]
            members = [{**present["members"][0], "host": host}]
            changed = {**present, "version": present["version"] + 1, "members": members}
            client.admin.command("replSetReconfig", changed, force=True)


def _no_administrator(uri: str) -> str:
    user = f"the database user {user_of(uri)}" if user_of(uri) else "who has no user"
    return f"{user} may not change users; give an administrator's address with --admin-uri-file or MEGABAR_ADMIN_URI"


def _primary(client: Client, uri: str) -> dict[str, Any]:
    deadline = time.monotonic() + PRIMARY_TIMEOUT_S
    while time.monotonic() < deadline:
        hello = client.admin.command("hello")
        if hello.get("isWritablePrimary"):
            return hello
        time.sleep(0.05)
    raise SetupError(f"the database at {hosts(uri)} does not become the primary of its replica set; see its log")


def _check_names(name: str, workspace: str) -> None:
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} cannot be a user's name: letters, digits, dots, _ and -, at most 63")
    suffixed = workspace.lower().endswith(LAUNCHPAD_SUFFIX)
    if not _WORKSPACE.fullmatch(workspace) or workspace.lower() in _RESERVED or suffixed:
        raise InputError(
            f"{workspace!r} cannot be a workspace's name: a letter, then letters, digits, _ and -, at most 50, not "
            f"{', '.join(_RESERVED)} nor with {LAUNCHPAD_SUFFIX} at its end"
        )


@contextmanager
def _secret_file(target: Path, text: str) -> Iterator[None]:
    """Have a file of the owner's alone written before the block, and gone again where the block fails."""
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise InputError(f"{target} is there already; remove it or choose another with --to") from None
    except OSError as error:
        raise InputError(f"{target} cannot be written ({(error.strerror or str(error)).lower()})") from None
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        yield
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _authority(target: Path) -> Path:
    return target.with_suffix(".ca.pem")


def _copy_authority(uri: str, target: Path) -> None:
    """Put the certificate of the authority that the server's is signed by (no secret) beside a URI file."""
    authority = authority_of(uri)
    if authority is not None:
        shutil.copyfile(authority, _authority(target))
