"""Enthalpy curves that are known exactly, for tests of what follows from curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.units import GPa


@dataclass(frozen=True)
class Line:
    """H = H₀ + V·P with one volume (Å³/atom), known between two pressures (GPa)."""

    phase: str
    volume_A3: float = 10.0
    enthalpy_eV: float = 0.0
    sigma_eV: float = 1e-4
    formula: str = "He"
    from_GPa: float = 0.0
    to_GPa: float = 100.0

    def enthalpy(self, pressure_GPa):
        p = np.asarray(pressure_GPa, float)
        inside = (p >= self.from_GPa - 1e-9) & (p <= self.to_GPa + 1e-9)
        return np.where(inside, self.enthalpy_eV + self.volume_A3 * p * GPa, np.nan)

    def volume(self, pressure_GPa):
        return np.full(np.shape(pressure_GPa), self.volume_A3)

    def uncertainty(self, pressure_GPa):
        return np.full(np.shape(pressure_GPa), self.sigma_eV)


def crossing(one: Line, volume_A3: float, at_GPa: float, name: str, **more) -> Line:
    """Return a denser phase that crosses another at a pressure."""
    enthalpy = one.enthalpy_eV + (one.volume_A3 - volume_A3) * at_GPa * GPa
    return Line(name, volume_A3, enthalpy, formula=one.formula, **more)
