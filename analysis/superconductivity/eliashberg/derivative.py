"""How Tc answers to small changes of α²F(ω) and μ*, and so the error of Tc from theirs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.superconductivity.eliashberg.kernel import Modes, mode_kernels
from megabar.analysis.superconductivity.eliashberg.linearised import Critical
from megabar.analysis.superconductivity.eliashberg.mu_star import Coulomb
from megabar.analysis.superconductivity.units import MEV_PER_K

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """First-order changes of Tc, from the eigenvector at Tc (Hellmann–Feynman).

    tc_K: Tc (K). response: change of the eigenvalue by λ(l) at the samples of l, shape (s,). scaled: 2πTc l of the
    samples (meV), shape (s,). fall: −∂(eigenvalue)/∂ ln T, above 0. repulsion: −∂(eigenvalue)/∂μ*, at fixed ω_ref.
    """

    tc_K: float
    response: Array
    scaled: Array
    fall: float
    repulsion: float

    def log_tc_by_lambda(self, omega_meV: ArrayLike) -> Array:
        """Return ∂ ln Tc/∂λ of a mode added at ω (meV), shape of ω."""
        omega = np.asarray(omega_meV, float)[..., None]
        shape: Array = omega**2 / (omega**2 + self.scaled**2) @ self.response / self.fall
        return shape

    def tc_by_alpha2f(self, omega_meV: ArrayLike) -> Array:
        """Return δTc/δα²F(ω) (K per meV): δTc = ∫ δTc/δα²F(ω) δα²F(ω) dω, shape of ω (meV).

        Bergmann & Rainer, Z. Phys. 263, 59 (1973): never negative, linear at small ω, highest at about 7 k_BTc.
        """
        omega = np.asarray(omega_meV, float)[..., None]
        shape: Array = 2 * omega / np.maximum(omega**2 + self.scaled**2, 1e-300) @ self.response
        return self.tc_K * shape / self.fall

    @property
    def tc_by_mu_star_K(self) -> float:
        """∂Tc/∂μ* (K) at fixed ω_ref, below 0."""
        return -self.tc_K * self.repulsion / self.fall

    def by_frequencies(self, modes: Modes) -> Array:
        """Return ∂ ln Tc/∂ ln ωᵢ of each mode, its λᵢ kept, shape (n,)."""
        squared = (self.scaled / modes.omega_meV[:, None]) ** 2
        shape: Array = modes.coupling * (2 * squared / (1 + squared) ** 2 @ self.response) / self.fall
        return shape


def sensitivity(modes: Modes, interaction: Coulomb, critical: Critical) -> Sensitivity:
    """Return how Tc answers to changes, from the linearised solution at Tc."""
    points, temperature, vector = critical.points, critical.temperature_meV, critical.vector
    row, column = points.upper
    pairs = np.where(row == column, 1.0, 2.0) * vector[row] * vector[column]
    response = points.pairing.T @ pairs
    kernels = mode_kernels(modes, temperature, points.differences)
    fall = 2 * float(response @ ((kernels * (1 - kernels)) @ modes.coupling))
    overlap = float(vector @ np.sqrt(points.weight / (2 * points.index + 1))) ** 2
    inverse = interaction.inverse(temperature, points.count) if interaction.mu_star > 0 else np.inf
    fall += 2 * overlap / inverse**2
    to_cutoff = 1.0 if interaction.mu_star == 0 else 1 / (inverse * interaction.mu_star) ** 2
    scaled = 2 * np.pi * temperature * points.differences
    return Sensitivity(temperature / MEV_PER_K, response, scaled, fall, 2 * overlap * to_cutoff)


def tc_error_K(
    answer: Sensitivity, omega_meV: Array, weight_meV: Array, alpha2f_errors: Array, mu_star_error: float
) -> float:
    """Return the standard error of Tc (K) from those of α²F and μ*, to first order.

    omega_meV, weight_meV: points and weights of ∫dω, shape (n,). alpha2f_errors: independent errors of α²F, a row each
    and correlated in ω within a row, shape (m, n) or (n,): e.g. one row a convergence parameter.
    """
    changes = np.atleast_2d(alpha2f_errors) @ (weight_meV * answer.tc_by_alpha2f(omega_meV))
    return float(np.hypot(np.linalg.norm(changes), answer.tc_by_mu_star_K * mu_star_error))
