"""How many electronic states lie below an energy, and their density, from bands on a grid of k: linear tetrahedra.

G. Lehmann & M. Taut, phys. stat. sol. (b) 54, 469 (1972), doi:10.1002/pssb.2220540211; the counts as in appendix A of
P. E. Blöchl, O. Jepsen & O. K. Andersen, Phys. Rev. B 49, 16223 (1994), doi:10.1103/PhysRevB.49.16223.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Whole = NDArray[np.int64]
_CHUNK = 2048
"""Tetrahedra that are counted at once: sorted by energy, few energies concern them."""


@dataclass(frozen=True, eq=False)
class BandsOnGrid:
    """Bands on a full, regular grid of k through Γ.

    energy_eV: of the irreducible k, shape (k, bands). place: which of them every point of the grid is, shape
    (n1, n2, n3), the grid running along the reciprocal vectors. reciprocal: these vectors (1/Å), rows, for the shape of
    the cells between the points. source: file.
    """

    energy_eV: Array
    place: Whole
    reciprocal: Array
    source: str

    @property
    def complete_to_eV(self) -> float:
        """The energy up to which no state is missing: the lowest of the highest band."""
        return float(self.energy_eV[:, -1].min())


def states_below(bands: BandsOnGrid, energies_eV: Array) -> Array:
    """Return the number of states per cell and spin below each energy (eV, ascending), shape of energies_eV."""
    corners, weight = _tetrahedra(bands)
    found = np.zeros(len(energies_eV))
    for band in bands.energy_eV.T:
        levels = np.sort(band[corners], axis=1)
        order = np.argsort(levels[:, 0])
        for first in range(0, len(order), _CHUNK):
            chunk = order[first : first + _CHUNK]
            low, high = levels[chunk, 0].min(), levels[chunk, 3].max()
            begin, end = np.searchsorted(energies_eV, [low, high])
            found[begin:end] += _filled(levels[chunk], energies_eV[begin:end]) @ weight[chunk]
            found[end:] += weight[chunk].sum()
    return found


def density_of_states(bands: BandsOnGrid, centres_eV: Array, width_eV: float) -> Array:
    """Return states/eV/spin/cell, the mean over a bin of a width (eV) about each centre; no state is lost between bins.

    centres_eV: ascending in steps of the width, shape (n,); the result has the same.
    """
    edges = np.append(centres_eV - width_eV / 2, centres_eV[-1] + width_eV / 2)
    return np.diff(states_below(bands, edges)) / width_eV


def fermi_energy(bands: BandsOnGrid, electrons: float) -> float:
    """Return the energy (eV) below which there is room for a number of electrons, two to a state."""
    low, high = float(bands.energy_eV.min()), float(bands.energy_eV.max())
    for _ in range(8):
        trial = np.linspace(low, high, 65)
        above = int(np.searchsorted(states_below(bands, trial), electrons / 2))
        low, high = trial[max(above - 1, 0)], trial[min(above, len(trial) - 1)]
    return (low + high) / 2


def _tetrahedra(bands: BandsOnGrid) -> tuple[Whole, Array]:
    """Return the irreducible k at the corners of each kind of tetrahedron, and its share of the Brillouin zone.

    Six to a cell of the grid, about its shortest diagonal. Those with the same irreducible corners are one kind.
    """
    shape = np.array(bands.place.shape)
    steps = bands.reciprocal / shape[:, None]
    signs = np.array([(1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1)])
    sign = signs[np.argmin(np.linalg.norm(signs @ steps, axis=1))]
    paths = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    found = []
    for path in paths:
        corner, corners = np.zeros(3, int), [np.zeros(3, int)]
        for axis in path:
            corner = corner + sign[axis] * np.eye(3, dtype=int)[axis]
            corners.append(corner)
        rolled = [np.roll(bands.place, tuple(-each), axis=(0, 1, 2)).ravel() for each in corners]
        found.append(np.sort(np.array(rolled).T, axis=1))
    kinds, count = np.unique(np.concatenate(found), axis=0, return_counts=True)
    return kinds.astype(np.int64), count / (6 * bands.place.size)


def _filled(levels: Array, energies: Array) -> Array:
    """Return the share of each tetrahedron that lies below each energy, shape (energies, tetrahedra).

    levels: at the corners, ascending, shape (tetrahedra, 4).
    """
    one, two, three, four = levels.T
    energy = energies[:, None]
    # Equal corners make a part of no extent: it is never the one that an energy falls into.
    wide = [np.where(each > 0, each, 1.0) for each in (two - one, three - one, four - one, three - two, four - two)]
    d21, d31, d41, d32, d42 = wide
    d43 = np.where(four > three, four - three, 1.0)
    low = (energy - one) ** 3 / (d21 * d31 * d41)
    x = energy - two
    middle = ((two - one) ** 2 + 3 * (two - one) * x + 3 * x**2 - (three - one + four - two) / (d32 * d42) * x**3) / (
        d31 * d41
    )
    high = 1 - (four - energy) ** 3 / (d41 * d42 * d43)
    share: Array = np.select(
        [energy <= one, energy < two, energy < three, energy < four], [np.zeros_like(low), low, middle, high], 1.0
    )
    return share
