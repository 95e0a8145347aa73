"""The command `megabar phonons`: numbers of real files, text, figures, exports, and what it says of wrong input."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phonopy_files import DATA, printed, unpacked

from megabar.launchers.answering.phonons import phonons_of, point_asked
from megabar.launchers.api.phonons_text import phonons_text
from megabar.structures.errors import InputError

PRINTED = printed()


def main(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    from megabar.launchers.cli.command import main as command

    before = sys.argv
    try:
        sys.argv = ["megabar", "phonons", *arguments]
        with pytest.raises(SystemExit) as ended:
            command()
    finally:
        sys.argv = before
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.fixture(scope="module")
def tin_oxide() -> dict[str, Any]:
    return phonons_of([DATA / "SnO2"], ["0 0 0", "1/2 0 0"], [0.0, 300.0, 1000.0], velocities=True, mesh="7 7 7")


@pytest.fixture(scope="module")
def perovskite() -> dict[str, Any]:
    return phonons_of([DATA / "CaTiO3"], ["0 0 0"], [300.0])


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    source = DATA / "Si" / "phonopy_params.yaml.xz"
    code, out, err = main(
        [str(source), "--json", "--q", "0 0 0", "--q", "0.5 0 0", "--temperature", "300", "--mesh", "8 8 8"], capsys
    )
    assert (code, err) == (0, "")
    document = json.loads(out)
    for key in (
        "pressure_GPa", "volume_A3_per_atom", "zero_point_eV_per_atom", "zero_point_error_eV_per_atom", "imaginary",
        "stable", "q", "frequencies_THz", "frequencies_error_THz", "temperature_K", "free_energy_eV_per_atom",
        "entropy_kB_per_atom", "heat_capacity_kB_per_atom", "debye_temperature_K", "mean_square_displacement_A2",
        "notes",
    ):  # fmt: skip
        assert key in document, key
    assert document["pressure_GPa"] is None
    assert (document["stable"], document["imaginary"]) == (True, [])
    assert np.shape(document["frequencies_THz"]) == (2, 6)
    assert document["temperature_K"] == 300
    assert document["formula"] == "Si" and document["space_group"] == "Fd-3m"


def test_numbers_are_those_that_phonopy_prints(tin_oxide: dict[str, Any]) -> None:
    expected = PRINTED["cases"]["SnO2"]["nac"]
    assert tin_oxide["frequencies_THz"] == pytest.approx(np.array(expected["frequencies_THz"][:2]), abs=2e-6)
    per_cell = 96.4853  # kJ/mol of an eV
    for row, (temperature, free, entropy, capacity) in zip(
        (tin_oxide["temperatures"][0], tin_oxide["temperatures"][2]),
        (expected["thermal"][0], expected["thermal"][2]),
        strict=True,
    ):
        assert row["temperature_K"] == temperature
        # phonopy's constants of nature are older: h by 2e-6, k_B and Avogadro's number by 6e-7 each
        assert row["free_energy_eV_per_atom"] * 6 * per_cell == pytest.approx(free, rel=4e-6)
        assert row["entropy_kB_per_atom"] * 6 * 8.314463 == pytest.approx(entropy, rel=1e-5, abs=1e-6)
        assert row["heat_capacity_kB_per_atom"] * 6 * 8.314463 == pytest.approx(capacity, rel=1e-5, abs=1e-6)


def test_the_first_temperature_is_told_at_the_top(tin_oxide: dict[str, Any]) -> None:
    rows = tin_oxide["temperatures"]
    assert [row["temperature_K"] for row in rows] == [0, 300, 1000]
    assert tin_oxide["free_energy_eV_per_atom"] == rows[0]["free_energy_eV_per_atom"]
    assert rows[0]["free_energy_eV_per_atom"] == pytest.approx(tin_oxide["zero_point_eV_per_atom"])
    assert rows[0]["free_energy_error_eV_per_atom"] == pytest.approx(tin_oxide["zero_point_error_eV_per_atom"])
    assert len(rows[1]["mean_square_displacement_A2"]) == 6


def test_longitudinal_modes_are_those_towards_gamma(tin_oxide: dict[str, Any]) -> None:
    limits = tin_oxide["gamma_limits"]
    assert [each["direction"] for each in limits] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    at_gamma, a, b, c = (
        np.array(each) for each in (tin_oxide["frequencies_THz"][0], *(x["frequencies_THz"] for x in limits))
    )
    # A field along a stiffens the modes that are polar along a, and no mode becomes softer.
    assert (a - at_gamma).min() > -1e-5 and 3 < (a - at_gamma).max() < 8
    assert a == pytest.approx(b, abs=1e-5) and np.abs(a - c).max() > 1
    assert np.shape(tin_oxide["group_velocities_km_s"]) == (2, 18, 3)


def test_an_unstable_crystal_is_told(perovskite: dict[str, Any]) -> None:
    assert perovskite["stable"] is False
    first = perovskite["imaginary"][0]
    assert first["q"] == [0.5, 0.5, 0.5] and first["commensurate"] is True
    assert first["frequency_THz"] == pytest.approx(-6.0047, abs=1e-3)  # the octahedra turn
    assert 0.05 < perovskite["imaginary_share"] < 0.2
    assert perovskite["debye_temperature_K"] is None
    assert any("carry no energy" in note for note in perovskite["notes"])
    text = phonons_text(perovskite)
    assert "dynamically UNSTABLE" in text and "6.0047i THz at q = (0.5, 0.5, 0.5)" in text


def test_text_has_the_numbers(tin_oxide: dict[str, Any]) -> None:
    text = phonons_text(tin_oxide)
    for part in (
        "SnO2 P4_2/mnm, 6 atoms",
        "no imaginary modes",
        "THz at q = (0.5, 0, 0)",
        "group velocities",
        "mesh 7×7×7",
    ):
        assert part in text
    assert f"{1000 * tin_oxide['zero_point_eV_per_atom']:.3f} ±" in text
    assert "-0.0000" not in text
    assert text.count("towards Γ along") == 2  # a and b are the same


def test_isotopes_move_slower(tin_oxide: dict[str, Any]) -> None:
    heavy = phonons_of([DATA / "SnO2"], ["0 0 0"], [300.0], masses=["O=17.999"], mesh="7 7 7")
    assert heavy["masses_u"]["O"] == 17.999
    ratio = heavy["frequencies_THz"][0][-1] / tin_oxide["frequencies_THz"][0][-1]
    assert np.sqrt(15.999 / 17.999) < ratio < 0.96  # tin moves too
    assert heavy["zero_point_eV_per_atom"] < tin_oxide["zero_point_eV_per_atom"]


def test_pressure_and_numbers_survive_the_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = unpacked("Si", tmp_path / "si")
    path = folder / "phonopy_params.yaml"
    path.write_text(path.read_text() + "\npressure_GPa: 8.5\n")
    code, out, _ = main([str(folder), "--json", "--mesh", "4 4 4", "--export", str(tmp_path / "out")], capsys)
    first = json.loads(out)
    assert code == 0 and first["exported"] == [str(tmp_path / "out" / "phonopy_params.yaml")]
    again = phonons_of([tmp_path / "out"], mesh="4 4 4")
    assert again["pressure_GPa"] == first["pressure_GPa"] == 8.5
    assert again["zero_point_eV_per_atom"] == pytest.approx(first["zero_point_eV_per_atom"], abs=1e-8)
    with pytest.raises(InputError, match="is there already"):
        phonons_of([folder], export=tmp_path / "out")


@pytest.mark.slow
def test_figures_are_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, svg, pdf = str(DATA / "CaTiO3"), tmp_path / "p.svg", tmp_path / "p.pdf"
    code, out, err = main([source, "--json", "--figure", str(svg), "--figure", str(pdf)], capsys)
    assert (code, err) == (0, "") and json.loads(out)["figures"] == [str(svg), str(pdf)]
    text = svg.read_text()
    for label in ("Frequency (THz)", "States (1/THz cell)", "Γ", "imaginary", "X|R"):
        assert label in text
    assert pdf.read_bytes().startswith(b"%PDF")


@pytest.mark.slow
def test_a_folder_gets_all_figures(tmp_path: Path) -> None:
    document = phonons_of([DATA / "Si"], figures=[tmp_path])
    names = {Path(each).stem for each in document["figures"]}
    assert names == {"phonons", "thermal"}
    text = (tmp_path / "thermal.svg").read_text()
    for label in ("(a)", "(c)", "meV/atom", "$C_V$"):
        assert label in text
    assert "imaginary" not in (tmp_path / "phonons.svg").read_text()


@pytest.mark.slow
def test_several_volumes_give_gruneisen_parameters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(DATA / f"NaCl-{v}") for v in ("1.005", "0.995", "1.00")]
    code, out, err = main(
        [*files, str(DATA / "Si"), "--json", "--temperature", "300", "--figure", str(tmp_path)], capsys
    )
    assert (code, err) == (0, "")
    document = json.loads(out)
    volumes = [each["volume_A3_per_atom"] for each in document["phases"]]
    assert len(volumes) == 4 and volumes == sorted(volumes, reverse=True)
    [found] = document["gruneisen"]
    assert [Path(each).name for each in found["files"]] == ["NaCl-0.995", "NaCl-1.00", "NaCl-1.005"]
    assert found["temperatures"][0]["gruneisen"] == pytest.approx(1.78, abs=0.01)
    assert found["gruneisen_parameters"][0][:3] == [None, None, None]
    assert found["gruneisen_zero_point"] == pytest.approx(
        -np.log(document["phases"][0]["zero_point_eV_per_atom"] / document["phases"][2]["zero_point_eV_per_atom"])
        / np.log(volumes[0] / volumes[2]),
        rel=0.02,
    )
    assert "γ of the modes" in (tmp_path / "gruneisen.svg").read_text()
    assert "mean at 300 K: 1.78" in phonons_text(document)


def test_points_are_fractions() -> None:
    assert point_asked("1/2, 0 -1/4") == (0.5, 0.0, -0.25)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "nothing: there is no such file or folder"),
        (["{si}", "--q", "0 0"], "--q is '0 0'; three fractions"),
        (["{si}", "--q", "a b c"], "--q is 'a b c'"),
        (["{si}", "--temperature", "-3"], "--temperature is -3; a temperature is a number of kelvins from 0 on"),
        (["{si}", "--mass", "H=2.014"], "there is no H in Si"),
        (["{si}", "--mass", "Si=280"], "a mass of 280 u is no isotope of Si"),
        (["{si}", "--mass", "Si"], "--mass is 'Si'"),
        (["{si}", "--mesh", "4 4"], "--mesh is '4 4'"),
        (["{si}", "--mesh", "0 4 4"], "three numbers of points from 1 on"),
        (["{si}", "--figure", "x.gif"], "its name must end with .pdf, .png or .svg"),
        (["{si}", "--export", "{si}/LICENSE"], "is a file"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_sentence(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = unpacked("Si", tmp_path / "si")
    (folder / "LICENSE").write_text("")
    monkeypatch.chdir(tmp_path)
    code, out, err = main([each.format(si=folder) for each in arguments], capsys)
    assert (code, out) == (2, "")
    assert words in err and err.count("\n") == 1


def test_help_does_not_import_phonopy() -> None:
    import subprocess

    script = (
        "import sys, megabar.launchers.cli.command as c;"
        "import megabar.launchers.cli.phonons;"
        "sys.exit(' '.join({'phonopy', 'numpy', 'ase', 'symfc', 'matplotlib'} & "
        "{n.split('.')[0] for n in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_files_of_ph_x_are_taken_as_they_are(tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(Path(__file__).parent / "data" / "dfpt" / "mgo_q222.tar.xz") as archive:
        archive.extractall(tmp_path)
    folder = phonons_of([tmp_path / "mgo_q222"], mesh="4 4 4")
    file = phonons_of([tmp_path / "mgo_q222" / "mgo.fc"], mesh="4 4 4")
    for document in (folder, file):
        assert document["stable"]
        assert document["polar"]
        assert document["frequencies_THz"][0][3:] == pytest.approx([11.396] * 3, abs=0.02)  # as ph.x prints them
    assert file["zero_point_eV_per_atom"] == pytest.approx(folder["zero_point_eV_per_atom"], rel=1e-4)
