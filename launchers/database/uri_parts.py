"""Taking MongoDB addresses apart and putting them together, for users and administrators of one server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote_plus, unquote

_OWN_OPTIONS = ("authsource", "authmechanism", "authmechanismproperties", "appname", "directconnection")
"""Options of a URI that are its user's own, and not handed on to another's, as is his certificate."""


def options_of(uri: str) -> list[tuple[str, str]]:
    """Return the options of a URI as they stand there, encoded."""
    parts = (part.partition("=") for part in uri.partition("?")[2].split("&"))
    return [(name, value) for name, _, value in parts if name]


def with_options(uri: str, added: Mapping[str, str]) -> str:
    """Return a URI with options set."""
    names = {name.lower() for name in added}
    kept = [(name, value) for name, value in options_of(uri) if name.lower() not in names]
    scheme, user_info, place, path = _parts(uri)
    return f"{scheme}://{user_info}{place}/{path}?" + _query([*kept, *added.items()])


def with_hosts(uri: str, place: str) -> str:
    """Return a URI with other hosts."""
    scheme, user_info, _, path = _parts(uri)
    return f"{scheme}://{user_info}{place}/{path}?" + _query(options_of(uri))


def for_user(uri: str, name: str, password: str, authority: str | None = None) -> str:
    """Return the address of the same server for another user.

    authority: the file with the certificate that signed the server's, instead of the one named, if any is.
    """
    scheme, _, place, _ = _parts(uri)
    kept = []
    for option, value in options_of(uri):
        if option.lower() in _OWN_OPTIONS or option.lower().startswith("tlscertificatekeyfile"):
            continue
        is_authority = option.lower() == "tlscafile" and authority is not None
        kept.append((option, quote_plus(authority or "") if is_authority else value))
    return f"{scheme}://{quote_plus(name)}:{quote_plus(password)}@{place}/?" + _query([*kept, ("authSource", "admin")])


def authority_of(uri: str) -> Path | None:
    """Return the file with the certificate of the authority that signed the server's, None where a URI names none."""
    return next((Path(unquote(value)) for option, value in options_of(uri) if option.lower() == "tlscafile"), None)


def _parts(uri: str) -> tuple[str, str, str, str]:
    """Return scheme, user with password and @, hosts, path."""
    scheme, _, rest = uri.partition("?")[0].partition("://")
    user_info, at, tail = rest.rpartition("@")
    place, _, path = tail.partition("/")
    return scheme, f"{user_info}{at}", place, path


def _query(options: list[tuple[str, str]]) -> str:
    return "&".join(f"{option}={value}" for option, value in options)
