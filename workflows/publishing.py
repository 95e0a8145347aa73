"""What of a study's records may leave the machine: nothing that tells of its folders, users or processes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

LOCAL_FIELDS = ("folder", "worker")
"""What provenance says of a machine's folders and processes; the host's name stays: it says which hardware computed."""
_PLACE = re.compile(r"(?<![\w./:~-])~?/(?:[^\s/'\"`,;()<>|]+/)+[^\s/'\"`,;()<>|]*")
"""A path of two parts or more in a text; no unit (eV/Å), symbol (P6_3/mmc) or address (https://…) looks like one."""


def with_file_names(method: Mapping[str, Any]) -> dict[str, Any]:
    """Return a method or calculation with the names of its data files instead of their places."""
    data = [
        {**each, "path": PurePath(each["path"]).name, "origin": without_places(each["origin"])}
        for each in method.get("data", ())
    ]
    return {**method, "data": data}


def structure_file(entry: Any) -> Any:
    """Return a phase of a study file (a name, a file, a file with more) with the name of the file for its place."""
    if isinstance(entry, Mapping) and "file" in entry:
        return {**entry, "file": structure_file(entry["file"])}
    return PurePath(entry).name if isinstance(entry, str) and entry.startswith(("/", "~")) else entry


def without_places(value: Any) -> Any:
    """Return a value whose texts have the names of files and folders instead of where they lie on this machine."""
    if isinstance(value, str):
        return _PLACE.sub(lambda match: PurePath(match[0]).name, value)
    if isinstance(value, Mapping):
        return {name: without_places(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_places(each) for each in value]
    return value


def without_local(value: Any) -> Any:
    """Return provenance without what tells of folders and processes."""
    if isinstance(value, Mapping):
        return {name: without_local(each) for name, each in value.items() if name not in LOCAL_FIELDS}
    if isinstance(value, list | tuple):
        return [without_local(each) for each in value]
    return value
