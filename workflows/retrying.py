"""Failures are forgotten, so that the calculations are tried once more: in the database, and wherever they ran.

A failure also lies in the calculation's folder, maybe on a machine that is out of reach now. So the database counts
how often a calculation was asked for again, and a failure in a folder that knows of fewer times is worth nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from megabar.workflows.execution import finished
from megabar.workflows.files import read_json, write_json
from megabar.workflows.folder import HISTORY, RESULT
from megabar.workflows.isolation import ATTEMPTS, CHILD_LOCK
from megabar.workflows.mending.record import note_step, steps_taken
from megabar.workflows.runtime import Runtime
from megabar.workflows.store import ResultStore

RETRIES = "retries.json"
ASIDE = {name: f"untrusted-{name}" for name in (RESULT, HISTORY)}
KEPT = (RETRIES, "output.log", "lock", CHILD_LOCK, *ASIDE.values())
"""Files of a calculation's folder that nothing is computed from."""


def failed_of(identifier: str, phase: str | None, store: ResultStore) -> list[str]:
    """Return the calculations of a study, or of one of its phases, that have failed."""
    by_phase = store.keys_by_phase(identifier).items()
    wanted = dict.fromkeys(key for name, keys in by_phase if phase in (None, name) for key in keys)
    states = store.ended(list(wanted))
    return [key for key in wanted if states.get(key) == "failed"]


def forget_failures(keys: Sequence[str], identifier: str, runtime: Runtime) -> None:
    """Forget failed calculations of a study, which is open again then; what they were started with is kept."""
    if not keys:
        return
    retries = runtime.store.note_retries(keys)
    for key in keys:
        # Where the folder is out of reach, or somebody else's, whoever runs the calculation there sees to it.
        with suppress(OSError):
            _clear(runtime.folder(key), retries[key])
    runtime.store.forget(keys)
    runtime.store.reopen(identifier)


def is_forgotten(folder: Path, result: dict[str, Any], key: str, store: ResultStore) -> bool:
    """Return whether a result that lies in a folder is a failure from before it was asked for again; then it is gone.

    ``result`` is what the folder holds.
    """
    if result["state"] != "failed":
        return False
    asked, known = store.retries(key), read_json(folder / RETRIES)
    if asked <= (known if isinstance(known, int) else 0):
        return False
    _clear(folder, asked)
    return True


def begin_anew(folder: Path) -> None:
    """Forget all that a calculation has left in its folder but what it said: something of it cannot be trusted."""
    for path in folder.iterdir():
        if path.name in KEPT:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def set_aside(folder: Path) -> None:
    """Begin anew where the result in a folder cannot be trusted, which is kept there under another name."""
    for name, aside in ASIDE.items():
        with suppress(FileNotFoundError):
            (folder / name).rename(folder / aside)
    begin_anew(folder)


def note_what_was_set_aside(folder: Path) -> None:
    """Have the record of a calculation that is about to run tell that a result in its folder was not trusted."""
    found = [aside for aside in ASIDE.values() if (folder / aside).exists()]
    words = f"begun anew: a result that lay in the folder could not be trusted, see {' and '.join(found)} there"
    if found and words not in steps_taken(folder):
        note_step(folder, words)


def _clear(folder: Path, retries: int) -> None:
    """Forget the failure in a folder; after an internal error, all that may have led to it."""
    if not folder.is_dir():
        return
    write_json(folder / RETRIES, retries)
    failure = finished(folder)
    if failure is not None and failure.get("cause") == "internal-error":
        begin_anew(folder)
    for name in (RESULT, ATTEMPTS):
        (folder / name).unlink(missing_ok=True)
