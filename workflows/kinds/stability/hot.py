"""The hull with zero-point motion and at temperature: each phase's curve with the free energy of its vibrations.

E(V) + F(V,T) at each computed volume, with −∂F/∂V added to the pressure there, makes the curve G(P) at a temperature;
the hull, its transitions and their errors then follow as those of the static lattice do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from ase.units import GPa

from megabar.analysis.curve import Clipped, clipped
from megabar.analysis.enthalpy import EnthalpyCurve, enthalpy_curve
from megabar.analysis.error_budget import ErrorPart, with_budget
from megabar.analysis.resolution import resolved
from megabar.analysis.stability import Stability, Transition, analyse
from megabar.analysis.stability_output import stability_json
from megabar.structures.errors import InputError
from megabar.workflows.kinds.stability.budget import AT_REST, WARM, Background, budgeted, not_included
from megabar.workflows.kinds.stability.vibrations import PhaseVibrations
from megabar.workflows.parts.volumes.phase_state import BRIDGED_LN_VOLUME, PhaseState, volume_point

VIBRATIONS = "vibrations"
HOW_KNOWN = "supercell of the phonons, and their interpolation between the volumes that have them"
"""The part that vibrations have in an error."""
REACHED_GPA = 0.3
"""Pressures that a curve misses by less are not told."""
BEYOND_LN_VOLUME = 0.35
"""How far beyond the volumes with phonons a curve goes on, by the Grüneisen parameters at their end."""


@dataclass(frozen=True, eq=False)
class Line:
    """A transition at a temperature. slope_GPa_K: dP/dT = ΔS/ΔV (Clapeyron), None where it is not known."""

    reaction: str
    temperature_K: float
    pressure_GPa: float
    error_GPa: float | None
    slope_GPa_K: float | None


@dataclass(frozen=True, eq=False)
class HotHull:
    """The hull at a temperature, with zero-point motion; zero: at 0 K.

    isotopes: what atoms are of another mass, in words; empty: natural. curves: of the phases that take part; absent:
    why others do not, by phase. partly: which pressures asked for a phase does not reach, in words: it takes no part
    there, and may be stable all the same.
    """

    temperature_K: float
    isotopes: str
    stability: Stability | None
    curves: tuple[EnthalpyCurve, ...]
    absent: Mapping[str, str]
    vibrations: Mapping[str, PhaseVibrations]
    partly: Mapping[str, str] = field(default_factory=dict)

    def slope_GPa_K(self, transition: Transition) -> float | None:
        """Return dP/dT of a transition, from the entropies at its pressure."""
        if self.temperature_K == 0:
            return 0.0
        total, by_name = 0.0, {curve.phase: curve for curve in self.curves}
        for phase, share in transition.reaction.atom_fractions.items():
            series = self.vibrations[phase].series if phase in self.vibrations else None
            if series is None or phase not in by_name:
                return None
            volume = float(np.asarray(by_name[phase].volume(transition.pressure_GPa)))
            total += share * series.entropy_eV_K(volume, self.temperature_K)
        return float(total / transition.delta_volume / GPa)

    @property
    def not_included(self) -> list[str]:
        """What no part of the errors stands for."""
        return not_included(self.stability, WARM if self.temperature_K > 0 else AT_REST)

    def lines(self) -> list[Line]:
        """Return the transitions at this temperature with their slopes."""
        found = self.stability.transitions if self.stability else ()
        return [
            Line(
                each.reaction.phases_text, self.temperature_K, each.pressure_GPa, each.error_GPa, self.slope_GPa_K(each)
            )
            for each in found
        ]

    def json(self, at_GPa: float | None = None) -> dict[str, Any]:
        """Return the same as JSON-able data, units in the keys."""
        content: dict[str, Any] = {
            "temperature_K": self.temperature_K,
            "isotopes": self.isotopes or "natural",
            "absent": dict(self.absent),
            "partly": dict(self.partly),
        }
        if self.stability is None:
            return {**content, "stable": [], "transitions": []}
        found = stability_json(self.stability, at_GPa)
        slopes = {each.reaction: each.slope_GPa_K for each in self.lines()}
        for row in found.get("transitions", []):
            row["slope_GPa_per_K"] = slopes.get(row.get("reaction_of_phases", ""))
        return {**content, **found}


def hot_hull(
    states: Sequence[PhaseState],
    vibrations: Mapping[str, PhaseVibrations],
    temperature_K: float,
    asked_GPa: tuple[float, ...],
    background: Background,
    resolution_eV: float,
    units: Mapping[str, str] | None = None,
    isotopes: str = "",
) -> HotHull:
    """Return the hull at a temperature of the phases whose vibrations are known."""
    curves, absent = [], {}
    for state in states:
        own = vibrations.get(state.ladder.phase)
        if own is None or own.series is None:
            absent[state.ladder.phase] = own.missing if own else "no phonons"
            continue
        try:
            curves.append(hot_curve(state, own, temperature_K))
        except InputError as error:
            absent[state.ladder.phase] = str(error)
    elements = {element for state in states for element in state.ladder.structure.symbols}
    if not elements <= {curve.formula for curve in curves}:
        return HotHull(temperature_K, isotopes, None, tuple(curves), absent, vibrations)
    views = [view for curve in curves if (view := clipped(curve, asked_GPa[0], asked_GPa[-1])) is not None]
    found = _with_errors(analyse(views, units=units or {}), views, vibrations, temperature_K, background, resolution_eV)
    partly = _partly(states, curves, asked_GPa)
    return HotHull(temperature_K, isotopes, found, tuple(curves), absent, vibrations, partly)


def _partly(
    states: Sequence[PhaseState], curves: Sequence[EnthalpyCurve], asked_GPa: tuple[float, ...]
) -> dict[str, str]:
    """Return where phases are known at rest and not with their vibrations, within the pressures asked for (GPa)."""
    at_rest = {state.ladder.phase: state.curve() for state in states}
    found = {}
    for curve in curves:
        rest = at_rest[curve.phase]
        assert rest is not None
        low, high = max(rest.from_GPa, asked_GPa[0]), min(rest.to_GPa, asked_GPa[-1])
        said = []
        if curve.from_GPa > low + REACHED_GPA:
            said.append(f"below {curve.from_GPa:.1f} GPa")
        if curve.to_GPa < high - REACHED_GPA:
            said.append(f"above {curve.to_GPa:.1f} GPa")
        if said:
            found[curve.phase] = f"its vibrations are not known {' and '.join(said)}"
    return found


def _with_errors(
    found: Stability,
    curves: Sequence[Clipped],
    vibrations: Mapping[str, PhaseVibrations],
    temperature_K: float,
    background: Background,
    resolution_eV: float,
) -> Stability:
    stability = budgeted(resolved(found, resolution_eV), background)
    return with_budget(stability, _parts(curves, vibrations, temperature_K))


def _parts(
    curves: Sequence[Clipped], vibrations: Mapping[str, PhaseVibrations], temperature_K: float
) -> Callable[[Transition], Iterable[ErrorPart]]:
    by_name = {curve.phase: curve for curve in curves}

    def parts(transition: Transition) -> Iterable[ErrorPart]:
        yield ErrorPart(VIBRATIONS, error_eV(transition, by_name, vibrations, temperature_K))

    return parts


def error_eV(
    transition: Transition,
    curves: Mapping[str, Any],
    vibrations: Mapping[str, PhaseVibrations],
    temperature_K: float,
) -> float:
    """Return the error (eV/atom) of a transition's ΔG that the vibrations make."""
    squares = 0.0
    for phase, share in transition.reaction.atom_fractions.items():
        volume = float(np.asarray(curves[phase].volume(transition.pressure_GPa)))
        squares += (share * vibrations[phase].free_energy_error_eV(volume, temperature_K)) ** 2
    return float(np.sqrt(squares))


