"""Studies of superconductivity with the per-q files of real runs in the place of what a database would hold."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from test_superconductivity_study import outcome, plan, play

from megabar.analysis.superconductivity.readers.espresso_dyn import read_dyn
from megabar.workflows.kinds.superconductivity.answer import TcAnswer, answer
from megabar.workflows.kinds.superconductivity.grids import Grids
from megabar.workflows.kinds.superconductivity.plan import TcPlan, TcRung
from megabar.workflows.store import CalculationRecord, StudyRecord


class Records:
    """What a report asks a store for."""

    def __init__(self, records: dict[str, CalculationRecord]) -> None:
        self.records = records

    def summaries(self, keys: Iterable[str]) -> dict[str, CalculationRecord]:
        return {key: self.records[key] for key in keys if key in self.records}


def files_of(folder: Path) -> list[tuple[dict[str, Any], tuple[float, ...]]]:
    """Return the files of each q-point of a run, by name, and its q (fractions)."""
    dyn0 = next(folder.glob("*dyn0"))
    prefix, count = dyn0.name[:-1], int(dyn0.read_text().split()[3])
    found = []
    for number in range(1, count + 1):
        paths = [folder / f"{prefix}{number}", *folder.glob(f"elph_dir/*.{number}")]
        dyn = read_dyn(paths[0])
        assert dyn.cell_A is not None
        content = {path.name.replace(prefix, "dyn"): np.frombuffer(path.read_bytes(), np.uint8) for path in paths}
        content["dyn0"] = np.frombuffer(dyn0.read_bytes(), np.uint8)
        found.append((content, tuple(float(each) for each in dyn.cell_A @ np.array(dyn.q) / dyn.alat_A)))
    return found


def study_with(
    folder: Path, grid: tuple[int, int, int], name: str, formula: str, **changes: Any
) -> tuple[StudyRecord, TcAnswer, Records]:
    """Return a study that is complete at one pressure, with the coupling of a run, its answer and its records."""
    made: TcPlan = plan((20.0,), **changes)
    ladder = replace(made.ladder, phase=name, formula=formula)
    made = replace(
        made,
        volumes=replace(made.volumes, ladders=(ladder,)),
        grids=Grids(grid, made.grids.k, made.grids.dense),
    )
    points = files_of(folder)

    def end(plan: TcPlan, rung: TcRung) -> CalculationRecord:
        record = outcome(plan, rung)
        if rung.kind != "phonon":
            return record
        q = points[(int(rung.index) - 1) % len(points)][1]
        return record.model_copy(update={"observables": {"q_points": len(points), "q_fractions": list(q)}})

    _, rungs, records = play(made, end)
    phonons = [rung for rung in rungs if rung["kind"] == "phonon"]
    files = {rung["key"]: points[(int(rung["index"]) - 1) % len(points)][0] for rung in phonons}
    found = answer(made, rungs, records, files.__getitem__)
    study = StudyRecord(
        identifier=f"{name}-1", name=name, kind="superconductivity", definition={}, resolved={}, rungs=rungs
    )
    return study, found, Records(records)
