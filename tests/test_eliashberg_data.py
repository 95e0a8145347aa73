"""The Eliashberg equations on α²F of real calculations."""

from __future__ import annotations

import numpy as np
import pytest
from elph_data import DATA, unpacked

from megabar.analysis.superconductivity.eliashberg import full, linearised
from megabar.analysis.superconductivity.eliashberg.band import band
from megabar.analysis.superconductivity.eliashberg.bandwidth import critical_temperature_of_band
from megabar.analysis.superconductivity.eliashberg.continuation import real_axis_gap
from megabar.analysis.superconductivity.elph import reading
from megabar.analysis.superconductivity.isotopes import with_masses
from megabar.analysis.superconductivity.readers import read_alpha2f
from megabar.analysis.superconductivity.readers.espresso_elph import gather
from megabar.structures.errors import InputError


@pytest.fixture(scope="module")
def h3s(tmp_path_factory):
    return gather(unpacked("h3s_q444", tmp_path_factory.mktemp("h3s")))


@pytest.fixture(scope="module")
def al(tmp_path_factory):
    return reading(gather(unpacked("al_q444", tmp_path_factory.mktemp("al")))).spectrum


def test_h3s_at_200_gpa(h3s):
    """Harmonic, 4×4×4, λ = 2.25 (2.64 in Errea et al., Phys. Rev. Lett. 114, 157004 (2015)); 203 K is measured."""
    found = [full.solve(reading(h3s).spectrum, mu_star) for mu_star in (0.10, 0.13)]
    assert [each.tc_K for each in found] == pytest.approx([223.9, 206.3], abs=0.1)
    assert found[0].two_delta_over_kTc == pytest.approx(5.09, abs=0.01)
    assert found[0].real_axis.edge_difference_meV < 0.01
    assert not found[0].notes


def test_d3s_lies_below_h3s_as_the_isotope_exponent_says(h3s):
    """Same force constants and matrix elements; the exponent of hydrogen is that of an infinitesimal change."""
    light = full.solve(reading(h3s).spectrum, 0.10)
    reference = light.interaction.reference_meV
    slightly, heavy = (
        full.solve(reading(with_masses(h3s, {"H": mass})).spectrum, 0.10, reference) for mass in (1.018, 2.014)
    )
    exponent = light.isotope_exponent_by_species["H"]
    assert np.log(light.tc_K / slightly.tc_K) / np.log(1.018 / 1.008) == pytest.approx(exponent, abs=0.01)
    assert heavy.tc_K == pytest.approx(170.5, abs=0.5)
    assert np.log(light.tc_K / heavy.tc_K) / np.log(2.014 / 1.008) == pytest.approx(0.39, abs=0.02)
    assert sum(light.isotope_exponent_by_species.values()) == pytest.approx(light.isotope_exponent)


def test_al_has_about_one_kelvin(al):
    found = full.solve(al, 0.10)
    assert found.tc_K == pytest.approx(0.82, abs=0.01)
    assert found.two_delta_over_kTc == pytest.approx(3.529, abs=0.002)
    assert found.thermodynamics.jump == pytest.approx(1.43, abs=0.01)
    assert full.solve(al, 0.13).tc_K < 0.5 * found.tc_K  # at weak coupling Tc hangs on μ*


def test_alpha2f_of_epw():
    spectrum = read_alpha2f(DATA / "epw" / "al.a2f").spectrum
    assert linearised.critical_temperature(spectrum, 0.10) == pytest.approx(0.4855, abs=2e-4)
    assert linearised.critical_temperature(spectrum, 0.0) > 3


def test_a_peak_of_states_as_in_h3s(h3s):
    """With a peak of N(ε) half an eV wide at E_F, pairs see less than N(E_F), and Tc falls."""
    spectrum = reading(h3s).spectrum
    energy = np.linspace(-20, 15, 3501)
    states = 0.6 + 0.4 / (1 + (energy / 0.25) ** 2)
    narrow = critical_temperature_of_band(spectrum, band(energy, states, 0.0, "model"), 0.0)
    assert 0.75 < narrow / linearised.critical_temperature(spectrum, 0.0) < 0.97


def test_gap_is_asked_for_below_tc(al):
    with pytest.raises(InputError, match="between 0 and 1 only"):
        real_axis_gap(al, 0.1, reduced_temperature=1.1)