def hot_curve(state: PhaseState, vibrations: PhaseVibrations, temperature_K: float) -> EnthalpyCurve:
    """Return G(P) of a phase at a temperature; raises InputError where too little of it is known."""
    series = vibrations.series
    assert series is not None
    low = float(series.volumes_A3[0]) * np.exp(-BEYOND_LN_VOLUME)
    high = float(series.volumes_A3[-1]) * np.exp(BEYOND_LN_VOLUME)
    points = []
    for record in state.done.values():
        own = volume_point(record)
        if not low <= own.volume_A3 <= high or not vibrations.known_at(own.volume_A3):
            continue
        added = series.free_energy_eV(own.volume_A3, temperature_K)
        pressure = own.pressure_GPa + series.pressure_GPa(own.volume_A3, temperature_K)
        points.append(replace(own, energy_eV=own.energy_eV + added, pressure_GPa=pressure))
    return enthalpy_curve(state.ladder.phase, state.ladder.formula, points, BRIDGED_LN_VOLUME)


def unsure(hull: HotHull, accuracy_eV: float) -> list[tuple[str, float]]:
    """Return the phases and volumes (Å³/atom) whose interpolation between phonons makes a transition too uncertain."""
    found = []
    by_name = {curve.phase: curve for curve in hull.curves}
    for transition in hull.stability.transitions if hull.stability else ():
        for phase, share in transition.reaction.atom_fractions.items():
            series = hull.vibrations[phase].series
            volume = float(np.asarray(by_name[phase].volume(transition.pressure_GPa)))
            if series is not None and abs(share) * series.error_eV(volume, hull.temperature_K) > accuracy_eV:
                found.append((phase, volume))
    return found


def vibrations_json(vibrations: Mapping[str, PhaseVibrations]) -> list[dict[str, Any]]:
    """Return what is known of the vibrations of each phase as JSON-able data."""
    return [
        {
            "phase": each.phase,
            "volumes_A3_per_atom": [] if each.series is None else each.series.volumes_A3.tolist(),
            "zero_point_eV_per_atom": []
            if each.series is None
            else [spectrum.zero_point_eV_per_atom for spectrum in each.series.spectra],
            "imaginary": [
                {"pressure_GPa": pressure, "frequency_THz": frequency, "q": list(q)}
                for pressure, frequency, q in each.unstable
            ],
            "missing": each.missing,
        }
        for each in vibrations.values()
    ]
