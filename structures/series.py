"""The structure of a phase against volume, interpolated between relaxed cells, and what its cell looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from megabar.structures.errors import InputError
from megabar.structures.symmetry import conventional

Array = NDArray[np.float64]
SAME_LN_VOLUME = 1e-6
"""Distance in ln V within which a cell is the computed one itself."""


@dataclass(frozen=True, eq=False)
class StructureSeries:
    """Relaxed cells of one phase, with their atoms in the same order, from the largest volume to the smallest.

    Shape (the cell over V^⅓) and fractional coordinates are interpolated componentwise in ln V by a cubic spline
    (not-a-knot; a parabola or a straight line with three or two cells): a linear rule, which keeps every linear
    relation that symmetry puts on them. With one cell it is scaled.
    """

    cells: tuple[Atoms, ...]

    @classmethod
    def of(cls, cells: Sequence[Atoms]) -> StructureSeries:
        """Return the series of cells in any order; raises InputError for none, or where the atoms differ."""
        if not cells:
            raise InputError("a series of structures needs at least one relaxed cell")
        if any(list(each.symbols) != list(cells[0].symbols) for each in cells):
            raise InputError("the cells of a series must have the same atoms in the same order")
        return cls(tuple(sorted(cells, key=lambda atoms: -volume_per_atom(atoms))))

    def nearest(self, volume_A3: float) -> Atoms | None:
        """Return the computed cell of a volume (Å³/atom), None where that volume was not computed."""
        near = min(self.cells, key=lambda atoms: abs(np.log(volume_per_atom(atoms) / volume_A3)))
        return near.copy() if abs(np.log(volume_per_atom(near) / volume_A3)) <= SAME_LN_VOLUME else None

    def at(self, volume_A3: float) -> Atoms:
        """Return the cell at a volume (Å³/atom) between those computed, or a little beyond."""
        first = self.cells[0]
        x = np.array([np.log(volume_per_atom(atoms)) for atoms in self.cells])
        shapes = np.array([atoms.cell.array / volume_per_atom(atoms) ** (1 / 3) for atoms in self.cells])
        shape = _interpolated(x, shapes, float(np.log(volume_A3)))
        place = _interpolated(x, _unwrapped(self.cells), float(np.log(volume_A3)))
        cell = shape * (volume_A3 * len(first) / abs(np.linalg.det(shape))) ** (1 / 3)
        return Atoms(first.symbols, cell=cell, scaled_positions=place, pbc=True)


def volume_per_atom(atoms: Atoms) -> float:
    """Return the volume of a cell (Å³/atom)."""
    return float(atoms.get_volume()) / len(atoms)


def _unwrapped(cells: Sequence[Atoms]) -> Array:
    """Return fractional coordinates, shape (n, atoms, 3), without jumps by whole cells from one to the next."""
    found = [cells[0].get_scaled_positions(wrap=False)]
    for atoms in cells[1:]:
        place = atoms.get_scaled_positions(wrap=False)
        found.append(place - np.round(place - found[-1]))
    return np.array(found)


def _interpolated(x: Array, values: Array, at: float) -> Array:
    """Return values, shape (n, …), interpolated at one x; the nearest where there is one only."""
    if len(x) == 1:
        return np.array(values[0], float)
    from scipy.interpolate import make_interp_spline

    order = np.argsort(x)
    degree = {2: 1, 3: 2}.get(len(x), 3)
    spline = make_interp_spline(x[order], values[order], k=degree)
    return np.array(spline(at), float)


@dataclass(frozen=True)
class CellParameters:
    """The conventional cell of a structure: lengths (Å), angles (degrees), and where its independent atoms lie.

    sites: symbol and fractional coordinates of one atom of each set of equivalent ones.
    """

    a_A: float
    b_A: float
    c_A: float
    alpha_deg: float
    beta_deg: float
    gamma_deg: float
    sites: tuple[tuple[str, float, float, float], ...]

    @property
    def c_over_a(self) -> float:
        """Ratio of the lengths c and a."""
        return self.c_A / self.a_A


@dataclass(frozen=True)
class CellSeries:
    """The conventional cell of a phase against pressure (GPa), and the same where it was computed."""

    phase: str
    formula: str
    pressures_GPa: tuple[float, ...]
    parameters: tuple[CellParameters, ...]
    computed_GPa: tuple[float, ...]
    computed: tuple[CellParameters, ...]


def cell_parameters(atoms: Atoms, like: CellParameters | None = None) -> CellParameters:
    """Return the parameters of a structure's conventional cell.

    like: those at a neighbouring volume: of equivalent atoms that one is taken which lies nearest to its there, so that
    coordinates change steadily. Raises InputError where no symmetry can be determined.
    """
    found, groups = conventional(atoms)
    places = found.get_scaled_positions()
    sites: list[tuple[str, float, float, float]] = []
    for number, group in enumerate(groups):
        symbol = found.symbols[group[0]]
        chosen = places[group[0]]
        if like is not None and number < len(like.sites):
            before = np.array(like.sites[number][1:])
            steps = places[group] - before
            steps -= np.round(steps)
            nearest = int(np.argmin((steps**2).sum(axis=1)))
            chosen = before + steps[nearest]
        x, y, z = (float(value) for value in chosen)
        sites.append((str(symbol), x, y, z))
    a, b, c, alpha, beta, gamma = (float(value) for value in found.cell.cellpar())
    return CellParameters(a, b, c, alpha, beta, gamma, tuple(sites))
