import io
import stat
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io.vasp import read_vasp
from ase.units import Bohr, GPa

from megabar.structures.errors import InputError, SetupError
from megabar.workflows.codes.interface import CalculationFailed, Request
from megabar.workflows.codes.vasp.adapter import VASP, check_outcar, check_words, incar, poscar, read_outcar
from megabar.workflows.codes.vasp.potcar import choose, header
from megabar.workflows.config import CodeConfig, Config

DATA = Path(__file__).parent / "data" / "vasp"
FINISHED = (DATA / "OUTCAR.finished").read_text()
# What VASP 6 writes, and what VASP 5 does not, where NELM steps were not enough.
REACHED = "aborting loop because EDIFF is reached"
VASP_6_UNCONVERGED = FINISHED.replace(REACHED, "aborting loop EDIFF was not reached (unconverged)")
VASP_5_SILENT = FINISHED.replace(REACHED, "")
# VASP 5 says at NELM that EDIFF is reached, whatever energy (dE) and eigenvalues (d eps) still do.
LAST_CHANGE = ":-0.2000000E-05  (-0.1900000E-05)"
VASP_5_AT_NELM = FINISHED.replace(LAST_CHANGE, ":-0.2000000E-01  (-0.1900000E-05)")
VASP_5_EIGENVALUES = FINISHED.replace(LAST_CHANGE, ":-0.2000000E-05  (-0.1900000E-01)")
SCF = {"steps": 100, "energy_eV": 1e-5}
AT_NELM = {"steps": 3, "energy_eV": 1e-5}


def potcar(label, radius, cutoff, kind="PAW_PBE"):
    """The head of a POTCAR in the documented format; numbers invented, data sets left out."""
    return f"""  {kind} {label} 01Jan2000
   7.00000000000000
 parameters from PSCTR are:
   VRHFIN ={label.split("_")[0]}: s1
   TITEL  = {kind} {label} 01Jan2000
   RCORE  =    {radius:.3f}    outmost cutoff radius
   ENMAX  =  {cutoff:.3f}; ENMIN  =  100.000 eV
 End of Dataset
"""


