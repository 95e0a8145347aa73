"""Eliashberg equations with N(ε): the limit of a wide, flat band, every frequency an unknown, and what is no metal."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from megabar.analysis.superconductivity.eliashberg import bandwidth, linearised
from megabar.analysis.superconductivity.eliashberg.band import band
from megabar.analysis.superconductivity.eliashberg.kernel import kernel, modes_of
from megabar.analysis.superconductivity.eliashberg.mu_star import coulomb
from megabar.analysis.superconductivity.eliashberg.nonlinear import solve_gap
from megabar.analysis.superconductivity.spectral import from_modes
from megabar.analysis.superconductivity.units import MEV_PER_K
from megabar.structures.errors import InputError

SPECTRUM = from_modes([60.0, 150.0], [0.6, 1.2], "model")


def flat(half_width_eV):
    energy = np.linspace(-half_width_eV, half_width_eV, 2001)
    return band(energy, np.ones_like(energy), 0.0, "flat band")


@pytest.mark.parametrize("mu_star", [0.0, 0.13])
def test_wide_flat_band_is_the_constant_density_of_states(mu_star):
    constant = linearised.critical_temperature(SPECTRUM, mu_star)
    excess = [
        bandwidth.critical_temperature_of_band(SPECTRUM, flat(width), mu_star) / constant - 1 for width in (20, 80)
    ]
    assert abs(excess[1]) < 1.5e-3
    assert excess[1] == pytest.approx(excess[0] / 4, rel=0.25, abs=3e-5)  # as the ratio of phonon energy to band width


@pytest.mark.parametrize("reduced", [0.15, 0.6, 0.95])
def test_gap_of_a_wide_flat_band(reduced):
    modes, interaction = modes_of(SPECTRUM), coulomb(0.1, 150.0)
    state = linearised.critical(modes, interaction)
    constant = solve_gap(modes, interaction, reduced * state.temperature_meV, state)
    found = bandwidth.gap_of_band(SPECTRUM, flat(80), constant.temperature_K, 0.1)
    assert found.gap[0] == pytest.approx(constant.gap[0], rel=0.012)
    assert found.renormalisation[0] == pytest.approx(constant.renormalisation[0], rel=0.01)
    assert found.chemical_meV == pytest.approx(0, abs=1e-9)
    assert np.abs(found.shift).max() < 1e-9


def test_equals_every_frequency_an_unknown():
    """A narrow band with a peak beside E_F, iterated plainly on all frequencies, integrals over ε as sums."""
    energy = np.linspace(-1500, 1000, 501)
    shape = 1 + 0.8 * np.exp(-(((energy - 150) / 200) ** 2)) + 0.2 * energy / 1000
    electrons = band(energy / 1000, shape, 0.0, "model")
    modes, interaction, temperature = modes_of(SPECTRUM), coulomb(0.1, 150.0), 12.0
    here = bandwidth.equations(modes, interaction, electrons, temperature)
    ours = here.solved()
    count = 256
    n = np.arange(count)
    frequency = np.pi * temperature * (2 * n + 1)
    states = shape / np.interp(0.0, energy, shape) * np.gradient(energy)
    states[[0, -1]] /= 2
    values = kernel(modes, temperature, np.arange(2 * count))
    minus, plus = values[np.abs(n[:, None] - n)], values[n[:, None] + n + 1]
    z, shift, chemical = np.ones(count), np.zeros(count), 0.0
    bare = (energy / (energy**2 + frequency[:, None] ** 2)) @ states
    for _ in range(60):
        moved = energy - chemical + shift[:, None]
        theta = moved**2 + (z * frequency)[:, None] ** 2
        seen, down = (1 / theta) @ states, (moved / theta) @ states
        z = 1 + temperature * (minus - plus) @ (seen * z * frequency) / frequency
        shift = -temperature * (minus + plus) @ down
        beyond = chemical * np.sum(states) / (2 * np.pi**2 * temperature * count)  # (down − bare) is −μ ∫N dε/ω² there
        chemical += 2 * temperature * np.sum(down - bare) - beyond
    assert chemical < -10
    assert ours.chemical_meV == pytest.approx(chemical, rel=2e-4)
    assert ours.renormalisation[:16] == pytest.approx(z[:16], rel=2e-4)
    assert ours.shift[:16] == pytest.approx(shift[:16], rel=2e-4, abs=1e-3)
    above = quad(lambda w: np.sum(states / (energy**2 + w**2)) / np.pi, 150.0, 2 * np.pi * temperature * count)[0]
    pairs = np.sqrt(temperature * seen)
    matrix = (minus + plus - 2 / (1 / 0.1 - above)) * pairs[:, None] * pairs
    assert here.eigenvalue(ours) == pytest.approx(np.linalg.eigvalsh(matrix)[-1], rel=1e-3)


def test_a_peak_at_the_fermi_level_is_averaged():
    """Narrower than the phonons, the peak counts less: Z is smaller than 1 + λ of N(E_F), and Tc without μ* too."""
    energy = np.linspace(-15, 10, 2501)
    narrow, wide = (band(energy, 1 + np.exp(-((energy / width) ** 2)), 0.0, "peak") for width in (0.1, 5.0))
    constant = linearised.critical_temperature(SPECTRUM, 0.0)
    found = [bandwidth.critical_temperature_of_band(SPECTRUM, each, 0.0) for each in (narrow, wide)]
    assert found[0] < 0.85 * constant
    assert found[1] == pytest.approx(constant, rel=0.02)


def test_the_cutoff_does_not_matter(monkeypatch):
    electrons = band(np.linspace(-15, 10, 2501), np.linspace(0.8, 1.2, 2501), 0.0, "slope")
    found = []
    for reach in (10.0, 20.0, 80.0):
        monkeypatch.setattr(bandwidth, "REACH", reach)
        found.append(bandwidth.critical_temperature_of_band(SPECTRUM, electrons, 0.2))
    assert found == pytest.approx([found[-1]] * 3, rel=1e-4)


def test_a_narrow_peak_converges_at_low_temperature():
    """What the logarithms of the resolvent lose far off the band edge must not keep the iteration from its end."""
    energy = np.arange(-30, 30, 0.02)
    electrons = band(energy, 1 + np.exp(-((energy / 0.05) ** 2)), 0.0, "peak")
    modes = modes_of(from_modes([20.0, 40.0], [0.2, 0.17], "model"))
    state = bandwidth.equations(modes, coulomb(0.1, 40.0), electrons, 0.05).solved()
    assert 1 < state.renormalisation[0] < 1 + modes.lambda_
    far = electrons.resolvent(np.array([1e9j]))[0]
    assert far == pytest.approx(electrons.states_meV / 1e9j, rel=1e-12)


def test_no_coupling_has_no_tc():
    weak = from_modes([60.0], [0.1], "model")
    assert bandwidth.critical_temperature_of_band(weak, flat(10), 0.15) == 0.0


def test_above_tc_the_gap_is_zero():
    tc = bandwidth.critical_temperature_of_band(SPECTRUM, flat(10), 0.1)
    assert np.all(bandwidth.gap_of_band(SPECTRUM, flat(10), tc * 1.02, 0.1).gap == 0)
    below = bandwidth.gap_of_band(SPECTRUM, flat(10), tc * 0.98, 0.1)
    assert 0 < below.gap[0] < tc * MEV_PER_K


@pytest.mark.parametrize(
    ("energies", "states", "fermi", "words"),
    [
        ([-1, 0, 1], [1, 0, 1], 0.0, "an insulator's"),
        ([-1, 0, 1], [1, 1, 1], 3.0, "outside the table"),
        ([-1, 1, 0], [1, 1, 1], 0.0, "must increase"),
        ([-1, 0, 1], [1, -1, 1], 0.5, "negative"),
        ([-1, 0, 1], [1, np.nan, 1], 0.0, "not a number"),
        ([-1, 0], [1, 1], 0.0, "go in pairs"),
    ],
)
def test_what_is_no_density_of_states_of_a_metal(energies, states, fermi, words):
    with pytest.raises(InputError, match=words) as caught:
        band(energies, states, fermi, "x.dos")
    assert str(caught.value).startswith("x.dos: ")
