"""What of a study's records may leave the machine: nothing that tells of its folders, users or processes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any

LOCAL_FIELDS = ("folder", "worker")
"""What provenance says of a machine's folders and processes; the host's name stays: it says which hardware computed."""
_PART = r"(?:\\.|[^\s/'\"`;<>|\\])"
_START = r"(?:(?<![\w./~)\]%-])|(?<=^-[A-Za-z])|(?<=\s-[A-Za-z]))"
_FIRST = r"/(?=[\w.])"
_PLACES = (
    r"(?P<address>\b(?!file:)[A-Za-z][\w+.-]*://\S*)",
    r"(?P<quote>['\"`])(?P<quoted>~?/[^'\"`\n]*)(?P=quote)",
    rf"\bfile:(?://[^\s/]*)?(?:/{_PART}+)+",
    rf"{_START}/(?:home|Users)/{_PART}+(?: {_PART}+){{0,2}}(?:/{_PART}+)+",
    rf"{_START}{_FIRST}{_PART}+(?:/{_PART}+)+/?",
    rf"(?<![\w./~])~(?:[A-Za-z_][\w.-]*)?(?:/{_PART}+)+/?",
    rf"{_START}(?<!\d\s)/(?!(?:atom|cell|formula|bohr|angstrom|electron|mol)\b)[a-z][a-z0-9_-]{{2,}}(?![\w/])/?",
)
"""Paths in a text, by how they begin; no unit (eV/Å), symbol (P6_3/mmc) or address (https://…) is taken for one."""
HIDDEN = "…"
"""What stands for a folder whose very name tells of a user or a machine."""


def with_file_names(method: Mapping[str, Any]) -> dict[str, Any]:
    """Return a method or calculation with the names of its data files instead of their places."""
    data = [
        {
            **each,
            "path": PurePath(each["path"]).name,
            "origin": without_places(each["origin"], str(PurePath(each["path"]).parent)),
        }
        for each in method.get("data", ())
    ]
    return {**method, "data": data}


def structure_file(entry: Any) -> Any:
    """Return a phase of a study file (a name, a file, a file with more) with the name of the file for its place."""
    if isinstance(entry, Mapping) and "file" in entry:
        return {**entry, "file": structure_file(entry["file"])}
    return PurePath(entry).name if isinstance(entry, str) and entry.startswith(("/", "~")) else entry


def without_places(value: Any, *folders: str) -> Any:
    """Return a value whose texts have the names of files and folders instead of where they lie on this machine.

    folders: known ones, in whose paths and those above them blanks are found too, as in the user's home and the
    working folder.
    """
    roots = _roots(folders)
    known = [rf"(?:{'|'.join(map(re.escape, roots))})(?![\w-])(?:/{_PART}+)*/?"] if roots else []
    pattern = re.compile("|".join([*_PLACES[:1], *known, *_PLACES[1:]]))
    return _replaced(value, pattern, frozenset(roots))


def _roots(folders: Sequence[str]) -> list[str]:
    """Return folders and those above them down to two parts, to one where it has a blank, the longest first."""
    known = list(folders)
    for find in (Path.home, Path.cwd):
        with suppress(OSError, RuntimeError):
            known.append(str(find()))
    paths = [path for each in known for path in (PurePath(each), *PurePath(each).parents)]
    telling = {str(path) for path in paths if path.is_absolute() and (len(path.parts) > 2 or " " in path.name)}
    return sorted(telling, key=len, reverse=True)


def _replaced(value: Any, pattern: re.Pattern[str], roots: frozenset[str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(lambda match: _shown(match, roots), value)
    if isinstance(value, Mapping):
        return {name: _replaced(each, pattern, roots) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(each, pattern, roots) for each in value]
    return value


def _shown(match: re.Match[str], roots: frozenset[str]) -> str:
    if match["address"]:
        return match[0]
    quote, path = match["quote"] or "", PurePath(match["quoted"] or match[0])
    a_users = len(path.parts) == 3 and path.parts[1] in ("home", "Users")
    return f"{quote}{HIDDEN if a_users or str(path) in roots else path.name}{quote}"


def without_local(value: Any) -> Any:
    """Return provenance without what tells of folders and processes."""
    if isinstance(value, Mapping):
        return {name: without_local(each) for name, each in value.items() if name not in LOCAL_FIELDS}
    if isinstance(value, list | tuple):
        return [without_local(each) for each in value]
    return value
