"""Elastic constants under pressure: against energies, against phonons, against closed forms."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.geometry import find_mic
from ase.optimize import BFGS
from ase.spacegroup import crystal as crystal_from
from scipy.linalg import sqrtm
from test_phonons import with_forces

from megabar.analysis.elasticity.crystal import LAUE, Crystal, crystal_of
from megabar.analysis.elasticity.elasticity import Elasticity, elasticity
from megabar.analysis.elasticity.fit import Stiffness, fitted, stress_strain, thermodynamic
from megabar.analysis.elasticity.moduli import moduli
from megabar.analysis.elasticity.sound import debye_temperature, density_g_cm3, polycrystal, sphere, velocities
from megabar.analysis.elasticity.stability import CONDITIONS, MINORS, in_words, stability
from megabar.analysis.elasticity.strains import patterns, strained, strains_of
from megabar.analysis.elasticity.tensors import BASIS, from_voigt, kelvin, rotation, tensor, turned, voigt
from megabar.analysis.elasticity.thermal import adiabatic
from megabar.analysis.elasticity.volumes import at_volume
from megabar.structures.errors import InputError

PRESSED = bulk("Cu", a=3.3)  # at 56 GPa by EMT

# Laue class: space group, cell, how many independent constants, how many cells.
CLASSES = {
    "-1": (2, [4, 5, 6, 80, 95, 100], 21, 12),
    "2/m": (14, [4, 5, 6, 90, 95, 90], 13, 10),
    "mmm": (62, [4, 5, 6, 90, 90, 90], 9, 9),
    "4/m": (83, [4, 4, 6, 90, 90, 90], 7, 6),
    "4/mmm": (123, [4, 4, 6, 90, 90, 90], 6, 6),
    "-3": (148, [4, 4, 9, 90, 90, 120], 7, 6),
    "-3m": (166, [4, 4, 9, 90, 90, 120], 6, 5),
    "6/m": (176, [4, 4, 9, 90, 90, 120], 5, 5),
    "6/mmm": (194, [4, 4, 9, 90, 90, 120], 5, 5),
    "m-3": (200, [5, 5, 5, 90, 90, 90], 3, 3),
    "m-3m": (225, [5, 5, 5, 90, 90, 90], 3, 3),
}


def cell_of(laue: str) -> Atoms:
    """Return a primitive cell of a Laue class, atoms in general places, turned into no special orientation."""
    group, lattice, _, _ = CLASSES[laue]
    atoms = crystal_from("Si", [(0.13, 0.21, 0.34)], spacegroup=group, cellpar=lattice, primitive_cell=True)
    atoms.rotate(37.0, (1.0, 2.0, 0.5), rotate_cell=True)
    return atoms


def stress(atoms: Atoms, relaxed: bool = False) -> np.ndarray:
    """Return the stress (GPa, 3 × 3) by EMT, its atoms relaxed or as they are."""
    atoms = atoms.copy()
    atoms.calc = EMT()
    if relaxed:
        BFGS(atoms, logfile=None).run(fmax=1e-5)
    return atoms.get_stress(voigt=False) / units.GPa


def measured(atoms: Atoms, amplitude: float = 0.0025, relaxed: bool = False) -> Stiffness:
    own = crystal_of(atoms)
    strains = [each.tensor for each in strains_of(own, (amplitude,))]
    stresses = [stress(strained(atoms, each), relaxed) for each in strains]
    return fitted(own, strains, stresses, stress(atoms))


@pytest.fixture(scope="module")
def copper() -> Elasticity:
    return elasticity(measured(PRESSED), PRESSED)


def random_constants(own: Crystal, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(100.0, 20.0, size=len(own.names))


@pytest.mark.parametrize("laue", CLASSES)
def test_the_fewest_strains_find_all_constants_of_every_class_in_any_orientation(laue: str) -> None:
    _, _, constants, cells = CLASSES[laue]
    own = crystal_of(cell_of(laue))
    strains = strains_of(own)
    assert (own.laue, len(own.names), len(strains)) == (laue, constants, cells)
    exact = random_constants(own)
    matrix = own.stiffness(exact)
    assert all(np.allclose(turned(matrix, each), matrix, atol=1e-6) for each in own.operations)
    own_axes = voigt(own.in_frame(matrix))
    assert [own_axes[int(n[0]) - 1, int(n[1]) - 1] for n in own.names] == pytest.approx(exact.tolist())
    # Terms of second order go out with the opposite strain, computed or by symmetry.
    applied = np.array([each.tensor for each in strains])
    second = 900.0 * applied @ applied - 700.0 * np.trace(applied, axis1=1, axis2=2)[:, None, None] ** 2 * np.eye(3)
    stresses = tensor(kelvin(applied) @ matrix) + second - 50 * np.eye(3)
    found = fitted(own, applied, stresses, -50 * np.eye(3))
    assert found.constants_GPa == pytest.approx(exact, abs=1e-6)
    assert (found.pressure_GPa, found.residual_GPa) == (pytest.approx(50.0), pytest.approx(0.0, abs=1e-8))
    assert 1e-3 < found.nonlinear < 5e-2


def test_cells_in_the_usual_orientation_have_the_usual_axes() -> None:
    for atoms in (bulk("Cu"), bulk("Mg"), bulk("Si"), bulk("In", "bct", a=3.2, c=4.9)):
        assert np.allclose(crystal_of(atoms).frame, np.eye(3), atol=1e-6)
    named = {each.name: (each.kept, each.both) for each in patterns(crystal_of(bulk("Cu")))}
    assert named == {"xx": (16, True), "yz": (8, False)}
    # -3m whose twofold axes are not along a (P-31m): x is along one of them, so that 14 is the constant's name.
    turned_away = crystal_from(
        "Si", [(0.13, 0.21, 0.34)], spacegroup=162, cellpar=[4, 4, 9, 90, 90, 120], primitive_cell=True
    )
    assert crystal_of(turned_away).names == ("11", "12", "13", "33", "44", "14")
    assert [last for last, _ in LAUE] == sorted(last for last, _ in LAUE)


def test_the_energys_second_derivatives_are_the_thermodynamic_constants(copper: Elasticity) -> None:
    def energy(lagrangian: np.ndarray) -> float:
        atoms = PRESSED.copy()
        atoms.set_cell(atoms.cell[:] @ np.real(sqrtm(np.eye(3) + 2 * lagrangian)), scale_atoms=True)
        atoms.calc = EMT()
        return float(atoms.get_potential_energy())

    def second(one: np.ndarray, other: np.ndarray, step: float = 2e-3) -> float:
        ends = [
            sign * energy(step * (one + way * other)) + sign * energy(-step * (one + way * other))
            for sign, way in ((1, 1), (-1, -1))
        ]
        return sum(ends) / (4 * step**2) / PRESSED.get_volume() / units.GPa

    by_energy = [second(BASIS[0], BASIS[0]), second(BASIS[0], BASIS[1]), second(BASIS[3], BASIS[3]) / 2]
    own = copper.stiffness.thermodynamic_GPa
    pressure = copper.stiffness.pressure_GPa
    assert pressure == pytest.approx(56.3, abs=0.1)
    assert [own[0, 0], own[0, 1], own[3, 3]] == pytest.approx(by_energy, rel=5e-4)
    b = copper.stiffness.voigt_GPa
    assert [own[0, 0] - b[0, 0], own[0, 1] - b[0, 1], own[3, 3] - b[3, 3]] == pytest.approx(
        [pressure, -pressure, pressure]
    )
    matrix = from_voigt(b)
    assert np.allclose(stress_strain(thermodynamic(matrix, pressure), pressure), matrix)


def frequencies_of_one_atom(atoms: Atoms, waves: np.ndarray, cells: int = 6) -> np.ndarray:
    """Return ω (√(eV/Å²/u), ascending) of a metal with one atom a cell at some wave vectors (1/Å, 2π included).

    The dynamical matrix is summed over the forces that displacing one atom makes in a supercell, by EMT.
    """
    crystal = atoms * (cells, cells, cells)
    columns = []
    for axis in range(3):
        forces = []
        for sign in (1, -1):
            moved = crystal.copy()
            moved.positions[0, axis] += sign * 0.005
            moved.calc = EMT()
            forces.append(moved.get_forces())
        columns.append((forces[1] - forces[0]) / 0.01)
    constants = np.array(columns).transpose(1, 0, 2)
    offsets = find_mic(crystal.positions - crystal.positions[0], crystal.cell)[0]
    phases = 1 - np.cos(waves @ offsets.T)
    matrices = -np.einsum("qa,aij->qij", phases, constants) / atoms.get_masses()[0]
    return np.sqrt(np.linalg.eigvalsh(matrices))


def test_waves_under_pressure_have_the_sound_of_christoffels_equation(copper: Elasticity) -> None:
    waves = 0.02 * np.array([[0, 0, 1.0], [0, 1, 1], [1, 1, 1], [0.3, 1, 1.7]])
    # √(eV/Å²/u) Å in km/s.
    by_forces = frequencies_of_one_atom(PRESSED, waves) / np.linalg.norm(waves, axis=1)[:, None]
    by_forces *= np.sqrt(units._e / units._amu) / 1000
    assert by_forces == pytest.approx(copper.velocities_km_s(waves), rel=1e-3)
    # The second derivatives of the energy, without the pressure in them, are off by a tenth and more.
    wrong = velocities(from_voigt(copper.stiffness.thermodynamic_GPa), copper.density, waves)
    assert np.abs(wrong / by_forces - 1).max() > 0.1


@pytest.mark.slow
def test_phonons_under_pressure_have_the_sound_of_christoffels_equation(copper: Elasticity) -> None:
    crystal = with_forces(PRESSED, 12.0)
    q = np.array([[0, 0.01, 0.01], [0.01, 0.01, 0.02], [0.003, 0.01, 0.017]])
    waves = q @ crystal.primitive.cell.reciprocal()[:]
    by_phonons = crystal.modes(q).frequencies_THz / np.linalg.norm(waves, axis=1)[:, None] / 10
    assert by_phonons == pytest.approx(copper.velocities_km_s(waves), rel=1e-3)
    along = crystal.modes([[0.0, 0.01, 0.01]], velocities=True).velocities_km_s
    assert along is not None
    assert np.linalg.norm(along[0], axis=1)[2] == pytest.approx(copper.velocities_km_s(waves[:1])[0, 2], rel=2e-3)


def pressed_hcp() -> Atoms:
    """Return hcp copper, in its shape at 50 GPa by EMT."""
    from ase.filters import FrechetCellFilter

    atoms = bulk("Cu", "hcp", a=2.36, c=3.85)
    atoms.calc = EMT()
    BFGS(FrechetCellFilter(atoms, scalar_pressure=50 * units.GPa), logfile=None).run(fmax=1e-6, steps=60)
    atoms.calc = None
    return atoms


@pytest.mark.slow
def test_atoms_that_follow_the_strain_soften_hcp_as_phonons_say() -> None:
    atoms = pressed_hcp()
    relaxed, clamped = measured(atoms, relaxed=True), measured(atoms)
    assert (relaxed.crystal.laue, relaxed.crystal.names) == ("6/mmm", ("11", "12", "13", "33", "44"))
    assert relaxed.pressure_GPa == pytest.approx(50.0, abs=0.05)
    assert relaxed.deviator_GPa < 0.01
    q = np.array([[0.01, 0, 0], [0.01, 0.01, 0], [0, 0, 0.01], [0.004, 0.01, 0.01]])
    crystal = with_forces(atoms, 10.0)
    waves = q @ crystal.primitive.cell.reciprocal()[:]
    by_phonons = crystal.modes(q).frequencies_THz[:, :3] / np.linalg.norm(waves, axis=1)[:, None] / 10
    assert by_phonons == pytest.approx(elasticity(relaxed, atoms).velocities_km_s(waves), rel=0.01)
    stiff = elasticity(clamped, atoms).velocities_km_s(waves)
    assert np.abs(stiff / by_phonons - 1).max() > 0.015


def test_the_error_covers_what_the_amplitude_leaves(copper: Elasticity) -> None:
    exact = measured(PRESSED, 0.001).constants_GPa
    for amplitude in (0.01, 0.02):
        found = measured(PRESSED, amplitude)
        off = np.abs(found.constants_GPa - exact)
        assert (off < found.errors_GPa).all()
        assert (off > 0.05 * found.errors_GPa).all()


def test_noise_of_stresses_becomes_the_errors_of_the_constants() -> None:
    own = crystal_of(bulk("Mg"))
    exact = np.array([300.0, 110.0, 90.0, 320.0, 80.0])
    strains = np.array([each.tensor for each in strains_of(own)])
    matrix, random, noise = own.stiffness(exact), np.random.default_rng(4), 0.05
    found = []
    for _ in range(200):
        noisy = tensor(kelvin(strains) @ matrix + random.normal(scale=noise, size=(len(strains), 6)))
        fit = fitted(own, strains, noisy, np.zeros((3, 3)), noise)
        found.append((fit.constants_GPa - exact, fit.errors_GPa))
    spread = np.std([each for each, _ in found], axis=0)
    claimed = np.mean([each for _, each in found], axis=0)
    # What the fit leaves counts where it is more than the noise: by two equations too many it often is.
    assert (claimed > 0.9 * spread).all()
    assert (claimed < 1.6 * spread).all()


def test_too_few_strains_are_told_and_one_sided_ones_know_less() -> None:
    own = crystal_of(PRESSED)
    strains = [each.tensor for each in strains_of(own)]
    stresses = [stress(strained(PRESSED, each)) for each in strains]
    rest = stress(PRESSED)
    with pytest.raises(InputError, match=r"2 strains do not determine the 3 elastic constants of the class m-3m"):
        fitted(own, strains[:2], stresses[:2], rest)
    both, one = fitted(own, strains, stresses, rest), fitted(own, strains[1:], stresses[1:], rest)
    assert (one.errors_GPa > 3 * both.errors_GPa).all()
    assert np.abs(one.constants_GPa - both.constants_GPa).max() > 3
    assert (np.abs(one.constants_GPa - both.constants_GPa) < 2 * one.errors_GPa).all()


def test_moduli_of_cubic_and_isotropic_crystals_in_closed_form() -> None:
    c11, c12, c44 = 297.0, 95.2, 155.7
    cubic = np.diag([c11] * 3 + [c44] * 3).astype(float)
    cubic[:3, :3] += c12 * (np.ones((3, 3)) - np.eye(3))
    found = moduli(from_voigt(cubic))
    assert found.bulk_voigt_GPa == pytest.approx((c11 + 2 * c12) / 3)
    assert found.bulk_reuss_GPa == pytest.approx(found.bulk_voigt_GPa)
    assert found.shear_voigt_GPa == pytest.approx((c11 - c12 + 3 * c44) / 5)
    assert found.shear_reuss_GPa == pytest.approx(5 * (c11 - c12) * c44 / (4 * c44 + 3 * (c11 - c12)))
    assert found.young_GPa == pytest.approx(2 * found.shear_GPa * (1 + found.poisson))
    assert found.pugh == pytest.approx(found.shear_GPa / found.bulk_GPa)
    assert found.anisotropy == pytest.approx(5 * found.shear_voigt_GPa / found.shear_reuss_GPa - 5)
    alike = cubic.copy()
    alike[:3, :3] += np.diag([c12 + 2 * c44 - c11] * 3)
    assert moduli(from_voigt(alike)).anisotropy == pytest.approx(0.0, abs=1e-12)
    p, s, b = polycrystal(moduli(from_voigt(alike)).bulk_GPa, c44, 3.6)
    speeds = velocities(from_voigt(alike), 3.6, [(1, 2, 3), (0, 0, 1)])
    assert speeds == pytest.approx(np.array([[s, s, p]] * 2))
    assert b**2 == pytest.approx(p**2 - 4 / 3 * s**2)


def test_directions_cover_the_sphere_and_debyes_velocity_is_their_mean() -> None:
    directions, weights = sphere()
    assert weights.sum() == pytest.approx(1.0)
    assert np.einsum("n,ni,nj->ij", weights, directions, directions) == pytest.approx(np.eye(3) / 3, abs=1e-12)
    assert weights @ directions[:, 0] ** 4 == pytest.approx(1 / 5)
    # Silver at 0 K: constants of Neighbours & Alers, Phys. Rev. 111, 707 (1958), whose Debye temperature is 226.4 K.
    silver = np.diag([131.4] * 3 + [51.1] * 3)
    silver[:3, :3] += 97.3 * (np.ones((3, 3)) - np.eye(3))
    own = crystal_of(bulk("Ag", a=4.0691))
    exact = Stiffness(own, np.array([131.4, 97.3, 51.1]), np.zeros((3, 3)), 0.0, 0.0, 0.0, 0.0)
    found = elasticity(exact, bulk("Ag", a=4.0691))
    assert found.sound.debye_K == pytest.approx(226.4, abs=0.7)
    assert np.allclose(voigt(exact.kelvin_GPa), silver)
    v = found.sound.debye_km_s
    assert v is not None
    assert debye_temperature(2 * v, 4 * found.volume_A3_per_atom) == pytest.approx(
        2 * found.sound.debye_K / 4 ** (1 / 3)
    )


@pytest.mark.parametrize("laue", CLASSES)
def test_conditions_hold_exactly_where_the_smallest_eigenvalue_is_positive(laue: str) -> None:
    own = crystal_of(cell_of(laue))
    random, seen = np.random.default_rng(7), set()
    for _ in range(400):
        constants = random.normal(size=len(own.names)) * 80 + np.array([150.0 * (n[0] == n[1]) for n in own.names])
        found = stability(own, own.stiffness(constants))
        assert found.stable == (not found.violated)
        assert found.smallest_GPa == pytest.approx(np.linalg.eigvalsh(own.stiffness(constants))[0])
        seen.update(found.violated or ["stable"])
    assert seen >= {"stable"} | ({words for words, _ in CONDITIONS[laue]} if laue in CONDITIONS else set())
    assert len(MINORS) == 6


def test_pressure_decides_about_stability_and_the_strain_is_named() -> None:
    own = crystal_of(PRESSED)
    energy_alone = from_voigt(np.diag([300.0] * 3 + [60.0] * 3) + 0)
    energy_alone[:3, :3] += 100 * (np.ones((3, 3)) - np.eye(3))
    assert stability(own, stress_strain(energy_alone, 50.0)).stable
    found = stability(own, stress_strain(energy_alone, 80.0))
    assert found.violated == ("B44 > 0",)
    assert found.smallest_GPa == pytest.approx(2 * (60 - 80))
    assert in_words(found.strain).split()[-1] in ("yz", "xz", "xy")
    assert stability(own, stress_strain(energy_alone, 120.0)).violated == ("B11 − B12 > 0", "B44 > 0")


def test_an_unstable_crystal_has_no_moduli_and_says_why() -> None:
    atoms = bulk("Cu", "sc", a=2.4)
    found = elasticity(measured(atoms, 0.005), atoms)
    content = json.loads(json.dumps(found.json()))
    assert not content["stable"]
    assert content["violated_conditions"]
    assert (content["bulk_modulus_GPa"], content["debye_temperature_K"], content["errors"]) == (None, None, {})
    assert found.sound.lowest_km_s[0] < 0


def test_adiabatic_constants_change_as_the_bulk_modulus_does(copper: Elasticity) -> None:
    alpha, heat, temperature = 2e-5, 2.8 * units.kB, 1000.0
    changed = copper.adiabatic(alpha, heat, temperature)
    bulk_modulus, volume = copper.moduli.bulk_GPa, copper.volume_A3_per_atom
    grueneisen = 3 * alpha * bulk_modulus * units.GPa * volume / heat
    assert changed.moduli.bulk_GPa == pytest.approx(bulk_modulus * (1 + 3 * alpha * grueneisen * temperature))
    assert changed.moduli.shear_voigt_GPa == pytest.approx(copper.moduli.shear_voigt_GPa)
    assert (copper.temperature_K, changed.temperature_K) == (None, temperature)
    # Of a uniaxial expansion the stress that heating makes is that of the strain which it would be.
    matrix = copper.stiffness.kelvin_GPa
    uniaxial = adiabatic(matrix, np.diag([0, 0, alpha]), heat, volume, temperature) - matrix
    assert np.linalg.matrix_rank(uniaxial, tol=1e-9) == 1
    assert uniaxial[2, 2] / uniaxial[0, 2] == pytest.approx(matrix[2, 2] / matrix[0, 2])


def test_all_that_follows_is_there_with_units_and_errors(copper: Elasticity) -> None:
    content = json.loads(json.dumps(copper.json()))
    assert content["stress_strain_GPa"].keys() == {"B11", "B12", "B44"}
    matrix = np.array(content["stress_strain_matrix_GPa"])
    assert matrix[0, 0] == pytest.approx(content["stress_strain_GPa"]["B11"], abs=1e-5)
    assert matrix[0, 3] == 0
    assert content["density_g_cm3"] == pytest.approx(density_g_cm3(PRESSED)) == pytest.approx(11.75, abs=0.01)
    along = {tuple(each["direction"]): each for each in content["sound_by_direction_km_s"]}
    assert along[1, 0, 0]["P"] == pytest.approx(np.sqrt(matrix[0, 0] / content["density_g_cm3"]))
    # The slowest wave of an fcc metal goes along [110].
    assert content["sound_km_s"]["lowest"]["S2"] == pytest.approx(along[1, 1, 0]["S2"], rel=0.01)
    assert along[1, 1, 0]["S2"] < along[1, 1, 0]["S1"]
    # C = K + 4/3 G: of a constant that changes by itself the errors follow.
    b11, b12 = (content["stress_strain_error_GPa"][name] for name in ("B11", "B12"))
    assert content["errors"]["bulk_modulus_GPa"] == pytest.approx(np.hypot(b11, 2 * b12) / 3, rel=1e-3)
    assert content["errors"]["debye_temperature_K"] > 0
    assert rotation(np.eye(3)) == pytest.approx(np.eye(6))


def test_constants_between_volumes_are_those_computed_there_and_none_are_beyond() -> None:
    def at(a: float) -> Elasticity:
        atoms = bulk("Cu", a=a)
        return elasticity(measured(atoms, 0.005), atoms)

    known, exact = [at(3.32), at(3.2), at(3.26)], at(3.29)
    found = at_volume(known, exact.volume_A3_per_atom)
    assert found.stiffness.constants_GPa == pytest.approx(exact.stiffness.constants_GPa, rel=0.02)
    assert found.stiffness.pressure_GPa == pytest.approx(exact.stiffness.pressure_GPa, rel=0.02)
    assert found.density == pytest.approx(exact.density)
    # Two volumes alone make a straight line, which lies above the curve.
    line = at_volume(known[:2], exact.volume_A3_per_atom).stiffness.constants_GPa
    assert (line > found.stiffness.constants_GPa).all()
    assert at_volume(known, known[1].volume_A3_per_atom) is known[1]
    with pytest.raises(InputError, match=r"known at 8\.192 to 9\.149 Å³/atom: 11\.000 Å³/atom is beyond"):
        at_volume(known, 11.0)
