"""Modes with imaginary frequencies: where they are, and which displacements they lead along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.phonons.harmonic import Array, Harmonic
from megabar.analysis.phonons.spectrum import ZERO_THZ, Spectrum


@dataclass(frozen=True, eq=False)
class ImaginaryMode:
    """A mode that lowers the energy.

    q: fractions of the primitive reciprocal vectors; frequency_THz: negative, of i|ν|. eigenvector: (atoms, 3) of the
    primitive cell. commensurate: whether the q is one of the supercell's own, where nothing is interpolated.
    """

    q: tuple[float, float, float]
    frequency_THz: float
    eigenvector: NDArray[np.complex128]
    commensurate: bool


def commensurate_points(crystal: Harmonic) -> Array:
    """Return the q (fractions of the primitive reciprocal vectors) that fit into the supercell."""
    from phonopy.harmonic.dynmat_to_fc import get_commensurate_points

    ratio = np.linalg.inv(crystal.primitive_matrix) @ crystal.supercell_matrix
    return np.array(get_commensurate_points(np.round(ratio).astype(int)))


def imaginary_modes(crystal: Harmonic, found: Spectrum, most: int = 12) -> list[ImaginaryMode]:
    """Return the imaginary modes at the supercell's own q and at the lowest q of a mesh, the lowest first.

    Of equal frequencies at one q all are given; of q that symmetry makes equal, one.
    """
    fitting = commensurate_points(crystal)
    low = found.q[found.frequencies_THz.min(axis=1) < -ZERO_THZ]
    lowest = low[np.argsort(found.frequencies_THz[found.frequencies_THz.min(axis=1) < -ZERO_THZ].min(axis=1))][:most]
    points = np.concatenate([fitting, lowest])
    modes = crystal.modes(points, eigenvectors=True)
    assert modes.eigenvectors is not None
    seen: dict[tuple[int, ...], int] = {}
    listed: list[ImaginaryMode] = []
    lowest_first = np.argsort(modes.frequencies_THz.min(axis=1), kind="stable")
    # The supercell's own q first: without dispersion, those of the mesh have the same frequencies.
    for place in sorted(lowest_first.tolist(), key=lambda number: number >= len(fitting)):
        values = modes.frequencies_THz[place]
        if values.min() >= -ZERO_THZ:
            continue
        signature = tuple(np.round(values / 1e-3).astype(int))
        if signature in seen:
            continue  # the same frequencies: a q of the same star
        seen[signature] = place
        x, y, z = (float(value) for value in points[place])
        for band in np.flatnonzero(values < -ZERO_THZ):
            vector = modes.eigenvectors[place][:, band].reshape(-1, 3)
            listed.append(ImaginaryMode((x, y, z), float(values[band]), vector, bool(place < len(fitting))))
    return sorted(listed, key=lambda each: (not each.commensurate, each.frequency_THz))[:most]
