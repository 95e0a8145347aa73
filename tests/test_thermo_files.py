"""Free energies in files of phonopy-qha and qha: their own results come out, and what contradicts itself is refused."""

import lzma
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from ase.units import Bohr, Rydberg, kB, kJ, mol
from thermo_solids import Solid

from megabar.analysis.thermo.harmonic import EV_PER_THZ
from megabar.analysis.thermo.quasiharmonic import quasiharmonic
from megabar.analysis.thermo.readers import read_free_energies
from megabar.analysis.thermo.readers.phonopy_qha import read_thermal_properties
from megabar.analysis.thermo.readers.qha_input import THZ_PER_CM
from megabar.structures.errors import InputError

DATA = Path(__file__).parent / "data" / "thermo"
SILICON, COPPER, QHA = DATA / "Si-QHA", DATA / "Cu-QHA", DATA / "qha" / "silicon.xz"
# phonopy-qha 4.10.0 on these files: T (K), V (Å³), G (eV), K_T (GPa), α (1/K, by differences of 10 K).
PHONOPY = {
    (SILICON, "vinet"): [
        (0, 164.4548782345482, -42.89328291332867, 87.41214999905014, 0.0),
        (300, 164.61426532188946, -43.10594960456422, 85.58632638632282, 9.675099534563696e-06),
        (1000, 166.22271350772232, -45.19041831638525, 78.58564998562127, 1.60295966497374e-05),
    ],
    (SILICON, "birch_murnaghan"): [
        (0, 164.46427783796534, -42.89289025911058, 87.09792264462334, 0.0),
        (300, 164.6240560093189, -43.105591309393155, 85.29659793099052, 9.70249592769546e-06),
        (1000, 166.23599741519288, -45.19021824673266, 78.39918933331005, 1.604954812583439e-05),
    ],
    (COPPER, "vinet"): [
        (0, 45.65045950439414, -17.216710739392905, 163.55272367893252, 0.0),
        (300, 46.06277851150205, -17.409788819428226, 154.15354249233476, 4.55820767604733e-05),
        (1000, 47.82800496996602, -18.869594666047266, 123.72323521404374, 6.160730965136959e-05),
    ],
}
# qha 1.1.x on its example (BM3, as it has it): P (GPa), T (K), V (Å³), K_T (GPa), C_P (J/mol/K an atom), G (Ry).
OF_QHA = [
    (0.0, 300.0, 41.29500778214867, 83.34201834826776, 20.10579820757554, -15.73632631357030),
    (0.0, 900.0, 41.63146640718435, 77.84488046915919, 24.47590325555905, -15.76747492780669),
    (3.0, 300.0, 39.93162339186186, 95.58944595047097, 19.81378228884726, -15.68045983909134),
    (10.0, 300.0, 37.44395590372586, 122.9749607728604, 19.26482206929614, -15.55643589087745),
    (10.0, 900.0, 37.50590315256259, 115.7515123860379, 24.13690715608271, -15.58674363246750),
]


def files(folder):
    return [folder / "e-v.dat", *sorted(folder.glob("thermal_properties.yaml-*"), key=lambda path: path.name)]


@pytest.mark.parametrize(("folder", "kind"), PHONOPY, ids=lambda each: getattr(each, "name", each))
def test_the_numbers_of_phonopy_qha(folder, kind):
    rows = PHONOPY[folder, kind]
    found = quasiharmonic(read_free_energies([folder]).table, [0.0], [row[0] for row in rows], kind=kind)
    for j, (_, volume, gibbs, bulk, alpha) in enumerate(rows):
        assert found.volume_A3[0, j] == pytest.approx(volume, rel=1e-6)
        assert found.gibbs_eV[0, j] == pytest.approx(gibbs, rel=1e-6)
        assert found.bulk_modulus_GPa[0, j] == pytest.approx(bulk, rel=1e-5)
        # theirs is a difference of volumes 20 K apart
        assert found.thermal_expansion_per_K[0, j] == pytest.approx(alpha, rel=2e-3, abs=1e-9)


