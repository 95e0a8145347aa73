"""Differences of enthalpy against pressure: polymorphs among themselves, compounds against what competes with them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from megabar.analysis.curve import Array, Curve
from megabar.analysis.hull import Compositions, compositions, hull_at

_LIFT_eV = 1000.0
_WHOLE_RANGE = 0.995
_ASIDE = 1e-7
"""Step across an end of data, as a share of the range: what differs there differs because of the end."""
_JUMP_eV = 5e-5
_SAME_eV = 1e-6


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
        """Return ΔH (meV/atom) by linear interpolation, nan outside and where data of another phase end."""
        known = np.isfinite(self.delta_meV)
        if not known.any():
            return np.full(np.shape(pressure_GPa), np.nan)
        p, d = self.pressure_GPa[known], self.delta_meV[known]
        return np.interp(pressure_GPa, p, d, left=np.nan, right=np.nan)


@dataclass(frozen=True)
class Break:
    """The data of a phase end or begin at a pressure (GPa), and with that what others are compared with changes."""

    pressure_GPa: float
    phase: str
    begins: bool


@dataclass(frozen=True, eq=False)
class Polymorphs:
    """ΔH of phases of one formula; reference: a phase's name, empty: the lowest phase at each pressure."""

    reference: str
    differences: tuple[Difference, ...]
    breaks: tuple[Break, ...]


@dataclass(frozen=True, eq=False)
class Compounds:
    """ΔH of phases of compounds relative to the stable elements, and relative to all other compositions.

    The second is below zero where the compound is stable, by as much as it would have to rise to become unstable.
    """

    formation: tuple[Difference, ...]
    decomposition: tuple[Difference, ...]
    formation_breaks: tuple[Break, ...]
    decomposition_breaks: tuple[Break, ...]


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


def grid_for(
    curves: Sequence[Curve], limits_GPa: tuple[float, float], points: int = 201, ends: Sequence[float] = ()
) -> Array:
    """Return pressures (GPa) between limits: equally spaced ones, ends of curves, computed points, and both sides of
    further ends of data."""
    aside = _ASIDE * (limits_GPa[1] - limits_GPa[0])
    special = [np.array([c.from_GPa, c.to_GPa]) for c in curves] + [computed_pressures(c) for c in curves]
    special += [end + aside * np.arange(-2, 3) for end in ends]
    grid = np.unique(np.concatenate([np.linspace(*limits_GPa, points), *special]))
    inside: Array = grid[(grid >= limits_GPa[0]) & (grid <= limits_GPa[1])]
    return inside


def shared_range(curves: Sequence[Curve], limits_GPa: tuple[float, float]) -> tuple[float, float]:
    """Return the pressures (GPa) between limits where at least two of the curves are known, with a little beside them.

    The limits themselves where no two are known together.
    """
    low, high = limits_GPa
    ends = sorted({low, high, *(float(np.clip(end, low, high)) for c in curves for end in (c.from_GPa, c.to_GPa))})
    both = [(a, b) for a, b in pairwise(ends) if sum(c.from_GPa <= (a + b) / 2 <= c.to_GPa for c in curves) > 1]
    if not both:
        return limits_GPa
    first, last = both[0][0], both[-1][1]
    beside = 0.08 * (last - first)
    return max(low, first - beside), min(high, last + beside)


def polymorph_differences(curves: Sequence[Curve], limits_GPa: tuple[float, float]) -> Polymorphs:
    """Return ΔH of phases of one formula.

    The reference is the phase known over all pressures that any of them is known at, the lowest of several. Without
    one it is the lowest phase at each pressure; where its data end, the lines of the others are broken.
    """
    ends = _ends_inside(curves, limits_GPa)
    grid = grid_for(curves, limits_GPa, ends=[end.pressure_GPa for end in ends])
    enthalpy = np.array([curve.enthalpy(grid) for curve in curves])
    sigma = np.array([curve.uncertainty(grid) for curve in curves])
    known = np.isfinite(enthalpy)
    lowest = np.where(known, enthalpy, np.inf)
    everywhere = _known_everywhere(curves, limits_GPa)
    if everywhere and len(curves) > 1:
        times_lowest = [(lowest[i] <= lowest.min(axis=0)).sum() for i in everywhere]
        index = np.full(len(grid), everywhere[int(np.argmax(times_lowest))])
        reference = curves[int(index[0])].phase
    else:
        index, reference = lowest.argmin(axis=0), ""
    columns = np.arange(len(grid))
    base, base_sigma = enthalpy[index, columns], sigma[index, columns]
    breaks = _breaks(grid, base[None, :] if not reference else base[None, :0], ends, limits_GPa)
    found = []
    for i, curve in enumerate(curves):
        error = np.where(index == i, 0.0, np.hypot(sigma[i], base_sigma))
        found.append(_difference(curve, grid, _broken(enthalpy[i] - base, grid, breaks, limits_GPa), error))
    return Polymorphs(reference, tuple(found), tuple(breaks))


