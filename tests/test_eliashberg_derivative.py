"""How Tc answers to α²F, μ* and masses: against finite differences and exact limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from megabar.analysis.superconductivity.eliashberg import derivative, full, linearised
from megabar.analysis.superconductivity.eliashberg.isotope import isotope_exponent, isotope_exponents
from megabar.analysis.superconductivity.eliashberg.kernel import modes_of
from megabar.analysis.superconductivity.eliashberg.mu_star import coulomb
from megabar.analysis.superconductivity.spectral import from_modes, scale_coupling, scale_frequencies, tabulated

OMEGA = np.linspace(0, 100, 401)


def smooth(coupling):
    """A spectrum with acoustic modes and two optical peaks."""
    acoustic = (OMEGA / 100) ** 2 * np.exp(-((OMEGA / 60) ** 8))
    optical = np.exp(-(((OMEGA - 75) / 10) ** 2)) + np.exp(-(((OMEGA - 90) / 6) ** 2))
    shape = tabulated(OMEGA, np.where(OMEGA > 0, acoustic + optical, 0.0), "model")
    return scale_coupling(shape, coupling / shape.lambda_)


def answer_of(spectrum, mu_star, reference=None):
    modes = modes_of(spectrum)
    interaction = coulomb(mu_star, reference or spectrum.omega_max_meV)
    return modes, derivative.sensitivity(modes, interaction, linearised.critical(modes, interaction))


@pytest.mark.parametrize(("coupling", "mu_star"), [(0.5, 0.0), (1.0, 0.13), (3.0, 0.1), (1.0, 0.3)])
@pytest.mark.parametrize("omega", [15.0, 60.0, 85.0])
def test_functional_derivative_against_finite_differences(coupling, mu_star, omega):
    spectrum = smooth(coupling)
    _, answer = answer_of(spectrum, mu_star)
    k = int(np.argmin(np.abs(spectrum.omega_meV - omega)))
    tc = []
    for change in (0.01, -0.01):
        alpha2f = spectrum.alpha2f.copy()
        alpha2f[k] += change
        changed = replace(spectrum, alpha2f=alpha2f)
        tc.append(linearised.critical_temperature(changed, mu_star, spectrum.omega_max_meV))
    slope = (tc[0] - tc[1]) / 0.02 / spectrum.weight_meV[k]
    assert answer.tc_by_alpha2f(spectrum.omega_meV[k]) == pytest.approx(slope, rel=1e-3)


def test_shape_of_the_functional_derivative():
    """Never negative, linear at small ω, highest near 7 k_BTc, δTc of a scaled α²F its integral."""
    spectrum = smooth(1.0)
    modes, answer = answer_of(spectrum, 0.1)
    omega = np.linspace(0.01, 400, 40_000)
    values = answer.tc_by_alpha2f(omega)
    thermal = 0.0861733 * answer.tc_K
    assert values.min() > 0
    assert omega[np.argmax(values)] / thermal == pytest.approx(7.5, abs=1)
    assert answer.tc_by_alpha2f(0.02) == pytest.approx(2 * float(answer.tc_by_alpha2f(0.01)), rel=1e-3)
    assert float(answer.tc_by_alpha2f(0.0)) == 0.0
    scaled = [linearised.critical_temperature(scale_coupling(spectrum, each), 0.1) for each in (1.001, 0.999)]
    assert spectrum.integral(answer.tc_by_alpha2f) == pytest.approx((scaled[0] - scaled[1]) / 0.002, rel=1e-5)
    assert modes.coupling @ answer.log_tc_by_lambda(modes.omega_meV) * answer.tc_K == pytest.approx(
        spectrum.integral(answer.tc_by_alpha2f), rel=1e-12
    )


@pytest.mark.parametrize("mu_star", [0.0, 0.1, 0.3])
def test_derivative_to_mu_star(mu_star):
    spectrum = smooth(1.0)
    _, answer = answer_of(spectrum, mu_star)
    low = max(mu_star - 1e-4, 0)
    tc = [linearised.critical_temperature(spectrum, each, spectrum.omega_max_meV) for each in (mu_star + 1e-4, low)]
    assert answer.tc_by_mu_star_K == pytest.approx((tc[0] - tc[1]) / (mu_star + 1e-4 - low), rel=1e-3)


@pytest.mark.parametrize("coupling", [0.3, 1.0, 10.0])
def test_isotope_exponent_is_one_half_without_repulsion(coupling):
    assert isotope_exponent(*answer_of(smooth(coupling), 0.0)) == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize(("coupling", "mu_star"), [(0.5, 0.1), (1.0, 0.3), (3.0, 0.13)])
def test_isotope_exponent_against_finite_differences(coupling, mu_star):
    spectrum = smooth(coupling)
    reference = spectrum.omega_max_meV
    tc = [linearised.critical_temperature(scale_frequencies(spectrum, s), mu_star, reference) for s in (1.001, 0.999)]
    exponent = isotope_exponent(*answer_of(spectrum, mu_star))
    assert exponent == pytest.approx(0.5 * np.log(tc[0] / tc[1]) / np.log(1.001 / 0.999), abs=1e-5)
    assert exponent < 0.5


def test_isotope_exponents_by_species():
    """They add up; a species' exponent is that of its shifts of the frequencies, by finite differences."""
    omega, coupling = np.array([20.0, 60.0, 140.0, 180.0]), np.array([0.4, 0.3, 0.8, 0.6])
    shares = {"H": np.array([0.05, 0.2, 0.97, 0.99]), "S": np.array([0.95, 0.8, 0.03, 0.01])}
    spectrum = from_modes(omega, coupling, "model", shares=shares)
    modes, answer = answer_of(spectrum, 0.1)
    found = isotope_exponents(modes, answer, shares)
    assert sum(found.values()) == pytest.approx(isotope_exponent(modes, answer), rel=1e-12)
    for species, share in shares.items():
        tc = [
            linearised.critical_temperature(from_modes(omega * m ** (-share / 2), coupling, "model"), 0.1, 180.0)
            for m in (1.001, 0.999)
        ]
        assert found[species] == pytest.approx(-np.log(tc[0] / tc[1]) / np.log(1.001 / 0.999), abs=1e-5)
    assert full.solve(spectrum, 0.1).isotope_exponent_by_species == pytest.approx(found, rel=1e-6)


def test_error_of_tc():
    spectrum = smooth(1.0)
    _, answer = answer_of(spectrum, 0.1)
    arguments = (answer, spectrum.omega_meV, spectrum.weight_meV)
    of_mu = derivative.tc_error_K(*arguments, np.zeros_like(spectrum.alpha2f), 0.01)
    assert of_mu == pytest.approx(abs(answer.tc_by_mu_star_K) * 0.01)
    of_scale = derivative.tc_error_K(*arguments, 0.05 * spectrum.alpha2f, 0.0)
    more, less = (linearised.critical_temperature(scale_coupling(spectrum, each), 0.1) for each in (1.05, 0.95))
    assert of_scale == pytest.approx((more - less) / 2, rel=0.01)
    both = derivative.tc_error_K(*arguments, np.stack([0.05 * spectrum.alpha2f, 0.03 * spectrum.alpha2f]), 0.01)
    assert both == pytest.approx(np.sqrt(of_mu**2 + of_scale**2 * (1 + 0.36)))
