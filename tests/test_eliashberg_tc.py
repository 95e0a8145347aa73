"""Tc from the linearised Eliashberg equations: limits, the dense matrix, what μ* is referred to, and what has no Tc."""

from __future__ import annotations

import numpy as np
import pytest

from megabar.analysis.superconductivity.eliashberg import dense, frequencies, linearised
from megabar.analysis.superconductivity.eliashberg.kernel import Modes, kernel, modes_of
from megabar.analysis.superconductivity.eliashberg.mu_star import coulomb
from megabar.analysis.superconductivity.spectral import from_modes, scale_frequencies, tabulated
from megabar.analysis.superconductivity.units import MEV_PER_K
from megabar.structures.errors import InputError

OMEGA = np.linspace(0, 100, 401)


def smooth(factor=1.0):
    """A spectrum with acoustic modes and two optical peaks; λ = 0.92 at factor 1."""
    acoustic = (OMEGA / 100) ** 2 * np.exp(-((OMEGA / 60) ** 8))
    optical = np.exp(-(((OMEGA - 75) / 10) ** 2)) + np.exp(-(((OMEGA - 90) / 3) ** 2))
    return tabulated(OMEGA, factor * np.where(OMEGA > 0, acoustic + optical, 0.0), "model")


@pytest.mark.parametrize(
    ("coupling", "expected"),
    [(0.3, 0.0099233), (0.5, 0.0394289), (1, 0.1146195), (2, 0.2117412), (3, 0.2789841), (10, 0.5577779)],
)
def test_einstein_spectrum(coupling, expected):
    tc = linearised.critical_temperature(from_modes([30.0], [coupling], "model"), 0.0) * MEV_PER_K / 30
    assert tc == pytest.approx(expected, abs=1.01e-7)


def test_strong_coupling_limit_of_allen_and_dynes():
    tc = linearised.critical_temperature(from_modes([30.0], [1e8], "model"), 0.0) * MEV_PER_K / 30
    assert tc / 1e4 == pytest.approx(0.1827262, abs=1e-7)


def test_weak_coupling_limit():
    """Einstein spectrum, μ* = 0: Tc → (1.1339/√e) Ω exp[−(1+λ)/λ]: Marsiglio, arXiv:1807.04907."""
    couplings = np.array([0.1, 0.125, 0.15, 0.175])
    tc = [linearised.critical_temperature(from_modes([30.0], [each], "model"), 0.0) for each in couplings]
    limit = 2 * np.exp(np.euler_gamma) / np.pi / np.sqrt(np.e) * 30 / MEV_PER_K * np.exp(-(1 + couplings) / couplings)
    assert np.polynomial.Polynomial.fit(couplings, tc / limit, 2)(0.0) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize(
    ("factor", "mu_star", "tc_K"), [(1, 0.1, 43.1), (3, 0.13, 158), (1, 0.0, 73.2), (1, 0.25, 13.5)]
)
def test_equals_the_dense_matrix(factor, mu_star, tc_K):
    modes, interaction = modes_of(smooth(factor)), coulomb(mu_star, 100.0)
    points = frequencies.frequencies(7)  # 512 frequencies
    temperature = tc_K * MEV_PER_K
    ours = np.linalg.eigvalsh(linearised.matrix(modes, interaction, temperature, points))
    theirs = np.linalg.eigvalsh(dense.dense_matrix(modes, interaction, temperature, points.count))
    assert ours[-1] == pytest.approx(theirs[-1], rel=1e-9)


@pytest.mark.slow
def test_tc_equals_the_dense_matrix():
    spectrum = smooth()
    tc = linearised.critical_temperature(spectrum, 0.1)
    interaction = coulomb(0.1, spectrum.omega_max_meV)
    converged, _ = dense.dense_critical_temperature(modes_of(spectrum), interaction, (tc * 0.98, tc * 1.02), 250)
    assert tc == pytest.approx(converged, rel=1e-5)


def test_converged_in_the_cutoff(monkeypatch):
    tc = linearised.critical_temperature(smooth(), 0.13)
    monkeypatch.setattr(linearised, "FINE", 16 * linearised.FINE)
    assert linearised.critical_temperature(smooth(), 0.13) == pytest.approx(tc, rel=1e-6)


