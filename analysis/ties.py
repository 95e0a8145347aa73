"""Phases that lie on the hull of the others exactly: a tie decides nothing, whatever rounding makes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from megabar.analysis.curve import Array, Curve
from megabar.analysis.hull import SAME_eV, hulls_at
from megabar.analysis.stability import Stability

_FAR_eV = 1e3
_GRID = 65


@dataclass(frozen=True)
class Lifted:
    """A curve a little higher (eV/atom), so that it is above what it ties with."""

    curve: Curve
    by_eV: float

    @property
    def phase(self) -> str:
        """Name of the phase."""
        return self.curve.phase

    @property
    def formula(self) -> str:
        """Chemical formula."""
        return self.curve.formula

    @property
    def from_GPa(self) -> float:
        """Lowest pressure (GPa) at which the curve is known."""
        return self.curve.from_GPa

    @property
    def to_GPa(self) -> float:
        """Highest pressure (GPa) at which the curve is known."""
        return self.curve.to_GPa

    @property
    def pressures_GPa(self) -> Array:
        """Pressures at which the phase was computed (GPa), where these are known."""
        found: Array = np.asarray(getattr(self.curve, "pressures_GPa", np.empty(0)), float)
        return found

    def enthalpy(self, pressure_GPa: ArrayLike) -> Array:
        """Enthalpy (eV/atom); nan outside the known pressures."""
        return self.curve.enthalpy(pressure_GPa) + self.by_eV

    def volume(self, pressure_GPa: ArrayLike) -> Array:
        """Volume dH/dP (Å³/atom); nan outside the known pressures."""
        return self.curve.volume(pressure_GPa)

    def uncertainty(self, pressure_GPa: ArrayLike) -> Array:
        """Standard uncertainty of the enthalpy (eV/atom); nan where it is not known."""
        return self.curve.uncertainty(pressure_GPa)


def without_ties(
    stability: Stability, computed_GPa: Sequence[Array], tie_eV: float, again: Callable[[Sequence[Curve]], Stability]
) -> Stability:
    """Return a stability in which no phase is stable that the others equal at every pressure of its own points.

    computed_GPa: these pressures, by curve. tie_eV: what counts as equal (eV/atom). again: analyses changed curves.
    Between its points such a phase is only as low as the interpolation makes it; it is lifted by that, and named.
    """
    curves, notes = list(stability.curves), []
    stable = {interval.phase for interval in stability.intervals}
    for place, pressures in enumerate(computed_GPa):
        if curves[place].phase not in stable:
            continue
        below = _below_others(curves, place, pressures)
        if not len(below) or np.max(np.abs(below)) > tie_eV:
            continue
        between = _below_others(curves, place, np.linspace(pressures[0], pressures[-1], _GRID * max(len(pressures), 2)))
        depth = max(float(np.max(below)), float(np.max(between, initial=0.0)), 0.0)
        curves[place] = Lifted(curves[place], 2 * depth + 10 * SAME_eV)
        notes.append(
            f"{curves[place].phase} lies on the hull of the other phases within {1000 * tie_eV:.2g} meV/atom at all "
            "pressures of the table: a tie, not counted as stable"
        )
    if not notes:
        return stability
    found = again(curves)
    return replace(found, notes=(*found.notes, *notes))


def _below_others(curves: Sequence[Curve], place: int, pressures: Array) -> Array:
    """Return how far a curve lies below the hull of the others (eV/atom; negative: above), where they have one."""
    others = [Lifted(curve, _FAR_eV) if i == place else curve for i, curve in enumerate(curves)]
    heights = np.array([hull.above_eV[place] for hull in hulls_at(others, pressures)])
    below = _FAR_eV - heights
    # Nothing else has its composition where lifting it moves the hull along.
    known: Array = below[np.isfinite(below) & (below < 0.5 * _FAR_eV)]
    return known
