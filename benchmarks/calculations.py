"""Calculations that a hull needs, against relaxing every phase at every pressure, and the difference in the answer.

EMT stands for the DFT code, so that both ways can be afforded: numbers of calculations and differences are real, the
physics is a toy's. Prints both counts, their ratio, and the largest error of the enthalpies.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from scipy.optimize import brentq

from megabar.structures.scaling import scaled_to
from megabar.workflows.config import Config
from megabar.workflows.execution import execute, prepare
from megabar.workflows.kinds.registry import load_study
from megabar.workflows.kinds.stability.answer import answer
from megabar.workflows.kinds.stability.plan import resolve
from megabar.workflows.kinds.stability.wants import wanted_next
from megabar.workflows.parts.volumes.ladder import Ladder
from megabar.workflows.store import record_of
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Begin
from megabar.workflows.tasks.start import started_from

STUDY = """\
kind: stability
system: Pt-Au
pressures: {from: 0, to: 300, step: 15}
phases: [Pt-fcc.cif, Pt-bcc.cif, Pt-sc.cif, Au-fcc.cif, Au-bcc.cif, Au-sc.cif]
method: {code: emt}
"""


def adaptive(folder: Path):
    """Play the study as workers do, and return its answer and the number of calculations."""
    file = load_study(folder / "study.yaml")
    config = Config(data=folder / "data")
    plan, rungs, records = resolve(file, config), [], {}
    while wanted := wanted_next(plan, rungs, records):
        for rung in wanted:
            calculation = plan.calculation_of(rung)
            parents = [Structure.from_dict(records[key].structure) for key in calculation.starts]
            place = folder / "data" / rung.key
            atoms = started_from(calculation, parents) if parents else calculation.structure.atoms()
            prepare(place, calculation, Begin(atoms))
            records[rung.key] = record_of(calculation, execute(place, config), {})
            rungs.append(rung.to_dict())
    return plan, answer(plan, rungs, records), len(rungs)


def enthalpy(ladder: Ladder, pressure_GPa: float) -> float:
    """Return the enthalpy (eV/atom) of a cubic phase at a pressure, its volume found to 1e-10."""
    cell = ladder.structure.atoms()

    def at(log_volume: float):
        atoms = scaled_to(cell, float(np.exp(log_volume)))
        atoms.calc = EMT()
        return atoms

    def excess(log_volume: float) -> float:
        return -float(np.mean(at(log_volume).get_stress()[:3])) / units.GPa - pressure_GPa

    low, high = np.log(ladder.volume(4)), np.log(ladder.volume(-1))
    log_volume = brentq(excess, low, high, xtol=1e-10)
    energy = at(log_volume).get_potential_energy() / len(cell)
    return float(energy + pressure_GPa * units.GPa * np.exp(log_volume))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for symbol, a in (("Pt", 3.92), ("Au", 4.08)):
            for kind, factor in (("fcc", 1.0), ("bcc", 0.795), ("sc", 0.64)):
                bulk(symbol, kind, a=a * factor).write(folder / f"{symbol}-{kind}.cif")
        (folder / "study.yaml").write_text(STUDY)
        plan, found, count = adaptive(folder)
    pressures = np.array(plan.pressures_GPa)
    exact = {ladder.phase: np.array([enthalpy(ladder, p) for p in pressures]) for ladder in plan.ladders}
    errors, claimed = [], []
    for curve in found.curves:
        known = np.isfinite(curve.enthalpy(pressures))
        errors.append(np.abs(curve.enthalpy(pressures) - exact[curve.phase])[known].max())
        claimed.append(np.nanmax(curve.uncertainty(pressures)))
    direct = len(pressures) * len(plan.ladders)
    print(f"every phase at every pressure: {direct} relaxations, each of several calculations")
    print(f"megabar: {count} calculations, {100 * count / direct:.0f} % of that")
    print(f"largest error of an enthalpy: {1000 * max(errors):.2f} meV/atom (claimed: {1000 * max(claimed):.2f})")
    print(f"accuracy asked for: {asdict(plan)['accuracy_eV'] * 1000:g} meV/atom")


if __name__ == "__main__":
    main()
