"""What a hull needs of a phase: its enthalpy against pressure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
ROUNDING_GPa = 1e-6


class Curve(Protocol):
    """Enthalpy against pressure of one phase; every method takes a pressure (GPa) or an array of any shape of them."""

    @property
    def phase(self) -> str:
        """Name of the phase."""

    @property
    def formula(self) -> str:
        """Chemical formula."""

    @property
    def from_GPa(self) -> float:
        """Lowest pressure (GPa) at which the curve is known."""

    @property
    def to_GPa(self) -> float:
        """Highest pressure (GPa) at which the curve is known."""

    def enthalpy(self, pressure_GPa: ArrayLike) -> Array:
        """Enthalpy (eV/atom); nan outside the known pressures."""

    def volume(self, pressure_GPa: ArrayLike) -> Array:
        """Volume dH/dP (Å³/atom); nan outside the known pressures."""

    def uncertainty(self, pressure_GPa: ArrayLike) -> Array:
        """Standard uncertainty of the enthalpy (eV/atom); nan where it is not known."""


@dataclass(frozen=True)
class Clipped:
    """A curve that is known between two pressures (GPa) only, so that an answer stays inside the question."""

    curve: Curve
    lowest_GPa: float
    highest_GPa: float

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
        """Lowest pressure (GPa) at which the clipped curve is known."""
        return max(self.lowest_GPa, self.curve.from_GPa)

    @property
    def to_GPa(self) -> float:
        """Highest pressure (GPa) at which the clipped curve is known."""
        return min(self.highest_GPa, self.curve.to_GPa)

    def enthalpy(self, pressure_GPa: ArrayLike) -> Array:
        """Enthalpy (eV/atom); nan outside the known pressures."""
        return self._inside(pressure_GPa, self.curve.enthalpy(pressure_GPa))

    def volume(self, pressure_GPa: ArrayLike) -> Array:
        """Volume dH/dP (Å³/atom); nan outside the known pressures."""
        return self._inside(pressure_GPa, self.curve.volume(pressure_GPa))

    def uncertainty(self, pressure_GPa: ArrayLike) -> Array:
        """Standard uncertainty of the enthalpy (eV/atom); nan outside the known pressures."""
        return self._inside(pressure_GPa, self.curve.uncertainty(pressure_GPa))

    def _inside(self, pressure_GPa: ArrayLike, values: Array) -> Array:
        pressure = np.asarray(pressure_GPa, dtype=float)
        inside = (pressure >= self.lowest_GPa - ROUNDING_GPa) & (pressure <= self.highest_GPa + ROUNDING_GPa)
        found: Array = np.where(inside, values, np.nan)[()]  # a number for a number
        return found


def clipped(curve: Curve, lowest_GPa: float, highest_GPa: float) -> Clipped | None:
    """Return a curve between two pressures (GPa), None where it is not known there."""
    view = Clipped(curve, lowest_GPa, highest_GPa)
    return view if view.from_GPa <= view.to_GPa else None
