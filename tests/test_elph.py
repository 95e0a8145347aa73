"""α²F assembled from the per-q files of ph.x: real runs of Al, H3S and an unstable hydride."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from elph_data import unpacked

from megabar.analysis.superconductivity.elph import (
    ElectronPhonon,
    left_out,
    left_out_notes,
    reading,
    spectrum,
    total_lambda,
)
from megabar.analysis.superconductivity.formulas import allen_dynes
from megabar.analysis.superconductivity.isotopes import RY_MASS_PER_U, with_masses
from megabar.analysis.superconductivity.modes import (
    lambda_by_branch,
    lambda_by_q,
    lambda_by_species,
    mode_rows,
)
from megabar.analysis.superconductivity.readers import read_alpha2f
from megabar.analysis.superconductivity.readers.espresso import read_lambda_dat
from megabar.analysis.superconductivity.readers.espresso_dyn import read_dyn
from megabar.analysis.superconductivity.readers.espresso_elph import QFiles, assemble, find_files, gather
from megabar.analysis.superconductivity.readers.espresso_q import read_coupling
from megabar.analysis.superconductivity.smearing import choose
from megabar.analysis.superconductivity.units import MEV_PER, MEV_PER_K, MEV_PER_THZ
from megabar.structures.errors import InputError


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        name: unpacked(name, tmp_path_factory.mktemp(name)) for name in ("al_q444", "al_q222", "h3s_q444", "alh_q222")
    }


@pytest.fixture(scope="module")
def al(runs: dict[str, Path]) -> ElectronPhonon:
    return gather(runs["al_q444"])


@pytest.fixture(scope="module")
def h3s(runs: dict[str, Path]) -> ElectronPhonon:
    return gather(runs["h3s_q444"])


@pytest.fixture(scope="module")
def alh(runs: dict[str, Path]) -> ElectronPhonon:
    return gather(runs["alh_q222"])


def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "run"))


def test_star_weights_make_up_the_grid(al: ElectronPhonon, h3s: ElectronPhonon) -> None:
    assert [round(64 * point.weight) for point in al.points] == [1, 8, 4, 6, 24, 12, 3, 6]
    assert [round(64 * point.weight) for point in h3s.points] == [1, 12, 6, 24, 6, 12, 2, 1]
    for data in (al, h3s):
        assert sum(point.weight for point in data.points) == pytest.approx(1, abs=1e-15)


def test_al_gives_the_lambda_of_lambda_x_at_every_smearing(al: ElectronPhonon, runs: dict[str, Path]) -> None:
    """Both sum the same λ_qν with four decimals; lambda.dat has six."""
    stated = read_lambda_dat(runs["al_q444"] / "lambda.dat")
    assert total_lambda(al) == pytest.approx([row.lambda_ for row in stated], abs=1e-6)
    assert list(al.dos_per_Ry) == pytest.approx([row.dos_per_Ry for row in stated], abs=1e-6)


def test_al_gives_the_omega_log_of_lambda_x(al: ElectronPhonon, runs: dict[str, Path]) -> None:
    """ω_log of the modes themselves against that of their broadened α²F: within 0.5 K of 320 to 390."""
    for place, row in enumerate(read_lambda_dat(runs["al_q444"] / "lambda.dat")):
        assert spectrum(al, place).omega_log_meV / MEV_PER_K == pytest.approx(row.omega_log_K, abs=0.5)


def test_al_alpha2f_is_that_of_alpha2f_dat_when_broadened_alike(al: ElectronPhonon, runs: dict[str, Path]) -> None:
    """lambda.x broadened with 0.12 THz, Methfessel-Paxton of first order; the table has five decimals, λ_qν four."""
    table = np.loadtxt(runs["al_q444"] / "alpha2F.dat")
    width = 0.12
    for place in (3, 5, 9):
        peaks = spectrum(al, place)
        x = (table[:, :1] - peaks.omega_meV / MEV_PER_THZ) / width
        delta = np.exp(-(x**2)) / np.sqrt(np.pi) * (1.5 - x**2) / width
        ours = delta @ (peaks.area_meV / MEV_PER_THZ)
        assert np.max(np.abs(ours - table[:, 1 + place])) < 2e-3 * np.max(table[:, 1 + place])


def test_h3s_gives_the_lambda_of_lambda_x_without_gamma(h3s: ElectronPhonon, runs: dict[str, Path]) -> None:
    """lambda.x was given 63 of the 64 q: Γ, where its sum would be of a negative λ, was dropped."""
    stated = read_lambda_dat(runs["h3s_q444"] / "lambda.dat")
    parts = np.array([sum(p.weight * p.lambda_[i].sum() for p in h3s.points[1:]) for i in range(10)]) * 64 / 63
    assert parts == pytest.approx([row.lambda_ for row in stated], abs=1e-6)


def test_h3s_with_gamma(h3s: ElectronPhonon) -> None:
    """The optical modes of Γ belong to the sum, its translations do not: λ, ω_log, Tc as computed independently."""
    found = {0.02: (2.46, 1137), 0.03: (2.25, 1154), 0.04: (2.12, 1167)}
    for place, sigma in enumerate(h3s.smearings_Ry):
        if round(float(sigma), 3) in found:
            lambda_, omega_log = found[round(float(sigma), 3)]
            one = spectrum(h3s, place)
            assert one.lambda_ == pytest.approx(lambda_, abs=0.006)
            assert one.omega_log_meV / MEV_PER_K == pytest.approx(omega_log, abs=1)
    one = spectrum(h3s, 5)
    moments = (one.lambda_, one.omega_log_meV / MEV_PER_K, one.omega_2_meV / MEV_PER_K)
    assert allen_dynes(*moments, 0.10) == pytest.approx(219, abs=0.6)
    assert allen_dynes(*moments, 0.13) == pytest.approx(201, abs=0.6)


def test_lambda_that_follows_the_density_of_states_is_told(h3s: ElectronPhonon, al: ElectronPhonon) -> None:
    """H3S has a peak of states at E_F: 4.61 at 0.005 Ry, 3.48 at 0.03 Ry by the files; λ/N(E_F) is 0.648 throughout."""
    assert h3s.dos_per_Ry[[0, 5]] == pytest.approx([4.605778, 3.477231])
    assert (total_lambda(h3s) / h3s.dos_per_Ry)[3:7] == pytest.approx([0.648] * 4, abs=6e-4)
    [said] = [each for each in reading(h3s).notes if "λ/N(E_F)" in each]
    assert "varies by only 0.1% between 0.02 and 0.035 Ry" in said
    assert "with the former λ would be 2.98" in said
    assert not any("λ/N(E_F)" in each for each in reading(al).notes)


def test_translations_at_gamma_are_left_out_and_told(h3s: ElectronPhonon) -> None:
    """No sum rule was applied: they lie at −35.334 cm⁻¹; λ −0.0717, −0.0540, −0.0710 at 0.030 Ry, weight 1/64."""
    found = left_out(h3s, 5)
    assert [(each.number, each.translation) for each in found] == [(1, True)] * 3
    assert [each.omega_meV / MEV_PER["cm-1"] for each in found] == pytest.approx([-35.334] * 3, abs=1e-3)
    assert sum(each.would_carry for each in found) == pytest.approx((0.0717 + 0.0540 + 0.0710) / 64, rel=1e-3)
    [said] = left_out_notes(h3s, 5)
    assert "the three translations at Γ (-4.38, -4.38, -4.38 meV instead of 0) are left out" in said


def test_translations_above_zero_are_left_out_too(al: ElectronPhonon) -> None:
    assert [(each.number, each.mode) for each in left_out(al, 5)] == [(1, 1), (1, 2), (1, 3)]
    assert not al.points[0].stable.any()
    assert left_out_notes(al, 5) == ()  # they carry nothing


def test_imaginary_modes_are_told_with_q_mode_and_lambda(alh: ElectronPhonon, runs: dict[str, Path]) -> None:
    """q-point 2: ω² = −0.289827e-4 Ry² (−590.777 cm⁻¹), λ = −2.2776 at 0.040 Ry, 4 of 8 q in its star."""
    found = [each for each in left_out(alh, 1) if not each.translation]
    assert [(each.number, each.mode) for each in found] == [(2, 1), (3, 1)]
    assert found[0].q == (0.5, -0.5, 0.5)
    assert found[0].omega_meV == pytest.approx(-590.777 * MEV_PER["cm-1"], rel=1e-5)
    assert found[0].would_carry == pytest.approx(2.2776 * 4 / 8, rel=1e-4)
    said = reading(alh).notes
    assert any(
        "imaginary mode 1 at q-point 2 (0.5, -0.5, 0.5): -73.2 meV; left out, it would have carried λ = 1.14" in s
        for s in said
    )
    assert any("imaginary mode 1 at q-point 3 (0, -1, 0)" in s for s in said)
    every = sum(point.weight * np.abs(point.lambda_[1]).sum() for point in alh.points)
    kept = spectrum(alh, 1).lambda_
    assert kept + sum(each.would_carry for each in left_out(alh, 1)) == pytest.approx(every)


def test_matrices_give_the_lambda_of_ph_x_and_mend_degeneracies(alh: ElectronPhonon, runs: dict[str, Path]) -> None:
    """e†M^-½GM^-½e/(2Nω²) from a2Fq2r: equal within a multiplet, with the multiplet's sum of elph.inp_lambda.N."""
    raw = read_coupling(runs["alh_q222"] / "elph_dir" / "elph.inp_lambda.2").lambda_
    ours = alh.points[1].lambda_
    assert ours[:, [0, 3]] == pytest.approx(raw[:, [0, 3]], abs=6e-5)
    assert abs(raw[0, 4] - raw[0, 5]) > 0.1  # 0.5954 and 0.7712, split by the interpolation in k
    assert ours[:, 4] == pytest.approx(ours[:, 5], abs=1e-4)
    assert ours[:, 4] + ours[:, 5] == pytest.approx(raw[:, 4] + raw[:, 5], abs=2e-4)


