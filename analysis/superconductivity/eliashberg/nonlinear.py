"""The gap below Tc: the nonlinear Eliashberg equations on the imaginary axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.eliashberg.anderson import fixed_point
from megabar.analysis.superconductivity.eliashberg.frequencies import Frequencies
from megabar.analysis.superconductivity.eliashberg.kernel import Modes, kernel
from megabar.analysis.superconductivity.eliashberg.linearised import FINE, Critical, points_at
from megabar.analysis.superconductivity.eliashberg.mu_star import Coulomb
from megabar.analysis.superconductivity.units import MEV_PER_K

Array = NDArray[np.float64]
TOLERANCE = 1e-11
BCS_RATIO, BCS_RISE = 1.764, 1.74
"""Δ₀/k_BTc of BCS theory, and of Δ(T) ≈ Δ₀ tanh(1.74 √(Tc/T − 1)): where the search begins."""


@dataclass(frozen=True, eq=False)
class Gap:
    """Δ(iω_n) and Z(iω_n) at one temperature; all energies in meV.

    gap, renormalisation: Δ_n and Z_n at the nodes, shape (k,). normal: Z_n without superconductivity, shape (k,).
    coulomb_meV: what the Coulomb repulsion takes from Z_n Δ_n at every n. iterations: how many it took.
    """

    temperature_meV: float
    points: Frequencies
    gap: Array
    renormalisation: Array
    normal: Array
    coulomb_meV: float
    iterations: int

    @property
    def temperature_K(self) -> float:
        """The temperature (K)."""
        return self.temperature_meV / MEV_PER_K

    @property
    def frequency_meV(self) -> Array:
        """ω_n = (2n+1)πT at the nodes (meV), shape (k,)."""
        return matsubara(self.points, self.temperature_meV)


def matsubara(points: Frequencies, temperature_meV: float) -> Array:
    """Return ω_n = (2n+1)πT at the nodes, in the unit of the temperature, shape (k,)."""
    return np.pi * temperature_meV * (2 * points.index + 1)


def solve_gap(
    modes: Modes, interaction: Coulomb, temperature_meV: float, critical: Critical, start: Gap | None = None
) -> Gap:
    """Return Δ_n and Z_n at a temperature (meV) below Tc, to a residual of 1e-11, from its shape at Tc or another gap.

    Z_n ω_n = ω_n + πT Σ_m λ(n−m) ω_m/R_m and Z_n Δ_n = πT Σ_m [λ(n−m) − μ*] Δ_m/R_m with R_m = √(ω_m² + Δ_m²): e.g.
    Marsiglio & Carbotte, in The Physics of Superconductors (Springer, 2003) The term m = n is left
    out of both: it changes Z but not Δ. Raises ArithmeticError where no solution is found.
    """
    points = points_at(modes, interaction, temperature_meV, FINE)
    frequency = matsubara(points, temperature_meV)
    values = kernel(modes, temperature_meV, points.differences)
    itself, others = values[0], np.concatenate([[0.0], values[1:]])
    minus, plus = (
        np.pi * temperature_meV * points.symmetric(each @ others) / points.weight[:, None]
        for each in (points.minus, points.plus)
    )
    odd, even = minus - plus, minus + plus
    mass = 1 + np.pi * temperature_meV * (points.mass @ others) / frequency
    summed = 2 * np.pi * temperature_meV * points.weight
    repulsion = interaction.inverse(temperature_meV, points.count) if interaction.mu_star > 0 else np.inf

    def parts(gap: Array) -> tuple[Array, Array, float]:
        """Return the pairing and mass terms, and the Coulomb term that is consistent with both."""
        root = np.hypot(frequency, gap)
        mass_now = mass + odd @ (frequency / root - 1) / frequency
        pairing = even @ (gap / root)
        weight = summed / (mass_now * root)
        taken = 0.0 if np.isinf(repulsion) else float(weight @ pairing / (repulsion + np.sum(weight)))
        return pairing, mass_now, taken

    def following(gap: Array) -> Array:
        pairing, mass_now, taken = parts(gap)
        return (pairing - taken) / mass_now

    first = _first_gap(critical, frequency, temperature_meV) if start is None else _carried(start, frequency)
    gap, iterations = fixed_point(following, first, TOLERANCE, weight=points.weight / frequency)
    _, mass_now, taken = parts(gap)
    own = np.pi * temperature_meV * itself
    root = np.hypot(frequency, gap)
    return Gap(temperature_meV, points, gap, mass_now + own / root, mass + own / frequency, taken, iterations)


def _first_gap(critical: Critical, frequency: Array, temperature_meV: float) -> Array:
    """Return the gap's shape at Tc with the height that BCS theory gives it, shape of frequency."""
    known = matsubara(critical.points, critical.temperature_meV)
    height = BCS_RATIO * critical.temperature_meV
    height *= float(np.tanh(BCS_RISE * np.sqrt(max(critical.temperature_meV / temperature_meV - 1, 1e-6))))
    shape: Array = height * np.interp(np.log(frequency), np.log(known), critical.gap)
    return shape


def _carried(start: Gap, frequency: Array) -> Array:
    """Return the gap of another temperature at these frequencies."""
    values: Array = np.interp(np.log(frequency), np.log(start.frequency_meV), start.gap)
    return values