def test_the_numbers_of_qha():
    temperatures = np.array([300.0, 900.0])
    reading = read_free_energies([QHA], temperatures_K=temperatures)
    assert reading.code == "qha" and reading.table.atoms == 2 and len(reading.table.volumes_A3) == 11
    found = quasiharmonic(reading.table, [0.0, 3.0, 10.0], kind="birch_murnaghan")
    for p, t, volume, bulk, capacity, gibbs in OF_QHA:
        at = [0.0, 3.0, 10.0].index(p), int(np.argmin(np.abs(temperatures - t)))
        assert found.volume_A3[at] == pytest.approx(volume, rel=2e-6)
        assert found.bulk_modulus_GPa[at] == pytest.approx(bulk, rel=2e-5)
        assert found.heat_capacity_p_eV_per_K[at] / 2 / (kJ / mol) * 1000 == pytest.approx(capacity, rel=1e-3)
        assert found.gibbs_eV[at] == pytest.approx(gibbs * Rydberg, rel=1e-7)


def test_files_in_the_order_of_a_shell_are_put_right():
    shuffled = read_free_energies(files(SILICON))
    assert shuffled.notes and "order of their numbers" in shuffled.notes[0]
    ordered = read_free_energies([SILICON])
    assert not ordered.notes
    assert shuffled.table.free_energy_eV == pytest.approx(ordered.table.free_energy_eV, abs=1e-12)
    backwards = read_free_energies([*reversed(files(COPPER))])  # these state their volumes
    assert backwards.table.free_energy_eV == pytest.approx(read_free_energies([COPPER]).table.free_energy_eV)


def test_electrons_at_temperature():
    plain, with_electrons = (
        read_free_energies([COPPER], electronic)
        for electronic in (None, COPPER / "fe-v.dat.xz")
    )  # fmt: skip
    assert with_electrons.table.temperatures_K[-1] == 1500.0 and "end at 1500 K" in with_electrons.notes[0]
    one, two = (quasiharmonic(each.table, [0.0], [1000.0]) for each in (plain, with_electrons))
    more = two.heat_capacity_v_eV_per_K[0, 0] - one.heat_capacity_v_eV_per_K[0, 0]
    assert more / 4 == pytest.approx(
        1000.0 * 0.69e-3 * 1.0364e-5, rel=0.25
    )  # γ of copper, 0.69 mJ/mol/K², a quarter off
    assert two.gibbs_eV[0, 0] < one.gibbs_eV[0, 0]


def copied(tmp_path, folder=SILICON):
    """Unpacked copies of the files of a folder."""
    for path in files(folder):
        if path.suffix == ".xz":
            (tmp_path / path.stem).write_bytes(lzma.decompress(path.read_bytes()))
        else:
            shutil.copy(path, tmp_path)
    return tmp_path


def change(path, old, new, count=1):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("thermal_properties.yaml-0", "kJ/mol", "eV", "free_energy is in eV; phonopy writes kJ/mol"),
        ("thermal_properties.yaml-0", "natom:     8", "natom:     4", "says 4 atoms, whose heat capacity"),
        ("thermal_properties.yaml-0", "natom:     8", "natom:     9", "is of [89] atoms, and"),
        ("thermal_properties.yaml-0", "46.6315169", "47.6315169", "zero-point energy 47.6315"),
        ("thermal_properties.yaml-0", "\n  heat_capacity:       0.0906832", "", "cut short or was changed"),
        ("thermal_properties.yaml-0", "thermal_properties:", "properties:", "this is not known here"),
        ("thermal_properties.yaml-0", "entropy:             1.2588445", "entropy:             9.2588445", "−∂F/∂T"),
        ("thermal_properties.yaml-0", "heat_capacity:       0.0000000", "heat_capacity: nan", "not finite"),
        ("e-v.dat", "163.320000   -43.375124\n", "", "10 volumes, but 11 files"),
        ("e-v.dat", "163.320000", "158.470000", "there twice"),
        ("e-v.dat", "163.320000", "-163.320000", "first column is the volume"),
        ("e-v.dat", "140.030000 ", "# volume (bohr^3) energy (Ry)\n140.030000 ", "its heading says bohr"),
        ("e-v.dat", "-43.375124", "-43.375124  7.0", "this is not known here"),
    ],
)  # fmt: skip
def test_what_the_files_of_phonopy_contradict_is_told(tmp_path, name, old, new, said):
    folder = copied(tmp_path)
    change(folder / name, old, new, -1 if old == "kJ/mol" else 1)
    with pytest.raises(InputError, match=said):
        read_free_energies(sorted(folder.iterdir()))


