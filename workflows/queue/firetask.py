"""The FireTask that runs a calculation. Stored workflows name it by where it was at first (``workflows.tasks``)."""

from __future__ import annotations

import fcntl
import json
import math
import time
import traceback
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from fireworks import FiretaskBase, FWAction
from pydantic import ValidationError
from pymongo.errors import PyMongoError

from megabar import __version__
from megabar.workflows.calculation import Calculation
from megabar.workflows.driver import advance_all
from megabar.workflows.execution import finished, prepare
from megabar.workflows.files import unpacked
from megabar.workflows.folder import HISTORY, RESULT
from megabar.workflows.outages import is_outage, too_large
from megabar.workflows.queue.board import TASK
from megabar.workflows.retrying import is_forgotten, note_what_was_set_aside, set_aside
from megabar.workflows.runtime import Runtime, current
from megabar.workflows.stopping import Stopped
from megabar.workflows.store import CalculationRecord, NotOurs, newer_fields, record_of
from megabar.workflows.tasks.interface import Begin
from megabar.workflows.troubles import FolderTrouble, MachineTrouble, trouble_of
from megabar.workflows.versions import check_known, check_version

ENDS = ("done", "failed", "left")
OUTAGE_POLL_SECONDS = 2.0
LOCK_POLL_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 30.0
AVOIDED_SECONDS = 60.0
"""How long a worker leaves a calculation whose folder it cannot use to others, before it looks again."""
MOST_REFUSED = 5
"""Folders in a row that cannot be used, after which it is the machine that is in trouble."""


class CalculationTask(FiretaskBase):  # type: ignore[misc]
    """Runs the calculation in ``fw_spec["calculation"]`` unless its result is there, and stores the result."""

    _fw_name = TASK

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        """Run, store, and let the studies that wait for it go on."""
        runtime = current()
        key, control, store = fw_spec["key"], runtime.control, runtime.store
        state, control.running = "crashed", key
        try:
            calculation = submitted(fw_spec)
            if calculation.key != key:
                # Under the key that the study knows it by, which counts its crashes.
                store.note_crash(key, f"what was submitted as {key} was changed on its way, to {calculation.key}")
            else:
                asked = {"study": fw_spec.get("study"), "estimate_core_s": fw_spec.get("core_seconds")}
                state = run_and_store(calculation, runtime, asked)
        except Stopped:
            state, control.unfinished = "stopped", key
        except NotOurs as error:
            state = "taken"
            control.leave(key, str(error), math.inf)
        except FolderTrouble as trouble:
            state = "trouble"
            control.leave(key, str(trouble), AVOIDED_SECONDS)
            control.refused += 1
            if control.refused >= MOST_REFUSED:
                control.trouble = str(trouble)
        except MachineTrouble as trouble:
            state, control.unfinished, control.trouble = "trouble", key, str(trouble)
        except Exception as error:
            if isinstance(error, PyMongoError) and not too_large(error):
                raise
            store.note_crash(key, traceback.format_exc())
        finally:
            control.running = None
        if state in ENDS:
            control.refused = 0
        if state in (*ENDS, "crashed"):
            # Where the database is out of reach now, whoever reaches it next does this.
            with suppress(PyMongoError):
                advance_all(key, runtime)
        return FWAction(stored_data={"key": key, "state": state})


def submitted(fw_spec: Mapping[str, Any]) -> Calculation:
    """Return the calculation that a firework is to run: text; a dictionary in those of older versions.

    Raises NotOurs where it is one of a newer version.
    """
    content = fw_spec["calculation"]
    try:
        calculation = Calculation.from_dict(json.loads(content) if isinstance(content, str) else content)
    except (TypeError, KeyError) as error:
        raise NotOurs(f"a calculation of a newer version of megabar than this worker's ({error})") from error
    check_known(calculation)
    return calculation


