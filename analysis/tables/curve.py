"""A phase as a table knows it: its enthalpy at some pressures, smooth between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase.units import GPa
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.curve import Array
from megabar.analysis.interpolation import Interpolant, interpolate


@dataclass(frozen=True, eq=False)
class TabulatedCurve:
    """A phase known by its enthalpy at some pressures (a `Curve`); smooth between them, nothing beyond them.

    pressures_GPa: increasing, shape (n,). enthalpies_eV, uncertainties_eV: per atom, shape (n,); nan where the
    uncertainty is not known. With a single point the volume is not known (nan).
    """

    phase: str
    formula: str
    pressures_GPa: Array
    enthalpies_eV: Array
    uncertainties_eV: Array

    @property
    def from_GPa(self) -> float:
        """Lowest pressure of the table (GPa)."""
        return float(self.pressures_GPa[0])

    @property
    def to_GPa(self) -> float:
        """Highest pressure of the table (GPa)."""
        return float(self.pressures_GPa[-1])

    def enthalpy(self, pressure_GPa: ArrayLike) -> Array:
        """Enthalpy (eV/atom); nan outside the table."""
        pressure = np.asarray(pressure_GPa, float)
        if len(self.pressures_GPa) == 1:
            return self._inside(pressure, self.enthalpies_eV[0])
        return self._inside(pressure, self._interpolant.value(self._clip(pressure)))

    def volume(self, pressure_GPa: ArrayLike) -> Array:
        """Slope dH/dP (Å³/atom); nan outside the table and for a single point."""
        pressure = np.asarray(pressure_GPa, float)
        if len(self.pressures_GPa) == 1:
            return np.full(pressure.shape, np.nan)
        return self._inside(pressure, self._interpolant.slope(self._clip(pressure)) / GPa)

    def uncertainty(self, pressure_GPa: ArrayLike) -> Array:
        """Standard uncertainty of the enthalpy (eV/atom), linear between the points; nan where it is not known."""
        pressure = np.asarray(pressure_GPa, float)
        between = np.interp(pressure, self.pressures_GPa, self.uncertainties_eV)
        return self._inside(pressure, between)

    @cached_property
    def _interpolant(self) -> Interpolant:
        return interpolate(self.pressures_GPa, self.enthalpies_eV)

    def _inside(self, pressure: Array, values: Array) -> Array:
        found: Array = np.where(self._known(pressure), values, np.nan)[()]  # a number for a number
        return found

    def _known(self, pressure: Array) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = (pressure >= self.from_GPa) & (pressure <= self.to_GPa)
        return inside

    def _clip(self, pressure: Array) -> Array:
        return np.clip(pressure, self.from_GPa, self.to_GPa)
