"""The P–T diagram of several phases: which has the lowest G, the lines between them, where three of them meet."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.thermo.boundaries import Boundary, BoundaryPoint, boundaries, point_at
from megabar.analysis.thermo.gibbs import Surface
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
_NEWTON = 30
_SAME_eV, _SAME_GPa = 1e-9, 0.05


@dataclass(frozen=True)
class TriplePoint:
    """Where three phases have the same G, with its standard errors (nan where those of G are not known)."""

    phases: tuple[str, str, str]
    pressure_GPa: float
    temperature_K: float
    pressure_error_GPa: float
    temperature_error_K: float


@dataclass(frozen=True, eq=False)
class PhaseDiagram:
    """Of some phases, per the same amount of matter.

    lowest: place of the phase of the lowest G in ``phases``, −1 where none is known, shape (p, m). margin_eV: how far
    the next one lies above it, nan where none is known. incomplete: some phase has no G there, and could be lower.
    boundaries: as far as no third phase is lower; they end in triple points or where data end.
    """

    phases: tuple[str, ...]
    pressures_GPa: Array
    temperatures_K: Array
    lowest: NDArray[np.int64]
    margin_eV: Array
    incomplete: NDArray[np.bool_]
    boundaries: tuple[Boundary, ...]
    triple_points: tuple[TriplePoint, ...]


def phase_diagram(surfaces: Mapping[str, Surface]) -> PhaseDiagram:
    """Return the diagram of phases by name, their G per the same amount of matter (e.g. per atom) on the same grid.

    Raises InputError for no phase, or grids that differ.
    """
    names = tuple(surfaces)
    if not names:
        raise InputError("a phase diagram needs at least one phase")
    first = surfaces[names[0]]
    for each in surfaces.values():
        each - first  # the grids are the same, or this says so
    g = np.stack([surfaces[name].g for name in names])
    known = np.isfinite(g)
    filled = np.sort(np.where(known, g, np.inf), axis=0)
    with np.errstate(invalid="ignore"):
        margin = filled[1] - filled[0] if len(names) > 1 else np.full(g.shape[1:], np.nan)
    lowest = np.where(known.any(0), np.argmin(np.where(known, g, np.inf), axis=0), -1)
    lines = {
        (a, b): boundaries(a, b, surfaces[b] - surfaces[a]) for a, b in itertools.combinations(names, 2)
    }  # in the order of the names
    triples = tuple(
        point for three in itertools.combinations(names, 3) for point in _triple_points(three, lines, surfaces)
    )
    stable = [piece for found in lines.values() for line in found for piece in _stable(line, surfaces, triples)]
    return PhaseDiagram(
        names, first.pressures_GPa, first.temperatures_K, lowest, np.where(np.isfinite(margin), margin, np.nan),
        np.asarray(~known.all(0)), tuple(stable), triples,
    )  # fmt: skip


def _triple_points(
    three: tuple[str, str, str], lines: Mapping[tuple[str, str], list[Boundary]], surfaces: Mapping[str, Surface]
) -> list[TriplePoint]:
    """Points on the line of the first two where the third crosses it, if nothing else is lower there."""
    a, b, c = three
    to_b, to_c = surfaces[b] - surfaces[a], surfaces[c] - surfaces[a]
    found = []
    for line in lines[a, b]:
        p, t = (np.array([getattr(x, name) for x in line.points]) for name in ("pressure_GPa", "temperature_K"))
        third = to_c.at(p, t)[0]
        for i in range(len(t) - 1):
            if np.isfinite(third[i : i + 2]).all() and (third[i] < 0.0) != (third[i + 1] < 0.0):
                share = third[i] / (third[i] - third[i + 1])
                start = np.array([p[i] + share * (p[i + 1] - p[i]), t[i] + share * (t[i + 1] - t[i])])
                point = _meet(to_b, to_c, start)
                if point is not None and not _undercut(surfaces, three, *point):
                    found.append(_with_errors(three, to_b, to_c, surfaces[a], point))
    return found


def _meet(one: Surface, other: Surface, start: Array) -> tuple[float, float] | None:
    """Newton's way to where two differences vanish."""
    at = start.copy()
    for _ in range(_NEWTON):
        values = [surface.at(*at) for surface in (one, other)]
        misses = np.array([float(v[0]) for v in values])
        slopes = np.array([[float(v[1]), float(v[2])] for v in values])
        if not np.isfinite(slopes).all() or abs(np.linalg.det(slopes)) < 1e-30:
            return None
        step = np.linalg.solve(slopes, misses)
        at = at - step
        if abs(step[0]) < 1e-9 and abs(step[1]) < 1e-7:
            return float(at[0]), float(at[1])
    return None


def _with_errors(
    three: tuple[str, str, str], to_b: Surface, to_c: Surface, a: Surface, point: tuple[float, float]
) -> TriplePoint:
    b, c = (surface.at(*point) for surface in (to_b, to_c))
    common = float(a.at(*point)[3]) ** 2
    spread = np.array([[float(b[3]) ** 2, common], [common, float(c[3]) ** 2]])
    inverse = np.linalg.inv(np.array([[float(b[1]), float(b[2])], [float(c[1]), float(c[2])]]))
    variance = np.diag(inverse @ spread @ inverse.T)
    errors = np.sqrt(np.maximum(variance, 0.0)) if np.isfinite(variance).all() else np.full(2, np.nan)
    return TriplePoint(three, *point, float(errors[0]), float(errors[1]))


def _undercut(surfaces: Mapping[str, Surface], but: tuple[str, ...], pressure: float, temperature: float) -> bool:
    """Whether a phase that is not of these is lower at a point."""
    here = float(surfaces[but[0]].at(pressure, temperature)[0])
    others = (float(each.at(pressure, temperature)[0]) for name, each in surfaces.items() if name not in but)
    return any(g < here - _SAME_eV for g in others)


def _stable(line: Boundary, surfaces: Mapping[str, Surface], triples: tuple[TriplePoint, ...]) -> list[Boundary]:
    """Cut a line where a third phase is lower; triple points become its ends."""
    two = (line.below, line.above)
    difference = surfaces[line.above] - surfaces[line.below]
    ends = [
        point_at(difference, triple.pressure_GPa, triple.temperature_K)
        for triple in triples
        if set(two) <= set(triple.phases)
    ]
    ends = [end for end in ends if abs(line.pressure_at(end.temperature_K) - end.pressure_GPa) < _SAME_GPa]
    points = sorted([*line.points, *ends], key=lambda point: point.temperature_K)
    pieces: list[list[BoundaryPoint]] = [[]]
    for point in points:
        is_end = any(point is end for end in ends)
        if not is_end and _undercut(surfaces, two, point.pressure_GPa, point.temperature_K):
            pieces.append([])
            continue
        pieces[-1].append(point)
    return [replace(line, points=tuple(piece)) for piece in pieces if len(piece) > 1]