def _known_everywhere(curves: Sequence[Curve], limits_GPa: tuple[float, float]) -> list[int]:
    """Return the curves that are known (nearly) wherever any of them is, between limits."""
    low, high = limits_GPa
    spans = [(max(low, c.from_GPa), min(high, c.to_GPa)) for c in curves]
    spans_inside = [span for span in spans if span[1] > span[0]]
    if not spans_inside:
        return []
    first, last = min(span[0] for span in spans_inside), max(span[1] for span in spans_inside)
    return [i for i, (a, b) in enumerate(spans) if b - a >= _WHOLE_RANGE * (last - first)]


def compound_differences(
    curves: Sequence[Curve], limits_GPa: tuple[float, float], shown: Collection[str] | None = None
) -> Compounds:
    """Return ΔH of phases of compounds; shown: their names, None: all."""
    entries = compositions([curve.formula for curve in curves])
    pure = (entries.fractions == 1).any(axis=1)
    wanted = [i for i, c in enumerate(curves) if not pure[i] and (shown is None or c.phase in shown)]
    ends = _ends_inside(curves, limits_GPa)
    ends = [each for each, lowest in zip(ends, _lowest_at_ends(curves, entries, ends), strict=True) if lowest]
    grid = grid_for([curves[i] for i in wanted], limits_GPa, ends=[end.pressure_GPa for end in ends])
    rivals = _Rivals.of(curves, entries, grid)
    formation: list[tuple[int, Difference]] = []
    decomposition: list[tuple[int, Difference]] = []
    breaks: tuple[set[Break], set[Break]] = (set(), set())
    for group in dict.fromkeys(entries.group[wanted].tolist()):
        own = [i for i in wanted if entries.group[i] == group]
        for target, only, at in ((formation, rivals.pure, 0), (decomposition, np.ones(len(rivals.pure), bool), 1)):
            base, base_sigma = rivals.against(group, only)
            jumps = _breaks(grid, base[None, :], ends, limits_GPa)
            for i in own:
                height = _broken(curves[i].enthalpy(grid) - base, grid, jumps, limits_GPa)
                error = np.hypot(curves[i].uncertainty(grid), base_sigma)
                target.append((i, _difference(curves[i], grid, height, error)))
            breaks[at].update(jumps)
    first, second = (
        tuple(each for _, each in sorted(found, key=lambda pair: pair[0])) for found in (formation, decomposition)
    )
    told = [tuple(sorted(found, key=lambda each: each.pressure_GPa)) for found in breaks]
    return Compounds(first, second, told[0], told[1])


