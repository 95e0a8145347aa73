"""The Quantum ESPRESSO adapter: checks of real outputs (pw.x 6.7), settings, restarts; pw.x itself when slow."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms, FixSymmetry
from ase.io import read
from ase.units import GPa, Ry

from megabar.structures.errors import InputError, SetupError
from megabar.workflows.codes.espresso.adapter import ESPRESSO
from megabar.workflows.codes.espresso.inputs import parameters
from megabar.workflows.codes.espresso.output import XML, band_gap, check_output
from megabar.workflows.codes.espresso.restart import note_density, note_stopped, start_of
from megabar.workflows.codes.espresso.run import read_results
from megabar.workflows.codes.interface import AtomicData, CalculationFailed, Request
from megabar.workflows.codes.registry import CODES
from megabar.workflows.config import CodeConfig, Config
from megabar.workflows.mending.espresso import DEFAULTS
from megabar.workflows.mending.record import steps_taken

DATA = Path(__file__).with_name("data") / "espresso"
needs_pw = pytest.mark.skipif(
    shutil.which("pw.x") is None or shutil.which("ld1.x") is None, reason="Quantum ESPRESSO is not installed"
)


def folder_with(tmp_path: Path, name: str) -> Path:
    shutil.copy(DATA / f"{name}.pwo", tmp_path / "espresso.pwo")
    return tmp_path


def cause(folder: Path, returncode: int = 0) -> str:
    with pytest.raises(CalculationFailed) as caught:
        check_output(folder, returncode)
    assert "\n" not in caught.value.detail
    return caught.value.cause


def test_finished(tmp_path: Path) -> None:
    check_output(folder_with(tmp_path, "finished"), 0)


def test_the_words_of_short_memory_are_told_and_not_the_shells(tmp_path: Path) -> None:
    """Lines of pw.x 6.7 under a limit of its address space, and of the shell around one that a signal ended."""
    folder = folder_with(tmp_path, "killed")
    words = "In file 'gradcorr.f90', around line 68: Error allocating 1536000 bytes: Cannot allocate memory"
    more = "Could not print backtrace: mmap: Cannot allocate memory\n\n"
    (folder / "espresso.err").write_text(f"{words}\n\n{more}program: line 9: 19766 Segmentation fault      pw.x\n")
    with pytest.raises(CalculationFailed) as caught:
        check_output(folder, -11)
    assert caught.value.cause == "out-of-memory"
    assert caught.value.detail == f"pw.x was ended by signal 11: {words}"


@pytest.mark.parametrize(("filled", "enough"), [(0.004, True), (0.006, False), (-0.006, False)])
def test_the_highest_band_is_filled_by_half_a_percent_at_most(tmp_path: Path, filled: float, enough: bool) -> None:
    # Sodium's highest of six bands filled by 0.008 is 0.1 µeV too high, of five 1.2 meV.
    folder = folder_with(tmp_path, "finished")
    (folder / XML).parent.mkdir(parents=True, exist_ok=True)
    bands = "".join(f"<occupations size='2'>1.0 {each}</occupations>" for each in (0.0, filled, 0.001))
    (folder / XML).write_text(f"<qes>{bands}</qes>")
    if enough:
        check_output(folder, 0)
    else:
        assert cause(folder) == "too-few-bands"


@pytest.mark.parametrize(
    ("name", "returncode", "expected"),
    [
        ("killed", -9, "killed"),
        ("killed", 137, "killed"),
        ("killed", 0, "incomplete-output"),
        ("not_converged", 2, "scf-not-converged"),
        ("not_converged", 0, "scf-not-converged"),
        ("refused", 1, "input-refused"),
    ],
)
def test_unfinished(tmp_path: Path, name: str, returncode: int, expected: str) -> None:
    assert cause(folder_with(tmp_path, name), returncode) == expected


def test_message_of_pw(tmp_path: Path) -> None:
    with pytest.raises(CalculationFailed, match=r"Error in routine iosys \(1\): unknown mixing nonsense"):
        check_output(folder_with(tmp_path, "refused"), 1)


def test_missing_output(tmp_path: Path) -> None:
    assert cause(tmp_path) == "incomplete-output"


def test_cut_anywhere(tmp_path: Path) -> None:
    """However much of the end is missing, up to the line JOB DONE, the run does not count as finished."""
    lines = (DATA / "finished.pwo").read_text().splitlines(keepends=True)
    done = next(number for number, line in enumerate(lines) if "JOB DONE" in line)
    for number in range(0, done + 1, 7):
        (tmp_path / "espresso.pwo").write_text("".join(lines[:number]))
        assert cause(tmp_path) == "incomplete-output"


def test_error_hidden_by_a_later_job_done(tmp_path: Path) -> None:
    box = "%" * 30 + "\n     Error in routine cdiaghg (28):\n     S matrix not positive definite\n" + "%" * 30
    (tmp_path / "espresso.pwo").write_text((DATA / "finished.pwo").read_text() + box)
    assert cause(tmp_path) == "overlap-not-positive"


@pytest.mark.parametrize("word", ["NaN", "Infinity", "*" * 15])
@pytest.mark.parametrize("what", ["!    total energy", "Total force", "total   stress", "the Fermi energy is"])
def test_what_is_no_number_is_no_result(tmp_path: Path, what: str, word: str) -> None:
    """pw.x may come to JOB DONE, and say that it converged, with energies, forces or stresses that are no numbers."""
    lines = (DATA / "finished.pwo").read_text().splitlines(keepends=True)
    lines = [re.sub(r"[-\d.]+", word, line, count=1) if line.lstrip().startswith(what) else line for line in lines]
    if what == "the Fermi energy is":
        lines.insert(-20, f"     the Fermi energy is    {word} ev\n")
    (tmp_path / "espresso.pwo").write_text("".join(lines))
    assert cause(tmp_path) == "not-a-number"


def test_a_stress_tensor_that_is_no_number_is_no_result(tmp_path: Path) -> None:
    text = (DATA / "finished.pwo").read_text().replace("   0.00113578  -0.00011788  -0.00011788 ", "   NaN  NaN  NaN ")
    (tmp_path / "espresso.pwo").write_text(text)
    check_output(tmp_path, 0)
    with pytest.raises(CalculationFailed, match="stress") as caught:
        read_results(tmp_path)
    assert caught.value.cause == "not-a-number"


def test_band_gap() -> None:
    """Si on 2x2x2 k-points: the gap of the run is printed as levels in its output too."""
    gap = band_gap(DATA / "bands.xml")
    assert gap is not None
    levels = read(DATA / "finished.pwo", format="espresso-out").calc
    values = np.array([kpoint.eps_n for kpoint in levels.kpts])
    assert gap == pytest.approx(values[:, 4].min() - values[:, 3].max(), abs=2e-4)
    assert band_gap(DATA / "finished.pwo") is None


def upf(folder: Path, element: str, cutoff_Ry: float, ratio: float) -> AtomicData:
    kind = "NC" if ratio == 4 else "US"
    folder.mkdir(exist_ok=True)
    (folder / f"{element}.upf").write_text(
        f'<UPF version="2.0.1">\n<PP_HEADER element="{element}" pseudo_type="{kind}" functional="PBE" z_valence="1.0"'
        f' wfc_cutoff="{cutoff_Ry}" rho_cutoff="{ratio * cutoff_Ry}"/>\n</UPF>'
    )
    config = Config(codes={"espresso": CodeConfig(pseudopotentials=folder)})
    return ESPRESSO.atomic_data([element], "PBE", "moderate", {}, config)[0]


def test_settings_are_those_of_the_study(tmp_path: Path) -> None:
    """Cutoffs follow from all elements of the study, whatever the phase, and are complete JSON without paths."""
    data = [upf(tmp_path, "Na", 80, 8), upf(tmp_path, "He", 90, 4)]
    sodium, helium = (
        ESPRESSO.settings(Request(bulk(element, "fcc", a=4.0), "moderate", "PBE", False, data))
        for element in ("Na", "He")
    )
    assert sodium == helium
    assert sodium["cutoff_eV"] == pytest.approx(90 * Ry, abs=1e-2)
    assert sodium["density_cutoff_eV"] == pytest.approx(8 * 90 * Ry, abs=1e-1)
    assert (
        sodium["constant_cutoff"]["from_eV"] + 4 * sodium["constant_cutoff"]["width_eV"] <= sodium["cutoff_eV"] + 0.01
    )
    assert json.loads(json.dumps(sodium)) == sodium
    assert str(tmp_path) not in json.dumps(sodium)


def test_protocols_are_in_order(tmp_path: Path) -> None:
    data = [upf(tmp_path, "Na", 80, 6)]
    fast, moderate, precise = (
        ESPRESSO.settings(Request(bulk("Na"), protocol, "PBE", False, data))
        for protocol in ("fast", "moderate", "precise")
    )
    for key in ("cutoff_eV", "density_cutoff_eV", "kpoints"):
        assert fast[key] < moderate[key] < precise[key]
    assert fast["scf_energy_eV"] > moderate["scf_energy_eV"] > precise["scf_energy_eV"]


def test_parameters_scale_with_atoms(tmp_path: Path) -> None:
    """The threshold of pw.x is for the cell, ours for the atom."""
    data = (upf(tmp_path, "Na", 80, 6),)
    settings = ESPRESSO.settings(Request(bulk("Na"), "fast", "PBE", False, data))
    one, two = (
        parameters(settings, data, atoms, DEFAULTS)["input_data"]["electrons"]["conv_thr"]
        for atoms in (bulk("Na"), bulk("Na", cubic=True))
    )
    assert one == pytest.approx(settings["scf_energy_eV"] / Ry)
    assert two == pytest.approx(2 * one)


def test_density_is_used_only_when_whole(tmp_path: Path) -> None:
    def start(atoms: Atoms, identity: str = "these settings") -> str:
        return start_of(tmp_path, atoms, identity, {})[0]

    save = tmp_path / "out" / "pwscf.save"
    save.mkdir(parents=True)
    (save / "charge-density.dat").write_bytes(b"density")
    atoms = bulk("Na")
    assert start(atoms) == "atoms"
    note_density(tmp_path, atoms, "these settings")
    assert start(atoms) == "density"
    assert start(atoms, "others") == "atoms"
    squeezed = atoms.copy()
    squeezed.set_cell(atoms.cell * 0.95, scale_atoms=True)
    assert start(squeezed) == "density"
    squeezed.set_cell(atoms.cell * 0.8, scale_atoms=True)
    assert start(squeezed) == "atoms"
    assert start(bulk("Na", cubic=True)) == "atoms"
    (save / "charge-density.dat").write_bytes(b"densi")
    with pytest.raises(CalculationFailed, match=r"restart-damaged: out/pwscf.save/charge-density.dat is not"):
        start(atoms)


def test_a_stopped_run_goes_on_only_as_the_same_run(tmp_path: Path) -> None:
    """Another geometry, other processes or other mixing: then its density is all that serves."""
    save = tmp_path / "out" / "pwscf.save"
    save.mkdir(parents=True)
    for path in (save / "charge-density.dat", save.parent / "pwscf.wfc1", save.parent / "pwscf.restart_k"):
        path.write_bytes(b"content")
    atoms, layout = bulk("Na"), {"command": ["pw.x"], "path": {"mixing_beta": 0.5}}
    note_stopped(tmp_path, atoms, "these settings", layout, 7)
    assert not (save.parent / "pwscf.restart_k").exists()
    assert start_of(tmp_path, atoms, "these settings", layout) == ("stopped", 7)
    assert start_of(tmp_path, atoms, "these settings", {**layout, "command": ["mpirun", "pw.x"]}) == ("density", 0)
    moved = atoms.copy()
    moved.set_cell(atoms.cell * 0.999, scale_atoms=True)
    assert start_of(tmp_path, moved, "these settings", layout) == ("density", 0)
    (save.parent / "pwscf.wfc1").write_bytes(b"something else")
    with pytest.raises(CalculationFailed, match=r"out/pwscf.wfc1 is not"):
        start_of(tmp_path, atoms, "these settings", layout)


@pytest.mark.parametrize("name", CODES)
def test_unknown_functionals_are_told_by_every_code(name: str, tmp_path: Path) -> None:
    adapter = CODES[name]
    known = ", ".join(adapter.functionals)
    with pytest.raises(InputError, match=re.escape(f"{name} has no functional 'B3LYP' here (known: {known})")):
        adapter.atomic_data(["Cu"], "B3LYP", "fast", {}, Config(data=tmp_path))


def test_missing_command(tmp_path: Path) -> None:
    config = Config(data=tmp_path, codes={"espresso": CodeConfig(command=(str(tmp_path / "pw.x"),))})
    with pytest.raises(SetupError, match="MEGABAR_ESPRESSO_COMMAND"):
        ESPRESSO.installation(config)
    data = (upf(tmp_path / "pp", "Na", 80, 6),)
    settings = ESPRESSO.settings(Request(bulk("Na"), "fast", "PBE", False, data))
    atoms = bulk("Na")
    atoms.calc = ESPRESSO.calculator(settings, data, atoms, tmp_path / "run", config)
    with pytest.raises(CalculationFailed, match="cannot-start"):
        atoms.get_potential_energy()


def test_not_pw(tmp_path: Path) -> None:
    config = Config(data=tmp_path, codes={"espresso": CodeConfig(command=("true",))})
    with pytest.raises(SetupError, match=r"is it pw\.x"):
        ESPRESSO.installation(config)


def test_changed_pseudopotential_is_noticed(tmp_path: Path) -> None:
    data = (upf(tmp_path / "pp", "Na", 80, 6),)
    settings = ESPRESSO.settings(Request(bulk("Na"), "fast", "PBE", False, data))
    Path(data[0].path).write_text("something else")
    atoms = bulk("Na")
    atoms.calc = ESPRESSO.calculator(settings, data, atoms, tmp_path / "run", Config(data=tmp_path))
    with pytest.raises(CalculationFailed, match="pseudopotential-changed"):
        atoms.get_potential_energy()
    atoms.calc = ESPRESSO.calculator(
        settings, (replace(data[0], path=str(tmp_path / "none")),), atoms, tmp_path / "run", Config(data=tmp_path)
    )
    with pytest.raises(CalculationFailed, match="pseudopotential-missing"):
        atoms.get_potential_energy()


@needs_pw
def test_version() -> None:
    found = ESPRESSO.installation(Config())
    assert found.version[0].isdigit()
    assert found.command == ("pw.x",)


# What follows runs pw.x.


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return Config(data=tmp_path_factory.mktemp("data"))


def prepared(
    atoms: Atoms, config: Config, folder: Path, kpoints: int = 2, protocol: str = "fast", **changes: object
) -> Atoms:
    """Return a copy of the atoms with a calculator in a folder, on a coarse grid of k-points."""
    data = ESPRESSO.atomic_data(sorted(set(atoms.get_chemical_symbols())), "PBE", protocol, {}, config)
    settings = ESPRESSO.settings(Request(atoms, protocol, "PBE", False, data)) | {"kpoints": [kpoints] * 3} | changes
    copy = atoms.copy()
    copy.calc = ESPRESSO.calculator(settings, data, copy, folder, config)
    return copy


def silicon() -> Atoms:
    atoms = bulk("Si", a=5.3)
    atoms.positions[1] += 0.03
    return atoms


@needs_pw
@pytest.mark.slow
def test_forces_are_the_slope_of_the_energy(config: Config, tmp_path: Path) -> None:
    """Also with half-filled bands: the energy is the free energy that the forces belong to."""
    energies = []
    for step in (-0.02, 0.02):
        atoms = silicon()
        atoms.positions[1, 0] += step
        atoms = prepared(
            atoms, config, tmp_path / str(step), scf_energy_eV=1e-8, smearing={"kind": "fermi-dirac", "width_eV": 1.0}
        )
        energies.append(atoms.get_potential_energy(force_consistent=True))
    middle = prepared(
        silicon(), config, tmp_path / "0", scf_energy_eV=1e-8, smearing={"kind": "fermi-dirac", "width_eV": 1.0}
    )
    slope = -(energies[1] - energies[0]) / 0.04
    assert middle.get_forces()[1, 0] == pytest.approx(slope, abs=2e-3)
    assert abs(slope) > 0.1


@needs_pw
@pytest.mark.slow
def test_pressure_is_the_slope_of_the_energy(config: Config, tmp_path: Path) -> None:
    """He at 67 GPa with `fast`: without the constant-cutoff functional the stress is some 20 GPa off (Pulay).

    What is left are the steps of E(V) where plane waves enter.
    """
    volumes = 4 * np.array([0.96, 0.98, 1.0, 1.02, 1.04])
    energies, pressures = [], []
    for volume in volumes:
        atoms = prepared(bulk("He", "fcc", a=(4 * volume) ** (1 / 3)), config, tmp_path / f"{volume:.2f}")
        energies.append(atoms.get_potential_energy(force_consistent=True))
        pressures.append(-atoms.get_stress()[:3].mean() / GPa)
    slope = -np.polyfit(volumes - 4, energies, 3)[2] / GPa
    assert pressures[2] == pytest.approx(slope, abs=2.0)


@needs_pw
@pytest.mark.slow
def test_restart(config: Config, tmp_path: Path) -> None:
    """A second step starts from the density of the first, takes fewer iterations, and gives the same answer."""
    atoms = prepared(silicon(), config, tmp_path / "run", scf_energy_eV=1e-8)
    atoms.get_potential_energy()
    first = ESPRESSO.observables(atoms.calc, tmp_path / "run")["scf_steps"]
    atoms.positions[1] -= 0.005
    restarted = atoms.get_potential_energy()
    assert "startingpot      = 'file'" in (tmp_path / "run" / "espresso.pwi").read_text()
    assert ESPRESSO.observables(atoms.calc, tmp_path / "run")["scf_steps"] < first
    fresh = prepared(atoms, config, tmp_path / "fresh", scf_energy_eV=1e-8)
    assert fresh.get_potential_energy() == pytest.approx(restarted, abs=1e-6)
    # A finished run for exactly these atoms is read, not repeated: pw.x is not even started.
    (tmp_path / "fresh" / "pseudo" / "Si.upf").unlink()
    broken = config.model_copy(update={"codes": {"espresso": CodeConfig(command=("false",))}})
    again = prepared(atoms, broken, tmp_path / "fresh", scf_energy_eV=1e-8)
    assert again.get_potential_energy() == fresh.get_potential_energy()


@needs_pw
@pytest.mark.slow
def test_constraints_stay_out_of_the_input(config: Config, tmp_path: Path) -> None:
    """ASE would write fixed atoms into the input, whereupon pw.x gives zero for their forces."""
    atoms = prepared(silicon(), config, tmp_path)
    atoms.set_constraint([FixAtoms([0, 1])])
    assert np.abs(atoms.get_forces(apply_constraint=False)).max() > 0.05
    atoms.set_constraint(FixSymmetry(atoms))
    atoms.positions[1] -= 0.001
    assert np.abs(atoms.get_forces(apply_constraint=False)).max() > 0.05


@needs_pw
@pytest.mark.slow
def test_density_that_pw_refuses(config: Config, tmp_path: Path) -> None:
    """Even where a damaged density passes for whole, the run ends well, and what happened is told."""
    atoms = prepared(silicon(), config, tmp_path)
    energy = atoms.get_potential_energy()
    (tmp_path / "out" / "pwscf.save" / "charge-density.dat").write_bytes(b"damaged")
    note_density(tmp_path, silicon(), json.loads((tmp_path / "restart.json").read_text())["identity"])
    (tmp_path / "espresso.pwo").unlink()
    again = prepared(silicon(), config, tmp_path)
    assert again.get_potential_energy() == pytest.approx(energy, abs=1e-5)
    assert steps_taken(tmp_path) == ["restart-damaged: started afresh"]


@needs_pw
@pytest.mark.slow
def test_killed_and_started_again(config: Config, tmp_path: Path) -> None:
    """The process that runs pw.x is killed: pw.x goes with it, and the next call ends well."""
    script = tmp_path / "run.py"
    script.write_text(
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from test_espresso import Config, prepared, silicon\n"
        "prepared(silicon(), Config(data=Path(sys.argv[2])), Path(sys.argv[3]), kpoints=8).get_potential_energy()\n"
    )
    run = tmp_path / "run"
    process = subprocess.Popen([sys.executable, script, Path(__file__).parent, config.data, run])
    while "iteration #  2" not in (run / "espresso.pwo").read_text() if (run / "espresso.pwo").exists() else True:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert ended(run)
    with pytest.raises(CalculationFailed, match="incomplete-output"):
        check_output(run, 0)
    assert prepared(silicon(), config, run).get_potential_energy() < 0


def ended(folder: Path) -> bool:
    """Return whether no process works in a folder any more, waiting at most 10 s."""
    for _ in range(100):
        working = []
        for link in Path("/proc").glob("[0-9]*/cwd"):
            try:
                working.append(os.readlink(link) == str(folder))
            except OSError:
                continue
        if not any(working):
            return True
        time.sleep(0.1)
    return False


@needs_pw
@pytest.mark.slow
def test_h3s_at_200_GPa(config: Config, tmp_path: Path) -> None:
    """Im-3m H3S, a = 2.984 Å: 198 GPa, converged (norm-conserving 80 and 120 Ry, GTH potentials 196 GPa).

    Duan et al., Sci. Rep. 4, 6968 (2014), doi:10.1038/srep06968, give a = 2.984 Å at 200 GPa.
    """
    scaled = [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
    a = 2.984
    cell = a / 2 * np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    cartesian = a * np.array(scaled)
    h3s = Atoms("SH3", cell=cell, positions=cartesian, pbc=True)
    atoms = prepared(h3s, config, tmp_path, kpoints=6, protocol="moderate")
    pressure = -atoms.get_stress()[:3].mean() / GPa
    assert pressure == pytest.approx(197, abs=3)
    assert ESPRESSO.observables(atoms.calc, tmp_path)["symmetry_operations"] == 48
    assert ESPRESSO.observables(atoms.calc, tmp_path)["band_gap_eV"] == 0.0


@needs_pw
@pytest.mark.slow
def test_compressed_na2he_against_all_electron(config: Config, tmp_path: Path) -> None:
    """[E(Na2He) - 2 E(Na) - E(He)] / 3 at the volumes of 300 GPa, against Elk's (test_elk.py).

    Elk: 367.3 meV/atom with the same k-points and smearing. Ours: 369 with `fast`, 367 converged. Without d
    projectors on Na it is 381, and with sodium's 2s frozen as in GPAW's default sets 388, so 6 meV/atom tell the
    wrong potentials from the right ones. The pressures are those of Elk's volumes.
    """
    half = (15.46 / 2) ** (1 / 3)
    cell = half * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    na2he = Atoms("HeNa2", cell=cell, scaled_positions=[[0] * 3, [0.25] * 3, [0.75] * 3], pbc=True)
    sodium, helium = (bulk(name, "fcc", a=(4 * volume) ** (1 / 3)) for name, volume in (("Na", 7.17), ("He", 2.32)))
    energies = []
    data = ESPRESSO.atomic_data(["Na", "He"], "PBE", "fast", {}, config)
    for atoms, kpoints in ((na2he, 4), (sodium, 8), (helium, 4)):
        settings = ESPRESSO.settings(Request(atoms, "fast", "PBE", False, data))
        settings |= {"kpoints": [kpoints] * 3, "smearing": {"kind": "fermi-dirac", "width_eV": 0.2}}
        atoms.calc = ESPRESSO.calculator(settings, data, atoms, tmp_path / str(atoms.symbols), config)
        energies.append(atoms.get_potential_energy(force_consistent=True))
        assert -atoms.get_stress()[:3].mean() / GPa == pytest.approx(300, abs=4)
    formation = 1000 * (energies[0] - 2 * energies[1] - energies[2]) / 3
    assert formation == pytest.approx(367.3, abs=6)
