"""Folders that are there without being asked for: a home, and places for what does not last. Standard library only."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

VARIABLES = ("TMPDIR", "TEMP", "TMP")
OTHER_TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")
SHORT = 60
"""Bytes of a folder's path that leave room, of the 107 of a Unix socket's, for what Python's processes put below."""


def have_home() -> None:
    """Set HOME where this user has none at all (an unknown number in a container), as ASE does not start without."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/"


def configuration_folder(environment: Mapping[str, str]) -> Path:
    """Return where a user's configuration is, if there is any."""
    return Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "megabar"


def expanded(path: Path) -> Path:
    """Return a path with the home that its ``~`` stands for; as it is where that user is not known."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def temporary_folders() -> list[Path]:
    """Return folders for what does not last, the user's own choice first; some may not be there or not be writable."""
    chosen = [os.environ.get(name, "") for name in VARIABLES]
    names = [*chosen, *OTHER_TEMPORARY, os.environ.get("XDG_RUNTIME_DIR", "")]
    return list(dict.fromkeys(Path(name) for name in names if name))


def shorten_temporary_folder() -> None:
    """Have Python's own processes meet in a folder with a short path where TMPDIR's is too long for their sockets."""
    with suppress(FileNotFoundError):  # of those that Python knows none can be written
        if len(os.fsencode(tempfile.gettempdir())) <= SHORT:
            return
    for folder in temporary_folders():
        if len(os.fsencode(folder)) <= SHORT and os.access(folder, os.W_OK | os.X_OK):
            tempfile.tempdir = str(folder)
            return
