"""Sound in a crystal under pressure: velocities by direction, their means, the Debye temperature."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
from ase import Atoms
from ase.units import _amu, _hbar, _k
from numpy.typing import ArrayLike

from megabar.analysis.elasticity.tensors import Array, fourth_rank

POLAR, AZIMUTHAL = 32, 64


def density_g_cm3(atoms: Atoms) -> float:
    """Return the density of a cell (g/cm³), of its atoms' masses."""
    return float(atoms.get_masses().sum() * _amu * 1e3 / (atoms.get_volume() * 1e-24))


def velocities(stress_strain: ArrayLike, density: float, directions: ArrayLike) -> Array:
    """Return the velocities (km/s) of the three waves along some directions, shape (n, 3): S2, S1 and P, ascending.

    stress_strain: B (Kelvin, GPa); density in g/cm³; directions in the same axes, of any length. ρ v² are the
    eigenvalues of B_ijkl n_j n_l: Christoffel's equation holds with the stress-strain coefficients of a crystal under
    hydrostatic pressure, as C_ijkl n_j n_l − P δ_ik is the same (Wallace, Thermodynamics of Crystals (1972), sec. 3).
    Where ρ v² is negative the crystal gives way to the wave: the velocity is given as negative.
    """
    waves = np.atleast_2d(np.asarray(directions, float))
    waves = waves / np.linalg.norm(waves, axis=1)[:, None]
    christoffel = np.einsum("ijkl,nj,nl->nik", fourth_rank(stress_strain), waves, waves)
    found = np.linalg.eigvalsh((christoffel + christoffel.transpose(0, 2, 1)) / 2) / density
    return np.asarray(np.sign(found) * np.sqrt(np.abs(found)))  # √(GPa cm³/g) = km/s


@dataclass(frozen=True, eq=False)
class Sound:
    """Velocities (km/s) over all directions.

    mean, lowest, highest: of S2, S1 and P, over some 2,000 directions. debye: (⅓ ⟨Σ v⁻³⟩)^(−⅓), what low temperatures
    see; None where a wave has no velocity. debye_K: the Debye temperature that it makes.
    """

    mean_km_s: tuple[float, float, float]
    lowest_km_s: tuple[float, float, float]
    highest_km_s: tuple[float, float, float]
    debye_km_s: float | None
    debye_K: float | None


def sound(stress_strain: ArrayLike, density: float, volume_A3_per_atom: float) -> Sound:
    """Return the velocities of a crystal over all directions (Gauss's points in the cosine of the polar angle)."""
    directions, weights = sphere()
    found = velocities(stress_strain, density, directions)
    debye = None if (found <= 0).any() else float((weights @ (found**-3.0).mean(axis=1)) ** (-1 / 3))
    return Sound(
        mean_km_s=_three(weights @ found),
        lowest_km_s=_three(found.min(axis=0)),
        highest_km_s=_three(found.max(axis=0)),
        debye_km_s=debye,
        debye_K=None if debye is None else debye_temperature(debye, volume_A3_per_atom),
    )


def debye_temperature(velocity_km_s: float, volume_A3_per_atom: float) -> float:
    """Return ħ/k_B (6π² N/V)^⅓ v (K): Anderson, J. Phys. Chem. Solids 24, 909 (1963)."""
    return float(_hbar / _k * (6 * pi**2 / (volume_A3_per_atom * 1e-30)) ** (1 / 3) * velocity_km_s * 1e3)


def polycrystal(bulk_GPa: float, shear_GPa: float, density: float) -> tuple[float, float, float]:
    """Return the velocities (km/s) P, S and bulk sound √(K/ρ) of an isotropic solid; density in g/cm³."""
    p, s, b = np.sqrt(np.array([bulk_GPa + 4 / 3 * shear_GPa, shear_GPa, bulk_GPa]) / density)
    return float(p), float(s), float(b)


def sphere(polar: int = POLAR, azimuthal: int = AZIMUTHAL) -> tuple[Array, Array]:
    """Return directions over a hemisphere, which the other one repeats, and their weights, of sum 1."""
    cosine, weight = np.polynomial.legendre.leggauss(2 * polar)
    cosine, weight = cosine[polar:], weight[polar:]
    angle = 2 * pi * (np.arange(azimuthal) + 0.5) / azimuthal
    sine = np.sqrt(1 - cosine**2)
    x, y = np.outer(sine, np.cos(angle)), np.outer(sine, np.sin(angle))
    z = np.broadcast_to(cosine[:, None], x.shape)
    return np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1), np.repeat(weight / azimuthal, azimuthal)


def _three(values: Array) -> tuple[float, float, float]:
    low, middle, high = (float(value) for value in values)
    return low, middle, high
