"""The command `megabar thermo`: its JSON, its text, its figures, its export, and what it says of wrong input."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.units import GPa, kB, kJ, mol
from test_thermo_files import COPPER, PHONOPY, QHA, SILICON, copied, files
from thermo_solids import Solid

from megabar.analysis.thermo.quasiharmonic import quasiharmonic
from megabar.analysis.thermo.readers import read_free_energies
from megabar.analysis.thermo.stixrude import NAMES, ThermalEos, fit_thermal_eos
from megabar.launchers.answering.thermo import thermo_of, values_of
from megabar.launchers.cli.printing import FILE_WIDTH
from megabar.launchers.cli.thermo_text import thermo_picture
from megabar.structures.errors import InputError

ROW = {
    "pressure_GPa", "temperature_K", "volume_A3", "volume_error_A3", "gibbs_eV", "gibbs_error_eV",
    "thermal_expansion_per_K", "bulk_modulus_GPa", "adiabatic_bulk_modulus_GPa", "heat_capacity_J_per_mol_K",
    "heat_capacity_v_J_per_mol_K", "entropy_J_per_mol_K", "gruneisen", "debye_temperature_K", "volume_A3_per_atom",
    "gibbs_eV_per_atom", "gibbs_error_eV_per_atom", "heat_capacity_J_per_mol_atoms_K",
    "heat_capacity_v_J_per_mol_atoms_K", "entropy_J_per_mol_atoms_K",
}  # fmt: skip


def run(*arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "megabar.launchers.cli", "thermo", *map(str, arguments)],
        text=True,
        capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
        timeout=240,
    )
    assert done.returncode == code, done.stderr
    return done


def text_of(document, every=True):
    from io import StringIO

    from rich.console import Console

    out = StringIO()
    Console(file=out, width=FILE_WIDTH, markup=False, emoji=False).print(thermo_picture(document, every))
    return out.getvalue()


def test_rows_with_units_in_their_keys():
    document = thermo_of([str(path) for path in files(SILICON)], ["0,5"], ["0,300,1000"])
    assert document["code"] == "phonopy" and document["atoms"] == 8 and document["files"] == 12
    assert [(row["pressure_GPa"], row["temperature_K"]) for row in document["rows"]] == [
        (p, t) for p in (0.0, 5.0) for t in (0.0, 300.0, 1000.0)
    ]
    assert all(set(row) == ROW for row in document["rows"])
    for row, (t, volume, gibbs, bulk, _) in zip(document["rows"], PHONOPY[SILICON, "vinet"], strict=False):
        assert row["temperature_K"] == t and row["volume_A3"] == pytest.approx(volume, rel=1e-6)
        assert row["gibbs_eV"] == pytest.approx(gibbs, rel=1e-6)
        assert row["bulk_modulus_GPa"] == pytest.approx(bulk, rel=1e-5)
        assert row["volume_A3_per_atom"] == pytest.approx(volume / 8, rel=1e-6)
    warm = document["rows"][2]
    assert warm["heat_capacity_J_per_mol_K"] == pytest.approx(197.486, rel=3e-4)  # phonopy-qha's by polynomials
    assert warm["heat_capacity_J_per_mol_atoms_K"] == pytest.approx(warm["heat_capacity_J_per_mol_K"] / 8)
    ratio = 1 + warm["thermal_expansion_per_K"] * warm["gruneisen"] * 1000
    assert warm["adiabatic_bulk_modulus_GPa"] == pytest.approx(warm["bulk_modulus_GPa"] * ratio)
    assert document["rows"][0]["gruneisen"] is None and 500 < warm["debye_temperature_K"] < 700
    static = document["static"]
    assert static["volume_A3"] == pytest.approx(163.6338, abs=1e-3) and static["bulk_modulus_GPa"] == pytest.approx(
        89.07, abs=0.01
    )
    json.dumps(document, allow_nan=False)


def test_all_temperatures_of_the_files_are_told_and_some_are_printed():
    document = thermo_of([str(COPPER)])
    assert [row["temperature_K"] for row in document["rows"]] == list(np.arange(0.0, 2501.0, 10.0))
    text = text_of(document, every=False)
    assert len(text.splitlines()) < 40 and "--json has all" in text and "K_S, GPa" in text
    assert document["doubtful_above_K"]["0"] == pytest.approx(590, abs=40)
    assert any("bends upwards above" in note for note in document["notes"])
    lost = [row for row in document["rows"] if row["volume_A3"] is None]
    assert lost and all(row["missing"].startswith("needs volumes larger than 52.056") for row in lost)
    assert any(note.startswith(f"{len(lost)} of 251 rows have no number") for note in document["notes"])


def test_the_static_lattice_of_each_equation_of_state():
    for kind, name in (("vinet", "vinet"), ("birch_murnaghan", "bm3"), ("bm4", "bm4")):
        document = thermo_of([str(QHA)], kind=kind, temperatures=["300"])
        assert document["equation_of_state"] == name
        table = read_free_energies([QHA]).table
        from megabar.analysis import eos

        fit = eos.fit(table.volumes_A3, table.static_eV, kind=name)
        assert document["static"]["volume_A3"] == pytest.approx(fit.v0, rel=1e-4)
        assert document["static"]["bulk_modulus_GPa"] == pytest.approx(fit.k0, rel=1e-2)
        assert document["static"]["bulk_modulus_derivative"] == pytest.approx(fit.k0_prime, rel=2e-2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"pressures": ["50"]}, r"do not bracket 50 GPa; they serve -8\.97 to 19\.75 GPa at 0 K and"),
        ({"pressures": ["many"]}, "--pressure is 'many'; it takes GPa as in 10"),
        ({"pressures": ["10:0:5"]}, "a range goes up"),
        ({"pressures": ["0:10"]}, "from:to:step"),
        ({"temperatures": ["-5"]}, "above absolute zero"),
        ({"temperatures": ["5000"]}, r"e-v\.dat: 5000 K is asked for, and free energies are known from 0 to 2100 K"),
        ({"kind": "murnaghan"}, "'murnaghan' is not an equation of state known here"),
        ({"figure": Path("x.gif")}, "must end with .pdf"),
        ({"export": "hefesto"}, "it can be burnman"),
        ({"to": Path("x.py")}, "it names the file of --export"),
        ({"export": "burnman", "to": Path("x.txt")}, "it names a Python file"),
        ({"formula": "Si"}, "for --export burnman alone"),
        ({"export": "burnman", "formula": "MgSiO3"}, "of 5 atoms, and the cell has 8"),
        ({"electronic": COPPER / "fe-v.dat.xz"}, "free energies at 0 K are up to"),
    ],
)
def test_wrong_input_is_told_in_a_sentence(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said):
        thermo_of([str(SILICON)], **arguments)
    assert not list(tmp_path.iterdir())


def test_names_that_are_no_files():
    with pytest.raises(
        InputError, match="my-study: there is no such file or folder, and no study of phonons of this name"
    ):
        thermo_of(["my-study"])
    with pytest.raises(InputError, match=r"no/e-v.dat: there is no such file"):
        thermo_of(["no/e-v.dat"])


def test_ranges_of_pressures_and_temperatures():
    assert values_of(["0,5", "10"], "--pressure", "GPa") == [0.0, 5.0, 10.0]
    assert values_of(["0:0.3:0.1"], "--pressure", "GPa") == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert values_of(["300", "0:600:300"], "--temperature", "K") == [0.0, 300.0, 600.0]


def test_a_figure(tmp_path):
    document = thermo_of([str(SILICON)], ["0,5"], ["0:600:100"], figure=tmp_path / "si.svg")
    text = (tmp_path / "si.svg").read_text()
    assert "5 GPa" in text and "Adiabatic bulk modulus (GPa)" in text and document["figure"].endswith("si.svg")


@pytest.mark.slow
def test_all_figures(tmp_path):
    document = thermo_of([str(SILICON)], ["0,5"], ["300,600"], figure=tmp_path / "all")
    names = {Path(path).name for path in document["figures"]}
    assert {"thermo.pdf", "thermo-volume.png", "thermo-expansion.svg", "thermo-gibbs.pdf"} <= names


def test_a_thermal_equation_of_state_comes_back():
    values = np.array([-3.0, 16.0, 110.0, 4.2, 420.0, 1.7, 1.3])
    model = ThermalEos(values, np.zeros((7, 7)), 1, 0.0, 13.0, 17.5, 1500.0)
    volumes, temperatures = np.linspace(13.0, 17.5, 9), np.linspace(0.0, 1500.0, 76)
    from megabar.analysis.thermo.table import helmholtz_table

    free = model.free_energy(volumes, temperatures[:, None])
    static = free[0]
    found = fit_thermal_eos(helmholtz_table(volumes, static, temperatures, free - static, atoms=1))
    assert found.values == pytest.approx(values, rel=2e-3)
    assert found.misfit_eV < 1e-5


def test_gamma_and_q_of_the_thermal_equation_of_state_are_what_they_say():
    """γ = −∂ln θ/∂ln V and q = ∂ln γ/∂ln V at V0, told by the classical limit of F, 3kT ln θ."""
    gamma0, q0, t, h = 1.7, 1.3, 40_000.0, 1e-2
    model = ThermalEos(np.array([0.0, 16.0, 110.0, 4.2, 420.0, gamma0, q0]), np.zeros((7, 7)), 1, 0.0, 13.0, 17.5, t)

    def ln_theta(volume):
        warm = model.free_energy(volume, t) - model.free_energy(volume, 0.5 * t)
        return float(warm - model.free_energy(16.0, t) + model.free_energy(16.0, 0.5 * t)) / (3 * kB * 0.5 * t)

    up, down = ln_theta(16.0 * np.exp(h)), ln_theta(16.0 * np.exp(-h))
    assert -(up - down) / (2 * h) == pytest.approx(gamma0, rel=1e-3)
    assert (up + down) / h**2 == pytest.approx(-q0 * gamma0, rel=1e-3)


def test_the_export_has_the_fit_in_si_units_and_its_covariance(tmp_path):
    solid = Solid()
    table = solid.table(np.linspace(13.0, 17.5, 9), np.linspace(0.0, 1200.0, 61), atoms=2)
    from megabar.analysis.thermo.burnman import burnman_files

    texts, said = burnman_files(table, "solid", "Al", quasiharmonic(table, [0.0, 5.0]))
    space = {}
    exec(texts[".py"].replace("from burnman import Mineral", "Mineral = dict"), space)
    parameters, document = space["mineral"](), json.loads(texts[".json"])
    assert parameters == document["parameters"] and parameters["equation_of_state"] == "slb3"
    assert (
        parameters["n"] == 1
        and parameters["formula"] == {"Al": 1}
        and parameters["molar_mass"] == pytest.approx(0.02698, abs=1e-5)
    )
    assert parameters["V_0"] == pytest.approx(solid.volume(0.0, 300.0) * 6.02214076e-7, rel=2e-3)
    assert parameters["K_0"] == pytest.approx(1e9 * solid.state(0.0, 300.0)[4], rel=0.02)
    assert parameters["Debye_0"] == pytest.approx(float(solid.theta(solid.volume(0.0, 300.0))), rel=2e-2)
    assert parameters["grueneisen_0"] == pytest.approx(1.6, rel=2e-2)
    assert parameters["F_0"] == pytest.approx(solid.state(0.0, 300.0)[1] * mol / kJ * 1000, rel=1e-3)
    assert 0.0 < said["volume_off_at_most"] < 2e-3 and 0.0 < said["bulk_modulus_off_at_most"] < 0.05
    covariance = np.array(document["covariance"]["matrix"])
    assert document["covariance"]["names"] == list(NAMES) and covariance.shape == (7, 7)
    assert (
        np.sqrt(covariance[2, 2]) == pytest.approx(said["errors"]["K_0"])
        and np.linalg.eigvalsh(covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))).min() > -1e-6
    )


def test_the_exported_pressures_are_those_of_the_quasi_harmonic_fit():
    table = read_free_energies([COPPER]).table.at_temperatures(np.arange(0.0, 1301.0, 20.0))
    fit = fit_thermal_eos(table)
    found = quasiharmonic(table, [0.0, 5.0, 10.0], [300.0, 900.0])
    pressures = fit.pressure(found.volume_A3, found.temperatures_K)
    assert pressures == pytest.approx(np.broadcast_to([[0.0], [5.0], [10.0]], (3, 2)), abs=0.06)
    h = 1e-4
    bulk = -(
        fit.pressure(found.volume_A3 * (1 + h), [300.0, 900.0])
        - fit.pressure(found.volume_A3 * (1 - h), [300.0, 900.0])
    ) / (2 * h)
    assert bulk == pytest.approx(found.bulk_modulus_GPa, rel=0.015)


@pytest.mark.slow
def test_the_command_prints_json_alone_and_a_table_else(tmp_path):
    copied(tmp_path)
    done = run(*files(SILICON), "--pressure", "0", "--temperature", "300", "--json")
    document = json.loads(done.stdout)
    assert document["rows"][0]["volume_A3"] == pytest.approx(164.614265, rel=1e-6) and not done.stderr
    text = run(tmp_path, "--temperature", "0,300").stdout
    assert "164.6143" in text and "C_P, J/mol/K" in text
    wrong = run(SILICON, "--pressure", "50", code=2)
    assert "do not bracket 50 GPa" in wrong.stderr and not wrong.stdout
    written = run(SILICON, "--temperature", "300", "--export", "burnman", "--to", tmp_path / "si.py", "--formula", "Si")
    assert (tmp_path / "si.py").is_file() and (tmp_path / "si.json").is_file() and "Debye_0" in written.stdout


@pytest.mark.slow
def test_no_library_is_loaded_that_is_not_needed():
    script = (
        "import sys; from megabar.launchers.answering.thermo import thermo_of;"
        f"thermo_of([{str(SILICON)!r}], ['0'], ['300']);"
        "sys.exit(' '.join({'phonopy', 'matplotlib', 'pymatgen', 'scipy.optimize', 'scipy.interpolate', 'yaml'}"
        " & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_pressure_is_in_gigapascals():
    """V falls by what K says, between 0 and 1 GPa."""
    rows = thermo_of([str(COPPER)], ["0,1"], ["300"])["rows"]
    assert -np.log(rows[1]["volume_A3"] / rows[0]["volume_A3"]) == pytest.approx(
        1.0 / (rows[0]["bulk_modulus_GPa"] + 2.6), rel=2e-3
    )
    assert rows[1]["gibbs_eV"] - rows[0]["gibbs_eV"] == pytest.approx(
        rows[0]["volume_A3"] * GPa * (1 - 0.5 / 155), rel=1e-4
    )