def test_with_and_without_matrices_lambda_is_the_same(runs: dict[str, Path]) -> None:
    files, grid = find_files(runs["al_q222"])
    with_matrices = assemble(files, "with", grid)
    without = assemble([replace(each, gamma=()) for each in files], "without", grid)
    assert with_matrices.points[1].coupling is not None and without.points[1].coupling is None
    assert total_lambda(with_matrices) == pytest.approx(total_lambda(without), abs=1e-4)


def test_dynamical_matrices_have_the_frequencies_they_say(runs: dict[str, Path]) -> None:
    dyn = read_dyn(runs["h3s_q444"] / "h3s.dyn4")
    assert dyn.star == 24 and dyn.species == ("S", "H", "H", "H")
    assert dyn.masses[0] / RY_MASS_PER_U == pytest.approx(32.06, abs=1e-3)
    vectors = dyn.eigenvectors
    assert vectors.conj().T @ vectors == pytest.approx(np.eye(12), abs=1e-5)
    root = np.sqrt(np.repeat(dyn.masses, 3))
    squares = np.diag(vectors.conj().T @ (dyn.force_constants / (root[:, None] * root)) @ vectors).real
    found = np.sign(squares) * np.sqrt(np.abs(squares)) * MEV_PER["Ry"] / MEV_PER_THZ
    assert found == pytest.approx(dyn.frequencies_THz, abs=2e-3)