def test_temperatures_that_differ_between_files(tmp_path):
    folder = copied(tmp_path)
    path = folder / "thermal_properties.yaml-3"
    path.write_text(path.read_text().rpartition("- temperature:")[0])
    with pytest.raises(InputError, match=r"yaml-3: it has 210 temperatures from 0 to 2090 K, and .*yaml--5 211 from"):
        read_free_energies([folder])


def test_volumes_of_another_cell(tmp_path):
    folder = copied(tmp_path, COPPER)
    rows = np.loadtxt(folder / "e-v.dat")
    np.savetxt(folder / "e-v.dat", rows / [4.0, 1.0])
    with pytest.raises(InputError, match=r"are 4 times those of .*same cell"):
        read_free_energies([folder])
    np.savetxt(folder / "e-v.dat", rows)
    change(folder / "thermal_properties.yaml-05", "volume: 47.5680287744", "volume: 47.1")
    with pytest.raises(InputError, match=r"yaml-05: it is of 47\.1000 Å³"):
        read_free_energies([folder])


def test_a_mixed_up_order_is_refused(tmp_path):
    folder = copied(tmp_path)
    names = [f"thermal_properties.yaml-{i}" for i in (0, 5, -4, 2, -1, 4, -5, 1, 3, -2, -3)]
    for i, name in enumerate(names):
        (folder / name).rename(folder / f"thermal_properties.yaml_{i}")
    mixed = [folder / f"thermal_properties.yaml_{i}" for i in range(11)]
    with pytest.raises(InputError, match="jump from volume to volume"):
        read_free_energies([folder / "e-v.dat", *mixed])
    backwards = sorted(range(11), key=lambda i: -int(names[i][len("thermal_properties.yaml-") :]))
    turned = read_free_energies([folder / "e-v.dat", *(folder / f"thermal_properties.yaml_{i}" for i in backwards)])
    assert "rises with the volume" in turned.notes[0]


def test_volumes_with_imaginary_modes_are_left_out(tmp_path):
    folder = copied(tmp_path)
    change(folder / "thermal_properties.yaml-5", "num_integrated_modes: 192000", "num_integrated_modes: 190000")
    change(folder / "thermal_properties.yaml-4", "num_integrated_modes: 192000", "num_integrated_modes: 191997")
    change(folder / "thermal_properties.yaml-3", "num_integrated_modes: 192000", "num_integrated_modes: 191990")
    found = read_free_energies([folder])
    assert found.table.volumes_A3.max() == pytest.approx(183.72) and len(found.table.volumes_A3) == 10
    assert (
        "thermal_properties.yaml-5 (1% of the modes)" in found.notes[0] and "1 volumes have imaginary" in found.notes[1]
    )
    for i in range(-5, 3):
        path = folder / f"thermal_properties.yaml-{i}"
        change(path, "num_integrated_modes: 192000", "num_integrated_modes: 190000")
    with pytest.raises(InputError, match="leave 2 volumes: a phase that is not dynamically stable"):
        read_free_energies([folder])


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["e-v.dat"], "static energies have no temperature"),
        (["thermal_properties.yaml-0"], "give e-v.dat too"),
        (["e-v.dat", "e-v2.dat", "thermal_properties.yaml-0"], "both have two columns"),
        (["nothing.dat"], "no such file"),
        (["e-v.dat", "fe-v.dat"], r"a table of 3 columns; .* fe-v.dat, are given with --electronic"),
        (["empty"], "is empty"),
        (["binary"], "this is no text"),
        (["broken.xz"], "cannot be decompressed"),
        (["phonopy.yaml"], "without free energies .`phonopy -t` writes"),
        (["folder"], "there is no e-v.dat with"),
    ],
)
def test_files_that_are_not_enough_or_none_of_these(tmp_path, names, said):
    copied(tmp_path)
    shutil.copy(tmp_path / "e-v.dat", tmp_path / "e-v2.dat")
    (tmp_path / "empty").touch()
    (tmp_path / "fe-v.dat").write_text("0 1.0 2.0\n10 1.0 2.0\n")
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "broken.xz").write_bytes(b"abc")
    (tmp_path / "phonopy.yaml").write_text("phonopy:\nsupercell_matrix:\n- [ 2, 0, 0 ]\n")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=said):
        read_free_energies([tmp_path / name for name in names])