@pytest.fixture
def config(tmp_path):
    folder = tmp_path / "potpaw_PBE"
    for label, radius, cutoff in (
        ("Na", 2.5, 102.0),
        ("Na_pv", 2.2, 260.0),
        ("Na_sv", 1.9, 646.0),
        ("Na_sv_GW", 1.0, 90.0),
        ("He", 1.1, 479.0),
        ("H", 1.1, 250.0),
        ("H.5", 1.1, 250.0),
        ("N", 1.5, 400.0),
    ):
        (folder / label).mkdir(parents=True)
        (folder / label / "POTCAR").write_text(potcar(label, radius, cutoff))
    program = tmp_path / "vasp_std"
    program.write_text(f'#!/bin/sh\ncp "{DATA}/OUTCAR.finished" OUTCAR\necho >> runs\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return Config(data=tmp_path / "data", codes={"vasp": CodeConfig(command=(str(program),), pseudopotentials=folder)})


def na2he():
    """Fluorite structure, the atoms in an order that is not element by element."""
    cell = 3.95 / 2 * (1 - np.eye(3))
    return Atoms("NaHeNa", cell=cell, scaled_positions=[[0.25] * 3, [0.0] * 3, [0.75] * 3], pbc=True)


def prepared(config, closest=None):
    atoms = na2he()
    data = VASP.atomic_data(["He", "Na"], "PBE", "moderate", closest or {("Na", "Na"): 3.0}, config)
    return atoms, data, VASP.settings(Request(atoms, "moderate", "PBE", False, data))


@pytest.mark.parametrize(
    ("distance_A", "label"),
    [(3.7, "Na"), (2.4, "Na_pv"), (2.1, "Na_sv"), (1.5, "Na_sv")],
)
def test_the_softest_core_that_leaves_room_is_taken(config, distance_A, label):
    folder = config.code("vasp").pseudopotentials
    assert choose(folder, "Na", "PBE", {("Na", "Na"): distance_A}).label == label


def test_one_letter_elements_do_not_take_others_files(config):
    folder = config.code("vasp").pseudopotentials
    assert choose(folder, "H", "PBE", {}).label == "H"
    assert choose(folder, "N", "PBE", {}).label == "N"


def test_radius_and_cutoff_come_from_the_header(config):
    data = VASP.atomic_data(["Na"], "PBE", "fast", {("Na", "Na"): 2.1}, config)[0]
    assert data.radius_A == pytest.approx(1.9 * Bohr)
    assert data.cutoff_eV == 646
    assert data.origin.startswith("PAW_PBE Na_sv")


def test_data_of_another_functional_are_not_taken(config):
    with pytest.raises(SetupError, match=r"no PAW POTCAR of Na \(only PAW_PBE Na"):
        VASP.atomic_data(["Na"], "LDA", "fast", {}, config)


def test_incar_says_all_that_matters(config):
    _, _, settings = prepared(config)
    settings = {**settings, "smearing": {"kind": "fermi-dirac", "width_eV": 0.2}}
    tags = dict(line.split(" = ") for line in incar(settings).splitlines())
    assert tags["GGA"] == "PE"
    assert float(tags["ENCUT"]) == settings["cutoff_eV"] >= 1.3 * 479
    assert (tags["ISMEAR"], float(tags["SIGMA"])) == ("-1", 0.2)
    assert (tags["NSW"], tags["LWAVE"], tags["LREAL"]) == ("0", ".FALSE.", ".FALSE.")


def test_files_agree_on_the_order_of_elements(config, tmp_path):
    atoms, data, settings = prepared(config)
    files = VASP.calculator(settings, data, atoms, tmp_path, config).inputs(atoms)
    read = read_vasp(io.StringIO(files["POSCAR"]))
    assert read.get_chemical_symbols() == ["Na", "Na", "He"]
    assert read.get_scaled_positions() == pytest.approx(atoms.get_scaled_positions()[[0, 2, 1]])
    assert read.cell.array == pytest.approx(atoms.cell.array)
    titles = [line.split()[3] for line in files["POTCAR"].splitlines() if "TITEL" in line]
    assert titles == ["Na", "He"]
    assert files["KPOINTS"].splitlines()[2:4] == ["Gamma", " ".join(map(str, settings["kpoints"]))]


def test_poscar_leaves_constraints_and_velocities_out():
    from ase.constraints import FixSymmetry

    atoms = na2he()
    atoms.set_constraint(FixSymmetry(atoms))
    assert "elective" not in poscar(atoms)


def test_a_potcar_of_another_element_or_a_changed_one_is_refused(config, tmp_path):
    atoms, data, settings = prepared(config)
    place = Path(data[1].path)
    place.write_text(place.read_text() + "changed\n")
    with pytest.raises(SetupError, match="has changed"):
        VASP.calculator(settings, data, atoms, tmp_path, config).inputs(atoms)
    place.write_text(potcar("K_sv", 2.2, 250.0))
    header.cache_clear()
    with pytest.raises(SetupError, match="TITEL is PAW_PBE K_sv"):
        VASP.calculator(settings, data, atoms, tmp_path, config).inputs(atoms)


def test_a_file_that_is_no_potcar_is_told(tmp_path):
    (tmp_path / "POTCAR").write_text("nothing")
    with pytest.raises(SetupError, match="lacks TITEL"):
        header(tmp_path / "POTCAR")


def test_missing_configuration_is_told(config):
    with pytest.raises(SetupError, match=r"codes\.vasp\.command"):
        VASP.installation(Config(codes={"vasp": CodeConfig(command=("no-such-vasp",))}))
    with pytest.raises(SetupError, match=r"codes\.vasp\.pseudopotentials"):
        VASP.atomic_data(["Na"], "PBE", "fast", {}, Config())
    with pytest.raises(SetupError, match="of Xe"):
        VASP.atomic_data(["Xe"], "PBE", "fast", {}, config)
    with pytest.raises(InputError, match="SCAN"):
        VASP.atomic_data(["Na"], "SCAN", "fast", {}, config)


def test_version_tells_programs_apart(config):
    program = Path(config.code("vasp").command[0])
    version = VASP.installation(config).version
    other = program.with_name("vasp_gam")
    other.write_text(program.read_text() + "#\n")
    other.chmod(0o755)
    assert version != VASP.installation(Config(codes={"vasp": CodeConfig(command=(str(other),))})).version


def test_a_finished_outcar_is_read_in_the_order_of_the_atoms():
    check_outcar(FINISHED, SCF, "")
    check_words(FINISHED)
    results, said = read_outcar(FINISHED, [0, 2, 1])
    assert results["energy"] == results["free_energy"] == -2.654332
    assert results["forces"][:, 0] == pytest.approx([0.01, -0.03, 0.02])
    # in kB is 0.1 GPa, pressure positive, ordered XX YY ZZ XY YZ ZX; ASE wants xx yy zz yz xz xy, tension positive.
    assert results["stress"] / GPa == pytest.approx([-150, -151, -152, -2, -3, -1])
    assert said == {"version": "6.4.2", "scf_steps": 3, "fermi_eV": 3.45}


@pytest.mark.parametrize(
    ("text", "scf", "cause"),
    [
        (VASP_6_UNCONVERGED, SCF, "scf-not-converged"),
        (VASP_5_AT_NELM, AT_NELM, "scf-not-converged"),
        (VASP_5_EIGENVALUES, AT_NELM, "scf-not-converged"),
        (VASP_5_SILENT, SCF, "incomplete-output"),
        (FINISHED, {"steps": 3, "energy_eV": 1e-6}, "scf-not-converged"),
        (FINISHED.replace(LAST_CHANGE, ": NaN  (NaN)"), SCF, "not-a-number"),
        (FINISHED[: FINISHED.index("General timing")], SCF, "incomplete-output"),
        (FINISHED[: FINISHED.index("E-fermi")], SCF, "incomplete-output"),
        ("", SCF, "incomplete-output"),
    ],
)
def test_failed_outcars(text, scf, cause):
    with pytest.raises(CalculationFailed) as failure:
        check_outcar(text, scf, "last words")
    assert failure.value.cause == cause


def test_a_run_that_converged_in_its_last_step_is_accepted():
    """EDIFF was reached in step NELM itself: the changes of energy and eigenvalues say so."""
    check_outcar(FINISHED, AT_NELM, "")


BOX = """\
 -----------------------------------------------------------------------------
|      Your highest band is occupied at some k-points! Unless you are         |
|      included TOO FEW BANDS!! Please increase the parameter NBANDS in file  |
 -----------------------------------------------------------------------------
"""


@pytest.mark.parametrize(
    ("words", "cause", "said"),
    [
        (BOX, "too-few-bands", "VASP says: included TOO FEW BANDS!!"),
        (" BRMIX: very serious problems\n the old and the new charge density differ\n", "wrong-charge", "BRMIX"),
        (" WARNING in EDDRMM: call to ZHEGV failed, returncode =   6  3      8\n", "diagonalization-failed", "EDDRMM"),
        (" Error EDDDAV: Call to ZHEGV failed. Returncode =  20 1  24\n", "diagonalization-failed", "EDDDAV"),
        (" LAPACK: Routine ZPOTRF failed!\n", "overlap-not-positive", "ZPOTRF"),
        ("ZBRENT: fatal error in bracketing\n", "error", "ZBRENT"),
    ],
)
def test_words_of_trouble_are_no_result(config, tmp_path, words, cause, said):
    """Said on standard output or in OUTCAR, by a run that comes to its end and says that it converged."""
    program = Path(config.code("vasp").command[0])
    (tmp_path / "words").write_text(words)
    program.write_text(f'#!/bin/sh\ncp "{DATA}/OUTCAR.finished" OUTCAR\ncat "{tmp_path}/words"\n')
    atoms, data, settings = prepared(config)
    atoms.calc = VASP.calculator(settings, data, atoms, tmp_path / "run", config)
    with pytest.raises(CalculationFailed, match=said) as failure:
        atoms.get_potential_energy()
    assert failure.value.cause == cause
    with pytest.raises(CalculationFailed):
        check_words(FINISHED + words)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("TOTEN  =        -2.65433200", "TOTEN  =                NaN", "'NaN' for the energy"),
        ("TOTEN  =        -2.65433200", "TOTEN  =   ****************", r"for the energy"),
        ("in kB    1500.00000  1510.00000", "in kB           NaN         NaN", "for the stress"),
        ("in kB    1500.00000", "in kB  ************", "for the stress"),
        ("        -0.030000      0.000000", "              NaN      0.000000", "for the forces"),
        ("        -0.030000      0.000000", " **************       0.000000", "for the forces"),
    ],
)
def test_what_is_no_number_is_no_result(before, after, said):
    text = FINISHED.replace(before, after)
    assert text != FINISHED
    with pytest.raises(CalculationFailed, match=said) as failure:
        read_outcar(text, [0, 2, 1])
    assert failure.value.cause == "not-a-number"


def test_wide_numbers_stand_without_a_space_between():
    text = FINISHED.replace(
        "in kB    1500.00000  1510.00000  1520.00000", "in kB  -11500.00000-11510.00000-11520.00000"
    )
    results, _ = read_outcar(text, [0, 2, 1])
    assert results["stress"][:3] / GPa == pytest.approx([1150, 1151, 1152])


def test_forces_of_another_number_of_atoms_are_refused():
    with pytest.raises(CalculationFailed, match="forces of 3 atoms, not of 2"):
        read_outcar(FINISHED, [0, 1])


def test_a_finished_run_is_not_repeated(config, tmp_path):
    atoms, data, settings = prepared(config)
    for _ in range(2):
        atoms.calc = VASP.calculator(settings, data, atoms, tmp_path / "run", config)
        assert atoms.get_potential_energy(force_consistent=True) == -2.654332
    assert len((tmp_path / "run" / "vasp" / "runs").read_text()) == 1
    assert VASP.observables(atoms.calc, tmp_path)["version"] == "6.4.2"