def run_and_store(calculation: Calculation, runtime: Runtime, asked: Mapping[str, Any] | None = None) -> str:
    """Return the state that a calculation ended in, having run it where no result was there.

    A result that lies in the calculation's folder but is not in the database yet is taken in from there. ``taken``
    is the state where another worker is running it. asked: joins the result's provenance: the study that it is run
    for, its estimated core-seconds. The claim on the calculation is given back whatever happens; where the database is
    out of reach, that is left to the worker.
    """
    key = calculation.key
    known = runtime.store.get(key)
    if known is not None:
        return known.state
    runtime.control.claimed = True
    if not runtime.presence.claim(key, runtime.owner):
        runtime.control.claimed = False
        return "taken"
    try:
        state = _claimed(calculation, runtime, asked or {})
    except BaseException as error:
        if not is_outage(error):  # it would take another time-out; a worker gives all back after each task
            _release(key, runtime)
        raise
    _release(key, runtime)
    return state


def _release(key: str, runtime: Runtime) -> None:
    runtime.presence.release(key, runtime.owner)
    runtime.control.claimed = False


def _claimed(calculation: Calculation, runtime: Runtime, asked: Mapping[str, Any]) -> str:
    """Run a calculation that is this worker's, in its folder, and store the result; return its state."""
    key, folder = calculation.key, runtime.folder(calculation.key)
    extra = {"megabar": __version__, "worker": runtime.owner, "cores": runtime.cores, "folder": str(folder), **asked}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder, runtime) as alone:
            if not alone:
                return "taken"
            known = runtime.store.get(key)
            if known is not None:
                return known.state
            ended = _found(calculation, folder, runtime, extra)
            if ended is None:
                check_version(calculation, runtime.config)
                prepare(folder, calculation, _begin(calculation, runtime))
                note_what_was_set_aside(folder)
                ended = record_of(calculation, runtime.run(folder, calculation.code), extra), _history(folder)
    except OSError as error:
        trouble = trouble_of(error, folder)
        if trouble is not None:
            raise trouble from error
        if not folder.is_dir():
            raise RuntimeError(f"the folder {folder} was taken away while its calculation ran") from error
        raise
    record, history = ended
    _through_outages(lambda: runtime.store.save(record, history), runtime)
    return record.state


def _found(
    calculation: Calculation, folder: Path, runtime: Runtime, extra: Mapping[str, Any]
) -> tuple[CalculationRecord, dict[str, Any] | None] | None:
    """Return the result that lies in a folder with its arrays, None where there is none that can be trusted.

    One that cannot be is set aside, which the calculation's record will tell.
    Raises NotOurs where a newer version wrote it.
    """
    there = (folder / RESULT).exists()  # looked for first: a child that a killed worker left may just write it
    result = finished(folder)
    if result is None and there:
        set_aside(folder)
    if result is None or is_forgotten(folder, result, calculation.key, runtime.store):
        return None
    try:
        return record_of(calculation, result, extra), _history(folder)
    except (ValidationError, TypeError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        if newer_fields(error):
            raise NotOurs(f"{folder / RESULT} is of a newer version of megabar; update this one") from error
        set_aside(folder)
        return None


def _through_outages(store: Callable[[], None], runtime: Runtime) -> None:
    """Store a result, however long the database is out of reach; told to stop, leave it on disk for the next one."""
    while True:
        try:
            return store()
        except PyMongoError as error:
            if runtime.control.stopping or not is_outage(error):
                raise
            time.sleep(OUTAGE_POLL_SECONDS)


def _begin(calculation: Calculation, runtime: Runtime) -> Begin:
    """Return what a calculation begins with; its task knows what it needs of its inputs' results."""
    known = runtime.store.get_many(calculation.starts)
    parents = [known[key] for key in calculation.starts if key in known]
    return calculation.task.begin(calculation, parents, runtime.store.history)


def _history(folder: Path) -> dict[str, Any] | None:
    path = folder / HISTORY
    return unpacked(path.read_bytes()) if path.is_file() else None


@contextmanager
def _alone(folder: Path, runtime: Runtime) -> Iterator[bool]:
    """Hold the folder's lock: of two workers that reach for one calculation the second waits and finds the result.

    False where somebody holds it for long, as one whose node hangs and who was taken for lost may: two processes in one
    folder would spoil each other's files. Raises Stopped where told to stop meanwhile.
    """
    with (folder / "lock").open("w") as file:
        until = time.monotonic() + LONGEST_WAIT_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                yield True
                return
            if runtime.control.stopping:
                raise Stopped
            if time.monotonic() > until:
                yield False
                return
            time.sleep(LOCK_POLL_SECONDS)
