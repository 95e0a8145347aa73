"""One structure under two names is recognised; structures that are alike are not taken for one."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from megabar.structures.copies import copies
from megabar.structures.library import find_phase, library


def test_whatever_the_cell_the_origin_and_the_volume() -> None:
    fcc, hcp = bulk("Cu", "fcc", a=3.6), bulk("Cu", "hcp", a=2.5, c=4.1)
    moved = bulk("Cu", "fcc", a=3.2, cubic=True)
    moved.rotate(30, (1, 2, 3), rotate_cell=True)
    moved.positions += 0.3
    squeezed = bulk("Cu", "hcp", a=2.4, c=3.99).repeat((2, 1, 1))  # c/a 1.66 instead of 1.64
    assert copies({"fcc": fcc, "hcp": hcp, "moved": moved, "squeezed": squeezed}) == {"moved": "fcc", "squeezed": "hcp"}


@pytest.mark.parametrize("name", ["Na-hP4", "Na2He", "Na-cI16"])
def test_a_phase_of_the_library_from_a_file_is_that_phase(name: str) -> None:
    atoms = find_phase(name).atoms
    other = atoms.repeat((1, 2, 1))
    other.set_cell(other.cell.array * 1.05, scale_atoms=True)
    order = np.random.default_rng(1).permutation(len(other))
    assert copies({name: atoms, "mine": other[order]}) == {"mine": name}


def test_another_element_or_a_distortion_makes_another_one() -> None:
    cubic = Atoms("NaCl", cell=[4, 4, 4], scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5)], pbc=True)
    tetragonal = Atoms("NaCl", cell=[4, 4, 4.1], scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5)], pbc=True)
    off = Atoms("NaCl", cell=[4, 4, 4.1], scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.44)], pbc=True)
    other = Atoms("KCl", cell=[4, 4, 4], scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5)], pbc=True)
    assert copies({"a": cubic, "b": tetragonal, "c": off, "d": other}) == {}
    long = bulk("Mg", "hcp", a=3.2, c=6.0)
    assert copies({"ideal": bulk("Mg", "hcp", a=3.2, c=5.2), "long": long}) == {}


@pytest.mark.slow
def test_no_two_phases_of_the_library_are_one() -> None:
    assert copies({name: phase.atoms for name, phase in library().items()}) == {}