def written(tmp_path, text):
    path = tmp_path / "input"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("11 16 6 2", "12 16 6 2", "says 12 volumes, and there are 11"),
        ("11 16 6 2", "11 16 5 2", "16 q-points with 5 frequencies each are 128"),
        ("11 16 6 2", "11 15 6 2", "15 q-points with 6 frequencies"),
        ("11 16 6 2", "", "begins with the numbers"),
        ("\nweight\n", "\n", "weights of the q-points are missing"),
        ("  0.00000000   0.33333330   0.00000000   0.05555560\n", "", "16 q-points need as many lines of weights"),
        (
            "-0.16666670   0.16666670  -0.16666670   0.07407410",
            "-0.16666670   0.3  -0.16666670   0.07407410",
            "same order",
        ),
        ("0.07407410", "-0.07407410", "must not be below zero"),
        ("433.8595000000", "many", "no number"),
    ],
)
def test_what_an_input_of_qha_contradicts_is_told(tmp_path, old, new, said):
    text = lzma.decompress(QHA.read_bytes()).decode()
    assert old in text
    with pytest.raises(InputError, match=said):
        read_free_energies([written(tmp_path, text.replace(old, new, 1))])


def test_an_input_of_qha_in_other_units(tmp_path):
    text = lzma.decompress(QHA.read_bytes()).decode()
    text = re.sub(r"V=\s*(\S+)", lambda found: f"V= {float(found[1]) * Bohr**3:.8f}", text)
    with pytest.raises(InputError, match=r"its pressures are 1\.\d+ times −dE/dV of its energies"):
        read_free_energies([written(tmp_path, text)])


def test_imaginary_modes_in_an_input_of_qha(tmp_path):
    text = lzma.decompress(QHA.read_bytes()).decode()
    assert not read_free_energies([QHA]).notes  # the translations at Γ are −0.0000
    gamma = "       -0.0000000000\n       -0.0000000000\n        0.0000000000\n"
    assert gamma in text
    small, large = (text.replace(gamma, f"{nu}\n" * 3, 1) for nu in (-20.0, -80.0))
    assert len(read_free_energies([written(tmp_path, small)]).table.volumes_A3) == 11
    assert len(read_free_energies([written(tmp_path, large)]).table.volumes_A3) == 10
    worse = text.replace("       72.0276000000", "      -72.0276000000", 1)
    found = read_free_energies([written(tmp_path, worse)])
    assert len(found.table.volumes_A3) == 10 and "imaginary modes" in found.notes[0]


def model_input(path, solid, volumes, frequencies=(200.0, 300.0, 400.0), gamma=1.5, shift_Ry=0.0):
    """An input of qha of a solid with Einstein modes that rise with (V0/V)^γ; returns the volumes (Å³)."""
    lines = ["# a model", f"{len(volumes)}, 1, {len(frequencies)}, 1", ""]
    for v in volumes:
        energy, pressure = solid.static(v)
        lines.append(f"P= {float(pressure):.6f} V= {v / Bohr**3:.10f} E= {float(energy) / Rydberg + shift_Ry:.12f}")
        lines.append(" 0.25 0.25 0.25")
        lines += [f" {nu * (solid.v0 / v) ** gamma:.9f}" for nu in frequencies]
    path.write_text("\n".join([*lines, "", "weight", "0.25 0.25 0.25 3.0"]) + "\n")


