"""The MongoDB that a user configures by its address: is it there, does it let us in, with which options."""

from __future__ import annotations

from urllib.parse import urlsplit

from megabar.structures.errors import SetupError
from megabar.workflows.secrecy import hosts

REACH_TIMEOUT_S = 4.0
# An outage shorter than the selection timeout is survived without an error (a restart takes about a second).
DRIVER_OPTIONS = {"w": "majority", "journal": "true", "retryWrites": "true", "serverSelectionTimeoutMS": "120000"}

_NO_ADDRESS = "the database URI (host {}) {}; it should look like mongodb://user:password@host:27017/"


def check_reachable(uri: str, name: str) -> None:
    """Raise SetupError, which never shows the password, where no database of that name answers and lets us in."""
    from pymongo import MongoClient
    from pymongo.errors import ConfigurationError, ConnectionFailure, InvalidURI, OperationFailure, PyMongoError

    place = hosts(uri)
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        raise SetupError(_NO_ADDRESS.format(place, "is no MongoDB address"))
    try:
        client: MongoClient[dict[str, object]] = MongoClient(
            uri, serverSelectionTimeoutMS=int(1000 * REACH_TIMEOUT_S), connectTimeoutMS=int(1000 * REACH_TIMEOUT_S)
        )
    except (InvalidURI, ConfigurationError, ValueError, TypeError) as error:
        kind = "is no MongoDB address" if isinstance(error, InvalidURI) else "cannot be used"
        raise SetupError(_NO_ADDRESS.format(place, kind)) from None
    try:
        client[name].command("listCollections", nameOnly=True, authorizedCollections=True)
    except OperationFailure as error:
        if error.code in (18, 13, 8000):
            reason = "refused the user or the password of the database URI"
        else:
            reason = f"does not accept commands ({error.details.get('codeName', error.code) if error.details else '?'})"
        raise SetupError(f"the database at {place} {reason}") from None
    except ConnectionFailure:
        raise SetupError(
            f"the database at {place} does not answer within {REACH_TIMEOUT_S:.0f} s; check database.uri "
            "(MEGABAR_DATABASE_URI), or leave it out to use megabar's own database"
        ) from None
    except PyMongoError as error:
        raise SetupError(f"the database at {place} cannot be used ({type(error).__name__})") from None
    finally:
        client.close()


def with_driver_options(uri: str) -> str:
    """Return a URI with our defaults for the options that it leaves open."""
    query = urlsplit(uri).query
    given = {part.split("=", 1)[0].lower() for part in query.split("&") if part}
    ours = "&".join(f"{key}={value}" for key, value in DRIVER_OPTIONS.items() if key.lower() not in given)
    if not ours:
        return uri
    if query:
        return f"{uri}&{ours}"
    rest = uri.split("://", 1)[-1].rsplit("@", 1)[-1]
    return f"{uri.rstrip('?')}{'' if '/' in rest else '/'}?{ours}"
