"""What `megabar gap` says of a spectral function, as a document: Δ(T), Δ(ω), Z(ω), tunnelling, thermodynamics."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi, sqrt
from typing import Any

import numpy as np

from megabar.analysis.superconductivity.conventions import Reference
from megabar.analysis.superconductivity.eliashberg.continuation import COLD
from megabar.analysis.superconductivity.eliashberg.thermodynamics import critical_field_T
from megabar.analysis.superconductivity.eliashberg.tunnelling import conductance, density_of_states
from megabar.analysis.superconductivity.gap import SAME, GapState, gap_state, tunnelling_axis
from megabar.analysis.superconductivity.readers.reading import Reading
from megabar.analysis.superconductivity.report import spectrum_values

FINE, POINTS = 4.0, 1500
"""Every frequency up to 4 Δ₀ is told, and of those beyond so many that there are about 1,500."""


def gap_document(
    reading: Reading, mu_star: float, mu_ref: Reference = None, temperatures_K: Sequence[float] = ()
) -> tuple[dict[str, Any], GapState]:
    """Return the JSON document of ``megabar gap --json``, and the state that it is of.

    Keys carry their units; what cannot be had is absent, with the reason among ``notes``. N(E_F) and the volume of the
    cell, for a critical field in tesla, are those of the reading.
    """
    chosen = reading.variants[reading.chosen]
    mu_ref = reading.mu_ref_meV if mu_ref is None else mu_ref
    state = gap_state(chosen.spectrum, mu_star, mu_ref, temperatures_K)
    document: dict[str, Any] = {"file": reading.path, "code": reading.code, "unit": reading.spectrum.unit}
    if len(reading.variants) > 1:
        document |= {"variant": chosen.label, "variant_why": reading.why}
    if chosen.smearing_Ry is not None:
        document["smearing_Ry"] = chosen.smearing_Ry
    values, _ = spectrum_values(chosen.spectrum, mu_star, mu_ref)
    kept = ("lambda", "omega_log_K", "omega_max_meV", "mu_star", "mu_ref_meV", "mu_star_at_omega_max")
    document |= {name: values[name] for name in (*kept, "mu_star_convention") if name in values}
    document |= state.solution.numbers()
    if state.solution.isotope_exponent_by_species:
        document["isotope_exponent_by_species"] = dict(state.solution.isotope_exponent_by_species)
    volume = reading.details.get("volume_A3_cell")
    energies, said = _energies(state, chosen.spectrum.dos_per_eV, volume)
    document |= _real_axis_numbers(state) | energies
    if state.solution.tc_K > 0:
        document["temperatures"] = _table(state, temperatures_K, energies.get("critical_field_T"))
    document |= _real_axis(state) | _tunnelling(state)
    notes = (*reading.notes, *chosen.spectrum.notes, *state.notes, *said, *_edges(state, temperatures_K))
    document["notes"] = list(dict.fromkeys(notes))
    return document, state


def _edges(state: GapState, temperatures_K: Sequence[float]) -> list[str]:
    """Return sentences on temperatures that have no gap edge, or lie outside the range that is solved."""
    said = []
    without = [row for row in state.rows if row.edge_meV is None]
    gapless = [f"{row.temperature_K:.4g}" for row in without if row.axis is not None]
    if gapless:
        said.append(f"at {', '.join(gapless)} K there is no gap edge: Re Δ(ω) = ω has no solution so near Tc")
    for why in dict.fromkeys(row.why for row in without if row.axis is None):
        at = ", ".join(f"{row.temperature_K:.4g}" for row in without if row.axis is None and row.why == why)
        said.append(f"at {at} K there is Δ(iω₀), but no gap edge: {why}")
    cold = [each for each in temperatures_K if 0 <= each < COLD * state.solution.tc_K]
    if cold:
        said.append(
            f"below {COLD:g} Tc the gap no longer changes: at {', '.join(f'{each:g}' for each in cold)} K it is that "
            f"at {COLD * state.solution.tc_K:.4g} K"
        )
    return said


def _real_axis_numbers(state: GapState) -> dict[str, Any]:
    found = state.solution.real_axis
    if found is None:
        return {}
    values: dict[str, Any] = {
        "real_axis_temperature_K": found.imaginary.temperature_K,
        "renormalisation_at_0": float(found.exact.renormalisation[0].real),
    }
    if found.pade_edge_meV is not None:
        values["gap_edge_pade_meV"] = found.pade_edge_meV
    if found.edge_meV is not None:
        values["gap_rms_difference_meV"] = found.difference_meV(state.spectrum.omega_max_meV)
    return values


def _energies(state: GapState, dos_per_eV: float | None, volume: float | None) -> tuple[dict[str, Any], list[str]]:
    """Return condensation energy and critical field at T = 0: in tesla where N(E_F) and the volume are known."""
    found = state.solution.thermodynamics
    if found is None:
        return {}, []
    per_dos = found.condensation * found.tc_meV**2
    values: dict[str, Any] = {
        "condensation_energy_over_dos_meV2": per_dos,
        "critical_field_over_root_dos_meV": sqrt(8 * pi * per_dos),
    }
    if dos_per_eV is not None and volume is not None:
        values |= {
            "dos_per_eV_spin_cell": dos_per_eV,
            "volume_A3_cell": volume,
            "condensation_energy_meV_cell": per_dos * dos_per_eV / 1e3,
            "critical_field_T": critical_field_T(found, dos_per_eV, volume),
        }
        return values, []
    lacking = " and ".join(
        name for name, value in (("N(E_F)", dos_per_eV), ("the volume of the cell", volume)) if value is None
    )
    return values, [f"no critical field in tesla: {lacking} cannot be had from this file; Hc(0)/√N(0) is told instead"]


def _table(state: GapState, temperatures_K: Sequence[float], field_T: float | None) -> list[dict[str, Any]]:
    """Return a row for each temperature asked for, or for each that was solved, between 0 and Tc."""
    tc = state.solution.tc_K
    asked = sorted(temperatures_K) if temperatures_K else [0.0, *(row.temperature_K for row in state.rows), tc]
    return [_row(state, temperature, field_T) for temperature in asked]


def _row(state: GapState, temperature_K: float, field_T: float | None) -> dict[str, Any]:
    tc, thermal = state.solution.tc_K, state.solution.thermodynamics
    reduced = temperature_K / tc
    row: dict[str, Any] = {"temperature_K": temperature_K, "reduced_temperature": reduced}
    solved = [each for each in state.rows if abs(each.temperature_K / tc - max(reduced, COLD)) < SAME]
    if reduced >= 1:
        row |= {"gap_edge_meV": 0.0, "gap_matsubara_meV": 0.0}
    for each in solved[:1]:
        row["gap_matsubara_meV"] = float(each.gap.gap[0])
        if each.edge_meV is not None:
            row["gap_edge_meV"] = each.edge_meV
        if each.axis is not None:
            row["renormalisation_at_0"] = float(each.axis.renormalisation[0].real)
    if reduced <= COLD and state.solution.gap_edge_meV is not None:
        row["gap_edge_meV"] = state.solution.gap_edge_meV
    if thermal is not None and reduced <= 1:
        field = float(thermal.critical_field(reduced))
        row["free_energy_over_dos_meV2"] = 0.0 - thermal.condensation * (thermal.tc_meV * field) ** 2
        row["critical_field_over_zero_T"] = field
        if field_T is not None:
            row["critical_field_T"] = field_T * row["critical_field_over_zero_T"]
        if reduced >= COLD * (1 - SAME):
            row["specific_heat_difference_over_gamma_tc"] = float(thermal.specific_heat(reduced))
    return row


def _real_axis(state: GapState) -> dict[str, Any]:
    """Return Δ(ω), Z(ω) by both continuations, every frequency near the gap and fewer beyond."""
    found = state.solution.real_axis
    if found is None:
        return {}
    omega = found.exact.omega_meV
    near = omega <= FINE * float(found.imaginary.gap[0])
    every = max(1, int(np.ceil((~near).sum() / max(POINTS - near.sum(), POINTS // 3))))
    kept = near | (np.arange(omega.size) % every == 0)
    columns = {
        "omega_meV": omega,
        "gap_re_meV": found.exact.gap.real,
        "gap_im_meV": found.exact.gap.imag,
        "renormalisation_re": found.exact.renormalisation.real,
        "renormalisation_im": found.exact.renormalisation.imag,
        "gap_pade_re_meV": found.pade_gap.real,
        "gap_pade_im_meV": found.pade_gap.imag,
        "renormalisation_pade_re": found.pade_renormalisation.real,
        "renormalisation_pade_im": found.pade_renormalisation.imag,
    }
    lists = {name: np.asarray(column)[kept].tolist() for name, column in columns.items()}
    return {"real_axis": {"temperature_K": found.imaginary.temperature_K, **lists}}


def _tunnelling(state: GapState) -> dict[str, Any]:
    """Return N(ω)/N(0) and dI/dV of a junction with a normal metal, up to 4 Δ₀, at the temperature of the real axis."""
    found, edge = state.solution.real_axis, state.solution.gap_edge_meV
    if found is None or edge is None:
        return {}
    axis = tunnelling_axis(found.exact, FINE * edge)
    temperature = found.imaginary.temperature_K
    return {
        "tunnelling": {
            "temperature_K": temperature,
            "omega_meV": axis.omega_meV.tolist(),
            "density_of_states_over_normal": density_of_states(axis).tolist(),
            "conductance_over_normal": conductance(axis, axis.omega_meV, temperature).tolist(),
        }
    }
