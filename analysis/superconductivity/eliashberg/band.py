"""An electronic density of states N(ε) that is not constant, as the Eliashberg equations see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from megabar.structures.errors import InputError

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
INSULATING = 1e-3
"""N(E_F) below this share of the mean of N(ε) is an insulator's."""
SEGMENTS, SHIFTED = 30, 200.0
"""Points about E_F, and shift of E_F (meV) beyond them, for which integrals between points are exact."""


@dataclass(frozen=True, eq=False)
class Band:
    """N(ε)/N(E_F) of one spin, linear between points and 0 outside them. Made by `band`, which checks it.

    energy_meV: from E_F, increasing, shape (n,). density: N(ε)/N(E_F), shape (n,). near_meV: the distance from E_F up
    to which integrals over ε are exact; farther off they are sums over the points.
    """

    energy_meV: Array
    density: Array
    near_meV: float

    @property
    def width_meV(self) -> float:
        """The farther band edge, seen from E_F (meV)."""
        return float(np.max(np.abs(self.energy_meV)))

    @property
    def states_meV(self) -> float:
        """∫ N(ε)/N(E_F) dε (meV)."""
        return float(_trapezium(self.energy_meV) @ self.density)

    def resolvent(self, z_meV: Complex) -> Complex:
        """Return G(z) = ∫ N(ε)/N(E_F)/(z − ε) dε at Im z > 0 (meV), shape of z; −iπ in a wide, flat band."""
        first, last = np.searchsorted(self.energy_meV, [-self.near_meV, self.near_meV])
        near = slice(max(first - 1, 0), last + 1)
        values = _of_segments(z_meV, self.energy_meV[near], self.density[near])
        for far in (slice(0, near.start + 1), slice(near.stop - 1, None)):
            energy = self.energy_meV[far]
            values += (1 / (z_meV[..., None] - energy)) @ (_trapezium(energy) * self.density[far]).astype(complex)
        return values

    def pairs_between(self, low_meV: float, high_meV: float) -> float:
        """Return ∫ N̄(ω)/N(E_F) dω/ω between two energies, N̄(ω) = −Im G(iω)/π; ln(high/low) for a constant N(ε).

        N̄ is N(ε) in a Lorentzian window of half-width ω, and ∫ dω/(ω² + ε²) an arctangent.
        """
        energy = np.maximum(np.abs(self.energy_meV), 1e-6 * low_meV)
        shape = (np.arctan(high_meV / energy) - np.arctan(low_meV / energy)) / (np.pi * energy)
        return float((_trapezium(self.energy_meV) * self.density) @ shape)


def band(energy_eV: ArrayLike, states: ArrayLike, fermi_eV: float, source: str) -> Band:
    """Return N(ε) from a table of the density of states, in any unit, and the Fermi energy (eV).

    energy_eV: increasing, shape (n,). states: not negative, shape (n,). Raises InputError where that does not hold,
    where E_F is outside the table, and for an insulator.
    """
    energy, value = np.asarray(energy_eV, float), np.asarray(states, float)
    if energy.ndim != 1 or energy.shape != value.shape or energy.size < 3:
        raise InputError(f"{source}: {energy.size} energies and {value.size} densities of states; they go in pairs")
    if not (np.all(np.isfinite(energy)) and np.all(np.isfinite(value))):
        raise InputError(f"{source}: an energy or a density of states is not a number")
    if np.any(np.diff(energy) <= 0):
        raise InputError(f"{source}: energies must increase")
    if value.min() < -1e-3 * value.max():
        raise InputError(f"{source}: the density of states is negative ({value.min():.3g}); N(ε) counts states")
    if not energy[0] < fermi_eV < energy[-1]:
        raise InputError(
            f"{source}: the Fermi energy {fermi_eV:g} eV is outside the table, {energy[0]:g} to {energy[-1]:g} eV"
        )
    value = np.maximum(value, 0.0)
    at_fermi = float(np.interp(fermi_eV, energy, value))
    if at_fermi <= INSULATING * float(np.mean(value)):
        raise InputError(
            f"{source}: N(E_F) = {at_fermi:.3g} at {fermi_eV:g} eV, an insulator's; no electrons at E_F, no Tc"
        )
    from_fermi = 1000 * (energy - fermi_eV)
    near = SEGMENTS * float(np.max(np.diff(from_fermi))) + SHIFTED
    return Band(from_fermi, value / at_fermi, near)


def _of_segments(z: Complex, energy: Array, density: Array) -> Complex:
    """Return ∫ density/(z − ε) dε of what is linear between points, shape of z: logarithms of z − ε at the points.

    Far off, the logarithm between neighbours is small, and a difference of two would lose what it is about.
    """
    away, step = z[..., None] - energy, np.diff(energy)
    share = step / away[..., 1:]
    log = 0.5 * np.log1p(2 * share.real + share.real**2 + share.imag**2) + 1j * np.arctan2(share.imag, 1 + share.real)
    values: Complex = log @ density[:-1].astype(complex)
    values += (away[..., :-1] * log / step - 1) @ np.diff(density).astype(complex)
    return values


def _trapezium(points: Array) -> Array:
    edges = np.concatenate([points[:1], points, points[-1:]])
    weights: Array = (edges[2:] - edges[:-2]) / 2
    return weights
