"""Database addresses carry passwords: read from files of their owner alone, and never shown."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from urllib.parse import quote, unquote

from megabar.structures.errors import InputError
from megabar.workflows.places import expanded

_ADDRESS = re.compile(r"mongodb(?:\+srv)?://\S*")
_FILE_OPTIONS = ("tlscafile", "tlscertificatekeyfile", "tlscrlfile")
_UNRESERVED = "/._-~+@"
SECRET_VARIABLES = ("MEGABAR_DATABASE_URI", "MEGABAR_ADMIN_URI")
"""Environment variables that no DFT code and no batch job needs to inherit."""


def hosts(uri: str) -> str:
    """Return the hosts of a URI, without user and password, also where the user forgot what comes after them."""
    rest = uri.split("://", 1)[-1]
    names = rest.rsplit("@", 1)[-1].split("/", 1)[0].split("?", 1)[0]
    shown = [each if each.rpartition(":")[2].isdigit() else each.partition(":")[0] for each in names.split(",")]
    return ",".join(shown) or "?"


def hidden(text: str) -> str:
    """Return a text with every database address in it cut down to its hosts: for messages, logs and reports."""
    return _ADDRESS.sub(lambda found: _hosts_only(found[0]), text)


def _hosts_only(uri: str) -> str:
    scheme = uri.split("://", 1)[0]
    return f"{scheme}://{'***@' if '@' in uri else ''}{hosts(uri).strip(chr(39) + chr(34) + ')]},;')}"


def user_of(uri: str) -> str:
    """Return the user's name in a database address, empty where it has none."""
    user_info, at, _ = uri.partition("://")[2].rpartition("@")
    return unquote(user_info.partition(":")[0]) if at else ""


def has_password(uri: str) -> bool:
    """Return whether a database address holds a secret: a password, or that of a certificate's key."""
    _, _, rest = uri.partition("://")
    user_info, at, _ = rest.rpartition("@")
    return bool(at and user_info.partition(":")[2]) or "password=" in uri.lower()


def open_to_others(path: Path) -> bool:
    """Return whether anybody but its owner (and root) may read a file."""
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def read_uri_file(path: Path, named_by: str) -> str:
    """Return the database address in a file that only its owner may read; files that it names are made absolute.

    named_by: what named the file, for messages. Raises InputError where the file is missing, empty, not a file, can be
    read by others, or belongs to somebody else.
    """
    try:
        if not path.is_file():
            raise InputError(f"{named_by} names {path}, which is {'not a file' if path.exists() else 'not there'}")
        if os.getuid() != 0 and path.stat().st_uid not in (os.getuid(), 0):
            raise InputError(f"{named_by} names {path}, which belongs to another user; a secret must be one's own")
        if open_to_others(path):
            raise InputError(f"{path} holds a password and others may read it; `chmod 600 {path}`")
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or 'no text'})") from None
    if len(lines) != 1:
        raise InputError(f"{path} should hold one database address, mongodb://user:password@host:27017/, nothing else")
    return with_absolute_files(lines[0], path.absolute().parent)


def with_absolute_files(uri: str, folder: Path) -> str:
    """Return a URI whose certificate files are looked for in a folder, not wherever a worker happens to be."""
    address, question, query = uri.rpartition("?")
    if not question:
        return uri
    options = []
    for option in query.split("&"):
        name, _, value = option.partition("=")
        if name.lower() in _FILE_OPTIONS and value:
            value = quote(str(folder / expanded(Path(unquote(value)))), safe=_UNRESERVED)
            option = f"{name}={value}"
        options.append(option)
    return f"{address}?{'&'.join(options)}"