# by mode, q, branch, species


def test_parts_of_lambda_add_up(h3s: ElectronPhonon) -> None:
    total = total_lambda(h3s)[5]
    rows = mode_rows(h3s, 5)
    assert sum(row.part for row in rows) == pytest.approx(total)
    assert len(rows) == 8 * 12 - 3
    assert rows[0].part == max(row.part for row in rows)
    weights = np.array([point.weight for point in h3s.points])
    assert weights @ lambda_by_q(h3s, 5) == pytest.approx(total)
    assert lambda_by_branch(h3s, 5).sum() == pytest.approx(total)
    species = lambda_by_species(h3s, 5)
    assert sum(species.values()) == pytest.approx(total)
    assert species["H"] > 2 * species["S"]  # a hydrogen superconductor


def test_hydrogen_moves_at_high_frequency_sulfur_at_low(h3s: ElectronPhonon) -> None:
    one = spectrum(h3s, 5)
    assert one.shares["H"] + one.shares["S"] == pytest.approx(np.ones(len(one.omega_meV)), abs=1e-5)
    assert np.min(one.shares["H"][one.omega_meV > 100]) > 0.8
    assert np.max(one.shares["S"][one.omega_meV < 60]) > 0.8


def test_linewidths_are_those_of_the_file(h3s: ElectronPhonon, runs: dict[str, Path]) -> None:
    """γ = πNω²λ against the GHz of elph.inp_lambda; λ has four decimals, degenerate modes share theirs."""
    stated = read_coupling(runs["h3s_q444"] / "elph_dir" / "elph.inp_lambda.2").gamma_GHz[5]
    ours = {row.mode: row.linewidth_meV for row in mode_rows(h3s, 5) if row.number == 2}
    for mode in (3, 4, 5, 8):
        assert ours[mode] / MEV_PER_THZ * 1e3 == pytest.approx(stated[mode - 1], rel=1e-3)


