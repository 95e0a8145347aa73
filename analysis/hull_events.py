"""Where the hull changes with pressure: the hull as a set of reactions, each of which must stay unfavourable.

A triangulation stays the lower hull as long as every other entry lies above it and every ridge between two facets
stays convex. Each of these conditions is one reaction enthalpy, a fixed combination of a few H(P); the hull changes
exactly where the first of them becomes negative, and that reaction is what happens there (a kinetic convex hull:
Basch, Guibas & Hershberger, J. Algorithms 31, 1 (1999), doi:10.1006/jagm.1998.0988).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.curve import Array, Curve
from megabar.analysis.hull import Compositions, HullAt, Indices, SAME_eV, barycentric, hull_at

# Events closer than this are taken together (GPa); 1e-10 eV at a volume difference of 0.002 Å³/atom.
SAME_GPa = 1e-5
_SUBCELLS = 8


@dataclass(frozen=True, eq=False)
class Conditions:
    """c reactions ΔH = H[target] − Σ weights · H[corners] that are not negative while the hull stands.

    target: shape (c,). corners, weights: shape (c, k), weights summing to one.
    """

    target: Indices
    corners: Indices
    weights: Array

    def values(self, enthalpies: Array) -> Array:
        """Return ΔH (eV per atom of the target), shape (c, p), for enthalpies of shape (n, p)."""
        values: Array = enthalpies[self.target]
        for column in range(self.corners.shape[1]):
            values = values - self.weights[:, column, None] * enthalpies[self.corners[:, column]]
        return values

    def sides(self, row: int) -> tuple[list[int], list[int]]:
        """Return the entries before and after the reaction takes place."""
        parts = list(zip(self.corners[row].tolist(), self.weights[row].tolist(), strict=True))
        before = [entry for entry, weight in parts if weight > 1e-9]
        return before, [int(self.target[row])] + [entry for entry, weight in parts if weight < -1e-9]


@dataclass(frozen=True)
class Event:
    """The hull changes at a pressure: entries that become stable, that cease to be, and the reactions.

    reactions: (entries before, entries after).
    """

    pressure_GPa: float
    appears: tuple[int, ...]
    disappears: tuple[int, ...]
    reactions: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]


@dataclass(frozen=True, eq=False)
class Sweep:
    """The hull over a range of pressures.

    stages: (from, to, stable entries), one after the other. events: between them. above_eV: height of every entry
    above the hull at the pressures of the grid, shape (p, n).
    """

    stages: list[tuple[float, float, frozenset[int]]]
    events: list[Event]
    above_eV: Array


def entry_conditions(hull: HullAt) -> Conditions:
    """Return one condition for each entry that is not a corner: it stays above its facet."""
    entries = np.flatnonzero((hull.facet_of >= 0) & ~hull.vertex)
    facets = hull.facet_of[entries]
    return Conditions(entries, hull.facets[facets], barycentric(hull, entries, facets))


def ridge_conditions(hull: HullAt) -> Conditions:
    """Return one condition for each ridge: the corner beyond it stays above the facet on this side."""
    sides: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    if hull.facets.shape[1] > 1:
        for facet, corners in enumerate(hull.facets.tolist()):
            for corner in corners:
                sides.setdefault(tuple(sorted(set(corners) - {corner})), []).append((facet, corner))
    pairs: list[tuple[int, int]] = []
    x = hull.compositions.fractions[:, hull.columns]
    for ridge, faces in sides.items():
        if len(faces) == 2:
            pairs.append((faces[0][0], faces[1][1]))
        elif not (x[list(ridge)] == 0).all(axis=0).any():
            # The neighbour was a sliver that rounding removed: every other corner must stay above.
            others = np.setdiff1d(hull.facets, hull.facets[faces[0][0]])
            pairs.extend((faces[0][0], int(other)) for other in others)
    facets = np.array([facet for facet, _ in pairs], dtype=np.intp)
    target = np.array([corner for _, corner in pairs], dtype=np.intp)
    return Conditions(target, hull.facets[facets], barycentric(hull, target, facets))


def _all_conditions(hull: HullAt) -> Conditions:
    one, other = entry_conditions(hull), ridge_conditions(hull)
    return Conditions(
        np.concatenate([one.target, other.target]),
        np.concatenate([one.corners, other.corners]),
        np.concatenate([one.weights, other.weights]),
    )


def _may_dip(values: Array, pressures: Array) -> NDArray[np.bool_]:
    """Tell in which cells between neighbouring pressures a condition that is positive at both ends may turn negative.

    Tangents at both ends bound a convex dip from below; their slopes are finite differences. Shape (c, p − 1).
    """
    if len(pressures) < 3:
        return np.zeros((len(values), len(pressures) - 1), dtype=bool)
    slope = np.gradient(values, pressures, axis=1, edge_order=2)
    left, right = slope[:, :-1], slope[:, 1:]
    dips = (left < 0) & (right > 0)
    width = np.diff(pressures)
    with np.errstate(divide="ignore", invalid="ignore"):
        meeting = (values[:, 1:] - values[:, :-1] - right * width) / (left - right)
        lowest = values[:, :-1] + left * np.clip(meeting, 0, width)
    found: NDArray[np.bool_] = dips & (lowest < -SAME_eV)
    return found


def sweep(curves: Sequence[Curve], entries: Compositions, pressures: Array, enthalpies: Array) -> Sweep:
    """Follow the hull over increasing pressures at which no curve begins or ends.

    enthalpies: at these pressures, shape (n, p); nan for the curves that take no part.
    """
    above = np.full((len(pressures), len(curves)), np.nan)
    start, nudge = 0, SAME_GPa / (pressures[1] - pressures[0])
    hull = hull_at(entries, enthalpies[:, 0] * (1 - nudge) + enthalpies[:, 1] * nudge, pressures[0])
    changes: list[tuple[float, frozenset[int]]] = [(float(pressures[0]), _stable(hull))]
    events: list[Event] = []
    ahead = 8
    while start < len(pressures) - 1:
        conditions = _all_conditions(hull)
        low, high = max(start - 1, 0), min(start + ahead, len(pressures) - 1)
        # One pressure more on either side, for the slopes.
        values = conditions.values(enthalpies[:, low : high + 2])
        cell = _first_change(values[:, : high + 1 - low], _may_dip(values, pressures[low : high + 2]), start - low)
        stop = high if cell is None else low + cell
        _record(above, hull, conditions, values, start, stop, low)
        if cell is None:
            start, ahead = stop, ahead * 2
            continue
        following = hull_at(entries, enthalpies[:, stop + 1], pressures[stop + 1])
        chosen = _near(pressures, enthalpies, (hull, following), stop)
        # An event on a point of the grid shows a rounding before or after it, but none is to be met twice.
        begin = max(float(pressures[stop]) - 2 * SAME_GPa, changes[-1][0] + SAME_GPa if events else float(pressures[0]))
        end = float(pressures[stop + 1])
        found = follow(curves, entries, chosen, begin, end)
        if (found[-1][1] if found else changes[-1][1]) != _stable(following):
            found = follow(curves, entries, chosen, begin, end + 2 * SAME_GPa)
        changes += [(event.pressure_GPa, stable) for event, stable in found]
        events += [event for event, _ in found]
        hull, start, ahead = following, stop + 1, 8
        if changes[-1][1] != _stable(hull):
            changes.append((float(pressures[start]), _stable(hull)))
    above[-1] = hull_at(entries, enthalpies[:, -1]).above_eV
    ends = [pressure for pressure, _ in changes[1:]] + [float(pressures[-1])]
    stages = [(begin, end, stable) for (begin, stable), end in zip(changes, ends, strict=True)]
    return Sweep(stages, events, above)


def _stable(hull: HullAt) -> frozenset[int]:
    return frozenset(np.flatnonzero(hull.vertex).tolist())


def _first_change(values: Array, dips: NDArray[np.bool_], first: int) -> int | None:
    """Return the first cell (from `first` on) in which a condition fails or may fail; None where none does."""
    failing = (values[:, first + 1 :] < -SAME_eV).any(axis=0)
    cells = np.flatnonzero(failing | dips[:, first : values.shape[1] - 1].any(axis=0))
    return first + int(cells[0]) if len(cells) else None


def _record(above: Array, hull: HullAt, conditions: Conditions, values: Array, start: int, stop: int, low: int) -> None:
    """Keep the heights above the hull from the pressure `start` to `stop`."""
    rows = slice(start, stop + 1)
    above[rows, hull.vertex] = 0.0
    count = int(((hull.facet_of >= 0) & ~hull.vertex).sum())
    heights = np.maximum(values[:count, start - low : stop + 1 - low], 0.0)
    above[rows, conditions.target[:count]] = heights.T


def _near(pressures: Array, enthalpies: Array, hulls: tuple[HullAt, HullAt], cell: int) -> list[int]:
    """Return the entries that may be stable in a cell of the grid, given the hulls at its ends.

    Both hulls, followed through the cell, are mixtures of phases that exist: what stays above either is not stable.
    """
    low, high = max(cell - 1, 0), min(cell + 2, len(pressures) - 1)
    chosen = set(range(len(enthalpies)))
    for hull in hulls:
        conditions = entry_conditions(hull)
        values = conditions.values(enthalpies[:, low : high + 1])
        ends = values[:, [cell - low, cell + 1 - low]]
        margin = 0.2 * np.abs(ends[:, 1] - ends[:, 0]) + SAME_eV
        near = (ends.min(axis=1) <= margin) | _may_dip(values, pressures[low : high + 1])[:, cell - low]
        chosen &= set(conditions.target[near].tolist()) | _stable(hull)
    return sorted(chosen | _stable(hulls[0]) | _stable(hulls[1]))


def follow(
    curves: Sequence[Curve], entries: Compositions, chosen: Sequence[int], start: float, end: float
) -> list[tuple[Event, frozenset[int]]]:
    """Follow the hull of a few chosen curves from event to event; each event comes with the stable entries after it."""
    few = [curves[entry] for entry in chosen]
    part = entries.subset(chosen)
    found: list[tuple[Event, frozenset[int]]] = []
    start += SAME_GPa
    crossed: float | None = None
    while start < end - SAME_GPa:
        pressures = np.linspace(start, end, _SUBCELLS + 1)
        enthalpies = np.array([_enthalpy(curve, pressures) for curve in few])
        hull = hull_at(part, enthalpies[:, 0])
        conditions = _all_conditions(hull)
        crossings = _first_crossings(few, conditions, pressures, enthalpies)
        if not crossings:
            break
        # Curves that cross almost touching need more than one step to come apart: the first counts.
        pressure = crossings[0][0] if crossed is None or crossings[0][0] > start else crossed
        start = max(crossings[0][0], start) + SAME_GPa
        after = hull_at(part, np.array([float(_enthalpy(curve, np.array(min(start, end)))) for curve in few]))
        event = _event(pressure, conditions, [row for _, row in crossings], (hull, after), chosen)
        if event.appears or event.disappears or event.reactions:
            found.append((event, _named(after, chosen)))
            crossed = None
        else:
            crossed = pressure
    return found


def _enthalpy(curve: Curve, pressures: Array) -> Array:
    """Return the enthalpy, also where rounding has put a pressure just beyond an end of the curve."""
    return curve.enthalpy(np.clip(pressures, curve.from_GPa, curve.to_GPa))


def _named(hull: HullAt, chosen: Sequence[int]) -> frozenset[int]:
    """Return the stable entries by their numbers among all entries."""
    return frozenset(chosen[entry] for entry in _stable(hull))


def _first_crossings(
    curves: Sequence[Curve], conditions: Conditions, pressures: Array, enthalpies: Array
) -> list[tuple[float, int]]:
    """Return (pressure, row) of the conditions that are the first to become negative; several if at the same place."""
    values = conditions.values(enthalpies)
    failing, dipping = values[:, 1:] < -SAME_eV, _may_dip(values, pressures)
    for cell in np.flatnonzero((failing | dipping).any(axis=0)).tolist():
        roots: list[tuple[float, int]] = []
        for row in np.flatnonzero(failing[:, cell] | dipping[:, cell]).tolist():
            root = _root(curves, conditions, row, float(pressures[cell]), float(pressures[cell + 1]))
            if root is not None:
                roots.append((root, row))
        if roots:
            first = min(roots)[0]
            return sorted((root, row) for root, row in roots if root <= first + SAME_GPa)
    return []


def _root(curves: Sequence[Curve], conditions: Conditions, row: int, low: float, high: float) -> float | None:
    """Return where a condition becomes negative between two pressures (Brent), also if only for a while."""
    from scipy.optimize import brentq, minimize_scalar

    parts = [(curves[int(conditions.target[row])], 1.0)]
    for corner, weight in zip(conditions.corners[row], conditions.weights[row], strict=True):
        if abs(weight) > 1e-12:
            parts.append((curves[int(corner)], -float(weight)))

    def enthalpy(pressure: float) -> float:
        return sum(weight * float(_enthalpy(curve, np.array(pressure))) for curve, weight in parts)

    if enthalpy(high) >= -SAME_eV:
        found = minimize_scalar(enthalpy, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
        if found.fun >= -SAME_eV:
            return None
        high = float(found.x)
    if enthalpy(low) <= 0:
        return low
    return float(brentq(enthalpy, low, high, xtol=1e-9))


def _event(
    pressure: float, conditions: Conditions, rows: list[int], hulls: tuple[HullAt, HullAt], chosen: Sequence[int]
) -> Event:
    """Return the event of the conditions that crossed together, less the reactions that others make superfluous."""
    before, after = (_stable(hull) for hull in hulls)
    found: dict[tuple[tuple[int, ...], tuple[int, ...]], None] = {}
    for row in rows:
        one, two = conditions.sides(row)
        changes = (set(one) & (before - after)) | (set(two) & (after - before))
        if changes or (before == after and set(two) <= after):
            found[tuple(chosen[i] for i in sorted(one)), tuple(chosen[i] for i in sorted(two))] = None
    appears, disappears = (tuple(chosen[i] for i in sorted(change)) for change in (after - before, before - after))
    return Event(pressure, appears, disappears, tuple(found))
