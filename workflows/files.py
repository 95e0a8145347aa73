"""Files written so that a power cut leaves either the old content or the new, never half of it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

TEMPORARY = re.compile(r"\.[A-Za-z][A-Za-z0-9_-]*\.[a-z]+\.[0-9]+")
"""Names of the files that ``write_atomically`` writes first."""

if TYPE_CHECKING:
    from numpy.typing import NDArray


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file, flushed to disk before it takes its name."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the name, too, survives a power cut
        finally:
            os.close(folder)
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what processes that were killed in mid-writing have left in a folder; nobody else may be writing there."""
    for path in folder.glob(".*"):
        if TEMPORARY.fullmatch(path.name) and not path.name.endswith(f".{os.getpid()}"):
            path.unlink(missing_ok=True)


def text_of_file(path: Path) -> str:
    """Return the text of a file that a program wrote, empty where there is none or it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def sha256_of(content: bytes | str) -> str:
    """Return the SHA-256 (hex) of a content."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def sha256_of_file(path: Path, missing: str | None = None) -> str:
    """Return the SHA-256 (hex) of a file; missing: what is returned instead where it cannot be read.

    Raises OSError there where nothing is to be returned instead.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        if missing is None:
            raise
        return missing


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, atomically."""
    write_atomically(path, json.dumps(value, indent=1))


def read_json(path: Path) -> Any | None:
    """Return what a JSON file holds, None where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None


def packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return named arrays as the content of a compressed npz file."""
    import numpy as np  # not above: `megabar status` is to start at once

    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpacked(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file's content."""
    import numpy as np

    with np.load(io.BytesIO(content)) as arrays:
        return {name: arrays[name] for name in arrays.files}