# isotopes


def test_mass_of_an_element_scales_its_frequencies_and_keeps_lambda(runs: dict[str, Path]) -> None:
    data = gather(runs["al_q222"])
    heavier = with_masses(data, {"Al": 2 * 26.98})
    for place in (3, 7):
        one, other = spectrum(data, place), spectrum(heavier, place)
        assert other.lambda_ == pytest.approx(one.lambda_, rel=2e-4)
        assert other.omega_log_meV == pytest.approx(one.omega_log_meV / np.sqrt(2), rel=2e-4)


@pytest.mark.parametrize("matrices", [True, False])
def test_isotopes_of_a_compound_keep_every_lambda_of_q(runs: dict[str, Path], matrices: bool) -> None:
    """Σ_ν λ_qν = tr(G Φ⁻¹)/2N has no mass in it, with the matrices and with their diagonal."""
    files, grid = find_files(runs["alh_q222"])
    data = assemble(files if matrices else [replace(each, gamma=()) for each in files], "AlH", grid)
    deuteride = with_masses(data, {"H": 2.014})
    for point, other in zip(data.points[1:], deuteride.points[1:], strict=True):
        assert other.lambda_.sum(axis=1) == pytest.approx(point.lambda_.sum(axis=1), rel=1e-3)
        assert np.all(np.abs(other.omega_meV) <= np.abs(point.omega_meV) + 1e-3)


def test_same_masses_change_nothing(alh: ElectronPhonon) -> None:
    same = with_masses(alh, {"H": float(alh.masses[1]) / RY_MASS_PER_U})
    for point, other in zip(alh.points[1:], same.points[1:], strict=True):
        assert other.omega_meV == pytest.approx(point.omega_meV, abs=2e-3)
        assert other.lambda_ == pytest.approx(point.lambda_, abs=2e-3)


def test_isotopes_with_the_matrices_are_exact_where_the_diagonal_is_not(runs: dict[str, Path]) -> None:
    """The frequencies agree; ω_log of the two differs, as it must: by 2% for H to D."""
    files, grid = find_files(runs["alh_q222"])
    exact = with_masses(assemble(files, "AlH", grid), {"H": 2.014})
    diagonal = with_masses(assemble([replace(each, gamma=()) for each in files], "AlH", grid), {"H": 2.014})
    one, other = spectrum(exact, 1), spectrum(diagonal, 1)
    assert other.omega_log_meV == pytest.approx(one.omega_log_meV, rel=0.03)
    assert any("diagonal in the modes" in note for note in diagonal.notes)
    assert not any("diagonal" in note for note in exact.notes)


def test_d3s_lies_below_h3s(h3s: ElectronPhonon) -> None:
    """Isotope exponent of Tc (Allen-Dynes) between 0.3 and ½: the sulfur modes do not feel the deuterium."""
    d3s = with_masses(h3s, {"H": 2.01410178})
    temperatures = []
    for data in (h3s, d3s):
        one = spectrum(data, 5)
        temperatures.append(allen_dynes(one.lambda_, one.omega_log_meV, one.omega_2_meV, 0.10))
    exponent = -np.log(temperatures[1] / temperatures[0]) / np.log(2.01410178 / 1.008)
    assert 0.3 < exponent < 0.5
    assert total_lambda(d3s) == pytest.approx(total_lambda(h3s), rel=1e-3)


