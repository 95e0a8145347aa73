"""The Debye solid: its thermal functions, and Debye temperatures from heat capacities, entropies, energies and moments.

P. Debye, Ann. Phys. 344, 789 (1912), doi:10.1002/andp.19123441404.
"""

from __future__ import annotations

import numpy as np
from ase.units import kB
from numpy.typing import ArrayLike, NDArray

from megabar.structures.errors import InputError

Array = NDArray[np.float64]
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)
_LARGE = 30.0
"""Beyond this the integral to infinity serves: the rest of ∫t³/(eᵗ − 1) is below 1e-9 of it."""
_TO_INFINITY = np.pi**4 / 15.0
_BISECTIONS = 60


def debye_function(x: ArrayLike) -> Array:
    """Return D₃(x) = (3/x³) ∫₀ˣ t³/(eᵗ − 1) dt."""
    x = np.asarray(x, dtype=float)
    top = np.minimum(x, _LARGE)
    t = 0.5 * top[..., None] * (_NODES + 1.0)
    integrand = np.where(t > 0.0, t**3 / np.where(t > 0.0, np.expm1(t), 1.0), 0.0)
    integral = 0.5 * top * (integrand @ _WEIGHTS)
    # ∫ₓ^∞ in closed form, three terms: more than 1e-15 is not left.
    tail = sum(np.exp(-k * np.maximum(x, _LARGE)) * _tail_polynomial(np.maximum(x, _LARGE), k) for k in (1.0, 2.0, 3.0))
    integral = np.where(x > _LARGE, _TO_INFINITY - tail, integral)
    small = x < 1e-6
    return np.where(small, 1.0 - 0.375 * x, 3.0 * integral / np.where(small, 1.0, x) ** 3)


def _tail_polynomial(x: Array, k: float) -> Array:
    return np.asarray(x**3 / k + 3.0 * x**2 / k**2 + 6.0 * x / k**3 + 6.0 / k**4)


def debye_solid(temperature_K: ArrayLike, theta_K: ArrayLike, atoms: float = 1.0) -> tuple[Array, Array, Array, Array]:
    """Return F (eV, zero-point energy included), S, C_V (eV/K) and F_θ = ∂F/∂θ (eV/K) of a Debye solid.

    temperature_K, theta_K: shapes that broadcast; 0 K is allowed.
    """
    t, theta = np.broadcast_arrays(np.asarray(temperature_K, dtype=float), np.asarray(theta_K, dtype=float))
    n = atoms * kB
    warm = t > 0.0
    safe = np.where(warm, t, 1.0)
    x = np.where(warm, theta / safe, np.inf)
    finite = np.where(warm, x, 1.0)
    d = np.where(warm, debye_function(finite), 0.0)
    log = np.where(warm, np.log1p(-np.exp(-finite)), 0.0)
    boltzmann = np.where(warm & (finite < 500.0), finite / np.expm1(np.minimum(finite, 500.0)), 0.0)
    free = n * (1.125 * theta + np.where(warm, t * (3.0 * log - d), 0.0))
    entropy = n * np.where(warm, 4.0 * d - 3.0 * log, 0.0)
    capacity = n * np.where(warm, 12.0 * d - 9.0 * boltzmann, 0.0)
    by_theta = n * (1.125 + np.where(warm, 3.0 * d / np.where(warm, finite, 1.0), 0.0))
    return free, entropy, capacity, by_theta


def debye_temperature_from_heat_capacity(
    heat_capacity_eV_per_K: ArrayLike, temperature_K: ArrayLike, atoms: float
) -> Array:
    """Return θ (K) of the Debye solid that has the C_V at the temperature; nan at 0 K and where C_V is classical.

    heat_capacity_eV_per_K: of ``atoms`` atoms. Above about θ, C_V hardly tells θ: prefer the entropy.
    """
    return _solve(heat_capacity_eV_per_K, temperature_K, atoms, 2)


def debye_temperature_from_entropy(entropy_eV_per_K: ArrayLike, temperature_K: ArrayLike, atoms: float) -> Array:
    """Return θ (K) of the Debye solid that has the vibrational entropy at the temperature; nan at 0 K."""
    return _solve(entropy_eV_per_K, temperature_K, atoms, 1)


def debye_temperature_from_zero_point(energy_eV: ArrayLike, atoms: float) -> Array:
    """Return θ = 8E/(9 N k) (K) of the Debye solid that has the zero-point energy (eV) of ``atoms`` atoms."""
    return np.asarray(np.asarray(energy_eV, dtype=float) / (1.125 * atoms * kB))


def debye_temperature_from_moment(frequencies_THz: ArrayLike, power: float, weights: ArrayLike | None = None) -> Array:
    """Return θ (K) of the Debye spectrum that has the n-th moment of the frequencies: kθ = h [(n + 3)/3 ⟨νⁿ⟩]^(1/n).

    frequencies_THz: any shape, those at or below zero are left out. power: n, above −3; 0 means the logarithmic moment.
    weights: of the frequencies, of a shape that broadcasts to theirs.
    T. H. K. Barron, W. T. Berg & J. A. Morrison, Proc. R. Soc. A 242, 478 (1957), doi:10.1098/rspa.1957.0190.
    """
    from ase.units import _e, _hplanck

    nu = np.asarray(frequencies_THz, dtype=float)
    w = np.broadcast_to(1.0 if weights is None else np.asarray(weights, dtype=float), nu.shape)
    real = nu > 0.0
    if power <= -3.0 or not real.any():
        raise InputError("a moment of the frequencies needs a power above −3 and frequencies above zero")
    nu, w = nu[real], w[real] / w[real].sum()
    if power == 0.0:
        cut = np.exp((w * np.log(nu)).sum() + 1.0 / 3.0)
    else:
        cut = ((power + 3.0) / 3.0 * (w * nu**power).sum()) ** (1.0 / power)
    return np.asarray(cut * 1e12 * _hplanck / _e / kB)


def _solve(value: ArrayLike, temperature_K: ArrayLike, atoms: float, which: int) -> Array:
    """Bisection in ln θ: entropy and heat capacity both fall as θ grows."""
    found, t = np.broadcast_arrays(np.asarray(value, dtype=float), np.asarray(temperature_K, dtype=float))
    usable = (t > 0.0) & (found > 0.0) & np.isfinite(found)
    if which == 2:
        usable &= found < 3.0 * atoms * kB * (1.0 - 1e-5)
    safe = np.where(usable, t, 1.0)
    low, high = np.log(safe * 1e-4), np.log(safe * 1e3)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        above = debye_solid(safe, np.exp(middle), atoms)[which] > found
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(usable, np.exp(0.5 * (low + high)), np.nan)
