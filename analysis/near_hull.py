"""Phases that come so close to the hull that a method does not tell whether they are on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from megabar.analysis.curve import Curve
from megabar.analysis.hull import hulls_at
from megabar.analysis.hull_events import SAME_GPa
from megabar.analysis.stability import Stability

AT_ONCE = 200


@dataclass(frozen=True)
class NearHull:
    """Where a phase that is not on the hull comes closest to it.

    above_eV: height above the hull (eV/atom). data_end: its data end there, so that beyond it may come closer.
    never_stable: it has no interval at any pressure.
    """

    phase: str
    pressure_GPa: float
    above_eV: float
    data_end: bool
    never_stable: bool


def near_hull(stability: Stability, resolution_eV: float) -> tuple[NearHull, ...]:
    """Return the phases within a resolution (eV/atom) of the hull where nothing else says so, by pressure.

    Those without an interval, at their lowest; and those whose data end, within the pressures of the others, close to
    the hull without being on it.
    """
    grid, above = heights(stability)
    if not len(grid):
        return ()
    found = []
    inside = [_ends_inside(curve, float(grid[0]), float(grid[-1])) for curve in stability.curves]
    every = sorted({end for ends in inside for end in ends})
    # Many at once: of thousands of phases each would be evaluated at the ends of each, one by one.
    above_at = {
        hull.pressure_GPa: hull.above_eV
        for start in range(0, len(every), AT_ONCE)
        for hull in hulls_at(stability.curves, every[start : start + AT_ONCE])
    }
    for column, (curve, ends) in enumerate(zip(stability.curves, inside, strict=True)):
        intervals = [each for each in stability.intervals if each.phase == curve.phase]
        on_hull = len(stability.grid_GPa) == 0 and bool(np.nanmin(above[:, column], initial=np.inf) <= 0.0)
        places = [] if intervals or on_hull else _known(grid, above[:, column])
        places += [
            (float(above_at[end][column]), end)
            for end in ends
            if np.isfinite(above_at[end][column])
            and not any(each.from_GPa - SAME_GPa <= end <= each.to_GPa + SAME_GPa for each in intervals)
        ]
        height, pressure = min(places, default=(np.inf, np.nan))
        if height <= resolution_eV:
            at_end = any(abs(pressure - end) <= SAME_GPa for end in ends)
            found.append(NearHull(curve.phase, pressure, height, at_end, not intervals))
    return tuple(sorted(found, key=lambda each: (each.pressure_GPa, each.phase)))


def _ends_inside(curve: Curve, low: float, high: float) -> list[float]:
    return [end for end in (curve.from_GPa, curve.to_GPa) if low + SAME_GPa < end < high - SAME_GPa]


def heights(stability: Stability) -> tuple[np.ndarray, np.ndarray]:
    """Return pressures (GPa), shape (p,), and heights above the hull there (eV/atom), shape (p, n).

    Those of the grid; of a study without a range of pressure the single ones at which phases are known.
    """
    if len(stability.grid_GPa):
        return stability.grid_GPa, stability.above_eV
    single = np.unique([curve.from_GPa for curve in stability.curves])
    found = [hull.above_eV for hull in hulls_at(stability.curves, single)]
    return single, np.array(found).reshape(len(single), len(stability.curves))


def _known(grid: np.ndarray, above: np.ndarray) -> list[tuple[float, float]]:
    return [(float(height), float(p)) for p, height in zip(grid, above, strict=True) if np.isfinite(height)]
