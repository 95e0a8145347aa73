"""The quasi-harmonic free energies of the phases of a study: G(P,T) and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from megabar.analysis.enthalpy import EnthalpyCurve
from megabar.analysis.thermo.gibbs import GibbsTable
from megabar.analysis.thermo.ladder import curve_of as static_of
from megabar.analysis.thermo.ladder import ladder_gibbs
from megabar.analysis.thermo.report import gibbs_rows
from megabar.analysis.thermo.table import HelmholtzTable
from megabar.structures.errors import InputError
from megabar.workflows.kinds.phonons.crystals import CrystalAt
from megabar.workflows.kinds.phonons.plan import PhononPlan
from megabar.workflows.kinds.phonons.wants import Records, Rungs, phase_curve
from megabar.workflows.parts.lattice.free_energy import FreeEnergy, Vibrations, free_energy
from megabar.workflows.parts.volumes.ladder import Ladder

FINE = 51
"""Temperatures of figures, besides those asked for."""


@dataclass(frozen=True, eq=False)
class PhaseThermo:
    """G(P,T) of a phase per atom at the study's pressures and temperatures.

    atoms: of the phase's cell. gibbs: None where there is none; missing says why. notes: what a reader must know.
    table: F(V,T) at the volumes with phonons, with static energies, per atom. fine: ``gibbs`` at more temperatures,
    from 0 to the highest, for figures.
    """

    phase: str
    formula: str
    atoms: int
    gibbs: GibbsTable | None
    missing: str
    notes: tuple[str, ...] = ()
    table: HelmholtzTable | None = None
    fine: GibbsTable | None = None

    def rows(self) -> list[dict[str, Any]]:
        """Return a row a pressure (GPa) and temperature (K), per cell and per atom; null where nothing is known."""
        if self.gibbs is None:
            return []
        cell = self.gibbs.scaled(self.atoms, self.atoms)
        return [row for i in range(len(cell.pressures_GPa)) for row in gibbs_rows(cell, i, _why)]

    def json(self) -> dict[str, Any]:
        """Return the same as JSON-able data, units in the keys."""
        content: dict[str, Any] = {"phase": self.phase, "formula": self.formula, "atoms": self.atoms}
        if self.gibbs is None:
            return {**content, "missing": self.missing, "notes": list(self.notes)}
        return {**content, "rows": self.rows(), "notes": list(self.notes)}


def thermo_of(
    plan: PhononPlan, ladder: Ladder, crystals: Sequence[CrystalAt], rungs: Rungs, records: Records
) -> PhaseThermo:
    """Return G(P,T) of a phase from its ladder's volumes and its force constants at some of them."""

    def without(why: str, notes: tuple[str, ...] = ()) -> PhaseThermo:
        return PhaseThermo(ladder.phase, ladder.formula, len(ladder.structure.symbols), None, why, notes)

    curve = phase_curve(ladder, rungs, records)
    known = [Vibrations(each.crystal, each.further) for each in crystals if each.constants is not None]
    if curve is None or len(known) < 2:
        return without("force constants are needed at two volumes at least")
    asked = [0.0, *plan.temperatures_K]
    found = free_energy(known, [*asked, *np.linspace(0.0, asked[-1], FINE)])
    if found is None:
        return without("all volumes have imaginary modes: the phase has no harmonic free energy")
    notes = _notes(found)
    try:
        fine = ladder_gibbs(curve, found.table, plan.pressures_GPa)
    except InputError as error:
        return without(str(error), notes)
    # The error of the force constants is one for all volumes: that of the nearest would only pretend to know better.
    fine = fine.with_error(np.sqrt((found.error_eV**2).mean(axis=1))[None, :])
    gibbs = fine.within(asked)
    return PhaseThermo(
        phase=ladder.phase,
        formula=ladder.formula,
        atoms=len(ladder.structure.symbols),
        gibbs=gibbs,
        missing="",
        notes=(*notes, *_beyond(gibbs)),
        table=_with_static(found.table, curve),
        fine=fine,
    )


def _with_static(table: HelmholtzTable, curve: EnthalpyCurve) -> HelmholtzTable:
    """Return the table with the static energies that the curve of the ladder has at its volumes."""
    static = static_of(curve, float(table.volumes_A3[0]), float(table.volumes_A3[-1]))
    return replace(table, static_eV=static(np.log(table.volumes_A3))[0])


def _why(code: int) -> str:
    return {1: "needs larger volumes with phonons", -1: "needs smaller volumes with phonons"}.get(code, "no fit")


def _notes(found: FreeEnergy) -> tuple[str, ...]:
    if not found.unstable_A3:
        return ()
    volumes = ", ".join(f"{each:.2f}" for each in found.unstable_A3)
    return (f"left out of the free energy, as modes are imaginary there: {volumes} Å³/atom",)


def _beyond(gibbs: GibbsTable) -> tuple[str, ...]:
    outside = [
        f"{pressure:g} GPa, {temperature:g} K"
        for i, pressure in enumerate(gibbs.pressures_GPa)
        for j, temperature in enumerate(gibbs.temperatures_K)
        if gibbs.beyond[i, j]
    ]
    if not outside:
        return ()
    return (f"not within the volumes that have force constants, and not extrapolated: {'; '.join(outside)}",)
