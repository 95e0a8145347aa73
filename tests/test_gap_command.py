"""The command `megabar gap`: numbers of real runs, text, figure, a study, and what it says of wrong input."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elph_data import DATA, unpacked
from scipy.constants import e, mu_0
from tc_studies import study_with

from megabar.analysis.figures.gap import gap_figure
from megabar.analysis.superconductivity.gap_report import gap_document
from megabar.analysis.superconductivity.readers.reading import Reading, Variant
from megabar.analysis.superconductivity.spectral import from_modes
from megabar.launchers.answering import gap as gap_commands
from megabar.launchers.answering import tc_study
from megabar.launchers.answering.gap import gap_of, gap_text, study_gap, study_gap_text
from megabar.structures.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked("al_q444", tmp_path_factory.mktemp("al"))


@pytest.fixture(scope="module")
def al(folder: Path) -> dict[str, Any]:
    return gap_of(folder)


@pytest.fixture(scope="module")
def h3s(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return gap_of(unpacked("h3s_q444", tmp_path_factory.mktemp("h3s")), mu_star=0.13)


def main(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    from megabar.launchers.cli.command import main as command

    before = sys.argv
    try:
        sys.argv = ["megabar", "gap", *arguments]
        with pytest.raises(SystemExit) as ended:
            command()
    finally:
        sys.argv = before
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_json_is_one_document(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = main([str(folder), "--json", "--temperature", "0.5"], capsys)
    assert (code, err) == (0, "")
    document = json.loads(out)
    for key in (
        "tc_eliashberg_K", "gap_edge_meV", "gap_edge_pade_meV", "gap_edge_difference_meV", "two_delta_over_kTc",
        "renormalisation_at_0", "specific_heat_jump", "isotope_exponent", "critical_field_T", "mu_star", "mu_ref_meV",
        "lambda", "smearing_Ry", "notes",
    ):  # fmt: skip
        assert key in document, key
    assert [row["temperature_K"] for row in document["temperatures"]] == [0.5]
    lengths = {len(column) for column in document["real_axis"].values() if isinstance(column, list)}
    assert len(lengths) == 1 and lengths.pop() > 1000


def test_aluminium_is_a_bcs_superconductor(al: dict[str, Any]) -> None:
    """2Δ₀/k_BTc 3.53, ΔC/γTc 1.43, −ΔF = ½N(0)Z(0)Δ₀², N(ω) = ω/√(ω²−Δ₀²).

    Δ(T)/Δ₀ as tabled by Mühlschlegel, Z. Phys. 155, 313 (1959).
    """
    edge, z = al["gap_edge_meV"], al["renormalisation_at_0"]
    assert al["two_delta_over_kTc"] == pytest.approx(3.528, abs=0.003)
    assert al["specific_heat_jump"] == pytest.approx(1.426, abs=0.005)
    assert z == pytest.approx(1 + al["lambda"], abs=2e-3)
    assert al["condensation_energy_over_dos_meV2"] == pytest.approx(z * edge**2 / 2, rel=1e-3)
    by_temperature = {round(row["reduced_temperature"], 6): row for row in al["temperatures"]}
    for reduced, share in ((0.3, 0.9971), (0.5, 0.9569), (0.7, 0.8288), (0.9, 0.5263)):
        assert by_temperature[reduced]["gap_edge_meV"] / edge == pytest.approx(share, abs=1e-3)
    omega = np.array(al["tunnelling"]["omega_meV"])
    states = np.array(al["tunnelling"]["density_of_states_over_normal"])
    assert np.all(states[omega < 0.99 * edge] < 1e-6)
    above = omega > 1.1 * edge
    assert states[above][:-1] == pytest.approx((omega / np.sqrt(np.abs(omega**2 - edge**2)))[above][:-1], rel=5e-3)


def test_critical_field_is_that_of_the_condensation_energy(al: dict[str, Any]) -> None:
    """μ₀Hc²/2 = −ΔF/V; in Gauss units Hc²/8π; and near the measured 8.9 mT for each kelvin of Tc (10.5 mT, 1.175 K)."""
    density = al["condensation_energy_meV_cell"] * 1e-3 * e / (al["volume_A3_cell"] * 1e-30)
    assert al["critical_field_T"] == pytest.approx(np.sqrt(2 * mu_0 * density), rel=1e-9)
    erg_cm3 = 10 * density  # J/m³
    assert al["critical_field_T"] * 1e4 == pytest.approx(np.sqrt(8 * np.pi * erg_cm3), rel=1e-9)
    assert al["critical_field_T"] / al["tc_eliashberg_K"] == pytest.approx(8.9e-3, rel=0.1)
    assert al["volume_A3_cell"] == pytest.approx((7.5 * 0.529177) ** 3 / 4, rel=1e-5)
    fields = [row["critical_field_T"] for row in al["temperatures"]]
    assert fields[0] == al["critical_field_T"] and fields[-1] == 0
    assert np.all(np.diff(fields) < 0)


def test_strong_coupling_falls_to_nothing_at_tc(h3s: dict[str, Any]) -> None:
    rows = h3s["temperatures"]
    assert rows[0]["temperature_K"] == 0 and rows[-1]["temperature_K"] == h3s["tc_eliashberg_K"]
    for key in ("gap_edge_meV", "gap_matsubara_meV"):
        values = [row[key] for row in rows]
        assert np.all(np.diff(values) <= 1e-9), key
        assert values[-1] == 0
    free = [row["free_energy_over_dos_meV2"] for row in rows]
    assert np.all(np.diff(free) > 0) and free[-1] == 0
    assert h3s["two_delta_over_kTc"] > 4.5
    assert h3s["gap_edge_difference_meV"] < 2e-3
    species = h3s["isotope_exponent_by_species"]
    assert sum(species.values()) == pytest.approx(h3s["isotope_exponent"], abs=1e-6)


def test_temperatures_outside_are_said(folder: Path) -> None:
    document = gap_of(folder, temperatures_K=(2.0, 0.01))
    cold, warm = document["temperatures"]
    assert cold["gap_edge_meV"] == document["gap_edge_meV"]
    assert warm["gap_edge_meV"] == warm["gap_matsubara_meV"] == 0
    assert "critical_field_T" not in warm
    assert any(note.startswith("below 0.1 Tc the gap no longer changes: at 0.01 K") for note in document["notes"])


def test_what_a_plain_file_cannot_tell_is_said() -> None:
    document = gap_of(DATA / "epw" / "al.a2f")
    assert document["tc_eliashberg_K"] > 0
    assert "critical_field_T" not in document
    assert document["critical_field_over_root_dos_meV"] > 0
    assert any("no critical field in tesla: N(E_F)" in note for note in document["notes"])


def test_without_tc_there_is_no_gap(tmp_path: Path) -> None:
    spectrum = from_modes([30.0], [0.12], "modes")
    document, state = gap_document(Reading("modes", "by hand", (Variant("α²F", spectrum),)), 0.15)
    assert document["tc_eliashberg_K"] == 0
    assert not state.rows
    assert not {"temperatures", "gap_edge_meV", "real_axis", "tunnelling"} & set(document)
    assert any("does not overcome the Coulomb repulsion" in note for note in document["notes"])
    json.dumps(document, allow_nan=False)


def test_at_very_weak_coupling_the_rest_is_there() -> None:
    """Tc of some millikelvin: a real axis that resolves it is too long, Δ(T), Hc(T) and ΔC are not."""
    reading = Reading("modes", "by hand", (Variant("α²F", from_modes([60.0], [0.26], "modes")),))
    document, state = gap_document(reading, 0.1)
    assert 0 < document["tc_eliashberg_K"] < 0.1
    assert "real_axis" not in document and "tunnelling" not in document
    first, second = document["temperatures"][0], document["temperatures"][5]
    assert first["gap_edge_meV"] == document["gap_edge_meV"] == pytest.approx(first["gap_matsubara_meV"], rel=1e-2)
    assert "gap_edge_meV" not in second and second["gap_matsubara_meV"] > 0
    assert any("there is Δ(iω₀), but no gap edge: the real axis would be too long" in n for n in document["notes"])
    panels = gap_figure(state).axes
    assert [text.get_text() for text in panels[1].texts] == ["no real axis: see the notes", "(b)"]


def test_text_has_the_table(h3s: dict[str, Any]) -> None:
    text = gap_text(h3s)
    for part in ("2Δ₀/k_BTc", "μ₀Hc(0)", "by Padé", "μ* = 0.13 referred to 219.1 meV", "S 0.0", "ΔF/N(0), meV²"):
        assert part in text
    assert len([line for line in text.splitlines() if line.endswith(f"{0:>15.3f}")]) <= 1
    assert max(len(line) for line in text.splitlines()) < 260


def test_figure_has_four_panels(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = main([str(folder), "--json", "--figure", str(tmp_path / "gap.svg")], capsys)
    assert code == 0 and json.loads(out)["figure"] == str(tmp_path / "gap.svg")
    text = (tmp_path / "gap.svg").read_text()
    for label in ("(a)", "(d)", "$T$ (K)", "Re Δ", "N(ω)/N(0)", r"$H_\mathrm{c}$(T)/", r"ΔC/$γT_\mathrm{c}$"):
        assert label in text


def test_a_study_has_it_at_each_pressure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, answer, _ = study_with(folder, (4, 4, 4), "Al-fcc", "Al", mu_star=(0.1,))
    monkeypatch.setattr(tc_study, "study_answer", lambda *arguments: ("al-1", answer))
    found = study_gap("al", None, None, ())
    [at] = found["pressures"]
    assert at["pressure_GPa"] == 20
    [document] = at["gap"]["natural"]
    assert document["gap_edge_meV"] == pytest.approx(0.125, abs=0.001)
    assert "20 GPa, natural" in study_gap_text(found)
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing.dat"], "nothing.dat: there is no such file or folder"),
        (["{folder}", "--temperature", "-3"], "--temperature is -3; a temperature is a number of kelvins from 0 on"),
        (["{folder}", "--mu-star", "0.7"], "--mu-star is 0.7"),
        (["{folder}", "--mu-ref-mev", "2"], "--mu-ref-mev is 2"),
        (["{folder}", "--smearing", "0.033"], "--smearing is 0.033 Ry"),
        (["{folder}", "--figure", "x.gif"], "its name must end with .pdf, .png or .svg"),
        (["lambda.dat"], "it holds λ and ω_log only; a gap needs α²F"),
    ],
)
def test_wrong_input_is_one_sentence(
    arguments: list[str],
    said: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "lambda.dat").write_text((folder / "lambda.dat").read_text())
    monkeypatch.chdir(tmp_path)
    code, out, err = main([each.format(folder=folder) for each in arguments], capsys)
    assert (code, out) == (2, "")
    assert said in err and err.count("\n") == 1


def test_a_file_cannot_be_asked_of_a_study() -> None:
    with pytest.raises(InputError, match="are for files"):
        tc_study.check_files_only("meV", None, None, None)
    tc_study.check_files_only(None, None, None, None)
    assert gap_commands.check_figure(None) is None
