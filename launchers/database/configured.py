"""The MongoDB that a user configures by its address: is it there, does it let us in, with which options."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from megabar.launchers.database.access import AUTHENTICATION_FAILED, UNAUTHORIZED, access, no_access
from megabar.structures.errors import SetupError
from megabar.workflows.secrecy import hosts

REACH_TIMEOUT_S = 4.0
ATLAS_ERROR = 8000
# An outage shorter than the selection timeout is survived without an error (a restart takes about a second).
DRIVER_OPTIONS = {"w": "majority", "journal": "true", "retryWrites": "true", "serverSelectionTimeoutMS": "120000"}

RETRY_S = 2.0

_NO_ADDRESS = "the database URI (host {}) {}; it should look like mongodb://user:password@host:27017/"


class Unreachable(SetupError):
    """The database does not answer: later it may."""


def connected(uri: str) -> Any:
    """Return a client for a first look at a database: it gives up after seconds.

    Raises SetupError, which never shows the password, where the URI is none.
    """
    from pymongo import MongoClient
    from pymongo.errors import ConfigurationError, InvalidURI

    place = hosts(uri)
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        raise SetupError(_NO_ADDRESS.format(place, "is no MongoDB address"))
    timeout = int(1000 * REACH_TIMEOUT_S)
    try:
        client: MongoClient[dict[str, object]] = MongoClient(
            uri, serverSelectionTimeoutMS=timeout, connectTimeoutMS=timeout
        )
    except (InvalidURI, ConfigurationError, ValueError, TypeError) as error:
        kind = "is no MongoDB address" if isinstance(error, InvalidURI) else "cannot be used"
        raise SetupError(_NO_ADDRESS.format(place, kind)) from None
    except OSError as error:
        named = error.filename or ", ".join(_certificate_files(uri)) or "a certificate file"
        reason = (error.strerror or type(error).__name__).lower()
        raise SetupError(f"{named}, which the database URI (host {place}) names, cannot be used ({reason})") from None
    return client


def check_reachable(uri: str, name: str) -> None:
    """Raise SetupError, which never shows the password, where no database of that name answers and lets us in.

    It is Unreachable where none answers.
    """
    from pymongo.errors import ConnectionFailure, PyMongoError

    client = connected(uri)
    try:
        found = access(client, name)
        if not found.read:
            raise SetupError(no_access(found, name))
    except PyMongoError as error:
        kind = Unreachable if isinstance(error, ConnectionFailure) else SetupError
        raise kind(explained(error, uri)) from None
    finally:
        client.close()


def wait_until_reachable(uri: str | None, name: str, told_to_stop: Callable[[], bool]) -> bool:
    """Wait for a configured database that does not answer, as a job may start while its server is started anew.

    Returns False where told to stop meanwhile. Raises SetupError where waiting does not help, as with a wrong password.
    """
    said = ""
    while uri:
        try:
            check_reachable(uri, name)
            break
        except Unreachable as error:
            if str(error) != said:
                said = str(error)
                print(f"megabar worker waits: {said}", file=sys.stderr, flush=True)
        if told_to_stop():
            return False
        time.sleep(RETRY_S)
    return True


def explained(error: Exception, uri: str) -> str:
    """Return, in one sentence without secrets, why a database does not answer or does not let us in."""
    from pymongo.errors import ConnectionFailure, OperationFailure

    place = hosts(uri)
    if isinstance(error, OperationFailure):
        if error.code in (AUTHENTICATION_FAILED, UNAUTHORIZED, ATLAS_ERROR):
            return f"the database at {place} refused the user or the password of the database URI"
        details = error.details or {}
        return f"the database at {place} does not accept commands ({details.get('codeName', error.code or '?')})"
    if isinstance(error, ConnectionFailure):
        return _unanswered(str(error), place)
    return f"the database at {place} cannot be used ({type(error).__name__})"


def _unanswered(said: str, place: str) -> str:
    """Return why a connection failed; TLS's complaints are in the driver's text alone."""
    if "certificate verify failed" in said:
        reason = said.partition("certificate verify failed: ")[2].partition(" (_ssl")[0] or "it is not verified"
        return (
            f"the certificate of the database at {place} is not to be trusted ({reason}); tlsCAFile in the URI must "
            "name the certificate of the authority that signed it, and the host be one that it is made for"
        )
    if "SSL" in said or "TLS" in said:
        return (
            f"the database at {place} and this client do not agree on TLS; the URI needs tls=true where the server has "
            "TLS, and none where it has not"
        )
    return (
        f"the database at {place} does not answer within {REACH_TIMEOUT_S:.0f} s; check database.uri "
        "(MEGABAR_DATABASE_URI; tls=true where the server wants TLS), or leave it out to use megabar's own database"
    )


def _certificate_files(uri: str) -> list[str]:
    """Return the certificate files that a URI names and that cannot be read."""
    options = (option.partition("=") for option in uri.rpartition("?")[2].split("&"))
    files = [unquote(value) for name, _, value in options if name.lower() in ("tlscafile", "tlscertificatekeyfile")]
    return [each for each in files if not Path(each).is_file()] or files


def with_driver_options(uri: str) -> str:
    """Return a URI with our defaults for the options that it leaves open."""
    query = uri.partition("?")[2]
    given = {part.split("=", 1)[0].lower() for part in query.split("&") if part}
    ours = "&".join(f"{key}={value}" for key, value in DRIVER_OPTIONS.items() if key.lower() not in given)
    if not ours:
        return uri
    if query:
        return f"{uri}&{ours}"
    rest = uri.split("://", 1)[-1].rsplit("@", 1)[-1]
    return f"{uri.rstrip('?')}{'' if '/' in rest else '/'}?{ours}"
