"""A repulsion that other programs cut off in the sum over Matsubara frequencies, as one that is referred to an energy.

Far above the phonons both are the same (Morel & Anderson). Where the cut-off is among the phonons they are not: they
still pair beyond it, and the repulsion is missing there. So the energy is that which gives the same Tc.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.eliashberg.blocks import ORDER, edges
from megabar.analysis.superconductivity.eliashberg.frequencies import Frequencies
from megabar.analysis.superconductivity.eliashberg.kernel import Modes
from megabar.analysis.superconductivity.eliashberg.linearised import FINE, LOWEST, matrix, points_at, transition
from megabar.analysis.superconductivity.eliashberg.mu_star import Coulomb, coulomb
from megabar.analysis.superconductivity.eliashberg.quadrature import lagrange, sum_rule

Array = NDArray[np.float64]
CLOSE = 1e-9
"""Distance in ln T from Tc without repulsion, where the search begins."""


def reference_of_cutoff(modes: Modes, mu_star: float, count: Callable[[float], float]) -> float | None:
    """Return the energy (meV) that μ* must be referred to for the Tc of μ* Σ_{n<N} in the place of our whole sum.

    count: N, a number that need not be whole, at a temperature (meV). None where there is no Tc.

    With S of `linearised.matrix` without repulsion, r_n = (2n+1)^-½ and c the same up to N and 0 beyond, Tc is where
    2μ* c·(S − 1)⁻¹r = 1; a repulsion over all frequencies, 1/μ*(ω_c) there, needs 2 r·(S − 1)⁻¹r = 1/μ*(ω_c).
    """
    from scipy.optimize import brentq

    bare = coulomb(0.0, 1.0)
    found = transition(modes, bare)
    if found is None:
        return None
    if mu_star == 0:
        return modes.scale_meV
    highest = float(np.log(found[0]) - CLOSE)
    lowest = float(np.log(LOWEST * modes.omega_log_meV))

    def excess(log_temperature: float) -> float:
        temperature = float(np.exp(log_temperature))
        return 2 * mu_star * _response(modes, bare, temperature, count(temperature))[0] - 1

    if highest <= lowest or excess(lowest) > 0:
        return None
    temperature = float(np.exp(brentq(excess, lowest, highest, xtol=1e-10)))
    _, whole, points = _response(modes, bare, temperature, count(temperature))
    unit = Coulomb(mu_star, 1.0).inverse(temperature, points.count)
    return float(np.exp(2 * whole - unit))


def _response(modes: Modes, bare: Coulomb, temperature: float, count: float) -> tuple[float, float, Frequencies]:
    """Return c·(S − 1)⁻¹r, r·(S − 1)⁻¹r and the frequencies that they are on."""
    points = points_at(modes, bare, temperature, FINE)
    whole = np.sqrt(points.weight / (2 * points.index + 1))
    solved = np.linalg.solve(matrix(modes, bare, temperature, points) - np.eye(whole.size), whole)
    part = _partial(points, count) / np.sqrt(points.weight * (2 * points.index + 1))
    return float(part @ solved), float(whole @ solved), points


def _partial(points: Frequencies, count: float) -> Array:
    """Return the weights of Σ_{n<N} f(n) at the nodes, N between whole numbers by interpolation, shape (k,)."""
    weights = np.zeros(points.index.size)
    for block in range(points.blocks):
        first, last = edges(block)
        nodes = slice(ORDER * block, ORDER * (block + 1))
        if last <= count:
            weights[nodes] = points.weight[nodes]
        elif first < count:
            n, each = _part_of_block(count - first)
            weights[nodes] = each @ lagrange(points.index[nodes], first + n)
    return weights


def _part_of_block(count: float) -> tuple[Array, Array]:
    """Return places and weights of Σ_{n<N} of a polynomial: each n of few, or the nodes of a rule for many."""
    if count > ORDER:
        nodes, weights = sum_rule(count, ORDER)
        return nodes, weights
    n = np.arange(int(np.ceil(count)), dtype=float)
    return n, np.minimum(count - n, 1.0)
