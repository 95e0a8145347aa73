"""Troubles of the machine, which are no property of a calculation: told with the path and what to do about it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_OF_ALL = "free some space there"
_OF_ONE = "make the folder one that the workers may write, or move it away: then its calculation begins anew"
MACHINE = {
    errno.ENOSPC: _OF_ALL,
    errno.EDQUOT: _OF_ALL,
    errno.EIO: "the disk, or the server that it is on, does not do its work",
    errno.ESTALE: "the server that it is on was changed; it has to be mounted again",
    errno.EMFILE: "the limit of open files (`ulimit -n`) is too low",
    errno.ENFILE: "the computer has too many files open",
}
"""Errors that any calculation would meet here."""
FOLDER = {
    errno.EACCES: _OF_ONE,
    errno.EPERM: _OF_ONE,
    errno.EROFS: "have it mounted for writing",
    errno.ENOTDIR: "a file is where a folder should be: move it away",
    errno.EEXIST: "a file is where a folder should be: move it away",
    errno.EISDIR: "a folder is where a file should be: move it away",
    errno.ELOOP: "it is a link that leads to itself: move it away",
}
"""Errors that may be those of one calculation's folder alone."""
MACHINE_CODE, FOLDER_CODE = 74, 73
"""Exit codes of a child process that met one of them (EX_IOERR and EX_CANTCREAT of sysexits.h)."""


class MachineTrouble(Exception):
    """The machine, not the calculation, is in trouble: its disk is full, its file system read-only."""


class FolderTrouble(MachineTrouble):
    """The folder of one calculation cannot be used; those of others may."""


def exit_code(error: OSError) -> int:
    """Return the exit code with which a child process tells of an error, 1 where that is no trouble of the machine."""
    return MACHINE_CODE if error.errno in MACHINE else FOLDER_CODE if error.errno in FOLDER else 1


def trouble_of(error: OSError, folder: Path) -> MachineTrouble | None:
    """Return an error met in the folder of a calculation as the machine's trouble, None where it is none."""
    kind, known = (MachineTrouble, MACHINE) if error.errno in MACHINE else (FolderTrouble, FOLDER)
    if error.errno not in known:
        return None
    return kind(in_words(error, folder))


def in_words(error: OSError, folder: Path) -> str:
    """Return what an error says, of which file, and what to do."""
    remedy = {**MACHINE, **FOLDER}.get(error.errno or 0)
    said = f"{os.strerror(error.errno) if error.errno else type(error).__name__}: {error.filename or folder}"
    return f"{said}; {remedy}" if remedy else said