def test_a_model_written_as_an_input_of_qha(tmp_path):
    solid, volumes = Solid(), np.linspace(17.5, 13.5, 8)
    model_input(tmp_path / "input", solid, volumes)
    table = read_free_energies([tmp_path / "input"], temperatures_K=[0.0, 500.0]).table
    assert table.volumes_A3 == pytest.approx(volumes[::-1], rel=1e-9)
    energy = np.array([200.0, 300.0, 400.0]) * THZ_PER_CM * EV_PER_THZ
    at_v0 = np.interp(16.0, table.volumes_A3, table.vibrational.free_energy_eV[0])
    assert at_v0 == pytest.approx(0.5 * energy.sum(), rel=2e-3)
    found = quasiharmonic(table, [0.0], [500.0])
    assert found.gruneisen[0, 0] == pytest.approx(1.5, rel=3e-3)


def test_configurations_are_mixed_by_their_partition_functions(tmp_path):
    solid, volumes = Solid(), np.linspace(17.5, 13.5, 8)
    model_input(tmp_path / "one", solid, volumes)
    model_input(tmp_path / "two", solid, volumes, shift_Ry=0.01)
    (tmp_path / "settings.yaml").write_text(
        "calculation: different phonon dos\nNT: 11\nDT: 100\nP_MIN: 0\nNTV: 3\nDELTA_P: 5\ninput:\n  one: 1\n  two: 6\n"
    )
    reading = read_free_energies([tmp_path / "settings.yaml"])
    alone = read_free_energies([tmp_path / "one"], temperatures_K=reading.table.temperatures_K)
    assert reading.pressures_GPa.tolist() == [0.0, 5.0, 10.0] and reading.asked_K[-1] == 1000.0
    assert "2 configurations" in reading.notes[0]
    t = np.arange(100.0, 1001.0, 100.0)
    x = 0.01 * Rydberg / (kB * t)
    z = 1.0 + 6.0 * np.exp(-x)
    p = 6.0 * np.exp(-x) / z
    less = (reading.table.free_energy_eV - alone.table.free_energy_eV)[1:, 3]
    assert less == pytest.approx(-kB * t * np.log(z), rel=1e-8, abs=1e-12)
    schottky = kB * x**2 * p * (1.0 - p)
    more = reading.table.vibrational.heat_capacity_eV_per_K - alone.table.vibrational.heat_capacity_eV_per_K
    assert more[1:, 3] == pytest.approx(schottky, rel=1e-6, abs=1e-13)
    assert reading.table.free_energy_eV[0] == pytest.approx(alone.table.free_energy_eV[0], abs=1e-12)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("calculation: same phonon dos\ninput: one\n", "'single' and 'different phonon dos' are read"),
        ("calculation: single\ninput: nothing\n", "no such file"),
        ("calculation: different phonon dos\ninput:\n  one: -1\n", "degeneracy of a configuration must be above zero"),
        ("calculation: different phonon dos\ninput:\n  one: 1\n  far: 1\n", "its volumes are not those of one"),
        ("calculation: single\ninput: one\nNT: many\n", "must be numbers"),
        ("calculation: [\ninput: one\n", "no YAML"),
    ],
)
def test_settings_of_qha_that_cannot_be(tmp_path, text, said):
    model_input(tmp_path / "one", Solid(), np.linspace(17.5, 13.5, 6))
    model_input(tmp_path / "far", Solid(), np.linspace(12.5, 9.5, 6))
    (tmp_path / "settings.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        read_free_energies([tmp_path / "settings.yaml"])


def test_files_with_the_ends_of_lines_of_another_system(tmp_path):
    path = tmp_path / "thermal_properties.yaml-1"
    text = lzma.decompress((SILICON / "thermal_properties.yaml-1.xz").read_bytes())
    path.write_bytes(text.replace(b"\n", b"\r\n"))
    assert read_thermal_properties(path).atoms == 8
