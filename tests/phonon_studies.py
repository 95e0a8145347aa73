"""Studies with force constants, played through with EMT in this process, without a store."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import units
from ase.calculators.emt import EMT

from megabar.workflows.config import Config
from megabar.workflows.kinds.registry import kind_of, load_study
from megabar.workflows.store import CalculationRecord, StudyRecord


class Shelf:
    """What a report asks a store for."""

    def __init__(self) -> None:
        self.records: dict[str, CalculationRecord] = {}
        self.arrays: dict[str, dict[str, Any]] = {}

    def summaries(self, keys: Iterable[str]) -> dict[str, CalculationRecord]:
        return {key: self.records[key] for key in keys if key in self.records}

    def history(self, key: str) -> dict[str, Any]:
        return self.arrays[key]


def outcome(calculation: Any, shelf: Shelf) -> CalculationRecord:
    """Compute a structure in which nothing is free, as it is, and put its arrays on the shelf."""
    atoms = calculation.structure.atoms()
    atoms.calc = EMT()
    energy, volume = atoms.get_potential_energy() / len(atoms), atoms.get_volume() / len(atoms)
    shelf.arrays[calculation.key] = {
        "energy_eV": np.array([energy * len(atoms)]), "cell_A": atoms.cell.array[None],
        "positions": atoms.positions[None], "forces_eV_A": atoms.get_forces()[None],
    }  # fmt: skip
    return CalculationRecord(
        key=calculation.key, calculation=calculation.to_dict(), state="done", energy_eV_per_atom=energy,
        volume_A3_per_atom=volume,
        pressure_GPa=-float(np.mean(atoms.get_stress()[:3])) / units.GPa, structure=calculation.structure.to_dict(),
    )  # fmt: skip


def wants(kind: Any, plan: Any, rungs: list[dict[str, Any]], shelf: Shelf) -> list[dict[str, Any]]:
    """Return what a study wants next, as the driver asks for it."""
    found: list[dict[str, Any]] = kind.wants(plan, rungs, shelf.records)
    if not found and kind.refine is not None:
        found = kind.refine(plan, rungs, shelf.records, shelf.history)
    return found


def played(folder: Path, text: str, failing: Sequence[str] = ()) -> tuple[Any, StudyRecord, Any, Shelf]:
    """Return plan, study, answer and records of a study file in which every calculation is computed.

    failing: beginnings of the places (``Al-fcc at 0 GPa``) whose calculations fail.
    """
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    file = load_study(path)
    kind = kind_of(file.study.kind)
    plan = kind.resolve(file, Config(data=folder / "data"))
    shelf = Shelf()
    rungs: list[dict[str, Any]] = []
    while wanted := wants(kind, plan, rungs, shelf):
        rungs += wanted
        for rung in wanted:
            source = shelf.records.get(rung.get("structure_of", ""))
            calculation = plan.calculation(rung if source is None else {**rung, "structure": source.structure})
            assert calculation.key == rung["key"]
            record = outcome(calculation, shelf)
            if rung["phase"].startswith(tuple(failing)):
                failed = {"state": "failed", "cause": "unknown", "detail": "made to fail", "structure": None}
                record = record.model_copy(update={**failed, "energy_eV_per_atom": None, "pressure_GPa": None})
            shelf.records[calculation.key] = record
    study = StudyRecord(
        identifier="study-1", name="study", kind=file.study.kind, definition={}, resolved=plan.to_dict(), rungs=rungs,
        wanted=[rung["key"] for rung in rungs],
    )  # fmt: skip
    return plan, study, kind.answer(plan, rungs, shelf.records, shelf.history), shelf
