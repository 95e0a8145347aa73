"""The FireTask that runs a calculation. Stored workflows name it by its module, so it stays here."""

from __future__ import annotations

import fcntl
import json
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ase import Atoms
from fireworks import FiretaskBase, FWAction, explicit_serialize
from pymongo.errors import ConnectionFailure, NotPrimaryError, PyMongoError

from megabar import __version__
from megabar.structures.symmetry import rattled
from megabar.workflows.calculation import ENERGY, Calculation, Structure, started_from
from megabar.workflows.driver import advance_all
from megabar.workflows.execution import HISTORY, finished, prepare
from megabar.workflows.files import unpacked
from megabar.workflows.isolation import TROUBLES, MachineTrouble
from megabar.workflows.retrying import is_forgotten
from megabar.workflows.runtime import Runtime, current
from megabar.workflows.stopping import Stopped
from megabar.workflows.store import record_of
from megabar.workflows.versions import check_version

RATTLE_SEED = 1
ENDS = ("done", "failed", "left")
OUTAGE_POLL_SECONDS = 2.0
LOCK_POLL_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 30.0


@explicit_serialize
class CalculationTask(FiretaskBase):  # type: ignore[misc]
    """Runs the calculation in ``fw_spec["calculation"]`` unless its result is there, and stores the result."""

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        """Run, store, and let the studies that wait for it go on."""
        runtime = current()
        calculation = submitted(fw_spec)
        state, runtime.control.running = "crashed", calculation.key
        try:
            if calculation.key != fw_spec["key"]:
                raise RuntimeError(f"what was submitted as {fw_spec['key']} was changed on its way")
            asked = {"study": fw_spec.get("study"), "estimate_core_s": fw_spec.get("core_seconds")}
            state = run_and_store(calculation, runtime, asked)
        except Stopped:
            state, runtime.control.unfinished = "stopped", calculation.key
        except MachineTrouble as trouble:
            state, runtime.control.unfinished = "trouble", calculation.key
            runtime.control.trouble = str(trouble)
        except PyMongoError:
            raise
        except Exception:
            runtime.store.note_crash(calculation.key, traceback.format_exc())
        finally:
            runtime.control.running = None
        if state in ENDS:
            # Where the database is out of reach now, whoever reaches it next does this.
            with suppress(PyMongoError):
                advance_all(calculation.key, runtime)
        return FWAction(stored_data={"key": calculation.key, "state": state})


def submitted(fw_spec: Mapping[str, Any]) -> Calculation:
    """Return the calculation that a firework is to run: text; a dictionary in those of older versions."""
    content = fw_spec["calculation"]
    return Calculation.from_dict(json.loads(content) if isinstance(content, str) else content)


def run_and_store(calculation: Calculation, runtime: Runtime, asked: Mapping[str, Any] | None = None) -> str:
    """Return the state that a calculation ended in, having run it where no result was there.

    A result that lies in the calculation's folder but is not in the database yet is taken in from there. ``taken``
    is the state where another worker is running it. asked: joins the result's provenance: the study that it is run
    for, its estimated core-seconds.
    """
    key = calculation.key
    known = runtime.store.get(key)
    if known is not None:
        return known.state
    if not runtime.presence.claim(key, runtime.owner):
        return "taken"
    folder = runtime.folder(key)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder, runtime) as alone:
            if not alone:
                runtime.presence.release(key, runtime.owner)
                return "taken"
            known = runtime.store.get(key)
            if known is not None:
                return known.state
            result = finished(folder)
            if result is None or is_forgotten(folder, result, key, runtime.store):
                check_version(calculation, runtime.config)
                prepare(folder, calculation, *_start(calculation, runtime))
                result = runtime.run(folder, calculation.code)
    except OSError as error:
        if error.errno in TROUBLES:
            raise MachineTrouble(f"{error.strerror}: {error.filename or folder}") from error
        raise
    extra = {"megabar": __version__, "worker": runtime.owner, "cores": runtime.cores, "folder": str(folder)}
    record, history = record_of(calculation, result, {**extra, **(asked or {})}), _history(folder)
    _through_outages(lambda: runtime.store.save(record, history), runtime)
    runtime.presence.release(key, runtime.owner)
    return str(result["state"])


def _through_outages(store: Callable[[], None], runtime: Runtime) -> None:
    """Store a result, however long the database is out of reach; told to stop, leave it on disk for the next one."""
    while True:
        try:
            return store()
        except (ConnectionFailure, NotPrimaryError):
            if runtime.control.stopping:
                raise
            time.sleep(OUTAGE_POLL_SECONDS)


def _start(calculation: Calculation, runtime: Runtime) -> tuple[Atoms, float | None]:
    """Return the cell that a calculation starts with, and the curvature that its neighbour found."""
    if calculation.task != ENERGY:
        return calculation.structure.atoms(), None  # it goes on from what the others left, not from where they ended
    known = runtime.store.get_many(calculation.starts)
    parents = [known[key] for key in calculation.starts if key in known]
    relaxed = [Structure.from_dict(each.structure) for each in parents if each.structure is not None]
    if len(relaxed) < len(calculation.starts):
        raise RuntimeError(f"not all of {', '.join(calculation.starts)}, to start from, have a result")
    atoms = started_from(calculation, relaxed) if relaxed else calculation.structure.atoms()
    if calculation.relaxation and calculation.relaxation.rattle_A:
        atoms = rattled(atoms, calculation.relaxation.rattle_A, RATTLE_SEED)
    return atoms, parents[0].stiffness_eV_A2 if parents else None


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
