"""Equations of state against all-electron reference parameters and two independent codes."""

from __future__ import annotations

import numpy as np
import pytest
from ase.collections import dcdft
from ase.units import GPa

from megabar.analysis import eos
from megabar.structures.errors import InputError

# All-electron (WIEN2k) BM3 parameters of the Delta test, as ASE holds them: K. Lejaeghere et al.,
# Science 351, aad3000 (2016), doi:10.1126/science.aad3000. From the softest to the hardest.
ELEMENTS = ["He", "Na", "Ca", "H", "Mg", "Si", "Fe", "Os", "C"]


def reference(symbol):
    data = dcdft.data[symbol]
    return data["wien2k_volume"], data["wien2k_B"], data["wien2k_Bp"]


def sample(symbol, ratios, e0=-7.25):
    v0, k0, kp = reference(symbol)
    # BM3 written out here again, so that the module is not its own judge
    v = v0 * np.asarray(ratios)
    y = (v0 / v) ** (2 / 3)
    e = e0 + 9 * v0 * k0 * GPa / 16 * ((y - 1) ** 3 * kp + (y - 1) ** 2 * (6 - 4 * y))
    p = 1.5 * k0 * (y**3.5 - y**2.5) * (1 + 0.75 * (kp - 4) * (y - 1))
    return v, e, p


@pytest.mark.parametrize("symbol", ELEMENTS)
@pytest.mark.parametrize(
    "ratios", [np.linspace(0.94, 1.06, 7), np.linspace(0.45, 0.75, 6)], ids=["ambient", "compressed"]
)
@pytest.mark.parametrize("given", ["energies", "pressures", "both"])
def test_exact_data_give_back_the_all_electron_parameters(symbol, ratios, given):
    v, e, p = sample(symbol, ratios)
    fit = eos.fit(v, None if given == "pressures" else e, None if given == "energies" else p, kind="bm3")
    np.testing.assert_allclose((fit.v0, fit.k0, fit.k0_prime), reference(symbol), rtol=1e-5)
    assert np.isnan(fit.e0) if given == "pressures" else fit.e0 == pytest.approx(-7.25, abs=1e-6)
    grid = v[0] * np.array([0.9, 1.0, 1.05])
    np.testing.assert_allclose(fit.pressure(grid), sample(symbol, grid / reference(symbol)[0])[2], rtol=1e-5)


@pytest.mark.parametrize("symbol", ["Na", "Si", "Os"])
def test_noise_comes_out_as_the_stated_errors(symbol):
    rng = np.random.default_rng(7)
    pulls = []
    for _ in range(60):
        v, e, p = sample(symbol, np.linspace(0.7, 1.05, 9))
        k0 = reference(symbol)[1]
        fit = eos.fit(v, e + 2e-4 * rng.normal(size=9), p + 2e-3 * k0 * rng.normal(size=9), "bm3", 2e-4, 2e-3 * k0)
        off = np.array([fit.e0 + 7.25, *(np.array([fit.v0, fit.k0, fit.k0_prime]) - reference(symbol))])
        pulls.append(off / np.sqrt(np.diag(fit.covariance)))
    # 60 draws with 14 degrees of freedom each: standard deviations of pulls lie within 1.0 ± 0.3
    np.testing.assert_allclose(np.std(pulls, axis=0), 1.0, atol=0.3)
    assert (np.abs(np.mean(pulls, axis=0)) < 0.5).all()


def test_far_compressed_noisy_data_keep_a_sensible_fit():
    # sodium between 100 and 500 GPa only, 1% noise on the pressures: V0 lies four times above the data
    rng = np.random.default_rng(3)
    v0, k0, kp = reference("Na")
    v = v0 * np.linspace(0.105, 0.24, 7)
    p = k0 * eos.vinet_shapes(v, v0, kp)[1]
    assert p.min() > 90 and p.max() > 400
    fit = eos.fit(v, pressures=p * (1 + 0.01 * rng.normal(size=7)), kind="vinet")
    assert fit.rms_GPa < 0.02 * p.max()
    np.testing.assert_allclose(fit.pressure(v), p, rtol=0.03)
    assert 0.5 * v0 < fit.v0 < 2.0 * v0


