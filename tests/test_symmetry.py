"""Space groups, freedom left by symmetry, symmetry broken and noticed."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell

from megabar.structures.errors import InputError
from megabar.structures.library import library
from megabar.structures.symmetry import degrees_of_freedom, primitive, rattled, same_symmetry, space_group

# Counted by hand from the Wyckoff positions (International Tables A) and the crystal systems.
FREEDOM = {
    "Na-bcc": (0, 0),
    "Na-fcc": (0, 0),
    "Na-cI16": (1, 0),  # 16c: x x x
    "Na-oP8": (4, 2),  # 2 x 4c: x 1/4 z
    "Na-hP4": (0, 1),  # 2a and 2d are fixed
    "He-hcp": (0, 1),
    "Na2He": (0, 0),
    "H-Pca21": (5, 2),  # 2 x 4a: x y z, less the free origin along the polar axis
    "H-C2c": (8, 3),  # 2 x 4e: y; 2 x 8f: x y z
    "H2S-Pc": (16, 3),  # 6 x 2a: x y z, less the free origin in the mirror plane
    "H2S-P-1": (6, 5),  # 2 x 2i: x y z; 1a and 1e are fixed
    "H3S-R3m": (2, 1),  # 3a: z and 9b: x -x z, less the free origin along z
    "SiO2-quartz": (4, 1),  # 3a: x; 6c: x y z
    "MgSiO3-bridgmanite": (7, 2),  # 2 x 4c: x 1/4 z; 8d: x y z
}


@pytest.mark.parametrize("name", FREEDOM)
def test_freedom_is_that_of_the_wyckoff_positions(name: str) -> None:
    freedom = degrees_of_freedom(library()[name].atoms)
    assert (freedom.internal, freedom.shape) == FREEDOM[name]


@pytest.mark.parametrize("name", ["Na-cI16", "H2S-Pc", "H3S-R3m"])
def test_freedom_does_not_depend_on_the_cell_chosen(name: str) -> None:
    atoms = library()[name].atoms
    bigger = make_supercell(atoms, [[1, 1, 0], [-1, 1, 0], [0, 0, 2]])
    bigger.translate([0.3, -0.2, 0.7])
    assert degrees_of_freedom(bigger) == degrees_of_freedom(atoms)


def test_without_symmetry_everything_is_free() -> None:
    atoms = rattled(library()["Na-cI16"].atoms, 0.1, seed=1)
    freedom = degrees_of_freedom(atoms)
    assert space_group(atoms).number == 1
    assert (freedom.internal, freedom.shape) == (3 * len(atoms) - 3, 5)


def test_primitive_cell_of_a_supercell() -> None:
    big = bulk("Fe", cubic=True) * (2, 1, 1)
    small = primitive(big)
    assert len(small) == 1
    assert small.get_volume() == pytest.approx(big.get_volume() / 4, rel=1e-9)


def test_a_space_group_is_written_as_one_reads_it() -> None:
    assert str(space_group(library()["Na2He"].atoms)) == "Fm-3m (225)"


def test_rattling_breaks_all_symmetry_and_keeps_the_volume() -> None:
    atoms = library()["Na2He"].atoms
    before = atoms.copy()
    broken = rattled(atoms, 0.05, seed=3)
    assert space_group(broken, symprec=1e-3).number == 1
    assert broken.get_volume() == pytest.approx(atoms.get_volume(), rel=1e-9)
    assert atoms == before
    assert rattled(atoms, 0.05, seed=3) == broken
    assert rattled(atoms, 0.05, seed=4) != broken


def test_rattling_displaces_by_the_amplitude_asked_for() -> None:
    atoms = bulk("Na", "bcc", a=4.2, cubic=True) * (4, 4, 4)
    broken = rattled(atoms, 0.04, seed=0)
    inside = broken.get_scaled_positions(wrap=False) - atoms.get_scaled_positions(wrap=False)
    displacements = inside @ broken.cell[:]
    assert displacements.std() == pytest.approx(0.04, rel=0.1)  # 384 samples: 3.6 % standard error
    assert np.allclose(displacements.mean(axis=0), 0, atol=1e-9)


def test_a_kept_symmetry_is_not_reported() -> None:
    atoms = library()["Na-hP4"].atoms
    squeezed = atoms.copy()
    squeezed.set_cell(atoms.cell[:] * [1, 1, 0.9], scale_atoms=True)
    assert same_symmetry(atoms, squeezed) is None


def test_a_change_of_symmetry_is_told_in_words() -> None:
    before = library()["Na-cI16"].atoms
    after = before.copy()
    after.set_scaled_positions(np.round(4 * (before.get_scaled_positions())) / 4)
    assert space_group(after).number == 229
    said = same_symmetry(before, after)
    assert said is not None and "I-43d (220) became Im-3m (229)" in said and "8 atoms" in said


def test_atoms_in_one_place_have_no_symmetry() -> None:
    twice = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0]], cell=[2, 2, 2], pbc=True)
    with pytest.raises(InputError, match="H2"):
        space_group(twice)
    with pytest.raises(InputError, match="H2"):
        primitive(twice)