@dataclass(frozen=True, eq=False)
class _Rivals:
    """The lowest phase of each composition, shape (groups, pressures): the others shape no hull."""

    entries: Compositions
    grid_GPa: Array
    enthalpy_eV: Array
    sigma_eV: Array
    pure: Array

    @classmethod
    def of(cls, curves: Sequence[Curve], entries: Compositions, grid_GPa: Array) -> _Rivals:
        count = int(entries.group.max()) + 1
        enthalpy, sigma = np.full((count, len(grid_GPa)), np.inf), np.full((count, len(grid_GPa)), np.nan)
        for curve, group in zip(curves, entries.group.tolist(), strict=True):
            own, error = curve.enthalpy(grid_GPa), curve.uncertainty(grid_GPa)
            lower = np.isfinite(own) & (own < enthalpy[group])
            enthalpy[group][lower], sigma[group][lower] = own[lower], error[lower]
        first = np.unique(entries.group, return_index=True)[1]
        reduced = entries.subset(first)
        pure = (reduced.fractions == 1).any(axis=1)
        return cls(reduced, grid_GPa, np.where(np.isfinite(enthalpy), enthalpy, np.nan), sigma, pure)

    def against(self, group: int, rivals: Array) -> tuple[Array, Array]:
        """Return the enthalpy (eV/atom) of what a composition decomposes into, of some rivals, and its σ."""
        row = int(np.flatnonzero(self.entries.group == group)[0])
        energy, error = (np.full(len(self.grid_GPa), np.nan) for _ in range(2))
        taking_part = np.array(rivals, bool)
        taking_part[row] = False
        for column, pressure in enumerate(self.grid_GPa):
            own = self.enthalpy_eV[row, column] + _LIFT_eV
            if not np.isfinite(own):
                continue
            # Lifted far above the hull, the composition does not shape it, and its height above it tells the rest.
            lifted = np.where(taking_part, self.enthalpy_eV[:, column], np.nan)
            lifted[row] = own
            hull = hull_at(self.entries, lifted, float(pressure))
            shares = hull.decomposition(row)
            if shares:
                energy[column] = own - hull.above_eV[row]
                error[column] = np.linalg.norm([share * self.sigma_eV[i, column] for i, share in shares.items()])
        return energy, error


def _ends_inside(curves: Sequence[Curve], limits_GPa: tuple[float, float]) -> list[Break]:
    """Return where data begin or end within limits."""
    return [
        Break(end, curve.phase, begins)
        for curve in curves
        for end, begins in ((curve.from_GPa, True), (curve.to_GPa, False))
        if limits_GPa[0] < end < limits_GPa[1]
    ]


def _lowest_at_ends(curves: Sequence[Curve], entries: Compositions, ends: Sequence[Break]) -> list[bool]:
    """Return whether each end is that of a phase which is the lowest of its composition there."""
    pressures = np.array([end.pressure_GPa for end in ends])
    place = {curve.phase: i for i, curve in enumerate(curves)}
    own = np.array([entries.group[place[end.phase]] for end in ends])
    lowest = np.full(len(ends), np.inf)
    value = np.full(len(ends), np.nan)
    for curve, group in zip(curves, entries.group.tolist(), strict=True):
        concerned = np.flatnonzero(own == group)
        if len(concerned):
            here = curve.enthalpy(pressures[concerned])
            lowest[concerned] = np.fmin(lowest[concerned], here)
            mine = [k for k, j in enumerate(concerned.tolist()) if ends[j].phase == curve.phase]
            value[concerned[mine]] = here[mine]
    found: list[bool] = (value <= lowest + _SAME_eV).tolist()
    return found


def _breaks(grid: Array, base_eV: Array, ends: Sequence[Break], limits_GPa: tuple[float, float]) -> list[Break]:
    """Return those ends of data at which what is compared with jumps, or is no more."""
    if not base_eV.size:
        return []
    aside, found = _ASIDE * (limits_GPa[1] - limits_GPa[0]), []
    for end in ends:
        around = np.abs(grid - end.pressure_GPa) <= 1.1 * aside
        values = base_eV[0, around]
        known = np.isfinite(values)
        if known.any() and known.all() and np.ptp(values) > _JUMP_eV + _slope(grid[around]):
            found.append(end)
    return found


def _slope(pressures: Array) -> float:
    """Return what an enthalpy rises by at most over some pressures (eV/atom): P times 100 Å³/atom."""
    return float(np.ptp(pressures)) * 0.624


def _broken(values: Array, grid: Array, breaks: Sequence[Break], limits_GPa: tuple[float, float]) -> Array:
    """Return values with nan between the two sides of each break, of which the end itself belongs to one."""
    aside, found = _ASIDE * (limits_GPa[1] - limits_GPa[0]), values.copy()
    for each in breaks:
        beyond = each.pressure_GPa + (-aside if each.begins else aside)
        found[np.abs(grid - beyond) <= 0.1 * aside] = np.nan
    return found


def _difference(curve: Curve, grid: Array, delta_eV: Array, sigma_eV: Array) -> Difference:
    computed = computed_pressures(curve)
    inside = computed[(computed >= grid[0]) & (computed <= grid[-1])] if len(grid) else computed
    return Difference(curve.phase, curve.formula, grid, 1000 * delta_eV, 1000 * sigma_eV, inside)
