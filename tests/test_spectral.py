"""The spectral function: its moments against analytic ones, and what a table must be."""

import numpy as np
import pytest
from scipy.constants import physical_constants

from megabar.analysis.superconductivity.spectral import (
    broadened,
    from_modes,
    scale_coupling,
    scale_frequencies,
    tabulated,
)
from megabar.analysis.superconductivity.units import MEV_PER, unit_named
from megabar.structures.errors import InputError


def test_einstein_mode_has_its_coupling_and_frequency() -> None:
    """α²F = ½λΩδ(ω − Ω): λ, ω_log = ω̄₂ = Ω."""
    spectrum = from_modes([60.0], [1.3], "an Einstein mode")
    assert spectrum.lambda_ == pytest.approx(1.3, rel=1e-15)
    assert spectrum.omega_log_meV == pytest.approx(60.0, rel=1e-14)
    assert spectrum.omega_2_meV == pytest.approx(60.0, rel=1e-14)
    assert spectrum.omega_max_meV == 60.0
    assert spectrum.area_meV.sum() == pytest.approx(0.5 * 1.3 * 60.0)


def test_two_modes_have_the_weighted_means() -> None:
    spectrum = from_modes([80.0, 20.0], [0.5, 1.5], "two modes")
    assert list(spectrum.omega_meV) == [20.0, 80.0]
    assert spectrum.omega_log_meV == pytest.approx(np.exp((1.5 * np.log(20) + 0.5 * np.log(80)) / 2))
    assert spectrum.omega_2_meV == pytest.approx(np.sqrt((1.5 * 400 + 0.5 * 6400) / 2))
    assert list(spectrum.cumulative_lambda) == pytest.approx([1.5, 2.0])


def test_modes_of_one_frequency_become_one_peak_with_shared_motion() -> None:
    spectrum = from_modes(
        [50.0, 50.0, 90.0], [0.3, 0.1, 0.2], "three", shares={"H": [1.0, 0.0, 1.0], "S": [0.0, 1.0, 0.0]}
    )
    assert list(spectrum.omega_meV) == [50.0, 90.0]
    assert list(spectrum.mode_lambda) == pytest.approx([0.4, 0.2])
    assert list(spectrum.shares["H"]) == pytest.approx([0.75, 1.0])
    assert list(spectrum.shares["H"] + spectrum.shares["S"]) == pytest.approx([1.0, 1.0])


def debye(points: int, top: float = 40.0) -> tuple[np.ndarray, np.ndarray]:
    """α²F = λ(ω/Ω)² below Ω: λ = 2∫λω/Ω² dω, ω_log = Ω e^-½, ω̄₂ = Ω/√2."""
    omega = np.linspace(0, top, points)
    return omega, 0.8 * (omega / top) ** 2


def test_debye_spectrum_has_its_analytic_moments() -> None:
    omega, alpha2f = debye(4001)
    spectrum = tabulated(omega, alpha2f, "Debye")
    assert spectrum.lambda_ == pytest.approx(0.8, rel=1e-6)
    assert spectrum.omega_log_meV == pytest.approx(40 * np.exp(-0.5), rel=1e-6)
    assert spectrum.omega_2_meV == pytest.approx(40 / np.sqrt(2), rel=1e-6)


def test_trapezium_rule_converges_with_the_square_of_the_step() -> None:
    errors = [abs(tabulated(*debye(n), "Debye").omega_2_meV - 40 / np.sqrt(2)) for n in (101, 201, 401)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.05)


def test_the_row_at_zero_changes_nothing() -> None:
    omega, alpha2f = debye(500)
    with_zero, without = tabulated(omega, alpha2f, "a"), tabulated(omega[1:], alpha2f[1:], "b")
    assert with_zero.lambda_ == without.lambda_
    assert with_zero.omega_meV[0] > 0


@pytest.mark.parametrize("unit", list(MEV_PER))
def test_every_unit_gives_the_same_spectrum(unit: str) -> None:
    omega, alpha2f = debye(500)
    spectrum = tabulated(omega / MEV_PER[unit], alpha2f, "Debye", unit=unit)
    assert spectrum.omega_log_meV == pytest.approx(tabulated(omega, alpha2f, "Debye").omega_log_meV, rel=1e-12)


def test_units_are_those_of_codata() -> None:
    """1 THz = 4.1357 meV (Planck), 1 cm⁻¹ = 0.12398 meV, 1 K = 0.086173 meV, 1 hartree = 2 Ry = 27211.386 meV."""
    assert MEV_PER["THz"] == pytest.approx(physical_constants["Planck constant in eV/Hz"][0] * 1e15, rel=1e-9)
    assert MEV_PER["cm-1"] == pytest.approx(0.123984198, rel=1e-8)
    assert MEV_PER["K"] == pytest.approx(0.0861733326, rel=1e-8)
    assert MEV_PER["Ha"] == pytest.approx(2 * MEV_PER["Ry"], rel=1e-10) == pytest.approx(27211.386246, rel=1e-9)


@pytest.mark.parametrize(("text", "unit"), [("mev", "meV"), ("cm^-1", "cm-1"), ("Hartree", "Ha"), (" THz ", "THz")])
def test_units_are_known_by_several_names(text: str, unit: str) -> None:
    assert unit_named(text) == unit


