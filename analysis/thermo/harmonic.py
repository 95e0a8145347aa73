"""Harmonic vibrations: free energy, entropy and heat capacity from frequencies and the weights of their q-points."""

from __future__ import annotations

import numpy as np
from ase.units import _e, _hplanck, kB
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.thermo.table import Thermal
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
EV_PER_THZ = 1e12 * _hplanck / _e
_AT_ONCE = 4_000_000


def harmonic(frequencies_THz: ArrayLike, weights: ArrayLike, temperatures_K: ArrayLike) -> Thermal:
    """Return F (eV, zero-point energy included), S and C_V (eV/K) per cell, shape (m, n).

    frequencies_THz: shape (n, q, modes), n volumes. weights: shape (q,), need not sum to one. temperatures_K: (m,).
    Frequencies at or below zero have no part: judge before which of them may (the three at Γ).
    F = Σ [hν/2 + k_B T ln(1 − e^{−hν/k_B T})]: D. C. Wallace, Thermodynamics of Crystals (1972).
    Raises InputError for weights that are none.
    """
    nu, w = np.asarray(frequencies_THz, dtype=float), np.asarray(weights, dtype=float)
    t = np.atleast_1d(np.asarray(temperatures_K, dtype=float))
    if nu.ndim != 3 or w.shape != (nu.shape[1],) or w.min() < 0.0 or w.sum() <= 0.0:
        raise InputError(
            "frequencies must be of volumes × q-points × modes, with one weight a q-point, none below zero"
        )
    energy = np.maximum(nu, 0.0) * EV_PER_THZ
    w = w / w.sum()
    zero_point = 0.5 * energy.sum(2) @ w
    found = np.zeros((3, len(t), len(nu)))
    step = max(1, _AT_ONCE // max(nu.size, 1))
    for i in range(0, len(t), step):
        found[:, i : i + step] = _modes(energy, w, t[i : i + step])
    return Thermal(found[0] + zero_point, found[1], found[2])


def _modes(energy: Array, w: Array, t: Array) -> Array:
    """Return the thermal parts of F, S and C_V, shape (3, m, n)."""
    warm = t > 0.0
    beta = np.where(warm, 1.0 / (kB * np.where(warm, t, 1.0)), np.inf)[:, None, None, None]
    here = (energy > 0.0) & warm[:, None, None, None]
    with np.errstate(invalid="ignore"):
        x = np.where(here, beta * energy, np.inf)
    with np.errstate(over="ignore"):
        occupied = 1.0 / np.expm1(x)
        log = np.log1p(-np.exp(-x))
    excited = np.where(here & (occupied > 0.0), np.where(here, x, 0.0) * occupied, 0.0)
    capacity = np.where(here & (occupied > 0.0), excited * np.where(here, x, 0.0) * (1.0 + occupied), 0.0)
    parts = np.stack([log, excited - log, capacity]).sum(4) @ w
    parts[0] *= (kB * t)[:, None]
    parts[1:] *= kB
    return np.asarray(parts)