@pytest.mark.parametrize(("kind", "name"), [("vinet", "vinet"), ("bm3", "birchmurnaghan")])
def test_ase_and_pymatgen_fit_the_same(kind, name):
    from ase.eos import EquationOfState
    from pymatgen.analysis.eos import EOS

    # neither form fits these exactly, so that all three must find the same least-squares minimum
    v = 20.0 * np.linspace(0.85, 1.1, 9)
    e = 8.0 * np.log(v / 20.0) ** 2 - 6.7 * np.log(v / 20.0) ** 3 + 2e-5 * np.cos(40 * v)
    fit = eos.fit(v, e, kind=kind)
    v0, e0, k0 = EquationOfState(v, e, eos=name).fit(warn=False)
    # the iterations of the others stop at 1e-4 of these
    np.testing.assert_allclose((fit.v0, fit.e0, fit.k0 * GPa), (v0, e0, k0), rtol=2e-4, atol=1e-6)
    other = EOS("vinet" if kind == "vinet" else "birch_murnaghan").fit(v, e)
    np.testing.assert_allclose((fit.v0, fit.k0 * GPa, fit.k0_prime), (other.v0, other.b0, other.b1), rtol=2e-4)


@pytest.mark.parametrize("kind", eos.KINDS)
def test_pressure_is_the_slope_of_the_energy(kind):
    v, e, p = sample("Ca", np.linspace(0.5, 1.05, 12))
    fit = eos.fit(v, e + 0.02 * np.tanh((v - 30) / 4), p, kind=kind)
    step = 1e-4
    slope = -(fit.energy(v + step) - fit.energy(v - step)) / (2 * step) / GPa
    np.testing.assert_allclose(fit.pressure(v), slope, rtol=1e-6, atol=1e-6)
    # K0 and K0' are what they are called: −V dP/dV and dK/dP at V0
    around = fit.v0 * np.exp(np.array([-2e-3, -1e-3, 0.0, 1e-3, 2e-3]))
    k = -np.gradient(fit.pressure(around), 1e-3, edge_order=2)
    assert k[2] == pytest.approx(fit.k0, rel=1e-4)
    assert (k[1] - k[3]) / (fit.pressure(around)[1] - fit.pressure(around)[3]) == pytest.approx(fit.k0_prime, rel=1e-3)


def test_bm4_beats_bm3_where_k0_double_prime_is_free():
    v = 20.0 * np.linspace(0.5, 1.05, 12)
    e, p = eos.birch_murnaghan_shapes(v, 20.0, 4.5, -12.0)
    fit = eos.fit(v, 50 * GPa * e - 3.0, 50 * p, kind="bm4")
    assert (fit.v0, fit.k0, fit.k0_prime) == pytest.approx((20.0, 50.0, 4.5), rel=1e-6)
    assert fit.k0_double_prime == pytest.approx(-12.0 / 50.0, rel=1e-5)
    assert eos.fit(v, 50 * GPa * e - 3.0, 50 * p, kind="bm3").rms_eV > 100 * fit.rms_eV


def test_volume_inverts_pressure():
    v, e, _ = sample("Mg", np.linspace(0.6, 1.0, 6))
    fit = eos.fit(v, e, kind="vinet")
    for p in (-1.0, 0.0, 30.0, 200.0):
        assert fit.pressure(fit.volume(p)) == pytest.approx(p, abs=1e-6)
    assert np.isnan(fit.volume(-1e4))


@pytest.mark.parametrize(
    ("volumes", "energies", "pressures", "kind", "word"),
    [
        ([10.0, 9.0, 8.0], [0.0, 0.1, 0.3], None, "vinet", "4 parameters"),
        ([10.0, 9.0], [0.0, 0.1], [1.0, 9.0], "bm4", "5 parameters"),
        ([10.0, 10.0], [0.0, 0.1], [1.0, 9.0], "bm3", "2 volumes"),
        ([10.0, 9.0, 8.0], None, None, "bm3", "only 0 values"),
        ([10.0, 9.0, -8.0, 7.0], [0.0, 0.1, 0.2, 0.3], None, "bm3", "above zero"),
        ([10.0, 9.0, 8.0, 7.0], [0.0, 0.1, np.nan, 0.3], None, "bm3", "finite"),
        ([10.0, 9.0, 8.0, 7.0], [0.0, 0.1, 0.3], None, "bm3", "equal length"),
        ([10.0, 9.0, 8.0, 7.0], [0.0, 0.1, 0.3, 0.4], None, "murnaghan", "not an equation"),
        ([10.0, 9.0, 8.0, 7.0], None, [9.0, 6.0, 3.0, 1.0], "vinet", "compression"),
        ([10.0, 9.0, 8.0, 7.0], [0.0, 0.1, 0.15, 0.17], None, "vinet", "of a solid"),
    ],
)
def test_wrong_input_is_one_sentence(volumes, energies, pressures, kind, word):
    with pytest.raises(InputError, match=word):
        eos.fit(volumes, energies, pressures, kind)
