"""Tc by closed formulas: by hand, against other codes, and against the limits of the Eliashberg equations."""

from math import exp, isnan

import pytest

from megabar.analysis.superconductivity.eliashberg.linearised import critical_temperature
from megabar.analysis.superconductivity.formulas import (
    FORMULAS,
    allen_dynes,
    check_mu_star,
    estimates,
    mcmillan,
    mu_star_at,
    spread_K,
    strong_coupling_factors,
    xie,
    xie_factors,
)
from megabar.analysis.superconductivity.spectral import from_modes
from megabar.analysis.superconductivity.units import MEV_PER
from megabar.structures.errors import InputError

HARTREE_K = MEV_PER["Ha"] / MEV_PER["K"]
# λ, ω_log, ω̄₂ (hartree) and Tc (K, Allen-Dynes with f₁f₂, μ* 0.15) as Elk states them in MCMILLAN.OUT of its examples
# phonons-superconductivity/*-DFPT (elk.sourceforge.io).
ELK = {
    "Al": (0.4237123761, 0.1068940640e-02, 0.1161090651e-02, 0.5132416494),
    "MgB2": (0.7517516009, 0.2228044595e-02, 0.2443047380e-02, 19.67328712),
    "Nb": (1.150620532, 0.7088838913e-03, 0.7567470325e-03, 16.14572364),
    "Pb": (1.300391767, 0.1973053899e-03, 0.2216534818e-03, 5.458024982),
}
# Einstein spectrum, μ* = 0: λ and Tc/Ω of the linearised Eliashberg equations; at large λ, 0.18273 √λ:
# Allen & Dynes, Phys. Rev. B 12, 905 (1975).
EINSTEIN = {0.3: 0.0099233, 0.5: 0.0394289, 1.0: 0.1146195, 2.0: 0.2117412, 3.0: 0.2789841, 10.0: 0.5577775}


def test_mcmillan_by_hand() -> None:
    """λ = 1, μ* = 0.1: exponent −1.04·2/(1 − 0.162) = −2.48210."""
    assert mcmillan(1.0, 120.0, 0.1) == pytest.approx(100 * exp(-2.48210), rel=1e-5)
    assert mcmillan(0.5, 300.0, 0.0) == pytest.approx(250 * exp(-3.12), rel=1e-12)


@pytest.mark.parametrize("name", list(ELK))
def test_allen_dynes_agrees_with_elk(name: str) -> None:
    lambda_, omega_log, omega_2, tc = ELK[name]
    assert allen_dynes(lambda_, omega_log * HARTREE_K, omega_2 * HARTREE_K, 0.15) == pytest.approx(tc, rel=2e-7)


def test_mcmillan_agrees_with_epw() -> None:
    """Our own run of EPW 5.3 on Al (data/epw): λ 0.34185, ω_log 26.233902 meV, μ* 0.1: 0.454605 K."""
    assert mcmillan(0.3418500, 26.233902 / MEV_PER["K"], 0.1) == pytest.approx(0.454605, rel=2e-6)


@pytest.mark.parametrize(("lambda_", "tc"), EINSTEIN.items())
def test_how_far_formulas_are_from_the_eliashberg_equations(lambda_: float, tc: float) -> None:
    """Allen-Dynes within 7.4% (within 2% above λ = 1), McMillan ever lower: what the ranges in FORMULAS say."""
    assert allen_dynes(lambda_, 1.0, 1.0, 0.0) == pytest.approx(tc, rel=0.074 if lambda_ < 1 else 0.02)
    low = {0.3: -0.073, 0.5: -0.067, 1.0: -0.092, 2.0: -0.173, 3.0: -0.254, 10.0: -0.524}
    assert mcmillan(lambda_, 1.0, 0.0) / tc - 1 == pytest.approx(low[lambda_], abs=6e-4)


def test_allen_dynes_has_the_right_strong_coupling_limit() -> None:
    """Tc → 0.18273 √λ Ω: f₁ → (λ/2.46)^½, so that the formula gives exp(−1.04)/1.2/√2.46 √λ = 0.1878 √λ."""
    for lambda_ in (1e4, 1e6):
        assert allen_dynes(lambda_, 1.0, 1.0, 0.0) / lambda_**0.5 == pytest.approx(0.1827262, rel=0.03)


def test_strong_coupling_factors_by_hand() -> None:
    """λ = 2.46 (1 + 3.8 μ*) makes f₁ = 2^⅓; equal moments make f₂ = 1; λ = Λ₂ makes f₂ the mean of 1 and the ratio."""
    assert strong_coupling_factors(2.46 * 1.38, 1.0, 0.1) == pytest.approx((2 ** (1 / 3), 1.0))
    assert strong_coupling_factors(1.82 * 1.63 * 1.4, 1.4, 0.1)[1] == pytest.approx(1.2)


