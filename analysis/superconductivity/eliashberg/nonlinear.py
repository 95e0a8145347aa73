"""The gap below Tc: the nonlinear Eliashberg equations on the imaginary axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
TRIVIAL = 0.05
"""Share of the BCS height below which a solution is Δ = 0, which the equations have at every temperature, or near it.

Strong coupling raises the height; no repulsion that leaves a Tc takes it so far down.
"""
HEIGHTS, PLAIN = (1.0, 1.5, 0.6, 2.5), 40
"""Heights, in units of BCS theory's, that the search begins with; plain iterations before the second and later ones.

Anderson mixing finds any fixed point, also Δ = 0; plain iteration leaves it below Tc, where it is unstable.
"""


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
    out of both: it changes Z but not Δ. Raises ArithmeticError where no solution but Δ = 0 is found.
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

    height = BCS_RATIO * _rise(critical, temperature_meV)
    begins = [height * each * _shape_at_tc(critical, frequency) for each in HEIGHTS]
    if start is not None:
        begins.insert(0, _carried(start, frequency))
    gap, iterations = _not_trivial(following, begins, TRIVIAL * height, points.weight / frequency)
    _, mass_now, taken = parts(gap)
    own = np.pi * temperature_meV * itself
    root = np.hypot(frequency, gap)
    return Gap(temperature_meV, points, gap, mass_now + own / root, mass + own / frequency, taken, iterations)


def _not_trivial(
    following: Callable[[Array], Array], begins: Sequence[Array], least: float, weight: Array
) -> tuple[Array, int]:
    """Return the fixed point whose first value is at least `least`, from the first beginning that leads to one.

    Raises ArithmeticError where all lead to Δ = 0 or to nothing.
    """
    failed = "the iteration ends at Δ = 0 from every start"
    for place, begin in enumerate(begins):
        now = begin
        for _ in range(PLAIN if place else 0):
            now = following(now)
        try:
            gap, iterations = fixed_point(following, now, TOLERANCE, weight=weight)
        except ArithmeticError as error:
            failed = str(error)
            continue
        if abs(gap[0]) >= least:
            return gap * np.sign(gap[0]), iterations  # −Δ is a solution as well
    raise ArithmeticError(failed)


def _rise(critical: Critical, temperature_meV: float) -> float:
    """Return Δ(T)/(Δ₀/k_BTc) (meV) of BCS theory, about: k_BTc tanh(1.74 √(Tc/T − 1))."""
    ratio = critical.temperature_meV / temperature_meV
    return critical.temperature_meV * float(np.tanh(BCS_RISE * np.sqrt(max(ratio - 1, 1e-6))))


def _shape_at_tc(critical: Critical, frequency: Array) -> Array:
    """Return the gap at Tc at these frequencies, in units of its value at the lowest one."""
    known = matsubara(critical.points, critical.temperature_meV)
    shape: Array = np.interp(np.log(frequency), np.log(known), critical.gap)
    return shape


def _carried(start: Gap, frequency: Array) -> Array:
    """Return the gap of another temperature at these frequencies."""
    values: Array = np.interp(np.log(frequency), np.log(start.frequency_meV), start.gap)
    return values
