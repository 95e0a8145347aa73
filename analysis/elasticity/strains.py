"""The strains that determine the elastic constants of a crystal, and its cells so strained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike

from megabar.analysis.elasticity.crystal import Crystal
from megabar.analysis.elasticity.tensors import BASIS, Array, kelvin, rotation

SAME = 1e-3
"""Unit strains that differ by less are the same one: what the noise of a cell leaves of its symmetry."""
LEAST_SINGULAR = 0.1
"""Patterns determine the constants where all directions of these change the stress by at least this part."""
AMPLITUDE = 0.01
NAMES = ("xx", "yy", "zz", "yz", "xz", "xy")


@dataclass(frozen=True, eq=False)
class Pattern:
    """A unit strain, of one component in the crystal's axes.

    name: its component, in those axes. unit: symmetric tensor in the cell's axes, the sum of its squares is 1.
    kept: how many of the crystal's point operations leave it as it is. both: whether it is to be applied with either
    sign; where an operation turns it into its opposite one is enough.
    """

    name: str
    unit: Array
    kept: int
    both: bool

    @property
    def signs(self) -> tuple[int, ...]:
        """The signs with which it is applied."""
        return (1, -1) if self.both else (1,)


@dataclass(frozen=True)
class Strain:
    """A strain of a cell. pattern: its component in the crystal's axes; amplitude: signed; tensor: in the cell's axes.

    The amplitude is the root of the sum of the squares: a strain xx of 0.01 is an elongation by 1 %, a strain yz of
    0.01 an angle that changes by √2 × 0.01.
    """

    pattern: str
    amplitude: float
    tensor: tuple[tuple[float, float, float], ...]


def patterns(crystal: Crystal) -> tuple[Pattern, ...]:
    """Return the strains that determine all constants with the fewest cells, of equally many the most symmetric ones.

    Components of the strain in the crystal's own axes belong to irreducible representations of its group or nearly so:
    mixing them saves no cell, as every sign has to be applied then, and leaves less symmetry.
    """
    all_of_them = [_pattern(crystal, place) for place in range(6)]
    best: tuple[tuple[int, float], tuple[Pattern, ...]] | None = None
    for count in range(1, 7):
        for chosen in combinations(all_of_them, count):
            cost = (sum(len(each.signs) for each in chosen), sum(len(each.signs) / each.kept for each in chosen))
            if (best is None or cost < best[0]) and _determine(crystal, [each.unit for each in chosen]):
                best = (cost, chosen)
    if best is None:
        raise RuntimeError(f"no strains determine the elastic constants of the class {crystal.laue}")
    return best[1]


def strains_of(crystal: Crystal, amplitudes: Sequence[float] = (AMPLITUDE,)) -> tuple[Strain, ...]:
    """Return the strains of a crystal with some amplitudes; with more amplitudes they begin with the same ones."""
    found = patterns(crystal)
    return tuple(
        Strain(each.name, sign * amplitude, _rows(sign * amplitude * each.unit))
        for amplitude in amplitudes
        for each in found
        for sign in each.signs
    )


def strained(atoms: Atoms, strain: ArrayLike) -> Atoms:
    """Return a cell deformed by 1 + ε, fractional coordinates kept."""
    found = atoms.copy()
    found.set_cell(atoms.cell[:] @ (np.eye(3) + np.asarray(strain, float)), scale_atoms=True)
    return found


def reversing(crystal: Crystal, unit: ArrayLike) -> Array | None:
    """Return a point operation that turns a unit strain into its opposite, None where there is none."""
    vector = kelvin(unit)
    for each in crystal.operations:
        if np.abs(rotation(each) @ vector + vector).max() < SAME:
            return np.asarray(each)
    return None


def determined(crystal: Crystal, units: Sequence[ArrayLike]) -> int:
    """Return how many independent constants the stresses at some unit strains determine."""
    rows = np.concatenate([np.einsum("aij,j->ia", crystal.basis, kelvin(each)) for each in units])
    scale = np.linalg.norm(crystal.basis, axis=(1, 2))
    return int((np.linalg.svd(rows / scale, compute_uv=False) > LEAST_SINGULAR).sum())


def _determine(crystal: Crystal, units: Sequence[Array]) -> bool:
    return determined(crystal, units) == len(crystal.names)


def _pattern(crystal: Crystal, place: int) -> Pattern:
    unit = crystal.frame.T @ BASIS[place] @ crystal.frame
    vector = kelvin(unit)
    kept = sum(bool(np.abs(rotation(each) @ vector - vector).max() < SAME) for each in crystal.operations)
    return Pattern(NAMES[place], unit, kept, reversing(crystal, unit) is None)


def _rows(matrix: Array) -> tuple[tuple[float, float, float], ...]:
    x, y, z = (tuple(float(value) for value in row) for row in matrix)
    return ((x[0], x[1], x[2]), (y[0], y[1], y[2]), (z[0], z[1], z[2]))
