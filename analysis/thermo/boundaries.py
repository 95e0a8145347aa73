"""Where two phases have the same G: P(T), its slope by Clapeyron, its error.

dP/dT = ΔS/ΔV (Clapeyron); σ(P) = σ(ΔG)/|ΔV|. G of both must be per the same amount of matter.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from ase.units import GPa
from numpy.typing import NDArray

from megabar.analysis.thermo.gibbs import Surface

Array = NDArray[np.float64]
_BISECTIONS = 60


@dataclass(frozen=True)
class BoundaryPoint:
    """A point where two phases have the same G.

    slope_GPa_per_K: dP/dT. volume_change_A3, entropy_change_eV_per_K: of the phase above minus that below, in pressure.
    pressure_error_GPa: nan where the errors of G are not known.
    """

    temperature_K: float
    pressure_GPa: float
    pressure_error_GPa: float
    slope_GPa_per_K: float
    volume_change_A3: float
    entropy_change_eV_per_K: float


@dataclass(frozen=True)
class Boundary:
    """A line between two phases: one is stable below it in pressure, one above; points by ascending temperature."""

    below: str
    above: str
    points: tuple[BoundaryPoint, ...]

    def pressure_at(self, temperature_K: float) -> float:
        """Return the pressure (GPa) at a temperature between two points, nan beyond: cubic, by the slopes."""
        t = np.array([point.temperature_K for point in self.points])
        if len(t) == 0 or not t[0] <= temperature_K <= t[-1]:
            return float("nan")
        i = int(np.clip(np.searchsorted(t, temperature_K, side="right") - 1, 0, max(len(t) - 2, 0)))
        one, other = self.points[i], self.points[min(i + 1, len(t) - 1)]
        step = other.temperature_K - one.temperature_K
        if step == 0.0:
            return one.pressure_GPa
        u = (temperature_K - one.temperature_K) / step
        s = 1.0 - u
        left = (1.0 + 2.0 * u) * one.pressure_GPa + u * step * one.slope_GPa_per_K
        right = (1.0 + 2.0 * s) * other.pressure_GPa - s * step * other.slope_GPa_per_K
        return s**2 * left + u**2 * right


def boundaries(first: str, second: str, difference: Surface) -> list[Boundary]:
    """Return the lines where two phases have the same G, from temperature to temperature and on to the grid's edges.

    difference: G of the second minus that of the first, per the same amount of matter (surfaces subtract). A line that
    comes back at the same temperature is two lines. Two crossings between neighbouring pressures of the grid are lost.
    """
    found: list[tuple[bool, list[BoundaryPoint]]] = []
    open_lines: list[tuple[bool, list[BoundaryPoint]]] = []
    for points in _crossings(difference):
        going_on: list[tuple[bool, list[BoundaryPoint]]] = []
        for point in points:
            rises = point.volume_change_A3 > 0.0
            near = [line for line in open_lines if line[0] == rises and line not in going_on]
            line = min(near, key=lambda each: abs(_expected(each[1], point) - point.pressure_GPa), default=None)
            if line is None:
                line = (rises, [])
                found.append(line)
            line[1].append(point)
            going_on.append(line)
        open_lines = going_on
    _to_the_edges(found, difference)
    return [
        Boundary(*((first, second) if not rises else (second, first)), tuple(_upward(point) for point in points))
        for rises, points in found
    ]


def point_at(difference: Surface, pressure_GPa: float, temperature_K: float) -> BoundaryPoint:
    """Return what is to be said of a point of a line; the changes are those of ``difference``."""
    _, by_p, by_t, error = (float(each) for each in difference.at(pressure_GPa, temperature_K))
    return BoundaryPoint(temperature_K, pressure_GPa, error / abs(by_p), -by_t / by_p, by_p / GPa, -by_t)


def _crossings(difference: Surface) -> list[list[BoundaryPoint]]:
    """Return the points of each temperature where the difference changes its sign, by ascending pressure."""
    g, p, t = difference.g, difference.pressures_GPa, difference.temperatures_K
    with np.errstate(invalid="ignore"):
        changes = (g[:-1] < 0.0) != (g[1:] < 0.0)
    changes &= np.isfinite(g[:-1]) & np.isfinite(g[1:])
    j, i = np.nonzero(changes.T)  # temperatures first
    low, high = p[i], p[i + 1]
    falling = g[i, j] > g[i + 1, j]
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        above = difference.at(middle, t[j])[0] > 0.0
        short = above == falling
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    points: list[list[BoundaryPoint]] = [[] for _ in t]
    for where, pressure in zip(j, 0.5 * (low + high), strict=True):
        points[where].append(point_at(difference, float(pressure), float(t[where])))
    return points


def _to_the_edges(lines: list[tuple[bool, list[BoundaryPoint]]], difference: Surface) -> None:
    """Lead lines on to the lowest and the highest pressure, which they mostly reach between two temperatures."""
    t = difference.temperatures_K
    left: list[tuple[int, bool, BoundaryPoint]] = []
    for j, point in _edge_points(difference):
        rises = point.volume_change_A3 > 0.0
        before = [each for own, each in lines if own == rises and each[-1].temperature_K == t[j]]
        after = [each for own, each in lines if own == rises and each[0].temperature_K == t[j + 1]]
        nearest = min(
            [(abs(_expected(each, point) - point.pressure_GPa), True, each) for each in before]
            + [(abs(_expected(each[:1], point) - point.pressure_GPa), False, each) for each in after],
            key=lambda found: found[0],
            default=None,
        )
        if nearest is None:
            left.append((j, rises, point))
        elif nearest[1]:
            nearest[2].append(point)
        else:
            nearest[2].insert(0, point)
    # A line from edge to edge between two temperatures touches none of them.
    for one, other in itertools.combinations(left, 2):
        if one[:2] == other[:2]:
            lines.append((one[1], sorted([one[2], other[2]], key=lambda point: point.temperature_K)))


def _edge_points(difference: Surface) -> list[tuple[int, BoundaryPoint]]:
    """Return where the difference vanishes at the lowest and the highest pressure, with the temperature before it."""
    p, t = difference.pressures_GPa, difference.temperatures_K
    found = []
    for i in (0, len(p) - 1):
        g = difference.g[i]
        for j in np.flatnonzero(np.isfinite(g[:-1]) & np.isfinite(g[1:]) & (g[:-1] * g[1:] < 0.0)):
            low, high = float(t[j]), float(t[j + 1])
            for _ in range(_BISECTIONS):
                middle = 0.5 * (low + high)
                short = (float(difference.at(p[i], middle)[0]) > 0.0) == (g[j] > 0.0)
                low, high = (middle, high) if short else (low, middle)
            found.append((int(j), point_at(difference, float(p[i]), 0.5 * (low + high))))
    return found


def _expected(points: list[BoundaryPoint], next_one: BoundaryPoint) -> float:
    last = points[-1]
    return last.pressure_GPa + last.slope_GPa_per_K * (next_one.temperature_K - last.temperature_K)


def _upward(point: BoundaryPoint) -> BoundaryPoint:
    """Changes are told on going up in pressure, where volume is lost."""
    if point.volume_change_A3 <= 0.0:
        return point
    return BoundaryPoint(
        point.temperature_K, point.pressure_GPa, point.pressure_error_GPa, point.slope_GPa_per_K,
        -point.volume_change_A3, -point.entropy_change_eV_per_K,
    )  # fmt: skip
