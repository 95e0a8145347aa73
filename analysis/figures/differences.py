"""Differences of enthalpy against pressure: polymorphs among themselves, compounds against what competes with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from megabar.analysis.curve import Array, Curve
from megabar.analysis.hull import Compositions, HullAt, compositions, hull_at

_LIFT_eV = 1000.0
_WHOLE_RANGE = 0.97


@dataclass(frozen=True, eq=False)
class Difference:
    """ΔH of one phase: pressures (GPa) and, at each, ΔH and its standard uncertainty (meV/atom); nan where unknown.

    computed_GPa: pressures at which the phase was computed.
    """

    phase: str
    formula: str
    pressure_GPa: Array
    delta_meV: Array
    sigma_meV: Array
    computed_GPa: Array

    def at(self, pressure_GPa: Array) -> Array:
        """Return ΔH (meV/atom) by linear interpolation, nan outside."""
        known = np.isfinite(self.delta_meV)
        if not known.any():
            return np.full(np.shape(pressure_GPa), np.nan)
        p, d = self.pressure_GPa[known], self.delta_meV[known]
        return np.interp(pressure_GPa, p, d, left=np.nan, right=np.nan)


def computed_pressures(curve: Curve) -> Array:
    """Return the pressures (GPa) at which a curve has computed points."""
    return np.asarray(getattr(curve, "pressures_GPa", np.empty(0)), dtype=float)


def pressure_range(curves: Sequence[Curve], asked_GPa: Sequence[float]) -> tuple[float, float]:
    """Return the pressures (GPa) that figures show: those asked for or, where it is one only, those known."""
    if len(asked_GPa) > 1:
        return float(min(asked_GPa)), float(max(asked_GPa))
    ends = [*asked_GPa, *(c.from_GPa for c in curves), *(c.to_GPa for c in curves)]
    low, high = float(min(ends)), float(max(ends))
    return (low, high) if high - low > 1e-6 else (low - 5.0, high + 5.0)


def grid_for(curves: Sequence[Curve], limits_GPa: tuple[float, float], points: int = 201) -> Array:
    """Return pressures (GPa) between limits: equally spaced ones, and the ends of the curves and computed points."""
    special = [np.array([c.from_GPa, c.to_GPa]) for c in curves] + [computed_pressures(c) for c in curves]
    grid = np.unique(np.concatenate([np.linspace(*limits_GPa, points), *special]))
    inside: Array = grid[(grid >= limits_GPa[0]) & (grid <= limits_GPa[1])]
    return inside


def polymorph_differences(curves: Sequence[Curve], limits_GPa: tuple[float, float]) -> tuple[str, list[Difference]]:
    """Return the reference (a phase's name, empty: the lowest phase at each pressure) and ΔH of phases of one formula.

    The reference is the phase known over all pressures that any of them is known at, the lowest of several.
    """
    grid = grid_for(curves, limits_GPa)
    enthalpy = np.array([curve.enthalpy(grid) for curve in curves])
    sigma = np.array([curve.uncertainty(grid) for curve in curves])
    known = np.isfinite(enthalpy)
    everywhere = np.flatnonzero(known.sum(axis=1) >= _WHOLE_RANGE * known.any(axis=0).sum())
    lowest = np.where(known, enthalpy, np.inf)
    if len(everywhere) and len(curves) > 1:
        times_lowest = [(lowest[i] <= lowest.min(axis=0)).sum() for i in everywhere]
        index = np.full(len(grid), everywhere[int(np.argmax(times_lowest))])
        reference = curves[int(index[0])].phase
    else:
        index, reference = lowest.argmin(axis=0), ""
    columns = np.arange(len(grid))
    base, base_sigma = enthalpy[index, columns], sigma[index, columns]
    found = []
    for i, curve in enumerate(curves):
        error = np.where(index == i, 0.0, np.hypot(sigma[i], base_sigma))
        found.append(_difference(curve, grid, enthalpy[i] - base, error))
    return reference, found


def compound_differences(
    curves: Sequence[Curve], limits_GPa: tuple[float, float]
) -> tuple[list[Difference], list[Difference]]:
    """Return ΔH of every phase of a compound: relative to the stable elements, and to all other compositions.

    The second is below zero where the compound is stable, by as much as it would have to rise to become unstable.
    """
    entries = compositions([curve.formula for curve in curves])
    pure = (entries.fractions == 1).any(axis=1)
    compounds: list[int] = np.flatnonzero(~pure).tolist()
    grid = grid_for([curves[i] for i in compounds], limits_GPa)
    enthalpy = np.array([curve.enthalpy(grid) for curve in curves])
    sigma = np.array([curve.uncertainty(grid) for curve in curves])
    formation, decomposition = (np.full((len(curves), len(grid), 2), np.nan) for _ in range(2))
    for column, pressure in enumerate(grid):
        for group in np.unique(entries.group[compounds]):
            own = entries.group == group
            for target, rivals in ((formation, pure), (decomposition, ~own)):
                target[own, column] = _against(entries, own, rivals, enthalpy[:, column], sigma[:, column], pressure)
    pairs = []
    for values in (formation, decomposition):
        pairs.append([_difference(curves[i], grid, values[i, :, 0], values[i, :, 1]) for i in compounds])
    return pairs[0], pairs[1]


def _against(entries: Compositions, own: Any, rivals: Any, enthalpy: Array, sigma: Array, pressure: float) -> Array:
    """Return ΔH (eV/atom) and σ of a composition's phases against the hull of its rivals, shape (own, 2)."""
    # Lifted far above the hull, the phases do not shape it, and their height above it tells ΔH.
    lifted = np.where(own, enthalpy + _LIFT_eV, np.where(rivals, enthalpy, np.nan))
    hull: HullAt = hull_at(entries, lifted, float(pressure))
    found = np.full((int(own.sum()), 2), np.nan)
    for row, entry in enumerate(np.flatnonzero(own)):
        shares = hull.decomposition(int(entry))
        if shares:
            parts = [share * sigma[rival] for rival, share in shares.items()]
            found[row] = hull.above_eV[entry] - _LIFT_eV, float(np.linalg.norm([sigma[entry], *parts]))
    return found


def _difference(curve: Curve, grid: Array, delta_eV: Array, sigma_eV: Array) -> Difference:
    computed = computed_pressures(curve)
    inside = computed[(computed >= grid[0]) & (computed <= grid[-1])] if len(grid) else computed
    return Difference(curve.phase, curve.formula, grid, 1000 * delta_eV, 1000 * sigma_eV, inside)
