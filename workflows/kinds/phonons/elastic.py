"""Elastic constants of the phases of a study at its pressures, and between them at its temperatures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import atomic_masses, atomic_numbers

from megabar.structures.errors import InputError
from megabar.workflows.kinds.phonons.plan import PhononPlan
from megabar.workflows.kinds.phonons.wants import Records, Rungs, Trials, strains_at, trials
from megabar.workflows.parts.strains import elastic_constants, strain_set_state
from megabar.workflows.tasks.interface import Histories

if TYPE_CHECKING:
    from megabar.analysis.elasticity.elasticity import Elasticity
    from megabar.analysis.enthalpy import EnthalpyCurve
    from megabar.analysis.thermo.gibbs import GibbsTable
    from megabar.workflows.parts.volumes.ladder import Ladder


@dataclass(frozen=True, eq=False)
class ElasticAt:
    """The elastic constants of a phase at a pressure asked for (GPa).

    found: None where there are none; missing says why. temperature_K: None for those of the static lattice.
    """

    phase: str
    pressure_GPa: float
    temperature_K: float | None
    found: Elasticity | None
    missing: str

    def json(self) -> dict[str, Any]:
        """Return the same as JSON-able data, units in the keys."""
        own = {} if self.found is None else self.found.json()
        content = {
            **own,
            "phase": self.phase,
            "pressure_GPa": self.pressure_GPa,
            "computed_at_GPa": own.get("pressure_GPa"),
            "temperature_K": self.temperature_K,
        }
        return content if self.found is not None else {**content, "missing": self.missing}


def elastic_of(
    plan: PhononPlan, ladder: Ladder, curve: EnthalpyCurve | None, rungs: Rungs, records: Records, histories: Histories
) -> list[ElasticAt]:
    """Return the elastic constants of a phase at the study's pressures, and where it expands to."""
    own = [rung for rung in rungs if ladder.phase in (rung["phase"], rung.get("crystal"))]
    found = []
    for pressure in plan.elastic_GPa(ladder.phase):
        at = trials(plan, ladder.phase, pressure, own, records, curve)
        constants, missing = _at(plan, ladder.phase, at, curve, own, records, histories)
        found.append(ElasticAt(ladder.phase, pressure, None, constants, missing))
    return found


def _at(
    plan: PhononPlan,
    phase: str,
    at: Trials,
    curve: EnthalpyCurve | None,
    rungs: Rungs,
    records: Records,
    histories: Histories,
) -> tuple[Elasticity | None, str]:
    strains = strains_at(plan, phase, at)
    if strains is None:
        return None, "the structure is not computed yet"
    state = strain_set_state(strains, rungs, records)
    open_ = len(state.plan.numbers) - len(state.done) - len(state.failed)
    if open_:
        return None, f"{open_} of {len(state.plan.numbers)} strained cells are missing"
    try:
        found = elastic_constants(state, histories, curve.pulay_eV if curve is not None else 0.0)
        return _of_isotopes(found, strains.structure.symbols, plan.masses), ""
    except InputError as error:
        return None, str(error)


def _of_isotopes(found: Elasticity, symbols: Sequence[str], masses_u: Mapping[str, float]) -> Elasticity:
    """Return the same of other isotopes (u), whose density and sound differ."""
    from megabar.analysis.elasticity.elasticity import elasticity_of

    usual = [float(atomic_masses[atomic_numbers[each]]) for each in symbols]
    own = [masses_u.get(each, mass) for each, mass in zip(symbols, usual, strict=True)]
    if own == usual:
        return found
    return elasticity_of(found.stiffness, found.density * sum(own) / sum(usual), found.volume_A3_per_atom)


def hot_elastic(static: Sequence[ElasticAt], gibbs: GibbsTable | None) -> list[ElasticAt]:
    """Return adiabatic elastic constants at the temperatures of a quasi-harmonic table: those at its volumes.

    Volumes beyond those of the static constants have none. The expansion is taken for the same along all axes.
    """
    from megabar.analysis.elasticity.volumes import at_volume

    known = [each.found for each in static if each.found is not None]
    if gibbs is None or len(known) < 2:
        return []
    rows: list[ElasticAt] = []
    for i, pressure in enumerate(gibbs.pressures_GPa):
        for j, temperature in enumerate(gibbs.temperatures_K):
            if temperature == 0 or not np.isfinite(gibbs.volume_A3[i, j]):
                continue
            at = (static[0].phase, float(pressure), float(temperature))
            try:
                isothermal = at_volume(known, float(gibbs.volume_A3[i, j]))
            except InputError as error:
                rows.append(ElasticAt(*at, None, str(error)))
                continue
            expansion, capacity = gibbs.thermal_expansion_per_K[i, j] / 3, gibbs.heat_capacity_v_eV_per_K[i, j]
            rows.append(ElasticAt(*at, isothermal.adiabatic(float(expansion), float(capacity), float(temperature)), ""))
    return rows


def summary(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return lines for the terminal: constants, moduli and sound of each row."""
    lines = []
    for row in rows:
        at = f"{row['phase']} {row['pressure_GPa']:g} GPa" + (
            "" if row["temperature_K"] is None else f" {row['temperature_K']:g} K"
        )
        if "missing" in row:
            lines.append(f"  {at}: {row['missing']}")
            continue
        errors = row["stress_strain_error_GPa"]
        said = ", ".join(
            f"{name[1:]} {value:.1f} ± {errors[name]:.1f}" for name, value in row["stress_strain_GPa"].items()
        )
        lines.append(f"  {at}: B {said} GPa" + ("" if row["stable"] else "; UNSTABLE"))
        if row.get("sound_polycrystal_km_s"):
            sound = row["sound_polycrystal_km_s"]
            lines.append(
                f"    K {row['bulk_modulus_GPa']:.1f}, G {row['shear_modulus_GPa']:.1f} GPa (Hill); "
                f"P {sound['P']:.3f}, S {sound['S']:.3f} km/s; {row['density_g_cm3']:.3f} g/cm³"
            )
    return lines
