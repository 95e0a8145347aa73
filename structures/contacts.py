"""How close atoms come, by pair of elements: what decides whether core spheres overlap."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

Pair = tuple[str, str]


CLOSEST = 0.45
"""Atoms closer than this part of the sum of their covalent radii overlap.

Atomic hydrogen at 500 GPa keeps 1.6 times the sum, MgO at 500 GPa 0.9, sodium at 1 TPa about 0.55.
"""


@dataclass(frozen=True)
class Overlap:
    """Two spheres that overlap.

    pair: elements, sorted.
    distance_A: shortest distance of the pair in the cell (Å).
    allowed_A: sum of the two radii (Å), larger than the distance.
    """

    pair: Pair
    distance_A: float
    allowed_A: float


def shortest_distances(atoms: Atoms) -> dict[Pair, float]:
    """Return the shortest distance (Å) of each pair of elements, sorted, in the periodic crystal.

    An atom's own images count, so every element has a distance to itself. All three directions are taken as
    periodic. In a Minkowski-reduced cell the nearest image of a wrapped vector, and the shortest lattice
    vector, have coefficients from -1 to 1 (Nguyen & Stehlé, ACM Trans. Algorithms 5, 46 (2009)).
    """
    reduced, _ = minkowski_reduce(atoms.cell[:])
    fractional = atoms.positions @ np.linalg.inv(reduced)
    images = np.array(list(itertools.product((-1, 0, 1), repeat=3)), dtype=float)
    symbols = np.array(atoms.get_chemical_symbols())
    elements = sorted(set(symbols))
    result = {}
    for first, second in itertools.combinations_with_replacement(elements, 2):
        sets = fractional[symbols == first], fractional[symbols == second]
        result[(str(first), str(second))] = _shortest(*sets, first == second, images, reduced)
    return result


def _shortest(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    same: bool,
    images: NDArray[np.float64],
    cell: NDArray[np.float64],
) -> float:
    """Return the shortest distance between two sets of fractional positions; of one set with itself where ``same``."""
    shortest = np.inf
    zero = int(np.flatnonzero(np.all(images == 0, axis=1))[0])
    for index, position in enumerate(first):
        vectors = second - position
        vectors -= np.round(vectors)
        lengths = np.linalg.norm((vectors[:, None, :] + images) @ cell, axis=2)
        if same:
            lengths[index, zero] = np.inf
        shortest = min(shortest, float(lengths.min()))
    return shortest


def too_close(atoms: Atoms) -> str:
    """Return in words which atoms are closer than matter allows, nothing where none are."""
    for (first, second), distance in shortest_distances(atoms).items():
        least = CLOSEST * (covalent_radii[atomic_numbers[first]] + covalent_radii[atomic_numbers[second]])
        if distance < least:
            return (
                f"{first} and {second} atoms overlap, {distance:.2f} Å apart (at least {least:.2f} Å would be possible)"
            )
    return ""


def overlaps(atoms: Atoms, radii_A: Mapping[str, float]) -> list[Overlap]:
    """Return the pairs of elements whose spheres of the given radii (Å) overlap, deepest overlap first.

    Raises KeyError where an element of the cell has no radius.
    """
    found = [
        Overlap(pair, distance, radii_A[pair[0]] + radii_A[pair[1]])
        for pair, distance in shortest_distances(atoms).items()
    ]
    return sorted(
        (each for each in found if each.distance_A < each.allowed_A), key=lambda each: each.distance_A - each.allowed_A
    )
