"""Shortest distances by pair of elements."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

from megabar.structures.contacts import Overlap, overlaps, shortest_distances
from megabar.structures.library import library


def test_one_atom_sees_its_own_images() -> None:
    assert shortest_distances(bulk("Na", "bcc", a=4.0)) == {("Na", "Na"): pytest.approx(4 * np.sqrt(3) / 2)}
    assert shortest_distances(bulk("Al", "fcc", a=4.0)) == {("Al", "Al"): pytest.approx(4 / np.sqrt(2))}


def test_all_pairs_of_na2he() -> None:
    a = 3.95
    assert shortest_distances(library()["Na2He"].atoms) == {
        ("He", "He"): pytest.approx(a / np.sqrt(2)),
        ("He", "Na"): pytest.approx(a * np.sqrt(3) / 4),
        ("Na", "Na"): pytest.approx(a / 2),
    }


@pytest.mark.parametrize("seed", range(12))
def test_agrees_with_ase_for_small_and_skewed_cells(seed: int) -> None:
    random = np.random.default_rng(seed)
    cell = np.diag(random.uniform(1.0, 4.0, 3)) + random.uniform(-3, 3) * np.array([[0, 0, 0], [1, 0, 0], [1, -1, 0]])
    size = int(random.integers(1, 6))
    atoms = Atoms(
        random.choice(["H", "S", "Na"], size), cell=cell, scaled_positions=random.uniform(-2, 2, (size, 3)), pbc=True
    )
    first, second, distance = neighbor_list("ijd", atoms, 6.0)
    symbols = atoms.get_chemical_symbols()
    expected: dict[tuple[str, str], float] = {}
    for i, j, d in zip(first, second, distance, strict=True):
        low, high = sorted((symbols[i], symbols[j]))
        expected[(low, high)] = min(d, expected.get((low, high), np.inf))
    assert shortest_distances(atoms) == pytest.approx(expected, abs=1e-9)
    assert set(expected) == set(itertools.combinations_with_replacement(sorted(set(symbols)), 2))


def test_two_atoms_in_one_place_are_at_zero_distance() -> None:
    atoms = Atoms("H2", positions=[[0, 0, 0], [2, 2, 2]], cell=[2, 2, 2], pbc=True)
    assert shortest_distances(atoms) == {("H", "H"): pytest.approx(0, abs=1e-12)}


def test_overlaps_name_the_pair_with_the_deepest_first() -> None:
    atoms = library()["Na2He"].atoms
    found = overlaps(atoms, {"Na": 1.2, "He": 0.8})
    assert found == [
        Overlap(("Na", "Na"), pytest.approx(1.975), pytest.approx(2.4)),
        Overlap(("He", "Na"), pytest.approx(1.710, abs=1e-3), pytest.approx(2.0)),
    ]
    assert overlaps(atoms, {"Na": 0.9, "He": 0.8}) == []


def test_an_element_without_a_radius_is_not_passed_over() -> None:
    with pytest.raises(KeyError):
        overlaps(library()["Na2He"].atoms, {"Na": 1.0})
