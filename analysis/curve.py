"""What a hull needs of a phase: its enthalpy against pressure."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


class Curve(Protocol):
    """Enthalpy against pressure of one phase; every method takes an array of pressures (GPa) of any shape."""

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
