"""Runs one calculation in its folder; killed at any moment, it goes on from what it had, as its task knows how to.

The folder holds ``input.json`` (the calculation and the structure to start from), ``state.json`` (the last ionic
step, while it runs) and at the end ``result.json``, written before anything else hears of the result.
"""

from __future__ import annotations

import errno
import json
import platform
import resource
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from megabar.structures.names import visible
from megabar.workflows.calculation import Calculation
from megabar.workflows.codes.interface import CalculationFailed
from megabar.workflows.codes.registry import ADAPTERS
from megabar.workflows.codes.registry import code as find_code
from megabar.workflows.config import Config
from megabar.workflows.files import packed, read_json, unpacked, write_atomically, write_json
from megabar.workflows.folder import BEGIN, INPUT, RESULT, SPENT, STATE
from megabar.workflows.mending.record import forget_steps, steps_taken
from megabar.workflows.stopping import Stopped
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Begin, Run
from megabar.workflows.tasks.relaxing import LEFT_PHASE


def prepare(folder: Path, calculation: Calculation, begin: Begin) -> None:
    """Write the input of a calculation into its folder; what an interrupted run left there is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "calculation": calculation.to_dict(),
        "start": asdict(Structure.of(begin.atoms)),
        "stiffness_eV_A2": begin.stiffness_eV_A2,
    }
    if begin.arrays:  # they follow from the inputs, whose keys the calculation has
        write_atomically(folder / BEGIN, packed(begin.arrays))
    # Compared as JSON has it: a tuple is a list there, and a difference would cost the steps already done.
    if read_json(folder / INPUT) != json.loads(json.dumps(content)):
        (folder / STATE).unlink(missing_ok=True)
        (folder / SPENT).unlink(missing_ok=True)
        forget_steps(folder)
        write_json(folder / INPUT, content)


def finished(folder: Path) -> dict[str, Any] | None:
    """Return the result that a folder holds, None where its calculation has not ended."""
    result = read_json(folder / RESULT)
    return result if isinstance(result, dict) and "state" in result else None


def execute(folder: Path, config: Config) -> dict[str, Any]:
    """Run the calculation of a folder to its end and return its result, which is on disk then.

    A failure of the code is a result too (``state`` is ``failed``, with ``cause`` and ``detail``). Where the
    calculation is told to stop, Stopped passes through: there is no result, and run again it goes on from there.
    """
    done = finished(folder)
    if done is not None:
        return done
    content: dict[str, Any] = read_json(folder / INPUT) or {}
    calculation = Calculation.from_dict(content["calculation"])
    begin = _begin(content, folder)
    before = _spent_before(folder)
    began, counted, cpu = time.time(), time.monotonic(), _cpu_seconds()

    def spent() -> dict[str, float]:
        wall_s, cpu_s = time.monotonic() - counted, _cpu_seconds() - cpu
        return {"wall_s": round(before["wall_s"] + wall_s, 3), "cpu_s": round(before["cpu_s"] + cpu_s, 3)}

    try:
        result = calculation.task.run(Run(calculation, begin, folder, config, spent))
    except CalculationFailed as failure:
        if failure.cause == "disk-full":
            raise OSError(errno.ENOSPC, failure.detail, str(folder)) from failure  # no property of the calculation
        if failure.cause == "killed":
            raise ChildProcessError(failure.detail) from failure  # nor is this: it is tried again
        state = "left" if failure.cause == LEFT_PHASE else "failed"
        result = {"state": state, "cause": failure.cause, "detail": visible(failure.detail)}
    except Stopped:
        write_json(folder / SPENT, spent())
        raise
    result["mendings"] = steps_taken(folder)
    result["provenance"] = {
        "host": platform.node(),
        "started": datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds"),
        **spent(),
        **({"interrupted_wall_s": before["wall_s"]} if before["wall_s"] else {}),
        "peak_memory_MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "python": platform.python_version(),
        "packages": _versions(),
    }
    write_json(folder / RESULT, result)
    (folder / STATE).unlink(missing_ok=True)
    (folder / SPENT).unlink(missing_ok=True)
    forget_steps(folder)
    return result


def _spent_before(folder: Path) -> dict[str, float]:
    """Return the time that the parts of a calculation took that did not come to its end, as far as it is known."""
    kept = [content for content in (read_json(folder / SPENT), read_json(folder / STATE)) if isinstance(content, dict)]

    def most(name: str) -> float:
        found = [each.get(name) for each in kept]
        return max((float(each) for each in found if isinstance(each, int | float)), default=0.0)

    return {"wall_s": most("wall_s"), "cpu_s": most("cpu_s")}


def _begin(content: dict[str, Any], folder: Path) -> Begin:
    arrays = unpacked((folder / BEGIN).read_bytes()) if (folder / BEGIN).is_file() else {}
    return Begin(Structure.from_dict(content["start"]).atoms(), content.get("stiffness_eV_A2"), arrays)


def is_known(calculation: Calculation) -> bool:
    """Return whether this version has the code of a calculation, and that what it is to do."""
    if calculation.code not in ADAPTERS:
        return False
    task = calculation.task
    return task.through_ase or task.name in find_code(calculation.code).programs


def _cpu_seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("megabar", "ase", "numpy", "spglib")}