def test_unknown_unit_is_told_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'furlong' is no unit of frequency; it can be meV, .*Ry"):
        unit_named("furlong")


def test_frequencies_scale_with_the_coupling_kept() -> None:
    """Mass times four halves every frequency of one element: λ stays."""
    for spectrum in (from_modes([30.0, 70.0], [0.4, 0.9], "modes"), tabulated(*debye(300), "Debye")):
        heavier = scale_frequencies(spectrum, 0.5)
        assert heavier.lambda_ == pytest.approx(spectrum.lambda_, rel=1e-14)
        assert heavier.omega_log_meV == pytest.approx(spectrum.omega_log_meV / 2)
        assert heavier.omega_2_meV == pytest.approx(spectrum.omega_2_meV / 2)
        assert scale_coupling(spectrum, 1.5).lambda_ == pytest.approx(1.5 * spectrum.lambda_)


def test_drawn_peaks_keep_their_coupling_and_vanish_at_zero() -> None:
    spectrum = from_modes([40.0, 90.0], [0.6, 0.8], "two", shares={"S": [0.9, 0.1], "H": [0.1, 0.9]})
    drawn = broadened(spectrum, 1.5, 2000)
    assert not drawn.discrete
    assert drawn.lambda_ == pytest.approx(spectrum.lambda_, rel=1e-6)
    assert drawn.alpha2f[0] < 1e-12
    assert np.sum(drawn.mode_lambda * drawn.shares["H"]) == pytest.approx(0.6 * 0.1 + 0.8 * 0.9, rel=1e-6)


def test_highest_frequency_is_where_the_spectrum_ends_not_the_table() -> None:
    omega = np.linspace(0, 100, 1001)
    alpha2f = np.where(omega < 60, (omega / 60) ** 2, 0.0)
    assert tabulated(omega, alpha2f, "x").omega_max_meV == pytest.approx(60, abs=0.11)


OMEGA = np.linspace(0.5, 50, 100)
GOOD = (OMEGA / 50) ** 2


@pytest.mark.parametrize(
    ("omega", "alpha2f", "said"),
    [
        (-OMEGA[::-1], GOOD, "row 1 has the frequency -50 meV; frequencies begin at 0"),
        (OMEGA[::-1], GOOD, r"the frequency 49.5 meV in row 2 is not above the one before \(50 meV\)"),
        (np.repeat(OMEGA, 2)[:100], GOOD, "frequencies must increase"),
        (OMEGA, np.where(OMEGA == 0.5, np.nan, GOOD), "row 1 holds nan or infinity"),
        (OMEGA, np.full(100, 0.7), "α²F is 0.7 at 0.5 meV and does not go to 0 there"),
        (OMEGA, 0 * GOOD, "α²F is nowhere above 0"),
        (OMEGA, GOOD - 0.1, "α²F is negative down to -0.0999"),
        (OMEGA * 30, GOOD, r"up to 1500 meV, which is no phonon .* it would be one in cm-1, K: name"),
        (OMEGA * 6e-4, GOOD, "up to 0.03 meV, .* it would be one in eV, Ry: name"),
        (OMEGA[:2], GOOD[:2], "only 2 rows"),
        (OMEGA[:50], GOOD, "they go in pairs"),
    ],
)
def test_wrong_tables_are_told_in_a_sentence(omega: np.ndarray, alpha2f: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        tabulated(omega, alpha2f, "file.dat")
    assert str(caught.value).startswith("file.dat: ")
    assert "\n" not in str(caught.value)


def test_a_spectrum_that_begins_above_zero_is_taken_if_it_goes_there() -> None:
    assert tabulated(OMEGA, 0.8 * OMEGA / 50, "linear").lambda_ == pytest.approx(1.6, rel=6e-3)
    gap = np.where(OMEGA > 20, np.sin((OMEGA - 20) / 30 * np.pi), 0.0)
    assert tabulated(OMEGA, gap, "optical").lambda_ > 0


def test_small_negative_values_are_told_and_leave_lambda() -> None:
    alpha2f = GOOD.copy()
    alpha2f[30] = -0.003
    spectrum = tabulated(OMEGA, alpha2f, "file")
    signed = 2 * np.sum(spectrum.weight_meV * alpha2f / spectrum.omega_meV)
    assert spectrum.lambda_ == pytest.approx(signed, rel=1e-12)
    assert spectrum.alpha2f.min() == 0
    assert "negative values of α²F (down to -0.003" in spectrum.notes[0]


def test_a_table_that_is_cut_off_is_told() -> None:
    assert "is the table cut off?" in tabulated(OMEGA, GOOD, "file").notes[0]


@pytest.mark.parametrize(
    ("omega", "coupling", "said"),
    [
        ([10.0, -3.0], [0.1, 0.1], "a mode has the frequency -3 meV"),
        ([10.0], [-0.1], "a mode has λ = -0.1"),
        ([10.0], [0.0], "λ is 0 in every mode"),
        ([10.0, 20.0], [0.1], "2 frequencies and 1 couplings"),
        ([10.0], [np.nan], "is not a number"),
    ],
)
def test_wrong_modes_are_told_in_a_sentence(omega: list[float], coupling: list[float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        from_modes(omega, coupling, "modes")
