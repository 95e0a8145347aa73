"""How far frequencies depend on the size of the supercell: what its outermost force constants carry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from megabar.analysis.phonons.harmonic import Array, Harmonic, phonopy_of
from megabar.analysis.phonons.supercells import shortest_vector

SHARE = 2 / 3
"""A supercell of two thirds of the size is taken for the next smaller one."""
NEIGHBOURS = 1.15
"""Nearest neighbours, and what is about as near, are never cut."""


def cut(crystal: Harmonic, radius_A: float) -> Harmonic:
    """Return the force constants without those of atoms further apart than a radius (Å), the sum rule kept.

    What dipoles do to each other stays at all distances, as it would be added in any supercell.
    """
    work = phonopy_of(crystal.cell, crystal.supercell_matrix, crystal.primitive_matrix)
    dipoles = _dipoles(crystal)
    work.force_constants = crystal.force_constants - dipoles
    work.set_force_constants_zero_with_radius(radius_A)
    work.symmetrize_force_constants(show_drift=False)
    return replace(crystal, force_constants=np.array(work.force_constants) + dipoles)


def _dipoles(crystal: Harmonic) -> Array:
    """Return the force constants (eV/Å²) between the dipoles of a polar crystal, zeros where there are none."""
    matrix = crystal.phonopy.dynamical_matrix if crystal.polar is not None else None
    if matrix is None or crystal.polar is None or crystal.polar.method != "gonze":
        return np.zeros_like(crystal.force_constants)
    if matrix.short_range_force_constants is None:
        matrix.make_Gonze_nac_dataset()
    return np.asarray(crystal.force_constants - matrix.short_range_force_constants)


def smaller(crystal: Harmonic) -> Harmonic:
    """Return what about a supercell of two thirds of the size would have given: force constants cut at half of that."""
    length = shortest_vector(crystal.supercell_matrix.T @ crystal.cell.cell.array)
    return cut(crystal, max(SHARE * length / 2, NEIGHBOURS * _farthest_nearest(crystal)))


def _farthest_nearest(crystal: Harmonic) -> float:
    """Return the distance (Å) within which each atom has a neighbour."""
    distances = crystal.cell.repeat(2).get_all_distances(mic=True)
    np.fill_diagonal(distances, np.inf)
    return float(distances.min(axis=1).max())
