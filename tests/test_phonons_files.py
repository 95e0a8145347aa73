"""Files of phonopy: its own examples give its own numbers; what contradicts itself is told in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import phonopy
import pytest
from ase import units
from phonopy.file_IO import write_FORCE_CONSTANTS
from phonopy.physical_units import get_physical_units
from phonopy_files import DATA, edited, printed, unpacked

from megabar.analysis.phonons.errors import alternatives
from megabar.analysis.phonons.gruneisen import between, gruneisen, parameters_at, same_phase, triples
from megabar.analysis.phonons.harmonic import Harmonic
from megabar.analysis.phonons.motion import debye_temperatures_K, extrapolated, mean_square_A2, sound_velocity_km_s
from megabar.analysis.phonons.readers import read_phonons
from megabar.analysis.phonons.report import Asked, phonon_document
from megabar.analysis.phonons.spectrum import THZ, spectrum, thermal
from megabar.analysis.phonons.sum_rule import fit_of, predicted_forces, symmetrised, translation_THz
from megabar.analysis.phonons.writing import write_params
from megabar.structures.errors import InputError

Q = [[0.0, 0.0, 0.0], [0.1, 0.2, 0.3]]
PRINTED = printed()
OLD = get_physical_units()  # phonopy's constants of nature, older than ours
DISPLACED = "phonopy_disp.yaml"
QUICK = ("SnO2", "ZnO", "SiO2-HP", "CaTiO3", "MgB2", "Zr3N4", "Si", "TiPN3")  # the symmetry of others is larger


@pytest.fixture(scope="module")
def silicon() -> Harmonic:
    return read_phonons(DATA / "Si").harmonic


@pytest.fixture(scope="module")
def zinc_oxide() -> Harmonic:
    return read_phonons(DATA / "ZnO").harmonic


def said(folder: Path) -> str:
    """Return what is said of a folder that is wrong: one sentence that names a file in it."""
    with pytest.raises(InputError) as found:
        read_phonons(folder)
    text = str(found.value)
    assert str(folder) in text and "\n" not in text
    return text


@pytest.mark.parametrize(
    "name", [each if each in QUICK else pytest.param(each, marks=pytest.mark.slow) for each in PRINTED["cases"]]
)
def test_phonopys_examples_give_what_it_prints(name: str) -> None:
    from dataclasses import replace

    reading = read_phonons(DATA / name)
    for way, expected in PRINTED["cases"][name].items():
        crystal = reading.harmonic if way == "nac" else replace(reading.harmonic, polar=None)
        ours = crystal.modes(PRINTED["qpoints"]).frequencies_THz
        # To all ten decimals but for the order of sums in two eigensolvers, and the root of a zero.
        assert np.abs(ours - expected["frequencies_THz"]).max() < 2e-6, way
        found = spectrum(crystal, tuple(PRINTED["mesh"]))
        rows = np.array(expected["thermal"])
        # Its constants of nature are those of 1986 and 2006: a mode at T has them as one of ν h'/h at T k'/k.
        scale, kelvin = OLD.THzToEv / THZ, OLD.KB / units.kB
        values = thermal(found.frequencies_THz * scale, found.weights, 1, rows[:, 0] * kelvin)
        assert values.free_energy_eV * OLD.EvTokJmol == pytest.approx(rows[:, 1], abs=1.5e-6)
        assert values.entropy_eV_K * kelvin * OLD.EvTokJmol * 1000 == pytest.approx(rows[:, 2], abs=3e-6)
        assert values.heat_capacity_eV_K * kelvin * OLD.EvTokJmol * 1000 == pytest.approx(rows[:, 3], abs=3e-6)


def test_there_are_more_than_six_examples_with_and_without_charges() -> None:
    with_charges = [name for name, each in PRINTED["cases"].items() if "nac" in each]
    assert len(PRINTED["cases"]) == 16 and len(with_charges) >= 6


@pytest.mark.slow
def test_what_is_read_is_in_our_units() -> None:
    # Rydberg and bohr; with VASP, in eV and Å, NaCl has 5.69 Å too and its transverse optical mode at 4.62 THz.
    reading = read_phonons(DATA / "NaCl-QE" / "phonopy_params.yaml.xz")
    assert reading.code == "qe"
    assert reading.harmonic.cell.cell.lengths() == pytest.approx([5.690] * 3, abs=1e-3)
    assert reading.harmonic.modes([0, 0, 0]).frequencies_THz[0, 3] == pytest.approx(4.62, abs=0.15)
    self_force = np.trace(reading.harmonic.force_constants[0, 0]) / 3
    assert 1 < self_force < 5  # eV/Å²


def test_forces_fit_and_nothing_is_noted() -> None:
    reading = read_phonons(DATA / "SnO2")
    assert reading.fit is not None
    assert 0.01 < reading.fit.residual < 0.05
    assert reading.fit.drift < 1e-5
    assert reading.notes == ()
    assert reading.polar_from is not None and reading.polar_from.name == "BORN.xz"


def test_a_polar_crystal_without_charges_is_noted(tmp_path: Path) -> None:
    reading = read_phonons(unpacked("SnO2", tmp_path, without=("BORN",)))
    assert [note for note in reading.notes if "no Born charges are given" in note]
    assert not [note for note in read_phonons(DATA / "Si").notes if "Born" in note]


def test_a_file_finds_what_is_beside_it(tmp_path: Path) -> None:
    folder = unpacked("ZnO", tmp_path)
    one, other = read_phonons(folder), read_phonons(folder / DISPLACED)
    assert one.constants_from == other.constants_from == folder / "FORCE_SETS"
    assert np.array_equal(one.harmonic.force_constants, other.harmonic.force_constants)


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("kind", ["text", "hdf5", "Ry/au^2"])
def test_force_constants_of_a_file_are_the_same(kind: str, compact: bool, zinc_oxide: Harmonic, tmp_path: Path) -> None:
    from phonopy.harmonic.force_constants import compact_fc_to_full_fc

    folder = unpacked("ZnO", tmp_path, without=("FORCE_SETS",))
    theirs = zinc_oxide.phonopy
    constants = zinc_oxide.force_constants
    constants = constants if compact else compact_fc_to_full_fc(theirs.primitive, constants)
    if kind == "text":
        write_FORCE_CONSTANTS(constants, folder / "FORCE_CONSTANTS", p2s_map=theirs.primitive.p2s_map)
    else:
        unit = kind if kind != "hdf5" else "eV/angstrom^2"
        factor = 1.0 if kind == "hdf5" else OLD.Rydberg / OLD.Bohr**2
        with h5py.File(folder / "force_constants.hdf5", "w") as file:
            file["force_constants"], file["p2s_map"] = constants / factor, theirs.primitive.p2s_map
            file["physical_unit"] = [unit.encode()]
    reading = read_phonons(folder)
    assert reading.harmonic.modes(Q).frequencies_THz == pytest.approx(zinc_oxide.modes(Q).frequencies_THz, abs=1e-5)
    assert reading.fit is None and reading.other is not None


def test_force_constants_that_break_the_sum_rule_are_mended_and_it_is_said(
    zinc_oxide: Harmonic, tmp_path: Path
) -> None:
    folder = unpacked("ZnO", tmp_path, without=("FORCE_SETS",))
    broken = zinc_oxide.force_constants.copy()
    broken[0, 5] += 0.05 * np.eye(3)
    write_FORCE_CONSTANTS(broken, folder / "FORCE_CONSTANTS", p2s_map=zinc_oxide.phonopy.primitive.p2s_map)
    reading = read_phonons(folder)
    assert any("a shift of the whole crystal has" in note for note in reading.notes)
    assert translation_THz(reading.harmonic) < 1e-3 < 0.1 < translation_THz(reading.other)  # type: ignore[arg-type]
    document = phonon_document(reading.harmonic, Asked(mesh=(3, 3, 3)), other=reading.other)
    assert document["zero_point_error_parts_eV_per_atom"]["symmetry"] > 1e-5


def test_a_translation_has_the_frequency_that_a_spring_to_the_ground_gives(silicon: Harmonic) -> None:
    from dataclasses import replace

    held = silicon.force_constants.copy()
    for row, atom in enumerate(silicon.phonopy.primitive.p2s_map):
        held[row, atom] += 1.3 * np.eye(3)
    held_silicon = replace(silicon, force_constants=held)
    assert translation_THz(silicon) < 1e-3
    assert translation_THz(held_silicon) == pytest.approx(
        float(held_silicon.modes([0, 0, 0]).frequencies_THz[0, 0]), rel=1e-4
    )
    assert translation_THz(symmetrised(held_silicon)) < 1e-3


def test_predicted_forces_are_the_negative_product_with_the_force_constants(zinc_oxide: Harmonic) -> None:
    from dataclasses import replace

    from phonopy.harmonic.force_constants import compact_fc_to_full_fc

    full = compact_fc_to_full_fc(zinc_oxide.phonopy.primitive, zinc_oxide.force_constants)
    moves = np.random.default_rng(1).normal(scale=0.01, size=(3, len(full), 3))
    expected = -np.einsum("ijab,sjb->sia", full, moves)
    assert predicted_forces(zinc_oxide, moves) == pytest.approx(expected, abs=1e-7)
    assert predicted_forces(replace(zinc_oxide, force_constants=full), moves) == pytest.approx(expected, abs=1e-7)
    shift = np.broadcast_to([0.01, 0.0, 0.02], moves[:1].shape)
    assert np.abs(predicted_forces(zinc_oxide, shift)).max() < 1e-6
    fit = fit_of(zinc_oxide, moves, expected + 0.1 * np.abs(expected).max())
    assert fit.drift > 0.1 > fit_of(zinc_oxide, moves, expected).drift


@pytest.mark.parametrize("name", ["SnO2", pytest.param("NaCl-QE", marks=pytest.mark.slow), "SiO2-HP"])
def test_what_is_written_is_read_back_by_phonopy_and_by_us(name: str, tmp_path: Path) -> None:
    crystal = read_phonons(DATA / name).harmonic
    write_params(crystal, tmp_path / "phonopy_params.yaml", 12.5)
    ours, theirs = read_phonons(tmp_path), phonopy.load(tmp_path / "phonopy_params.yaml")
    expected = crystal.modes(Q).frequencies_THz
    assert (ours.pressure_GPa, ours.notes) == (12.5, ())
    assert ours.harmonic.modes(Q).frequencies_THz == pytest.approx(expected, abs=1e-5)
    assert theirs.run_qpoints(Q).frequencies == pytest.approx(expected, abs=1e-5)
    assert ours.harmonic.primitive.get_masses() == pytest.approx(crystal.primitive.get_masses())


def test_a_supercell_in_another_order_is_read_as_it_is(tmp_path: Path) -> None:
    import yaml

    folder = unpacked("ZnO", tmp_path)
    document = yaml.safe_load((folder / DISPLACED).read_text())
    order = np.random.default_rng(2).permutation(len(document["supercell"]["points"]))
    place = np.argsort(order)
    document["supercell"]["points"] = [document["supercell"]["points"][i] for i in order]
    for each in document["displacements"]:
        each["atom"] = int(place[each["atom"] - 1]) + 1
    (folder / DISPLACED).write_text(yaml.safe_dump(document))
    sets = sets_in(folder)
    write_sets(folder, [[str(place[int(one[0]) - 1] + 1), one[1], *(one[2 + i] for i in order)] for one in sets])
    found = read_phonons(folder).harmonic.modes(Q).frequencies_THz
    assert found == pytest.approx(read_phonons(DATA / "ZnO").harmonic.modes(Q).frequencies_THz, abs=1e-6)


def test_random_displacements_are_fitted(tmp_path: Path, silicon: Harmonic) -> None:
    # FORCE_SETS of the second kind, by the harmonic forces themselves: the fit must give them back.
    folder = unpacked("Si", tmp_path)
    text = (folder / "phonopy_params.yaml").read_text()
    (folder / "phonopy_params.yaml").unlink()
    (folder / DISPLACED).write_text(text[: text.index("displacements:")])
    moves = np.random.default_rng(4).normal(scale=0.01, size=(3, 16, 3))
    np.savetxt(folder / "FORCE_SETS", np.concatenate([moves, predicted_forces(silicon, moves)], axis=2).reshape(-1, 6))
    reading = read_phonons(folder)
    assert reading.fit is not None and reading.fit.residual < 1e-4
    assert reading.harmonic.modes(Q).frequencies_THz == pytest.approx(silicon.modes(Q).frequencies_THz, abs=1e-3)


def cut_off(folder: Path) -> None:
    text = (folder / "FORCE_SETS").read_text()
    (folder / "FORCE_SETS").write_text(text[: int(0.7 * len(text))].rsplit("\n", 1)[0])


def of_another_supercell(folder: Path) -> None:
    edited(folder / DISPLACED, "- [   2,   0,   0 ]", "- [   4,   0,   0 ]")
    text = (folder / DISPLACED).read_text()
    (folder / DISPLACED).write_text(text[: text.index("\nsupercell:")] + "\n")


def sets_in(folder: Path) -> list[list[str]]:
    """Return the lines of FORCE_SETS a displacement: atom, displacement, forces."""
    values = [line for line in (folder / "FORCE_SETS").read_text().split("\n") if line.strip()]
    length = 2 + int(values[0])
    return [values[start : start + length] for start in range(2, len(values), length)]


def write_sets(folder: Path, sets: list[list[str]]) -> None:
    lines = [str(len(sets[0]) - 2), str(len(sets)), *(line for each in sets for line in each)]
    (folder / "FORCE_SETS").write_text("\n".join(lines) + "\n")


def missing(folder: Path) -> None:
    write_sets(folder, sets_in(folder)[:-1])


def without_displacements(folder: Path) -> None:
    text = (folder / DISPLACED).read_text()
    start, end = text.index("\ndisplacements:"), text.find("\nsupercell:", text.index("\ndisplacements:"))
    (folder / DISPLACED).write_text(text[:start] + (text[end:] if end > 0 else "\n"))


def one_atom_only(folder: Path) -> None:
    without_displacements(folder)
    sets = sets_in(folder)
    write_sets(folder, [each for each in sets if each[0] == sets[0][0]])


def one_direction(folder: Path) -> None:
    without_displacements(folder)
    write_sets(folder, [each for each in sets_in(folder) if abs(float(each[1].split()[2])) < 1e-6])


def other_order(folder: Path) -> None:
    write_sets(folder, [[*each[:2], *each[:1:-1]] for each in sets_in(folder)])


def drifting(folder: Path) -> None:
    write_sets(
        folder,
        [
            [*each[:2], *(" ".join(str(float(x) + 0.05) for x in line.split()) for line in each[2:])]
            for each in sets_in(folder)
        ],
    )


def other_displacement(folder: Path) -> None:
    lines = (folder / "FORCE_SETS").read_text().split("\n")
    place = next(i for i, line in enumerate(lines) if len(line.split()) == 3)
    lines[place] = " ".join(str(2 * float(x)) for x in lines[place].split())
    (folder / "FORCE_SETS").write_text("\n".join(lines))


def words_in_forces(folder: Path) -> None:
    lines = (folder / "FORCE_SETS").read_text().split("\n")
    (folder / "FORCE_SETS").write_text("\n".join([*lines[:8], "  0.1 ****** 0.2", *lines[9:]]))


def no_forces(folder: Path) -> None:
    (folder / "FORCE_SETS").unlink()


def no_document(folder: Path) -> None:
    (folder / DISPLACED).unlink()


def broken_document(folder: Path) -> None:
    text = (folder / DISPLACED).read_text()
    (folder / DISPLACED).write_text(text[: text.index("supercell_matrix:") + 30])


def conflicting_units(folder: Path) -> None:
    edited(folder / DISPLACED, "phonopy:\n", "phonopy:\n  calculator: qe\n")


def units_of_no_kind(folder: Path) -> None:
    edited(folder / DISPLACED, "physical_unit:\n", "physical_unit: [eV]\nother:\n")
    edited(folder / DISPLACED, "phonopy:\n", "phonopy:\n  calculator: 7\n")


def unknown_code(folder: Path) -> None:
    edited(folder / DISPLACED, "phonopy:\n", "phonopy:\n  calculator: crayon\n")


def wrong_primitive(folder: Path) -> None:
    edited(
        folder / DISPLACED,
        "supercell_matrix:",
        "primitive_matrix:\n- [0.7, 0, 0]\n- [0, 1, 0]\n- [0, 0, 1]\nsupercell_matrix:",
    )


def other_supercell_cell(folder: Path) -> None:
    text = (folder / DISPLACED).read_text()
    start = text.index("\nsupercell:")
    (folder / DISPLACED).write_text(text[:start] + text[start:].replace("coordinates: [  0.", "coordinates: [  0.1", 1))


def bad_pressure(folder: Path) -> None:
    path = folder / DISPLACED
    path.write_text(path.read_text() + "\npressure_GPa: high\n")


def one_charge_more(folder: Path) -> None:
    path = folder / "BORN"
    path.write_text(path.read_text() + "1 0 0 0 1 0 0 0 1\n")


def one_charge_less(folder: Path) -> None:
    path = folder / "BORN"
    path.write_text("\n".join(path.read_text().strip().split("\n")[:-1]) + "\n")


def charges_that_do_not_cancel(folder: Path) -> None:
    lines = (folder / "BORN").read_text().strip().split("\n")
    lines[-1] = " ".join(str(0.3 * float(x)) for x in lines[-1].split())
    (folder / "BORN").write_text("\n".join(lines))


def other_factor(folder: Path) -> None:
    lines = (folder / "BORN").read_text().strip().split("\n")
    (folder / "BORN").write_text("\n".join(["2.0", *lines[1:]]))


def no_dielectric(folder: Path) -> None:
    lines = (folder / "BORN").read_text().strip().split("\n")
    (folder / "BORN").write_text("\n".join([lines[0], "0 " * 9, *lines[2:]]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (cut_off, "displacements and holds"),
        (of_another_supercell, "forces of another supercell"),
        (missing, "displacements are missing"),
        (one_atom_only, "displacements are missing: neither atom"),
        (one_direction, "directions only, symmetry included"),
        (other_order, "atoms in another order"),
        (drifting, "must sum to zero"),
        (other_displacement, "forces of other displacements"),
        (words_in_forces, "'******' stands where a number should"),
        (no_forces, "neither FORCE_SETS, FORCE_CONSTANTS nor"),
        (no_document, "there is none of phonopy_params.yaml"),
        (broken_document, "no"),
        (conflicting_units, "names the calculator qe and other units"),
        (unknown_code, "its calculator is 'crayon'"),
        (units_of_no_kind, "its calculator is '7'"),
        (wrong_primitive, "make no supercell or primitive cell"),
        (other_supercell_cell, "its supercell is not what its unit cell and supercell_matrix make"),
        (bad_pressure, "pressure_GPa is 'high'"),
        (one_charge_more, "holds charges of 3 atoms; the primitive cell has 4, of which symmetry leaves 2 independent"),
        (one_charge_less, "holds charges of 1 atoms"),
        (charges_that_do_not_cancel, "they must sum to zero"),
        (other_factor, "the factor of its Born charges is 2"),
        (no_dielectric, "its dielectric tensor has the eigenvalue 0"),
    ],
)
def test_what_contradicts_itself_is_told(change: Any, words: str, tmp_path: Path) -> None:
    folder = unpacked("ZnO", tmp_path / "zno")
    change(folder)
    assert words in said(folder)


def test_a_structure_that_is_not_relaxed_is_told(tmp_path: Path, silicon: Harmonic) -> None:
    folder = unpacked("Si", tmp_path / "si")
    text = (folder / "phonopy_params.yaml").read_text()
    (folder / "phonopy_params.yaml").unlink()
    (folder / DISPLACED).write_text(text[: text.index("displacements:")])
    moves = np.zeros((6, 16, 3))
    moves[np.arange(6), 0] = 0.01 * np.concatenate([np.eye(3), -np.eye(3)])
    rest = np.random.default_rng(3).normal(scale=0.2, size=(16, 3))
    forces = predicted_forces(silicon, moves) + rest - rest.mean(axis=0)
    rows = [
        f"1\n{' '.join(map(str, move[0]))}\n" + "\n".join(" ".join(map(str, force)) for force in of_set)
        for move, of_set in zip(moves, forces, strict=True)
    ]
    (folder / "FORCE_SETS").write_text("16\n6\n" + "\n".join(rows) + "\n")
    assert "the structure is not relaxed" in said(folder)


def test_files_that_are_no_documents_are_told(tmp_path: Path) -> None:
    folder = unpacked("ZnO", tmp_path / "zno")
    with pytest.raises(InputError, match="holds no cell; give the folder"):
        read_phonons(folder / "FORCE_SETS")
    with pytest.raises(InputError, match="there is no such file or folder"):
        read_phonons(tmp_path / "nothing")
    (tmp_path / "empty.yaml").write_text("")
    with pytest.raises(InputError, match="the file is empty"):
        read_phonons(tmp_path / "empty.yaml")
    (tmp_path / "study.yaml").write_text("kind: stability\n")
    with pytest.raises(InputError, match="it holds no unit_cell"):
        read_phonons(tmp_path / "study.yaml")


@pytest.mark.slow
def test_gruneisen_parameters_are_phonopys() -> None:
    small, middle, large = (read_phonons(DATA / f"NaCl-{v}").harmonic for v in ("0.995", "1.00", "1.005"))
    theirs = phonopy.PhonopyGruneisen(middle.phonopy, large.phonopy, small.phonopy)
    theirs.set_mesh([7, 7, 7], is_gamma_center=True)
    _, _, frequencies, _, expected = theirs.get_mesh()
    found = gruneisen(small, large, middle, length_A=23.3)
    assert found.frequencies_THz.shape == frequencies.shape
    known = np.isfinite(found.parameters)
    assert found.parameters[known] == pytest.approx(expected[known], rel=1e-6)
    assert (~known).sum() == 3  # the translations at Γ
    # of NaCl at room temperature 1.6 is measured
    assert found.mean(300.0)[0] == pytest.approx(1.7, abs=0.2)
    both = gruneisen(small, large, length_A=23.3)
    assert both.mean(300.0)[0] == pytest.approx(found.mean(300.0)[0], rel=2e-3)
    at = parameters_at(small, large, middle, [[0, 0, 0], [0.5, 0, 0]])
    numeric = -np.log(large.modes([0.5, 0, 0]).frequencies_THz / small.modes([0.5, 0, 0]).frequencies_THz) / np.log(
        large.volume_A3_per_atom / small.volume_A3_per_atom
    )
    assert at[1] == pytest.approx(numeric[0], rel=2e-3)
    assert np.isnan(at[0, :3]).all()
    ordered = triples([large, small, middle])
    assert ordered == [(small, large, middle)]


def test_other_phases_and_equal_volumes_have_no_gruneisen_parameters(silicon: Harmonic, zinc_oxide: Harmonic) -> None:
    assert same_phase(silicon, silicon) and not same_phase(silicon, zinc_oxide)
    with pytest.raises(InputError, match="needs two volumes"):
        gruneisen(silicon, silicon)
    with pytest.raises(InputError, match="one phase in one supercell"):
        gruneisen(silicon, zinc_oxide)
    assert between(silicon, silicon).modes(Q).frequencies_THz == pytest.approx(silicon.modes(Q).frequencies_THz)


def test_displacements_are_phonopys_on_the_same_mesh(zinc_oxide: Harmonic) -> None:
    found = mean_square_A2(zinc_oxide, spectrum(zinc_oxide, (6, 6, 4), participation=True), [0.0, 300.0])
    theirs = zinc_oxide.phonopy
    theirs.run_mesh([6, 6, 4], is_gamma_center=True, with_eigenvectors=True, is_mesh_symmetry=False)
    expected = theirs.run_thermal_displacements(temperatures=[0, 300], freq_min=0.02)
    assert found == pytest.approx(expected.thermal_displacements.reshape(2, 4, 3).sum(axis=2), rel=1e-5)


def test_displacements_without_the_error_of_the_mesh(silicon: Harmonic) -> None:
    values = {}
    for points in (8, 12, 36):
        found = spectrum(silicon, (points,) * 3, participation=True)
        values[points] = mean_square_A2(silicon, found, 300.0)[0, 0]
    better = extrapolated(np.array(values[12]), np.array(values[8]), 12**3, 8**3)
    limit = extrapolated(np.array(values[36]), np.array(values[12]), 36**3, 12**3)
    assert abs(values[12] / limit - 1) > 0.05
    assert abs(better / limit - 1) < 0.01


def test_sound_makes_the_heat_capacity_of_the_cold(silicon: Harmonic) -> None:
    # C = (12π⁴/5) k_B (T/θ)³ in Debye's limit, with θ from the velocities of sound
    found = spectrum(silicon, (40, 40, 40))
    capacity = found.thermal(10.0).heat_capacity_eV_K[0] / units.kB
    theta = debye_temperatures_K(silicon, found)
    assert theta["sound"] == pytest.approx((12 * np.pi**4 / 5 / capacity) ** (1 / 3) * 10.0, rel=5e-3)
    assert theta["high_temperature"] is not None and theta["zero_point"] is not None
    # The heat capacity of a Debye crystal with the same ⟨ω²⟩ lacks 1/20 (θ/T)² of 3 k_B at high temperature
    lacking = 1 - found.thermal(2000.0).heat_capacity_eV_K[0] / units.kB / 3
    assert theta["high_temperature"] == pytest.approx(2000.0 * np.sqrt(20 * lacking), rel=5e-3)
    assert theta["zero_point"] == pytest.approx(8 / 9 * found.zero_point_eV_per_atom / units.kB)
    velocity = sound_velocity_km_s(silicon)
    slow = np.linalg.norm(silicon.modes([0.0, 0.01, 0.01], velocities=True).velocities_km_s[0, :2], axis=1)  # type: ignore[index]
    assert velocity is not None and 0.7 * slow.max() < velocity < 1.4 * slow.max()


def test_errors_have_their_causes(zinc_oxide: Harmonic) -> None:
    found, coarse = spectrum(zinc_oxide, (6, 6, 4)), spectrum(zinc_oxide, (4, 4, 3))
    parts = alternatives(zinc_oxide, found, coarse).zero_point_eV(found)
    assert parts["mesh"] == pytest.approx(abs(found.zero_point_eV_per_atom - coarse.zero_point_eV_per_atom))
    assert 1e-5 < parts["supercell"] < 5e-3
    assert set(parts) == {"mesh", "supercell"}
