"""How many k-points symmetry leaves to compute."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from ase.data import atomic_numbers

from megabar.workflows.structure import Structure


def irreducible_kpoints(structure: Structure, grid: Sequence[int]) -> int:
    """Return how many k-points of a Γ-centred grid symmetry leaves to compute."""
    return _irreducible_kpoints(_shape(structure), structure.positions, structure.symbols, tuple(grid))


def _shape(structure: Structure) -> tuple[tuple[float, ...], ...]:
    """Return the cell scaled to a volume of 1 an atom, which the rungs of a ladder have in common."""
    length = structure.volume_per_atom ** (1 / 3)
    return tuple(tuple(round(value / length, 6) for value in row) for row in structure.cell)


@lru_cache(maxsize=4096)
def _irreducible_kpoints(
    shape: tuple[tuple[float, ...], ...],
    positions: tuple[tuple[float, ...], ...],
    symbols: tuple[str, ...],
    grid: tuple[int, ...],
) -> int:
    """Return the same for a cell of a volume of 1 an atom: the rungs of a ladder have all of this in common."""
    import spglib

    cell = (shape, positions, [atomic_numbers[symbol] for symbol in symbols])
    mapping, _ = spglib.get_ir_reciprocal_mesh(list(grid), cell, is_shift=[0, 0, 0])
    return len(np.unique(mapping))


def response_kpoints(structure: Structure, grid: Sequence[int], q_grid: Sequence[int]) -> tuple[int, ...]:
    """Return for every irreducible q of a grid how many k-points the response takes, those at k + q counted.

    Only the operations that leave q as it is reduce the k-grid: of an 8×8×8 grid of an fcc crystal Γ takes 29, a q of
    no symmetry 576, as ph.x says too.
    """
    return _response_kpoints(_shape(structure), structure.positions, structure.symbols, tuple(grid), tuple(q_grid))


@lru_cache(maxsize=256)
def _response_kpoints(
    shape: tuple[tuple[float, ...], ...],
    positions: tuple[tuple[float, ...], ...],
    symbols: tuple[str, ...],
    grid: tuple[int, ...],
    q_grid: tuple[int, ...],
) -> tuple[int, ...]:
    import spglib

    cell = (shape, positions, [atomic_numbers[symbol] for symbol in symbols])
    mapping, addresses = spglib.get_ir_reciprocal_mesh(list(q_grid), cell, is_shift=[0, 0, 0])
    rotations = np.unique(spglib.get_symmetry(cell)["rotations"], axis=0)
    found = []
    for index in np.unique(mapping):
        q = addresses[index] / np.array(q_grid)
        # Without time reversal, which would take k to −k whether or not it takes q to −q.
        left, _ = spglib.get_stabilized_reciprocal_mesh(
            list(grid), rotations, is_shift=[0, 0, 0], is_time_reversal=not q.any(), qpoints=[q]
        )
        found.append(len(np.unique(left)) * (2 if q.any() else 1))
    return tuple(found)
