"""Electrons at temperature: free energy, entropy and heat capacity from a density of states that stays as it is.

With N(E) = ∫D and M(E) = ∫N, and w(x) = 1/(4 cosh²(x/2)) = −∂f/∂x, the grand potential is
Ω = −∫M(μ + kTx) w dx, S = k ∫x N(μ + kTx) w dx, and N(μ,T) = ∫N(μ + kTx) w dx holds the number of electrons: smooth
integrals at any temperature, however fine or coarse the energies are. F = Ω + μN.
N. D. Mermin, Phys. Rev. 137, A1441 (1965), doi:10.1103/PhysRev.137.A1441.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ase.units import kB
from numpy.typing import ArrayLike, NDArray

from megabar.structures.errors import InputError

Array = NDArray[np.float64]
_REACH = 40.0
_X = np.linspace(-_REACH, _REACH, 321)
_W = (_X[1] - _X[0]) / (4.0 * np.cosh(0.5 * _X) ** 2)
_NEEDED = 15.0
"""kT that the energies must reach beyond μ: what is left of the Fermi function there is 3e-7."""
_STEPS = 90


@dataclass(frozen=True, eq=False)
class ElectronsAtTemperature:
    """Of a cell, shape (m,) each: F(T) − F(0) (eV), S and C_V (eV/K), the chemical potential (eV)."""

    free_energy_eV: Array
    entropy_eV_per_K: Array
    heat_capacity_eV_per_K: Array
    chemical_potential_eV: Array


def electrons_at(
    energies_eV: ArrayLike, states_per_eV: ArrayLike, electrons: float, temperatures_K: ArrayLike
) -> ElectronsAtTemperature:
    """Return what temperature does to the electrons of a cell, the chemical potential solved for at each temperature.

    energies_eV: shape (n,), ascending; states_per_eV: density of states of the cell, both spins, linear between the
    energies and zero outside. electrons: how many fill it from its lowest energy up. temperatures_K: shape (m,).
    Raises InputError for energies that do not ascend, densities below zero, more electrons than states, or where the
    energies end too near to the chemical potential for the temperature.
    """
    e, d = np.asarray(energies_eV, dtype=float), np.asarray(states_per_eV, dtype=float)
    t = np.atleast_1d(np.asarray(temperatures_K, dtype=float))
    _check(e, d, t, electrons)
    bands = _Bands.of(e, d)
    ground = bands.level(electrons)
    at_zero = ground * electrons - float(bands.moments(np.array([ground]))[2][0])
    warm = t > 0.0
    scale = kB * np.where(warm, t, 1.0)
    mu = np.where(warm, bands.chemical_potentials(electrons, scale), ground)
    reach = _NEEDED * kB * t
    beyond = np.flatnonzero((mu + reach > e[-1]) | (mu - reach < e[0]) & (d[0] > 0.0))
    if beyond.size:
        raise InputError(
            f"the density of states from {e[0]:g} to {e[-1]:g} eV ends too near to the chemical potential, "
            f"{mu[beyond[0]]:.3f} eV, for {t[beyond[0]]:g} K: {reach[beyond[0]]:.2f} eV are needed on both sides"
        )
    states, number, integral = bands.moments(mu[:, None] + scale[:, None] * _X)
    free = np.where(warm, mu * electrons - integral @ _W - at_zero, 0.0)
    by_mu, by_t = states @ _W, kB * (states * _X) @ _W
    by_t_t = kB**2 * (states * _X**2) @ _W
    # At constant N the chemical potential moves by −(∂N/∂T)/(∂N/∂μ); in a gap both vanish.
    moved = np.where(by_mu > 1e-300, by_t**2 / np.where(by_mu > 1e-300, by_mu, 1.0), 0.0)
    return ElectronsAtTemperature(
        free, np.where(warm, kB * (number * _X) @ _W, 0.0), np.where(warm, t * (by_t_t - moved), 0.0), mu
    )


@dataclass(frozen=True, eq=False)
class _Bands:
    """Densities linear between energies, with N and M at the energies."""

    e: Array
    d: Array
    slope: Array
    number: Array
    integral: Array

    @staticmethod
    def of(e: Array, d: Array) -> _Bands:
        h = np.diff(e)
        slope = np.append(np.diff(d) / h, 0.0)
        number = np.concatenate([[0.0], np.cumsum(0.5 * h * (d[:-1] + d[1:]))])
        steps = h * number[:-1] + h**2 * (d[:-1] / 3.0 + d[1:] / 6.0)
        return _Bands(e, d, slope, number, np.concatenate([[0.0], np.cumsum(steps)]))

    def moments(self, at: Array) -> tuple[Array, Array, Array]:
        """D, N and M at energies."""
        i = np.clip(np.searchsorted(self.e, at, side="right") - 1, 0, len(self.e) - 1)
        inside = at >= self.e[0]
        t = np.where(inside, at - self.e[i], 0.0)
        above = i == len(self.e) - 1
        d = np.where(above, 0.0, self.d[i])
        states = np.where(inside, d + self.slope[i] * t, 0.0)
        number = np.where(inside, self.number[i] + d * t + 0.5 * self.slope[i] * t**2, 0.0)
        integral = self.integral[i] + self.number[i] * t + 0.5 * d * t**2 + self.slope[i] * t**3 / 6.0
        return states, number, np.where(inside, integral, 0.0)

    def level(self, electrons: float) -> float:
        """Energy up to which the states are filled at 0 K; the middle of a gap."""
        ends = []
        for side in (-1.0, 1.0):
            target = np.array([electrons + side * 1e-9 * max(electrons, 1.0)])
            ends.append(float(_solve(lambda mu: self.moments(mu)[:2], target, self.e[0], self.e[-1])[0]))
        return 0.5 * (ends[0] + ends[1])

    def chemical_potentials(self, electrons: float, scale: Array) -> Array:
        """Solve N(μ,T) = N at each kT (eV)."""

        def number(mu: Array) -> tuple[Array, Array]:
            states, filled, _ = self.moments(mu[:, None] + scale[:, None] * _X)
            return states @ _W, filled @ _W

        return _solve(number, np.full(scale.shape, electrons), self.e[0], self.e[-1])


def _solve(function: Callable[[Array], tuple[Array, Array]], target: Array, low: float, high: float) -> Array:
    """Newton where it stays between what is known to be too low and too high, else the middle of the two.

    function: slope and value of something that rises.
    """
    lower, upper = np.full(target.shape, low), np.full(target.shape, high)
    at = 0.5 * (lower + upper)
    for _ in range(_STEPS):
        slope, value = function(at)
        miss = target - value
        lower, upper = np.where(miss > 0.0, at, lower), np.where(miss > 0.0, upper, at)
        newton = at + miss / np.maximum(slope, 1e-300)
        inside = (newton > lower) & (newton < upper)
        hit = np.abs(miss) < 1e-13 * target
        following = np.where(hit, at, np.where(inside, newton, 0.5 * (lower + upper)))
        done = hit | (np.abs(following - at) < 1e-13 * (high - low))
        at = following
        if done.all():
            break
    return np.asarray(at)


def _check(e: Array, d: Array, t: Array, electrons: float) -> None:
    if e.ndim != 1 or e.shape != d.shape or len(e) < 2 or not (np.isfinite(e).all() and np.isfinite(d).all()):
        raise InputError("a density of states needs finite energies and densities in two lists of equal length")
    if (np.diff(e) <= 0.0).any() or d.min() < 0.0:
        raise InputError("the energies of a density of states must ascend, and no density may be below zero")
    if not np.isfinite(t).all() or t.min() < 0.0:
        raise InputError("temperatures must not be below 0 K")
    capacity = float((0.5 * np.diff(e) * (d[:-1] + d[1:])).sum())
    if not 0.0 < electrons < capacity:
        raise InputError(f"the density of states holds {capacity:.4f} electrons, not the {electrons:g} that are given")
