"""The same equations without compression: every Matsubara frequency an unknown. For checking, and for comparison."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.eliashberg.kernel import Modes, kernel
from megabar.analysis.superconductivity.eliashberg.mu_star import Coulomb
from megabar.analysis.superconductivity.units import MEV_PER_K

Array = NDArray[np.float64]


def dense_matrix(modes: Modes, interaction: Coulomb, temperature_meV: float, count: int) -> Array:
    """Return S_nm of `linearised.matrix` for all of the `count` lowest frequencies, shape (count, count)."""
    n = np.arange(count)
    values = kernel(modes, temperature_meV, np.arange(2 * count))
    matrix = values[np.abs(n[:, None] - n)] + values[n[:, None] + n + 1]
    if interaction.mu_star > 0:
        matrix -= 2 / interaction.inverse(temperature_meV, count)
    matrix[n, n] -= values[0] + 2 * np.concatenate([[0.0], np.cumsum(values[1:count])])
    norm = 1 / np.sqrt(2 * n + 1)
    scaled: Array = matrix * norm[:, None] * norm
    return scaled


def dense_critical_temperature(
    modes: Modes, interaction: Coulomb, between_K: tuple[float, float], reach: float
) -> tuple[float, int]:
    """Return Tc (K) by all eigenvalues of the dense matrix within a bracket, and how many frequencies that took.

    reach: cutoff over the highest phonon frequency, at the upper end of the bracket; μ*(ω_c) must be finite there.
    """
    from scipy.optimize import brentq

    low, high = (temperature * MEV_PER_K for temperature in between_K)
    count = int(np.ceil(reach * float(np.max(modes.omega_meV)) / (2 * np.pi * high)))

    def excess(log_temperature: float) -> float:
        matrix = dense_matrix(modes, interaction, float(np.exp(log_temperature)), count)
        return float(np.linalg.eigvalsh(matrix)[-1]) - 1

    return float(np.exp(brentq(excess, np.log(low), np.log(high), xtol=1e-8))) / MEV_PER_K, count