@pytest.mark.parametrize(
    ("masses", "said"), [({"O": 16.0}, r"there is no O in it \(it has S, H\)"), ({"H": 12.0}, "no isotope of H")]
)
def test_wrong_isotopes_are_told(h3s: ElectronPhonon, masses: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        with_masses(h3s, masses)


# the smearing


def test_a_plateau_is_found_between_noise_and_washing_out(al: ElectronPhonon, h3s: ElectronPhonon) -> None:
    assert reading(al).variants[reading(al).chosen].smearing_Ry == pytest.approx(0.030)
    assert not any("plateau" in note for note in reading(al).notes)
    assert reading(h3s).variants[reading(h3s).chosen].smearing_Ry == pytest.approx(0.030)
    assert any("λ has no plateau over the smearings" in note for note in reading(h3s).notes)


def test_choice_of_smearing_on_known_curves() -> None:
    sigma = [0.005 * (i + 1) for i in range(12)]
    flat = choose(sigma, [0.5 + 40 * (s - 0.03) ** 2 for s in sigma])
    assert sigma[flat.place] == pytest.approx(0.030, abs=0.006)
    assert flat.spread is not None and flat.spread < 0.05 and flat.notes == ()
    falling = choose(sigma, [0.1 / s for s in sigma])
    assert "no plateau" in falling.notes[0]
    assert choose([0.02], [0.4]).place == 0
    assert choose([0.02, 0.03], [0.4, 0.5]).spread == pytest.approx(0.2)


# what is wrong


def test_missing_q_points_are_named(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(runs["al_q444"], tmp_path)
    (folder / "elph_dir" / "elph.inp_lambda.3").unlink()
    (folder / "elph_dir" / "elph.inp_lambda.5").unlink()
    with pytest.raises(InputError, match=r"q-points 3, 5 of 8 have no elph.inp_lambda file; run them"):
        gather(folder)
    shutil.copy(runs["al_q444"] / "elph_dir" / "elph.inp_lambda.3", folder / "elph_dir")
    shutil.copy(runs["al_q444"] / "elph_dir" / "elph.inp_lambda.5", folder / "elph_dir")
    (folder / "al.dyn7").unlink()
    with pytest.raises(InputError, match="q-point 7 of 8 has no dynamical matrix file"):
        gather(folder)


def test_without_dyn0_the_stars_are_the_grid_and_that_is_told(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(runs["al_q222"], tmp_path)
    (folder / "al.dyn0").unlink()
    data = gather(folder)
    assert "there is no dyn0: the grid is taken to be the 8 q of the stars found" in data.notes
    assert total_lambda(data) == pytest.approx(total_lambda(gather(runs["al_q222"])))


def test_files_of_two_runs_are_not_mixed(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(runs["al_q222"], tmp_path)
    shutil.copy(runs["alh_q222"] / "elph_dir" / "elph.inp_lambda.2", folder / "elph_dir")
    with pytest.raises(InputError, match="not of the same q-point of one calculation"):
        gather(folder)
    shutil.copy(runs["al_q444"] / "elph_dir" / "elph.inp_lambda.1", folder / "elph_dir" / "elph.inp_lambda.1")
    shutil.copy(runs["al_q222"] / "elph_dir" / "elph.inp_lambda.2", folder / "elph_dir")
    with pytest.raises(InputError, match="have different frequencies: they are of different runs"):
        gather(folder)
    shutil.copy(runs["alh_q222"] / "alh.dyn1", folder)
    with pytest.raises(InputError, match=r"dynamical matrices of several runs \(al\.dyn, alh\.dyn\)"):
        gather(folder)


def test_matrices_of_another_run_are_noticed(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(runs["al_q222"], tmp_path)
    path = folder / "elph_dir" / "a2Fq2r.54.2"
    path.write_text(path.read_text().replace("0.0095", "0.0195"))
    with pytest.raises(InputError, match="give different λ: they are of different runs"):
        gather(folder)


def edited(folder: Path, number: int, old: str, new: str) -> Path:
    path = folder / "elph_dir" / f"elph.inp_lambda.{number}"
    text = path.read_text()
    assert re.search(old, text)
    path.write_text(re.sub(old, new, text, count=1))
    return folder


def test_lambda_that_disagrees_with_its_linewidth_is_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = edited(copied(runs["h3s_q444"], tmp_path), 2, r"lambda\(    4\)=  1\.", "lambda(    4)=  2.")
    with pytest.raises(InputError, match=r"λ of mode 4 at 0\.03 Ry is 2\.973, but γ/\(πNω²\) is 1\.\d+"):
        gather(folder)


def test_an_insulator_is_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = edited(copied(runs["al_q444"], tmp_path), 3, "DOS =  1.339199", "DOS =  0.000000")
    with pytest.raises(
        InputError, match=r"N\(E_F\) is 0 states/spin/Ry at the smearing 0\.005 Ry: no states .* insulator"
    ):
        gather(folder)


def test_stars_in_place_of_a_number_are_told(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = edited(copied(runs["al_q444"], tmp_path), 3, r"gamma=\s+\S+ GHz", "gamma=******** GHz")
    with pytest.raises(InputError, match="too large for its field"):
        gather(folder)


def test_interrupted_files_are_told(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(runs["al_q444"], tmp_path)
    path = folder / "elph_dir" / "elph.inp_lambda.4"
    path.write_text(path.read_text()[:900])
    with pytest.raises(InputError, match=r"not a whole elph\.inp_lambda file of ph\.x; was ph\.x interrupted"):
        gather(folder)
    shutil.copy(runs["al_q444"] / "elph_dir" / "elph.inp_lambda.4", path)
    dyn = folder / "al.dyn4"
    dyn.write_text(dyn.read_text()[:1500])
    with pytest.raises(InputError, match=r"the dynamical matrix is not complete; was ph\.x interrupted"):
        gather(folder)


def test_folders_that_are_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no elph\.inp_lambda\.N in it or in its elph_dir"):
        gather(tmp_path)


def test_any_file_of_the_run_leads_to_it(runs: dict[str, Path]) -> None:
    folder = runs["al_q444"]
    for path in (folder, folder / "elph_dir", folder / "elph_dir" / "elph.inp_lambda.3"):
        assert read_alpha2f(path).spectrum.lambda_ == pytest.approx(0.36651, abs=1e-5)
    with pytest.raises(InputError, match=r"a file of ph\.x, whose frequencies are in Ry, not in meV"):
        read_alpha2f(folder, "meV")


def test_a_soft_mode_whose_lambda_ph_x_leaves_out(tmp_path: Path) -> None:
    """Below 20 cm⁻¹ elph.inp_lambda says 0; the matrices tell what an imaginary mode would have carried."""
    folder = unpacked("li_soft", tmp_path)
    coupling = folder / "elph_dir" / "elph.inp_lambda.2"
    gamma = tuple(folder / "elph_dir" / f"a2Fq2r.{number}.2" for number in range(51, 61))
    data = assemble([QFiles(2, coupling, folder / "dyn2", gamma)], "Li")
    assert not read_coupling(coupling).lambda_[:, :2].any()
    assert data.points[0].omega_meV[:2] == pytest.approx([-2.32, -2.32], abs=0.01)
    assert (data.points[0].lambda_[:, :2] < 0).all()
    said = left_out_notes(data, 3)
    assert len(said) == 2
    assert all("imaginary mode" in each and "it would have carried λ = 56" in each for each in said), said


def with_lambda(
    data: ElectronPhonon, number: int, change: np.ndarray, omega: np.ndarray | None = None
) -> ElectronPhonon:
    """Return a run in which λ of one q-point's modes, and perhaps its frequencies, are others."""
    points = [
        replace(point, lambda_=change, omega_meV=point.omega_meV if omega is None else omega)
        if point.number == number
        else point
        for point in data.points
    ]
    return replace(data, points=tuple(points))


def test_negative_linewidths_are_told(al: ElectronPhonon) -> None:
    """They were set to 0 without a word, and λ was larger than the sum of the files."""
    point = al.points[3]
    changed = point.lambda_.copy()
    changed[:, 0] = -0.5
    data = with_lambda(al, point.number, changed)
    found = reading(data)
    [said] = [each for each in found.notes if "negative linewidth" in each]
    carried = point.weight * 0.5
    assert f"1 mode has a negative linewidth at 0.03 Ry, most of all mode 1 at q-point {point.number}" in said
    assert f"λ is by {carried:.3g} larger than the sum that the files make" in said
    assert found.spectrum.lambda_ - total_lambda(data)[found.chosen] == pytest.approx(carried, rel=1e-6)
    assert not any("negative linewidth" in each for each in reading(al).notes)


def test_many_imaginary_modes_are_a_few_lines(h3s: ElectronPhonon) -> None:
    """171 lines of notes for one structure: the worst are named, the rest is counted; the document has them all."""
    data = h3s
    for point in h3s.points[1:]:
        omega = -np.abs(point.omega_meV)
        omega[-1] *= -1
        data = with_lambda(data, point.number, -np.abs(point.lambda_), omega)
    data = replace(
        data,
        points=tuple(
            replace(each, lambda_=np.where(each.omega_meV > 0, abs(each.lambda_), each.lambda_)) for each in data.points
        ),
    )
    said = left_out_notes(data, 5)
    named = [each for each in said if each.startswith("imaginary mode ")]
    [rest] = [each for each in said if "more imaginary modes" in each]
    left = [each for each in left_out(data, 5) if not each.translation]
    assert len(named) == 3 and len(said) <= 5 and rest.startswith(f"{len(left) - 3} more imaginary modes")
    carried = sorted((each.would_carry for each in left), reverse=True)
    assert f"λ = {carried[0]:.3g} (" in named[0]
    assert f"they would have carried λ = {sum(carried[3:]):.3g} (" in rest
    assert len(reading(data).details["modes_left_out"]) == len(left) + 3
