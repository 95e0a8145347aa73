"""The command `megabar tc`: its JSON, its text, its figure, and what it says of wrong input."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from elph_data import DATA, unpacked

from megabar.analysis.figures.superconductivity import alpha2f_figure, caption
from megabar.analysis.superconductivity.formulas import allen_dynes, mcmillan
from megabar.analysis.superconductivity.readers import read_alpha2f
from megabar.analysis.superconductivity.readers.reading import Reading, Variant
from megabar.analysis.superconductivity.report import tc_document
from megabar.analysis.superconductivity.spectral import from_modes
from megabar.launchers.answering.tc import tc_of
from megabar.launchers.api.tc_text import tc_text
from megabar.structures.errors import InputError

KEYS = (
    "lambda", "omega_log_K", "omega_2_K", "mu_star", "mu_ref_meV", "tc_mcmillan_K", "tc_allen_dynes_K", "tc_xie_K",
    "tc_eliashberg_K", "gap_edge_meV", "two_delta_over_kTc", "isotope_exponent",
)  # fmt: skip


@pytest.fixture(scope="module")
def h3s(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked("h3s_q444", tmp_path_factory.mktemp("h3s"))


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A narrow peak at 60 meV that carries λ = 1: next to an Einstein mode."""
    omega = np.linspace(0, 80, 1601)
    peak = np.exp(-(((omega - 60) / 1.0) ** 2) / 2)
    peak *= 1.0 / (2 * np.sum(peak[1:] / omega[1:]) * 0.05)
    path = tmp_path / "a2f.dat"
    np.savetxt(path, np.column_stack([omega, peak]), header="omega (meV)  alpha2F")
    return path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "megabar.launchers.cli", "tc", *arguments],
        text=True,
        capture_output=True,
        env=environment,
        check=False,
        timeout=240,
    )


