"""Force constants, spectra and what follows: against analytic limits and against phonopy's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT

from megabar.analysis.phonons.convergence import cut, smaller
from megabar.analysis.phonons.dispersion import dispersion
from megabar.analysis.phonons.harmonic import Harmonic, check_determined, harmonic, independent_constants
from megabar.analysis.phonons.imaginary import commensurate_points, imaginary_modes
from megabar.analysis.phonons.spectrum import THZ, spectrum, thermal
from megabar.analysis.phonons.supercells import (
    finite_moves,
    primitive_matrix_of,
    random_count,
    shortest_vector,
    supercell_matrix,
    supercell_of,
)
from megabar.structures.errors import InputError
from megabar.structures.symmetry import conventional_matrix, space_group, symmetrised


def with_forces(atoms: Atoms, length_A: float, distance_A: float = 0.01, seed: int | None = None) -> Harmonic:
    """Return the force constants of a metal by EMT; seed: of displacements of all atoms at random."""
    matrix, primitive = supercell_matrix(atoms, length_A), primitive_matrix_of(atoms)
    supercell = supercell_of(atoms, matrix)
    if seed is None:
        moves = finite_moves(atoms, matrix, primitive, distance_A)
        displacements = np.zeros((len(moves), len(supercell), 3))
        for place, (atom, move) in enumerate(moves):
            displacements[place, atom] = move
    else:
        drawn = np.random.default_rng(seed).normal(size=(2, len(supercell), 3))
        displacements = distance_A * drawn / np.linalg.norm(drawn, axis=2)[..., None]
    forces = []
    for each in displacements:
        moved = supercell.copy()
        moved.positions += each
        moved.calc = EMT()
        forces.append(moved.get_forces())
    return harmonic(atoms, matrix, primitive, displacements, forces)


@pytest.fixture(scope="module")
def copper() -> Harmonic:
    return with_forces(bulk("Cu", a=3.60), 7.0)


def test_sound_follows_from_the_elastic_constants(copper: Harmonic) -> None:
    # The longitudinal wave along [100] has v² = C11/ρ; C11 from EMT's own stress under a small strain.
    def stress(strain: float) -> float:
        atoms = bulk("Cu", a=3.60)
        deformation = np.diag([1 + strain, 1.0, 1.0])
        atoms.set_cell(atoms.cell[:] @ deformation, scale_atoms=True)
        atoms.calc = EMT()
        return float(atoms.get_stress()[0])

    c11 = (stress(1e-3) - stress(-1e-3)) / 2e-3
    density = 63.546 * units._amu / (bulk("Cu", a=3.60).get_volume() * 1e-30)
    expected = np.sqrt(c11 / units.Pascal / density) / 1000
    velocity = np.abs(copper.modes([[0.0, 0.02, 0.02]], velocities=True).velocities_km_s[0]).max()
    assert velocity == pytest.approx(expected, rel=0.02)


def test_random_displacements_give_the_finite_ones_frequencies(copper: Harmonic) -> None:
    fitted = with_forces(bulk("Cu", a=3.60), 7.0, seed=3)
    points = commensurate_points(copper)
    assert len(points) == 27
    off = np.abs(fitted.modes(points).frequencies_THz - copper.modes(points).frequencies_THz).max()
    assert 0 < off < 0.05  # of 8 THz; the rest is anharmonic


def test_acoustic_modes_vanish_at_gamma(copper: Harmonic) -> None:
    assert np.abs(copper.modes([0, 0, 0]).frequencies_THz).max() < 1e-4
    assert copper.modes([0, 0, 0.5]).frequencies_THz.min() > 3


def test_heavier_isotopes_move_slower_by_the_root_of_the_mass(copper: Harmonic) -> None:
    heavy = copper.with_masses({"Cu": 4 * 63.546})
    assert heavy.modes([0, 0, 0.5]).frequencies_THz == pytest.approx(
        copper.modes([0, 0, 0.5]).frequencies_THz / 2, rel=1e-4
    )
    with pytest.raises(InputError, match="no H in Cu"):
        copper.with_masses({"H": 2.0})


def test_thermodynamics_are_phonopys(copper: Harmonic) -> None:
    found = spectrum(copper)
    ours = found.thermal([10.0, 300.0, 2000.0])
    theirs = copper.phonopy
    theirs.run_mesh(60.0, is_gamma_center=True)
    expected = theirs.run_thermal_properties(temperatures=[10.0, 300.0, 2000.0], cutoff_frequency=0.02)
    per_mol = units.kJ / units.mol
    assert ours.free_energy_eV == pytest.approx(np.array(expected.free_energy) * per_mol, abs=5e-6)
    assert ours.entropy_eV_K == pytest.approx(np.array(expected.entropy) * per_mol / 1000, rel=1e-5)
    assert ours.heat_capacity_eV_K == pytest.approx(np.array(expected.heat_capacity) * per_mol / 1000, rel=1e-5)
    assert found.zero_point_eV_per_atom == pytest.approx(ours.free_energy_eV[0], rel=0.01)
    assert found.imaginary == 0


def test_einstein_crystal_in_closed_form() -> None:
    found = thermal(np.full((1, 3), 5.0), np.ones(1), 1, [0.0, 200.0])
    x = THZ * 5.0 / (units.kB * 200.0)
    assert found.free_energy_eV[0] == pytest.approx(1.5 * 0.0206783, rel=1e-4)  # 1.5 h × 5 THz
    assert found.free_energy_eV[1] == pytest.approx(3 * units.kB * 200 * np.log(2 * np.sinh(x / 2)), rel=1e-10)
    assert found.entropy_eV_K[1] == pytest.approx(
        3 * units.kB * (x / 2 / np.tanh(x / 2) - np.log(2 * np.sinh(x / 2))), rel=1e-10
    )
    assert found.heat_capacity_eV_K[1] == pytest.approx(3 * units.kB * (x / 2) ** 2 / np.sinh(x / 2) ** 2, rel=1e-10)
    assert (found.entropy_eV_K[0], found.heat_capacity_eV_K[0]) == (0, 0)


def test_imaginary_modes_are_named_with_their_q() -> None:
    # A simple cubic metal has nothing that holds it under shear.
    atoms = bulk("Cu", "sc", a=2.4)
    crystal = with_forces(atoms, 4.5)
    found = spectrum(crystal)
    modes = imaginary_modes(crystal, found)
    assert found.imaginary > 0.05
    assert found.lowest_THz < -1
    assert modes
    first = modes[0]
    assert first.commensurate
    assert first.frequency_THz == pytest.approx(crystal.modes(first.q).frequencies_THz.min())
    assert np.linalg.norm(first.eigenvector) == pytest.approx(1.0)
    assert np.abs(np.array(first.q) * 2 - np.round(np.array(first.q) * 2)).max() < 1e-9


def test_dispersion_follows_the_path_and_counts_all_modes(copper: Harmonic) -> None:
    found = dispersion(copper)
    assert found.branches[0].labels == ("GAMMA", "X")
    assert np.trapezoid(found.density, found.density_THz) == pytest.approx(3.0, rel=2e-3)
    x = copper.modes(found.branches[0].q[-1]).frequencies_THz[0]
    assert found.branches[0].frequencies_THz[-1] == pytest.approx(x)
    assert found.branches[1].distance[0] == found.branches[0].distance[-1]


def test_a_cut_at_the_second_neighbours_keeps_the_sum_rule_and_moves_frequencies(copper: Harmonic) -> None:
    short = cut(copper, 2.7)
    assert np.abs(short.modes([0, 0, 0]).frequencies_THz).max() < 1e-4
    full, part = spectrum(copper).zero_point_eV_per_atom, spectrum(smaller(copper)).zero_point_eV_per_atom
    assert 1e-6 < abs(full - part) < 1e-3


def test_too_few_supercells_are_told() -> None:
    quartz = bulk("NaCl", "rocksalt", a=5.6)
    matrix, primitive = np.eye(3, dtype=int) * 2, np.eye(3)
    unknown = independent_constants(quartz, matrix, primitive)
    assert unknown < 48
    check_determined(quartz, matrix, primitive, 1)
    with pytest.raises(InputError, match="0 supercells of 16 atoms have 0 forces"):
        check_determined(quartz, matrix, primitive, 0)
    with pytest.raises(InputError, match="forces of 15 atoms do not belong to a supercell of 16"):
        harmonic(quartz, matrix, primitive, np.zeros((1, 16, 3)), np.zeros((1, 15, 3)))


def test_supercells_are_the_smallest_with_their_images_far_enough() -> None:
    fcc, bcc = bulk("Al"), bulk("Na", "bcc", a=4.2)
    assert supercell_matrix(bcc, 8.0).tolist() == [[0, 2, 2], [2, 0, 2], [2, 2, 0]]  # 16 atoms, 8.4 Å
    for atoms, length in ((fcc, 5.0), (fcc, 9.0), (bcc, 5.0), (bulk("Mg"), 9.0)):
        matrix = supercell_matrix(atoms, length)
        assert shortest_vector(matrix.T @ atoms.cell[:]) >= length
    assert random_count(fcc, supercell_matrix(fcc, 9.0), primitive_matrix_of(fcc)) == 2
    with pytest.raises(InputError, match="would need"):
        supercell_matrix(fcc, 60.0)


def test_a_noisy_cell_becomes_symmetric_where_it_stands() -> None:
    exact = bulk("Mg", a=3.2, c=5.2)
    random = np.random.default_rng(5)
    noisy = exact.copy()
    noisy.set_cell(noisy.cell[:] @ (np.eye(3) + random.normal(scale=1e-4, size=(3, 3))), scale_atoms=True)
    noisy.positions += random.normal(scale=5e-4, size=(2, 3))
    found = symmetrised(noisy)
    assert space_group(noisy, 1e-6).number < 194
    assert space_group(found, 1e-6).number == 194
    assert np.abs(found.cell[:] - exact.cell[:]).max() < 5e-3
    assert found.get_volume() == pytest.approx(noisy.get_volume(), rel=1e-6)
    assert np.array_equal(conventional_matrix(bulk("Cu")), [[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    assert conventional_matrix(bulk("Cu", cubic=True)).tolist() == np.eye(3).tolist()