def test_xie_by_hand() -> None:
    """λ = 2, ω̄₂ = 1.25 ω_log, μ* = 0.125: f_ω = 1.92·2.3/(√2 e^0.8) − 0.08, f_μ = 1 + 6.86 e^-16/(0.5 − 0.925)."""
    f_omega = 1.92 * 2.3 / (2**0.5 * exp(0.8)) - 0.08
    f_mu = 1 + 6.86 * exp(-16) / (0.5 - 0.925)
    assert xie_factors(2.0, 1.25, 0.125) == pytest.approx((f_omega, f_mu))
    assert xie(2.0, 100.0, 125.0, 0.125) == pytest.approx(f_omega * f_mu * mcmillan(2.0, 100.0, 0.125))
    assert xie_factors(1.0, 1.1, 0.0)[1] == 1.0


def test_xie_says_nothing_at_its_pole() -> None:
    ratio = 1 / (1 / 1.0 - 0.15 - 0.01)
    assert isnan(xie_factors(1.0, ratio, 0.15)[1])
    spectrum = from_modes([20.0, 40.0], [0.5, 0.5], "near the pole")
    [found] = [each for each in estimates(spectrum, 0.13) if each.formula.key == "tc_xie_K"]
    if isnan(found.tc_K):
        assert "too near to its pole" in found.caveats[0]


def test_repulsion_that_wins_gives_zero_and_says_so() -> None:
    assert mcmillan(0.1, 300.0, 0.15) == 0.0
    found = estimates(from_modes([30.0], [0.1], "weak"), 0.15)
    assert found[0].tc_K == 0.0
    assert "gives no superconductivity" in found[0].caveats[0]


def test_caveats_name_the_range_that_is_left() -> None:
    inside = estimates(from_modes([60.0], [0.8], "one mode"), 0.12)
    assert all(not each.caveats for each in inside)
    [mcm] = [each for each in estimates(from_modes([60.0], [2.5], "strong"), 0.12) if each.formula.name == "McMillan"]
    assert "λ = 2.5 (range 0.3 to 1.25)" in mcm.caveats[0]
    [dynes] = [
        e for e in estimates(from_modes([20.0, 160.0], [1.0, 1.0], "H"), 0.12) if e.formula.name == "Allen-Dynes"
    ]
    assert "ω̄₂/ω_log" in dynes.caveats[0]


def test_weak_coupling_against_repulsion_is_told() -> None:
    for each in estimates(from_modes([30.0], [0.5], "Al"), 0.12):
        assert each.caveats[-1].startswith("μ*/λ = 0.24: near the end of superconductivity")


@pytest.mark.slow
@pytest.mark.parametrize("mu_star", [0.0, 0.1, 0.15])
def test_formulas_are_as_near_to_the_solver_as_they_say(mu_star: float) -> None:
    """One and two Einstein modes; a formula without a caveat is within its accuracy of the linearised equations."""
    held = set()
    for lambda_ in (0.5, 0.8, 1.2, 2.0, 3.0):
        for ratio, share in ((1.0, 1.0), (1.5, 0.2), (2.5, 0.5), (2.5, 0.8), (6.0, 0.8)):
            omega, coupling = [100.0 / ratio, 100.0], [lambda_ * (1 - share), lambda_ * share]
            spectrum = from_modes(omega, coupling, "modes")
            exact = critical_temperature(spectrum, mu_star)
            for each in estimates(spectrum, mu_star):
                if not each.caveats:
                    held.add(each.formula.name)
                    assert each.tc_K == pytest.approx(exact, rel=each.formula.accuracy), (lambda_, ratio, share)
    assert held == {"McMillan", "Allen-Dynes"} | ({"Xie 2022"} if mu_star else set())


def test_spread_is_from_the_lowest_to_the_highest() -> None:
    found = estimates(from_modes([60.0], [1.5], "one mode"), 0.12)
    low, high = spread_K(found)
    assert low == min(each.tc_K for each in found) < high == max(each.tc_K for each in found)


def test_every_formula_names_its_source() -> None:
    assert [formula.key for formula in FORMULAS] == ["tc_mcmillan_K", "tc_allen_dynes_K", "tc_xie_K"]
    for formula in FORMULAS:
        assert formula.doi.startswith("10.")
        assert formula.caveat


def test_mu_star_moves_between_energies_and_back() -> None:
    """1/0.12 + ln(7000/30) = 13.786."""
    assert mu_star_at(0.12, 7000.0, 30.0) == pytest.approx(1 / 13.7858, rel=1e-5)
    assert mu_star_at(mu_star_at(0.12, 30.0, 7.0), 7.0, 30.0) == pytest.approx(0.12)
    assert mu_star_at(0.0, 30.0, 7e3) == 0.0
    with pytest.raises(InputError, match="has no counterpart at 7000 meV"):
        mu_star_at(0.3, 30.0, 7000.0)


@pytest.mark.parametrize("value", [-0.01, 0.51, 12.0, float("nan"), float("inf")])
def test_mu_star_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(InputError, match=r"--mu-star is .* between 0 and 0.5"):
        check_mu_star(value)