@pytest.mark.slow
def test_json_is_one_document_with_units_in_its_keys(plain: Path) -> None:
    done = run(str(plain), "--mu-star", "0.1", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert [key for key in KEYS if key not in document] == []
    assert document["lambda"] == pytest.approx(1, abs=1e-6)
    assert document["omega_log_K"] == pytest.approx(60 / 0.0861733, rel=1e-3)
    assert document["mu_star"] == 0.1
    assert document["mu_ref_meV"] == document["omega_max_meV"] == pytest.approx(63.7, abs=0.2)
    assert isinstance(document["notes"], list)


def test_numbers_are_those_of_their_definitions(plain: Path) -> None:
    """Tc of an Einstein mode at λ = 1, μ* = 0: 0.1146195 Ω by the Eliashberg equations (Allen & Dynes 1975)."""
    document = tc_of(plain, "meV", 0.0)
    moments = (document["lambda"], document["omega_log_K"])
    assert document["tc_mcmillan_K"] == pytest.approx(mcmillan(*moments, 0.0))
    assert document["tc_allen_dynes_K"] == pytest.approx(allen_dynes(*moments, document["omega_2_K"], 0.0))
    assert document["tc_eliashberg_K"] == pytest.approx(0.1146195 * 60 / 0.0861733, rel=1e-3)
    assert document["isotope_exponent"] == pytest.approx(0.5, abs=1e-3)
    assert document["two_delta_over_kTc"] > 3.53
    low, high = document["tc_formulas_spread_K"]
    assert low == document["tc_mcmillan_K"] and high == document["tc_xie_K"]


def test_mu_star_belongs_to_its_energy(plain: Path) -> None:
    """The same number at 7 eV is a weaker repulsion than at ω_max: a higher Tc, by formula and by solver."""
    there, far = tc_of(plain, "meV", 0.12), tc_of(plain, "meV", 0.12, 7000.0)
    assert far["mu_ref_meV"] == 7000
    assert far["mu_star_at_omega_max"] == pytest.approx(1 / (1 / 0.12 + np.log(7000 / far["omega_max_meV"])))
    for key in ("tc_mcmillan_K", "tc_allen_dynes_K", "tc_eliashberg_K"):
        assert far[key] > there[key]
    same = tc_of(plain, "meV", far["mu_star_at_omega_max"])
    assert same["tc_eliashberg_K"] == pytest.approx(far["tc_eliashberg_K"], rel=1e-4)
    assert "referred to 7000 meV" in tc_text(far)
    assert "referred to the highest frequency" in tc_text(there)


def test_text_is_short_and_names_everything(h3s: Path) -> None:
    text = tc_text(tc_of(h3s, mu_star=0.13))
    for part in (
        "λ       2.2539   (S 0.557, H 1.697)",
        "ω_log   1154.4 K",
        "μ*      0.13, referred to the highest",
        "0.030 Ry of 10",
    ):
        assert part in text
    assert re.search(r"Allen-Dynes\s+201\.\d", text)
    assert re.search(r"\* 0\.030 Ry\s+2\.2539", text)
    assert "Note: λ has no plateau" in text
    assert "Note: McMillan is outside its range with λ = 2.25" in text
    assert max(len(line) for line in text.splitlines()) < 260


def test_tc_is_a_curve_over_the_smearings_with_its_spread(h3s: Path) -> None:
    document = tc_of(h3s)
    assert [row["smearing_Ry"] for row in document["variants"]] == pytest.approx([0.005 * (i + 1) for i in range(10)])
    assert document["smearing_Ry"] == pytest.approx(0.03)
    low, high = document["tc_eliashberg_over_smearing_K"]
    assert low < document["tc_eliashberg_K"] < high
    assert document["lambda_over_smearing"] == pytest.approx([2.1219, 2.3429], abs=1e-4)
    assert document["lambda_by_species"]["H"] == pytest.approx(1.697, abs=1e-3)
    assert [mode["translation"] for mode in document["modes_left_out"]] == [True] * 3
    by_hand = tc_of(h3s, smearing_Ry=0.05)
    assert by_hand["lambda"] == pytest.approx(2.0190, abs=1e-4) and by_hand["variant_why"] == "asked for"


def test_deuterium_in_the_same_matrix_elements(h3s: Path) -> None:
    light, heavy = tc_of(h3s), tc_of(h3s, masses=["H=2.014"], smearing_Ry=0.03)
    assert heavy["lambda"] == pytest.approx(light["lambda"], rel=1e-3)
    exponent = -np.log(heavy["tc_eliashberg_K"] / light["tc_eliashberg_K"]) / np.log(2.014 / 1.008)
    assert exponent == pytest.approx(light["isotope_exponent_by_species"]["H"], abs=0.04)
    # The repulsion is one of electrons: μ* stays referred to the highest frequency of H3S (169 K without that).
    assert heavy["mu_ref_meV"] == light["mu_ref_meV"] == light["omega_max_meV"] > 1.3 * heavy["omega_max_meV"]
    assert heavy["tc_eliashberg_K"] == pytest.approx(170.5, abs=0.1)
    assert any("referred to the highest frequency of the natural masses" in note for note in heavy["notes"])


def test_every_kind_of_file_goes_through(tmp_path: Path) -> None:
    for name in ("epw/al.a2f", "epw/al.a2f_proj", "abinit/al_A2FW"):
        document = tc_document(read_alpha2f(DATA / name), 0.1)
        assert 0.2 < document["tc_allen_dynes_K"] < 6
    shutil.copy(unpacked("al_q444", tmp_path) / "lambda.dat", tmp_path)
    document = tc_of(tmp_path / "lambda.dat", mu_star=0.1)
    assert document["lambda"] == 0.366514
    assert document["tc_mcmillan_K"] == pytest.approx(mcmillan(0.366514, 328.943, 0.1))
    assert "tc_allen_dynes_K" not in document
    assert any("no ω̄₂ and no Tc but McMillan's" in note for note in document["notes"])
    assert "McMillan" in tc_text(document)


def test_weak_coupling_has_no_tc_and_says_why() -> None:
    document = tc_document(_reading_of([30.0], [0.12]), 0.15)
    assert document["tc_mcmillan_K"] == document["tc_eliashberg_K"] == 0
    assert "gap_edge_meV" not in document
    assert any("McMillan gives no superconductivity" in note for note in document["notes"])
    assert any("does not overcome the Coulomb repulsion" in note for note in document["notes"])
    json.dumps(document, allow_nan=False)


def _reading_of(omega: list[float], coupling: list[float]) -> Reading:
    return Reading("modes", "by hand", (Variant("α²F", from_modes(omega, coupling, "modes")),))


# figures


def test_figure_is_written_as_png_and_svg(h3s: Path, tmp_path: Path) -> None:
    assert tc_of(h3s, figure=tmp_path / "h3s.svg")["figure"] == str(tmp_path / "h3s.svg")
    text = (tmp_path / "h3s.svg").read_text()
    for label in ("α²F(ω)", "λ(ω)", "λ = 2.25", "ω (meV)"):
        assert label in text
    tc_of(DATA / "epw" / "al.a2f", figure=tmp_path / "al.png")
    assert (tmp_path / "al.png").read_bytes().startswith(b"\x89PNG")


def test_figure_shows_the_spectrum_and_the_whole_of_lambda(h3s: Path) -> None:
    spectrum = read_alpha2f(h3s).spectrum
    left, right = alpha2f_figure(spectrum).axes
    assert right.lines[0].get_ydata()[-1] == pytest.approx(spectrum.lambda_)
    assert left.get_xlim()[0] == 0 and left.get_ylim()[0] == 0
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["S", "H"]
    x, y = left.lines[0].get_data()
    assert 2 * np.trapezoid(y / x, x) == pytest.approx(spectrum.lambda_, rel=1e-3)
    assert "Gaussians of 3.3 meV" in caption(spectrum)
    assert "Gaussians" not in caption(read_alpha2f(DATA / "epw" / "al.a2f").spectrum)


# wrong input: one sentence on standard error, nothing on standard output, exit 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing.dat"], "nothing.dat: there is no such file or folder"),
        (["a2f.dat", "--unit", "parsec"], "'parsec' is no unit of frequency; it can be meV"),
        (["a2f.dat", "--unit", "Ry"], "which is no phonon (2-550 meV); it would be one in meV, THz"),
        (["a2f.dat", "--mu-star-convention", "vasp"], "it can be omega-max, elk, epw"),
        (["a2f.dat", "--mu-star-convention", "elk", "--mu-ref-mev", "100"], "give one of them"),
        (["steep.dat", "--unit", "meV"], "this does not look like α²F: λ would be 40"),
        (["a2f.dat", "--mu-star", "1.2"], "--mu-star is 1.2; the Coulomb pseudopotential μ* lies between 0 and 0.5"),
        (["a2f.dat", "--mu-star", "-0.1"], "--mu-star is -0.1"),
        (
            ["a2f.dat", "--mu-ref-mev", "-5"],
            "--mu-ref-mev is -5; the energy that μ* is referred to lies at the highest",
        ),
        (["a2f.dat", "--mu-ref-mev", "nan"], "--mu-ref-mev is nan"),
        (["a2f.dat", "--smearing", "0.03"], "it holds no smearings of the double delta"),
        (["a2f.dat", "--mass", "H=2"], "--mass needs the force constants"),
        (["a2f.dat", "--figure", "x.gif"], "its name must end with .pdf, .png or .svg"),
        (["a2f.dat", "--figure", "no/x.png"], "the folder no is not there"),
        (["shifted.dat", "--unit", "meV"], "does not go to 0 there"),
        (
            ["wavenumbers.dat", "--unit", "meV"],
            "which is no phonon (2-550 meV); it would be one in cm-1, K",
        ),
        (["decreasing.dat", "--unit", "meV"], "frequencies must increase"),
        (["negative.dat", "--unit", "meV"], "row 1 has the frequency -80 meV"),
        (["disagreeing.dat", "--unit", "meV"], "but the file says λ = 1.7"),
    ],
)
def test_wrong_input_is_one_sentence(
    plain: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = np.loadtxt(plain)
    folder = plain.parent
    np.savetxt(folder / "shifted.dat", table + np.array([0.001, 2.0]))
    np.savetxt(folder / "wavenumbers.dat", table * [12.5, 1.0])
    np.savetxt(folder / "decreasing.dat", table[::-1])
    np.savetxt(folder / "negative.dat", table[::-1] * [-1.0, 1.0])
    np.savetxt(folder / "steep.dat", table * [1.0, 40.0])
    np.savetxt(folder / "disagreeing.dat", table, header="lambda = 1.7")
    before = sorted(folder.iterdir())
    found = _main(arguments, folder, capsys)
    assert found[0] == 2 and found[1] == ""
    assert found[2].startswith("megabar: ") and found[2].count("\n") == 1
    assert said in found[2]
    assert sorted(folder.iterdir()) == before


def _main(arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    from megabar.launchers.cli.command import main

    old, argv = Path.cwd(), sys.argv
    try:
        os.chdir(folder)
        sys.argv = ["megabar", "tc", *arguments]
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        os.chdir(old)
        sys.argv = argv
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_wrong_smearings_and_isotopes_of_a_folder_are_told(h3s: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--smearing is 0\.033 Ry; .* has 0\.005, 0\.01"):
        tc_of(h3s, smearing_Ry=0.033)
    with pytest.raises(InputError, match=r"--mass is 'H'; it takes an element and a mass in u, as in H=2\.014"):
        tc_of(h3s, masses=["H"])
    shutil.copy(unpacked("al_q444", tmp_path) / "lambda.dat", tmp_path)
    with pytest.raises(InputError, match="it holds λ and ω_log only"):
        tc_of(tmp_path / "lambda.dat", figure=tmp_path / "x.png")