def test_cutoff_beyond_the_pole_of_mu_star(monkeypatch):
    """1/μ*(ω_c) goes through 0 where ω_c = ω_ref e^{1/μ*}; nothing happens to Tc there."""
    interaction = coulomb(0.3, 100.0)
    found = []
    for reach in (500, 2000, 8000, 32000):
        monkeypatch.setattr(linearised, "FINE", reach)
        temperature, points = linearised.transition(modes_of(smooth(2)), interaction)
        found.append(temperature)
    assert interaction.inverse(found[0], frequencies.frequencies(3).count) > 0
    assert interaction.inverse(temperature, points.count) < 0
    assert found == pytest.approx(found[-1] * np.ones(4), rel=3e-5)


def test_compressed_sums_are_exact_for_narrow_and_wide_kernels():
    """Acts on 1/(n + ½) as the sum over all frequencies does, also where λ(l) is narrower than a block."""
    points = frequencies.frequencies(8)
    n = np.arange(points.count)
    for width in (0.01, 0.7, 20.0, 3000.0):
        modes = Modes(np.array([width * 2 * np.pi]), np.array([1.0]))
        values = kernel(modes, 1.0, np.arange(2 * points.count))
        at_samples = kernel(modes, 1.0, points.differences)
        function = 1 / (n + 0.5)
        exact = function @ (values[np.abs(n[:, None] - n)] + values[n[:, None] + n + 1]) @ function
        ours = 1 / (points.index + 0.5)
        matrix = points.symmetric((points.minus + points.plus) @ at_samples)
        assert ours @ matrix @ ours == pytest.approx(exact, rel=1e-9)
        mass = values[0] + 2 * np.concatenate([[0.0], np.cumsum(values[1 : points.count])])
        assert points.weight @ (points.mass @ at_samples * ours) == pytest.approx(mass @ function, rel=1e-9)


def test_tc_scales_with_frequencies_and_their_reference():
    tc = linearised.critical_temperature(smooth(), 0.1, 200.0)
    assert linearised.critical_temperature(scale_frequencies(smooth(), 0.5), 0.1, 100.0) == pytest.approx(
        tc / 2, rel=1e-7
    )


def test_mu_star_needs_its_energy():
    """The same number referred to a higher energy means less repulsion; equal pairs give equal Tc."""
    low, default, high = (linearised.critical_temperature(smooth(), 0.12, each) for each in (50.0, None, 7000.0))
    assert low < default < high
    same = 1 / (1 / 0.12 + np.log(50.0 / 400.0))
    assert linearised.critical_temperature(smooth(), same, 400.0) == pytest.approx(low, rel=1e-7)


@pytest.mark.parametrize("mu_star", [0.0, 0.1, 0.4])
def test_no_coupling_has_no_tc(mu_star):
    assert linearised.critical_temperature(from_modes([30.0], [0.04], "model"), mu_star) == 0.0
    assert linearised.critical(Modes(np.array([]), np.array([])), coulomb(mu_star, 30.0)) is None


def test_tc_of_a_millikelvin_is_followed():
    tc = linearised.critical_temperature(smooth(0.4), 0.2)
    assert 0.01 < tc < 0.05


@pytest.mark.parametrize(
    ("mu_star", "reference", "word"), [(-0.1, 50, "0 to below 1"), (1.2, 50, "0 to below 1"), (0.1, 0, "above 0")]
)
def test_mu_star_out_of_range(mu_star, reference, word):
    with pytest.raises(InputError, match=word):
        linearised.critical_temperature(smooth(), mu_star, reference)


def test_gap_at_tc_changes_sign_with_repulsion_only():
    without = linearised.critical(modes_of(smooth()), coulomb(0.0, 100.0))
    repelled = linearised.critical(modes_of(smooth()), coulomb(0.1, 100.0))
    assert np.all(without.gap > 0)
    assert repelled.gap[-1] < 0 < repelled.gap[0]
    assert np.sum(repelled.vector**2) == pytest.approx(1)
