"""μ* as other programs refer it: their Tc from ours."""

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq

from megabar.analysis.superconductivity.conventions import CONVENTIONS, convention_named, reference_asked
from megabar.analysis.superconductivity.eliashberg.cutoff import reference_of_cutoff
from megabar.analysis.superconductivity.eliashberg.kernel import kernel, modes_of
from megabar.analysis.superconductivity.eliashberg.linearised import critical_temperature
from megabar.analysis.superconductivity.readers import read_alpha2f
from megabar.analysis.superconductivity.spectral import from_modes, tabulated
from megabar.analysis.superconductivity.units import MEV_PER_K
from megabar.launchers.answering.gap import gap_of, gap_text
from megabar.launchers.answering.tc import tc_of
from megabar.launchers.api.tc_text import tc_text
from megabar.structures.errors import InputError

ELK = Path("/usr/share/doc/elk-lapw/examples/phonons-superconductivity")
OMEGA = np.linspace(0, 110, 111)
SHAPE = (OMEGA / 100) ** 2 * np.exp(-((OMEGA / 60) ** 8)) + np.exp(-(((OMEGA - 75) / 10) ** 2)) * (OMEGA > 0)
MODEL = tabulated(OMEGA, SHAPE, "model")


def tc_with_cut(spectrum, mu_star, energy_meV, more=0.0):
    """Tc (K) of the plain equations, every frequency an unknown, whose repulsion is summed up to an energy only."""
    modes = modes_of(spectrum)

    def excess(tc_K):
        temperature = tc_K * MEV_PER_K
        many = int(max(8 * energy_meV, 30 * 110.0) / (2 * np.pi * temperature))
        n = np.arange(many)
        values = kernel(modes, temperature, np.arange(2 * many + 2))
        mass = values[0] + 2 * np.concatenate([[0.0], np.cumsum(values[1:many])])
        summed = np.clip(energy_meV / (2 * np.pi * temperature) + more - n, 0, 1)
        pairing = values[np.abs(n[:, None] - n)] + values[n[:, None] + n + 1] - 2 * mu_star * summed
        matrix = pairing / (2 * n + 1) / (1 + mass / (2 * n + 1))[:, None]
        return np.max(np.linalg.eigvals(matrix).real) - 1

    return brentq(excess, 20.0, 70.0, xtol=1e-3)


@pytest.mark.parametrize(("energy", "more"), [(160.0, 1.0), (60.0, 0.0), (500.0, 0.0)])
def test_a_cut_among_the_phonons_is_what_it_is(energy: float, more: float) -> None:
    """Morel & Anderson's logarithm alone is wrong there by kelvins: phonons pair beyond the cut without repulsion."""
    reference = reference_of_cutoff(modes_of(MODEL), 0.15, lambda t: energy / (2 * np.pi * t) + more)
    assert reference is not None
    expected = tc_with_cut(MODEL, 0.15, energy, more)
    assert critical_temperature(MODEL, 0.15, reference) == pytest.approx(expected, rel=2e-3)
    if energy < 200:
        assert abs(critical_temperature(MODEL, 0.15, energy) - expected) > 1


def test_a_cut_far_above_the_phonons_is_the_logarithm() -> None:
    reference = reference_of_cutoff(modes_of(MODEL), 0.1, lambda t: 30_000.0 / (2 * np.pi * t))
    assert reference == pytest.approx(30_000.0, rel=1e-3)


def test_no_tc_has_no_such_energy() -> None:
    weak = modes_of(from_modes([30.0], [0.12], "weak"))
    assert reference_of_cutoff(weak, 0.3, lambda t: 60.0 / (2 * np.pi * t)) is None
    assert reference_of_cutoff(weak, 0.0, lambda t: 1.0) is not None
    for convention in CONVENTIONS.values():
        assert convention.reference_meV(from_modes([30.0], [0.12], "weak"), 0.3) >= 29


@pytest.mark.skipif(not ELK.is_dir(), reason="the examples of Debian's elk-lapw are not installed")
@pytest.mark.parametrize("name", ["Al", "Nb"])
def test_elk_finds_the_same_tc(name: str) -> None:
    """Where the gap of ELIASHBERG_GAP_T.OUT, at μ* 0.15, goes to 0: Δ² falls linearly. With μ* at ω_max: −31%, −11%."""
    table = np.loadtxt(ELK / f"{name}-DFPT" / "ELIASHBERG_GAP_T.OUT")
    last = np.flatnonzero(table[:, 1] > 0.2 * table[0, 1])[-1]
    (t1, d1), (t2, d2) = table[last - 1 : last + 1, :2]
    theirs = t2 + (t2 - t1) * d2**2 / (d1**2 - d2**2)
    spectrum = read_alpha2f(ELK / f"{name}-DFPT" / "ALPHA2F.OUT").spectrum
    ours = critical_temperature(spectrum, 0.15, CONVENTIONS["elk"].reference_meV(spectrum, 0.15))
    assert ours == pytest.approx(theirs, rel=0.02)
    assert critical_temperature(spectrum, 0.15) < 0.9 * theirs


def test_conventions_are_in_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "a2f.dat"
    np.savetxt(path, np.column_stack([OMEGA, SHAPE]), header="omega (meV)  a2F")
    tc = {name: tc_of(path, mu_ref=each, mu_star=0.12)["tc_eliashberg_K"] for name, each in CONVENTIONS.items()}
    assert tc["omega-max"] == tc_of(path, mu_star=0.12)["tc_eliashberg_K"]
    assert tc["isome"] == pytest.approx(tc["omega-max"], rel=0.01)
    assert tc["omega-max"] < tc["elk"] < tc["10-omega-max"] < tc["epw"]
    document = tc_of(path, mu_ref=convention_named("ELK"), mu_star=0.12)
    assert document["mu_star_convention"] == "elk"
    assert f"referred to {document['mu_ref_meV']:.4g} meV (as elk)" in tc_text(document)
    by_hand = tc_of(path, mu_ref=document["mu_ref_meV"], mu_star=0.12)
    assert by_hand["tc_eliashberg_K"] == document["tc_eliashberg_K"] and "mu_star_convention" not in by_hand
    gap = gap_of(path, mu_ref=convention_named("elk"), mu_star=0.12)
    assert gap["tc_eliashberg_K"] == document["tc_eliashberg_K"] and gap["mu_star_convention"] == "elk"
    assert "(as elk)" in gap_text(gap)


def test_wrong_names_are_told() -> None:
    with pytest.raises(
        InputError, match="--mu-star-convention is 'vasp'; it can be omega-max, elk, epw, isome, 10-omega"
    ):
        reference_asked(None, "vasp")
    with pytest.raises(InputError, match="both say what μ\\* is referred to: give one of them"):
        reference_asked(100.0, "elk")
    assert reference_asked(100.0, None) == 100.0
    assert reference_asked(None, "epw") is CONVENTIONS["epw"]
