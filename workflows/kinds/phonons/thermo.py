"""The quasi-harmonic free energies of the phases of a study: G(P,T) and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import units

from megabar.analysis.thermo.gibbs import GibbsTable
from megabar.analysis.thermo.ladder import ladder_gibbs
from megabar.structures.errors import InputError
from megabar.workflows.kinds.phonons.crystals import CrystalAt
from megabar.workflows.kinds.phonons.plan import AT_PRESSURE, MAIN, PhononPlan
from megabar.workflows.kinds.phonons.wants import Records, Rungs
from megabar.workflows.parts.lattice.free_energy import FreeEnergy, Vibrations, free_energy
from megabar.workflows.parts.volumes.at_pressure import curve_through
from megabar.workflows.parts.volumes.ladder import Ladder

FINE = 51
"""Temperatures of figures, besides those asked for."""


@dataclass(frozen=True, eq=False)
class PhaseThermo:
    """G(P,T) of a phase per atom at the study's pressures and temperatures.

    gibbs: None where there is none; missing says why. notes: what a reader must know. fine: the same at more
    temperatures, from 0 to the highest, for figures.
    """

    phase: str
    formula: str
    gibbs: GibbsTable | None
    missing: str
    notes: tuple[str, ...] = ()
    fine: GibbsTable | None = None

    def rows(self) -> list[dict[str, Any]]:
        """Return a row a pressure (GPa) and temperature (K), per atom; null where volumes do not bracket it."""
        found = self.gibbs
        if found is None:
            return []
        per_mol = units.mol / units.J
        rows = []
        for i, pressure in enumerate(found.pressures_GPa):
            for j, temperature in enumerate(found.temperatures_K):
                row: dict[str, Any] = {"pressure_GPa": float(pressure), "temperature_K": float(temperature)}
                for name, values, factor in (
                    ("volume_A3_per_atom", found.volume_A3, 1.0),
                    ("volume_error_A3_per_atom", found.volume_error_A3, 1.0),
                    ("gibbs_eV_per_atom", found.gibbs_eV, 1.0),
                    ("gibbs_error_eV_per_atom", found.gibbs_error_eV, 1.0),
                    ("entropy_J_per_mol_K", found.entropy_eV_per_K, per_mol),
                    ("thermal_expansion_per_K", found.thermal_expansion_per_K, 1.0),
                    ("bulk_modulus_GPa", found.bulk_modulus_GPa, 1.0),
                    ("adiabatic_bulk_modulus_GPa", found.adiabatic_bulk_modulus_GPa, 1.0),
                    ("heat_capacity_J_per_mol_K", found.heat_capacity_p_eV_per_K, per_mol),
                    ("gruneisen", found.gruneisen, 1.0),
                ):
                    value = float(values[i, j]) * factor
                    row[name] = value if np.isfinite(value) else None
                rows.append(row)
        return rows

    def json(self) -> dict[str, Any]:
        """Return the same as JSON-able data, units in the keys."""
        content: dict[str, Any] = {"phase": self.phase, "formula": self.formula}
        if self.gibbs is None:
            return {**content, "missing": self.missing, "notes": list(self.notes)}
        return {**content, "rows": self.rows(), "notes": list(self.notes)}


def thermo_of(
    plan: PhononPlan, ladder: Ladder, crystals: Sequence[CrystalAt], rungs: Rungs, records: Records
) -> PhaseThermo:
    """Return G(P,T) of a phase from its ladder's volumes and its force constants at some of them."""

    def without(why: str, notes: tuple[str, ...] = ()) -> PhaseThermo:
        return PhaseThermo(ladder.phase, ladder.formula, None, why, notes)

    own = [
        rung["key"]
        for rung in rungs
        if rung.get("kind", MAIN) in (MAIN, AT_PRESSURE) and ladder.phase in (rung["phase"], rung.get("crystal"))
    ]
    curve = curve_through(ladder, own, records)
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
    return PhaseThermo(ladder.phase, ladder.formula, gibbs, "", (*notes, *_beyond(gibbs)), fine)


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
