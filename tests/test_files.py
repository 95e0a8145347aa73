"""Phases from structure files, and every way in which a file can be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.units import GPa

from megabar.structures.errors import InputError
from megabar.structures.files import read_phase
from megabar.structures.library import library
from megabar.structures.symmetry import space_group

CIF = """data_wuestite
_cell_length_a 4.2
_cell_length_b 4.2
_cell_length_c 4.2
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_Int_Tables_number 225
_symmetry_space_group_name_H-M 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
"""


@pytest.mark.parametrize("ending", ["cif", "vasp", "extxyz"])
@pytest.mark.parametrize("name", ["Na-cI16", "H2S-Pc", "SiO2-quartz"])
def test_what_is_written_comes_back(tmp_path: Path, name: str, ending: str) -> None:
    phase = library()[name]
    path = tmp_path / f"{name}.{ending}"
    write(path, phase.atoms)
    read = read_phase(path, pressure_GPa=phase.pressure_GPa)
    assert read.name == name
    assert read.formula == phase.formula
    assert space_group(read.atoms) == space_group(phase.atoms)
    assert len(read.atoms) == len(phase.atoms)
    assert read.volume_per_atom == pytest.approx(phase.volume_per_atom, rel=1e-5)
    assert read.source == path.name
    assert read.known_GPa[0] <= 0 and read.known_GPa[1] >= 5000


def test_a_conventional_cell_is_reduced_and_the_note_says_so(tmp_path: Path) -> None:
    path = tmp_path / "iron.vasp"
    write(path, bulk("Fe", cubic=True) * (2, 1, 1))
    phase = read_phase(path)
    assert len(phase.atoms) == 1
    assert "4 atoms" in phase.note and "Im-3m (229)" in phase.note


def test_an_unknown_pressure_is_assumed_and_said(tmp_path: Path) -> None:
    path = tmp_path / "na.extxyz"
    write(path, bulk("Na"))
    assert read_phase(path).pressure_GPa == 0
    assert "0 GPa assumed" in read_phase(path).note
    assert read_phase(path, pressure_GPa=20).pressure_GPa == 20
    assert "assumed" not in read_phase(path, pressure_GPa=20).note


def test_the_pressure_of_an_extended_xyz_file_is_honoured(tmp_path: Path) -> None:
    path = tmp_path / "na.extxyz"
    atoms = bulk("Na")
    atoms.info["pressure_GPa"] = 55.0
    write(path, atoms)
    assert read_phase(path).pressure_GPa == 55
    assert "assumed" not in read_phase(path).note
    atoms.info["pressure_GPa"] = "high"
    write(path, atoms)
    with pytest.raises(InputError, match=r"na\.extxyz: pressure_GPa is 'high'"):
        read_phase(path)


@pytest.mark.parametrize(
    ("file", "name"), [("a b.cif", "a b"), ("run1/POSCAR", "run1"), ("POSCAR.hcp", "hcp"), ("CONTCAR_7", "7")]
)
def test_names_without_a_name(tmp_path: Path, file: str, name: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    write(path, bulk("Na"), format="cif" if file.endswith("cif") else "vasp")
    assert read_phase(path).name == name
    assert read_phase(path, name="Na-x").name == "Na-x"


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("empty.cif", "", "empty"),
        ("words.cif", "nothing to see", "cannot be read"),
        ("words.vasp", "nothing to see", "cannot be read"),
        ("words.xyz", "nothing to see", "cannot be read"),
        ("no-atoms.cif", "data_x\n_cell_length_a 3\n", "no structures"),
        ("molecule.xyz", "2\n\nH 0 0 0\nH 0 0 0.74\n", "has no cell"),
        ("flat.extxyz", '1\nLattice="2 0 0 0 2 0 0 0 0" Properties=species:S:1:pos:R:3\nH 0 0 0\n', "has no cell"),
        ("dummy.extxyz", '1\nLattice="2 0 0 0 2 0 0 0 2" Properties=species:S:1:pos:R:3\nX 0 0 0\n', "known element"),
        ("nan.extxyz", '1\nLattice="2 0 0 0 2 0 0 0 2" Properties=species:S:1:pos:R:3\nH 0 0 nan\n', "not numbers"),
        ("mixed.cif", CIF + "Mg1 Mg 0 0 0 0.9\nFe1 Fe 0 0 0 0.1\nO1 O 0.5 0.5 0.5 1\n", "0.1 Fe, 0.9 Mg"),
        ("holes.cif", CIF + "Fe1 Fe 0 0 0 0.95\nO1 O 0.5 0.5 0.5 1\n", "0.95 Fe"),
    ],
)
def test_wrong_files_are_told_in_a_sentence_that_names_them(tmp_path: Path, file: str, text: str, said: str) -> None:
    path = tmp_path / file
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_phase(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_full_occupancies_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "feo.cif"
    path.write_text(CIF + "Fe1 Fe 0 0 0 1.0\nO1 O 0.5 0.5 0.5 1\n")
    assert read_phase(path).formula == "FeO"
    assert len(read_phase(path).atoms) == 2


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.cif: there is no such file"):
        read_phase(tmp_path / "gone.cif")


def test_several_structures_in_a_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "two.extxyz"
    write(path, [bulk("Na"), bulk("Na")])
    with pytest.raises(InputError, match="holds 2 structures"):
        read_phase(path)


def test_overlapping_atoms_are_refused_and_dense_matter_is_not(tmp_path: Path) -> None:
    path = tmp_path / "h.extxyz"
    write(path, Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.2]], cell=[2, 2, 2], pbc=True))
    with pytest.raises(InputError, match=r"H and H atoms overlap, 0\.20 Å apart"):
        read_phase(path)
    write(path, Atoms("H2", positions=[[0, 0, 0], [2, 0, 0]], cell=[2, 2, 2], pbc=True))
    with pytest.raises(InputError, match="overlap"):
        read_phase(path)
    for name in ("H-I41amd", "C-sc", "MgO-B2", "Na-hP4"):
        write(path, library()[name].atoms)
        assert read_phase(path).formula == library()[name].formula


def test_several_structures_in_a_poscar_are_refused_and_velocities_are_none(tmp_path: Path) -> None:
    """ASE takes the first of several, and says nothing."""
    write(tmp_path / "one.vasp", bulk("Na") * (2, 1, 1))
    one = (tmp_path / "one.vasp").read_text()
    (tmp_path / "two.vasp").write_text(one + one)
    with pytest.raises(InputError, match=r"two\.vasp: holds 2 structures"):
        read_phase(tmp_path / "two.vasp")
    old = "\n".join(line for line in one.splitlines() if line.split() != ["Na"]) + "\n"  # without a line of elements
    (tmp_path / "three.vasp").write_text(one + old + one)
    with pytest.raises(InputError, match=r"three\.vasp: holds 3 structures"):
        read_phase(tmp_path / "three.vasp")
    rows = "  0.1E-02 0.2E-02 0.3E-02\n" * 2
    vectors = " 1\n" + "  0.00000000E+00 0.00000000E+00 0.00000000E+00\n" * 6
    (tmp_path / "CONTCAR").write_text(f"{one}Lattice velocities and vectors\n{vectors}\n{rows}")
    assert len(read_phase(tmp_path / "CONTCAR").atoms) == 1


def test_several_structures_in_a_res_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "na.res"
    path.write_text(2 * res("Na-1", bulk("Na").get_volume()))
    with pytest.raises(InputError, match="holds 2 structures"):
        read_phase(path)


def res(title: str, volume: float, pressure: float = 45.3) -> str:
    """Return sodium as AIRSS writes it: TITL name pressure volume enthalpy …"""
    return (
        f"TITL {title} {pressure} {volume:.4f} -1.5 0 0 1 (Im-3m) n - 1\n"
        "CELL 1.54180 3.66296 3.66296 3.66296 109.4712 109.4712 109.4712\n"
        "LATT -1\nSFAC Na\nNa 1 0.0 0.0 0.0 1.0\nEND\n"
    )


def test_the_pressure_of_a_res_file_is_that_of_its_title_where_it_is_one(tmp_path: Path) -> None:
    path = tmp_path / "na.res"
    path.write_text(res("Na-1", bulk("Na").get_volume()))
    assert read_phase(path).pressure_GPa == 45.3
    assert "assumed" not in read_phase(path).note
    for title in (res("Na-1", 3 * bulk("Na").get_volume()), res("x", 1.0).replace("x 45.3", "2008src0123 in P21/c")):
        path.write_text(title)  # free words, as SHELX has them
        assert read_phase(path).pressure_GPa == 0
        assert "0 GPa assumed" in read_phase(path).note


def test_stress_virial_and_pressure_of_an_extended_xyz_file_are_its_pressure(tmp_path: Path) -> None:
    path, atoms = tmp_path / "na.extxyz", bulk("Na")
    stress = -np.diag([28.0, 30.0, 32.0]) * GPa
    for infos in ({"stress": stress}, {"virial": -stress * atoms.get_volume()}):
        atoms.info = infos
        write(path, atoms)
        assert read_phase(path).pressure_GPa == pytest.approx(30)
        assert "Pressure from the stress in the file" in read_phase(path).note
    atoms.info = {}
    atoms.calc = SinglePointCalculator(atoms, stress=np.array([stress[0, 0], stress[1, 1], stress[2, 2], 0.1, 0, 0]))
    write(path, atoms)
    assert read_phase(path).pressure_GPa == pytest.approx(30)
    for key, value, expected in (
        ("pressure", 12.0, 12.0),
        ("pressure_kbar", 120.0, 12.0),
        ("pressure_MPa", 500.0, 0.5),
    ):
        atoms.calc, atoms.info = None, {key: value}
        write(path, atoms)
        assert read_phase(path).pressure_GPa == pytest.approx(expected)
        assert ("taken as GPa" in read_phase(path).note) == (key == "pressure")
