"""Free energy of the superconducting state against the normal one, and what follows from it: Hc(T), ΔC(T), ratios."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial import Chebyshev
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.superconductivity.eliashberg.kernel import Modes
from megabar.analysis.superconductivity.eliashberg.linearised import Critical
from megabar.analysis.superconductivity.eliashberg.mu_star import Coulomb
from megabar.analysis.superconductivity.eliashberg.nonlinear import Gap, solve_gap
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
LOWEST, HIGHEST = 0.1, 0.985
"""Range of T/Tc that is solved; −ΔF/(1 − T/Tc)² is smooth and goes on to 1 as the polynomial that it is below."""
COUNT = 14
"""Temperatures in that range."""


@dataclass(frozen=True, eq=False)
class Thermodynamics:
    """The superconducting state from T/Tc = 0.1 to 1, energies per N(0), the density of states per spin.

    tc_meV: k_BTc. lambda_: λ. gaps: the solutions, temperature rising. free_energy: ΔF/N(0) = (F_s − F_n)/N(0) (meV²)
    at each, shape (m,), below 0.
    """

    tc_meV: float
    lambda_: float
    gaps: tuple[Gap, ...]
    free_energy: Array

    @property
    def reduced(self) -> Array:
        """T/Tc of the solutions, shape (m,)."""
        return np.array([gap.temperature_meV for gap in self.gaps]) / self.tc_meV

    @cached_property
    def _shape(self) -> Chebyshev:
        """−ΔF/[N(0)(k_BTc)²(1−t)²] as a polynomial in t = T/Tc."""
        below = -self.free_energy / (self.tc_meV * (1 - self.reduced)) ** 2
        return Chebyshev.fit(self.reduced, below, COUNT - 2, domain=[LOWEST, 1.0])

    @property
    def _gamma(self) -> float:
        """γ/N(0) k_B² = ⅔π²(1 + λ), of the electronic specific heat γT of the normal state."""
        return 2 * np.pi**2 / 3 * (1 + self.lambda_)

    @property
    def condensation(self) -> float:
        """−ΔF(0)/[N(0)(k_BTc)²]: the superconductor's own part of F is exponentially small at 0.1 Tc already."""
        t = float(self.reduced[0])
        return float(self._shape(t)) * (1 - t) ** 2 + self._gamma * t**2 / 2

    @property
    def jump(self) -> float:
        """ΔC/γTc at Tc; 1.426 in BCS theory."""
        return 2 * float(self._shape(1.0)) / self._gamma

    @property
    def field_ratio(self) -> float:
        """γTc²/Hc(0)² (Gauss units); 0.168 in BCS theory."""
        return self._gamma / (8 * np.pi * self.condensation)

    def critical_field(self, reduced: ArrayLike) -> Array:
        """Return Hc(T)/Hc(0) at T/Tc from 0 to 1: Hc² = −8πΔF."""
        t = np.asarray(reduced, float)
        shape = self._shape(np.maximum(t, LOWEST)) * (1 - np.maximum(t, LOWEST)) ** 2
        shape += np.where(t < LOWEST, self._gamma * (LOWEST**2 - t**2) / 2, 0.0)
        field: Array = np.sqrt(np.maximum(shape, 0.0) / self.condensation)
        return field

    def specific_heat(self, reduced: ArrayLike) -> Array:
        """Return ΔC(T)/γTc = [C_s − C_n]/γTc at T/Tc from 0.1 to 1: ΔC = −T ∂²ΔF/∂T²."""
        t = np.asarray(reduced, float)
        shape, first, second = self._shape(t), self._shape.deriv(1)(t), self._shape.deriv(2)(t)
        curvature = (1 - t) ** 2 * second - 4 * (1 - t) * first + 2 * shape
        heat: Array = t * curvature / self._gamma
        return heat


def thermodynamics(modes: Modes, interaction: Coulomb, critical: Critical) -> Thermodynamics:
    """Return the superconducting state between 0.1 Tc and Tc: 14 solutions of the nonlinear equations."""
    angle = np.pi * (np.arange(COUNT) + 0.5) / COUNT
    reduced = (HIGHEST + LOWEST) / 2 - (HIGHEST - LOWEST) / 2 * np.cos(angle) / np.cos(angle[0])
    gaps: list[Gap] = []
    for t in reduced:
        temperature = float(t) * critical.temperature_meV
        gaps.append(solve_gap(modes, interaction, temperature, critical, gaps[-1] if gaps and t < 0.8 else None))
    free = np.array([free_energy(gap) for gap in gaps])
    return Thermodynamics(critical.temperature_meV, modes.lambda_, tuple(gaps), free)


def free_energy(gap: Gap) -> float:
    """Return (F_s − F_n)/N(0) (meV²), N(0) per spin, of a solution: below 0.

    −2πT Σ_{n≥0} (R_n − ω_n)(Z_n − Z^N_n ω_n/R_n), R_n = √(ω_n² + Δ_n²):
    Bardeen & Stephen, Phys. Rev. 136, A1485 (1964).
    """
    frequency = gap.frequency_meV
    root = np.hypot(frequency, gap.gap)
    rise = gap.gap**2 / (root + frequency)
    terms = rise * (gap.renormalisation - gap.normal * frequency / root)
    return -2 * np.pi * gap.temperature_meV * float(gap.points.weight @ terms)


def critical_field_T(state: Thermodynamics, dos_per_eV: float, volume_A3: float) -> float:
    """Return μ₀Hc(0) (T) from N(E_F) per spin, eV and cell and the volume of that cell (Å³): μ₀Hc²/2 = −ΔF/V.

    Raises InputError where there are no states at the Fermi level.
    """
    from scipy.constants import e, mu_0

    if not (dos_per_eV > 0 and volume_A3 > 0):
        raise InputError(
            f"N(E_F) = {dos_per_eV:g} per eV in {volume_A3:g} Å³ is no metal's; a critical field needs both above 0"
        )
    energy_eV = state.condensation * dos_per_eV * (state.tc_meV / 1000) ** 2
    return float(np.sqrt(2 * mu_0 * energy_eV * e / (volume_A3 * 1e-30)))
