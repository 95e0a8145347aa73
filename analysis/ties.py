"""Phases that lie on the hull of the others exactly: a tie decides nothing, whatever rounding makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.curve import Array, Curve
from megabar.analysis.hull import hulls_at

_FAR_eV = 1e3
_FINE = 129
_PRESSURES, _NEAR_eV = 64, 1e-3


@dataclass(frozen=True)
class Lifted:
    """A curve a little higher (eV/atom) between some pressures (GPa), so that it is above what it ties with there."""

    curve: Curve
    by_eV: float
    stretches_GPa: tuple[tuple[float, float], ...] = ((-np.inf, np.inf),)

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
        pressure = np.asarray(pressure_GPa, float)
        inside = [(pressure >= low) & (pressure <= high) for low, high in self.stretches_GPa]
        lifted: Array = self.curve.enthalpy(pressure) + self.by_eV * np.any(inside, axis=0)
        return lifted

    def volume(self, pressure_GPa: ArrayLike) -> Array:
        """Volume dH/dP (Å³/atom); nan outside the known pressures."""
        return self.curve.volume(pressure_GPa)

    def uncertainty(self, pressure_GPa: ArrayLike) -> Array:
        """Standard uncertainty of the enthalpy (eV/atom); nan where it is not known."""
        return self.curve.uncertainty(pressure_GPa)


def without_ties(
    curves: Sequence[Curve], computed_GPa: Sequence[Array], tie_eV: float
) -> tuple[list[Curve], list[str]]:
    """Return curves of which none is stable where the others equal it at neighbouring pressures of its own.

    computed_GPa: these pressures, by curve. tie_eV: what counts as equal (eV/atom). Between two of its points at which
    it ties a phase is only as low as the interpolation makes it: it is lifted there by that, and named in the notes.
    """
    found, notes = list(curves), []
    for place in _candidates(curves, computed_GPa, tie_eV):
        pressures = computed_GPa[place]
        stretches = _stretches(pressures, np.abs(_below_others(found, place, pressures)) <= tie_eV)
        if not stretches:
            continue
        fine = np.concatenate([np.linspace(*each, _FINE) for each in stretches])
        depth = float(np.nanmax(np.maximum(_below_others(found, place, fine), 0.0)))
        found[place] = Lifted(found[place], 2 * depth + tie_eV, stretches)
        notes.append(
            f"{curves[place].phase} lies on the hull of the other phases within {1000 * tie_eV:.2g} meV/atom "
            f"{_in_words(stretches)}: a tie, not counted as stable"
        )
    return found, notes


def _candidates(curves: Sequence[Curve], computed_GPa: Sequence[Array], tie_eV: float) -> list[int]:
    """Return the curves that come near the hull at any of some pressures at which phases were computed."""
    every = np.unique(np.concatenate(list(computed_GPa)))
    some = every[np.unique(np.linspace(0, len(every) - 1, _PRESSURES).round().astype(int))]
    heights = np.array([hull.above_eV for hull in hulls_at(curves, some)])
    near = (np.nan_to_num(heights, nan=np.inf) <= _NEAR_eV + tie_eV).any(axis=0)
    found: list[int] = np.flatnonzero(near).tolist()
    return found


def _stretches(pressures: Array, ties: NDArray[np.bool_]) -> tuple[tuple[float, float], ...]:
    """Return the ranges of pressure (GPa) of three or more neighbouring points that tie, of all where there are fewer.

    Two alone are where a phase becomes stable and ceases to be, if the table has points at its transitions.
    """
    found: list[tuple[float, float]] = []
    for tying, run in groupby(range(len(pressures)), key=lambda place: bool(ties[place])):
        places = list(run)
        if tying and len(places) >= min(3, len(pressures)):
            found.append((float(pressures[places[0]]), float(pressures[places[-1]])))
    return tuple(found)


def _in_words(stretches: Sequence[tuple[float, float]]) -> str:
    return " and ".join(f"at {a:g} GPa" if a == b else f"from {a:g} to {b:g} GPa" for a, b in stretches)


def _below_others(curves: Sequence[Curve], place: int, pressures: Array) -> Array:
    """Return how far a curve lies below the hull of the others (eV/atom; negative: above); nan where they have none."""
    others = [Lifted(curve, _FAR_eV) if i == place else curve for i, curve in enumerate(curves)]
    heights = np.array([hull.above_eV[place] for hull in hulls_at(others, pressures)])
    below = _FAR_eV - heights
    # Where nothing else has its composition, lifting it moves the hull along.
    return np.where(below < 0.5 * _FAR_eV, below, np.nan)
