"""Frequencies on a mesh of q-points, and the thermodynamics of the modes there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from megabar.analysis.phonons.harmonic import Array, Harmonic
from megabar.analysis.thermo.harmonic import EV_PER_THZ, harmonic

THZ = EV_PER_THZ
"""hν (eV) of one THz."""
LENGTH_A = 60.0
"""Mesh: as many points along an axis as cells have this length together."""
ZERO_THZ = 0.02
"""Below this a mode is a translation: what the sum rule leaves of zero."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Frequencies on a mesh of q. q: fractions; weights: of the q, their sum is 1; frequencies_THz: (q, modes).

    atoms: of the primitive cell. imaginary: share of the modes that are imaginary, which carry no thermodynamics here.
    participation: share of each atom in each mode, (q, atoms, modes), where it was asked for. points: of the mesh.
    """

    q: Array
    weights: Array
    frequencies_THz: Array
    atoms: int
    participation: Array | None = None
    points: tuple[int, int, int] = (0, 0, 0)

    @property
    def imaginary(self) -> float:
        """The share of the modes with an imaginary frequency, translations not counted."""
        return float((self.weights[:, None] * (self.frequencies_THz < -ZERO_THZ)).sum() / (3 * self.atoms))

    @property
    def lowest_THz(self) -> float:
        """The lowest frequency on the mesh (THz), negative where it is imaginary."""
        return float(self.frequencies_THz.min())

    @property
    def zero_point_eV_per_atom(self) -> float:
        """Zero-point energy ½ Σ hν (eV/atom)."""
        modes = np.where(self.frequencies_THz > ZERO_THZ, self.frequencies_THz, 0.0)
        return float(0.5 * THZ * (self.weights[:, None] * modes).sum() / self.atoms)

    def thermal(self, temperatures_K: ArrayLike) -> Thermal:
        """Return the harmonic thermodynamics at some temperatures (K, 0 allowed)."""
        return thermal(self.frequencies_THz, self.weights, self.atoms, temperatures_K)


@dataclass(frozen=True, eq=False)
class Thermal:
    """Harmonic thermodynamics an atom at temperatures (K): free energy with its zero-point part, entropy, C_V."""

    temperatures_K: Array
    free_energy_eV: Array
    entropy_eV_K: Array
    heat_capacity_eV_K: Array


def spectrum(
    crystal: Harmonic, length_A: float | tuple[int, int, int] = LENGTH_A, participation: bool = False
) -> Spectrum:
    """Return the frequencies on a Γ-centred mesh; length_A: the longer, the denser it is (phonopy's measure).

    A mesh may be given by its numbers of points instead. participation: with the share of the atoms in the modes.
    """
    found = crystal.phonopy.run_mesh(length_A, is_gamma_center=True, with_eigenvectors=participation)
    weights, atoms = np.array(found.weights, float), len(crystal.primitive)
    shares = None
    if participation:
        squares = np.abs(np.array(found.eigenvectors)) ** 2  # (q, 3 × atoms, modes)
        shares = squares.reshape(len(squares), atoms, 3, 3 * atoms).sum(axis=2)
    a, b, c = (int(number) for number in found.mesh_numbers)
    return Spectrum(
        np.array(found.qpoints), weights / weights.sum(), np.array(found.frequencies), atoms, shares, (a, b, c)
    )


def thermal(frequencies_THz: Array, weights: Array, atoms: int, temperatures_K: ArrayLike) -> Thermal:
    """Return the thermodynamics of harmonic modes an atom.

    frequencies_THz: (q, modes) of a cell of ``atoms``; weights: of the q, shape (q,). Modes below ZERO_THZ carry none.
    """
    temperatures = np.atleast_1d(np.asarray(temperatures_K, float))
    real = np.where(frequencies_THz > ZERO_THZ, frequencies_THz, 0.0)
    cell = harmonic(real[None], weights, temperatures)
    return Thermal(
        temperatures,
        cell.free_energy_eV[:, 0] / atoms,
        cell.entropy_eV_per_K[:, 0] / atoms,
        cell.heat_capacity_eV_per_K[:, 0] / atoms,
    )
