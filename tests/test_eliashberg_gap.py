"""The gap below Tc: nonlinear equations, both axes, thermodynamics, their limits and what must hold between them."""

from __future__ import annotations

import numpy as np
import pytest

from megabar.analysis.superconductivity.eliashberg import continuation, full, linearised, thermodynamics, tunnelling
from megabar.analysis.superconductivity.eliashberg.kernel import kernel, modes_of
from megabar.analysis.superconductivity.eliashberg.mu_star import coulomb
from megabar.analysis.superconductivity.eliashberg.nonlinear import solve_gap
from megabar.analysis.superconductivity.eliashberg.pade import extended_gap, pade
from megabar.analysis.superconductivity.eliashberg.real_axis import RealAxis, continue_exactly, gap_edge
from megabar.analysis.superconductivity.spectral import from_modes, tabulated
from megabar.analysis.superconductivity.units import MEV_PER_K
from megabar.structures.errors import InputError

OMEGA = np.linspace(0, 100, 401)


def smooth(coupling):
    """A spectrum with acoustic modes and two optical peaks."""
    acoustic = (OMEGA / 100) ** 2 * np.exp(-((OMEGA / 60) ** 8))
    optical = np.exp(-(((OMEGA - 75) / 10) ** 2)) + np.exp(-(((OMEGA - 90) / 6) ** 2))
    shape = tabulated(OMEGA, np.where(OMEGA > 0, acoustic + optical, 0.0), "model")
    return tabulated(OMEGA[1:], shape.alpha2f * coupling / shape.lambda_, "model")


def gap_of(spectrum, mu_star, reduced):
    modes, interaction = modes_of(spectrum), coulomb(mu_star, spectrum.omega_max_meV)
    critical = linearised.critical(modes, interaction)
    return modes, interaction, critical, solve_gap(modes, interaction, reduced * critical.temperature_meV, critical)


def dense_gap(modes, interaction, temperature, count):
    """The nonlinear equations with every frequency an unknown, iterated plainly: Δ_n, Z_n."""
    n = np.arange(count)
    frequency = np.pi * temperature * (2 * n + 1)
    values = kernel(modes, temperature, np.arange(2 * count))
    minus, plus = values[np.abs(n[:, None] - n)], values[n[:, None] + n + 1]
    mass = values[0] + 2 * np.concatenate([[0.0], np.cumsum(values[1:count])])
    repulsion = 0.0 if interaction.mu_star == 0 else 2 / interaction.inverse(temperature, count)
    gap = np.full(count, 2 * temperature)
    for _ in range(4000):
        root = np.hypot(frequency, gap)
        z = 1 + np.pi * temperature * (mass + (minus - plus) @ (frequency / root - 1)) / frequency
        new = np.pi * temperature * ((minus + plus - repulsion) @ (gap / root)) / z
        if np.max(np.abs(new - gap)) < 1e-11 * gap[0]:
            break
        gap = new
    return gap, z


@pytest.mark.parametrize(("coupling", "mu_star", "reduced"), [(2.0, 0.0, 0.5), (2.0, 0.1, 0.7), (0.8, 0.1, 0.9)])
def test_equals_the_dense_equations(monkeypatch, coupling, mu_star, reduced):
    monkeypatch.setattr("megabar.analysis.superconductivity.eliashberg.nonlinear.FINE", 40.0)
    modes, interaction, _, ours = gap_of(smooth(coupling), mu_star, reduced)
    gap, z = dense_gap(modes, interaction, ours.temperature_meV, ours.points.count)
    assert ours.gap[:16] == pytest.approx(gap[:16], rel=2e-7)
    assert ours.renormalisation[:16] == pytest.approx(z[:16], rel=2e-7)
    assert ours.iterations < 20


def test_weak_coupling_limits_of_bcs():
    """2Δ₀/k_BTc → 3.528, ΔC/γTc → 1.426, γTc²/Hc(0)² → 0.168."""
    spectrum = from_modes([30.0], [0.15], "model")
    modes, interaction = modes_of(spectrum), coulomb(0.0, 30.0)
    state = thermodynamics.thermodynamics(modes, interaction, linearised.critical(modes, interaction))
    assert 2 * state.gaps[0].gap[0] / state.tc_meV == pytest.approx(3.528, abs=0.001)
    assert state.jump == pytest.approx(1.426, abs=0.001)
    assert state.field_ratio == pytest.approx(0.1683, abs=1e-4)
    t = np.linspace(0, 1, 101)
    deviation = state.critical_field(t) - (1 - t**2)
    assert deviation.min() == pytest.approx(-0.037, abs=1e-3)  # Mühlschlegel, Z. Phys. 155, 313 (1959)
    assert deviation.max() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("coupling", "mu_star"), [(0.6, 0.1), (1.0, 0.1), (1.5, 0.13), (2.0, 0.13)])
def test_strong_coupling_trends(coupling, mu_star):
    """Marsiglio & Carbotte, Phys. Rev. B 33, 6141 (1986): fits to many superconductors, good to about 10 %."""
    found = full.solve(smooth(coupling), mu_star)
    x = found.critical.temperature_meV / modes_of(smooth(coupling)).omega_log_meV
    assert found.two_delta_over_kTc == pytest.approx(3.53 * (1 + 12.5 * x**2 * np.log(1 / (2 * x))), rel=0.04)
    assert found.thermodynamics.jump == pytest.approx(1.43 * (1 + 53 * x**2 * np.log(1 / (3 * x))), rel=0.08)
    assert found.thermodynamics.field_ratio == pytest.approx(0.168 * (1 - 12.2 * x**2 * np.log(1 / (3 * x))), rel=0.05)


@pytest.mark.parametrize(
    ("coupling", "mu_star", "edge_digits", "all_meV"), [(0.5, 0.1, 1e-4, 0.6), (3.0, 0.13, 1e-4, 0.3)]
)
def test_two_continuations_agree(coupling, mu_star, edge_digits, all_meV):
    found = continuation.real_axis_gap(smooth(coupling), mu_star)
    assert found.edge_difference_meV < edge_digits * found.edge_meV
    assert found.difference_meV(100.0) < all_meV
    assert found.difference_meV(found.edge_meV) < 1e-3 * found.edge_meV
    z = found.exact.renormalisation
    assert np.abs(z - found.pade_renormalisation)[found.exact.omega_meV < found.edge_meV].max() < 2e-3


@pytest.mark.parametrize("reduced", [0.1, 0.5, 0.9])
def test_real_axis_gives_back_the_imaginary_one(monkeypatch, reduced):
    """φ(iω_n) − φ(iω_m) = (2/π) ∫ ω Im φ(ω) [1/(ω² + ω_n²) − 1/(ω² + ω_m²)] dω: φ = ZΔ is analytic above the axis."""
    monkeypatch.setattr("megabar.analysis.superconductivity.eliashberg.real_axis.WINDOW", 9.0)
    spectrum = smooth(2.0)
    _, _, _, gap = gap_of(spectrum, 0.1, reduced)
    axis = continue_exactly(spectrum, gap, 0.25)
    omega, phi = axis.omega_meV, (axis.gap * axis.renormalisation).imag
    first, other = gap.frequency_meV[:6], gap.frequency_meV[12]
    between = 1 / (omega**2 + first[:, None] ** 2) - 1 / (omega**2 + other**2)
    back = 2 / np.pi * np.sum(omega * phi * between, axis=1) * 0.25
    pairing = gap.gap * gap.renormalisation
    assert back == pytest.approx(pairing[:6] - pairing[12], abs=0.01 * pairing[0])


def test_grid_of_the_real_axis_does_not_matter():
    spectrum = smooth(1.0)
    _, _, _, gap = gap_of(spectrum, 0.1, 0.1)
    coarse, fine = (continue_exactly(spectrum, gap, step) for step in (0.25, 0.0625))
    assert coarse.edge_meV == pytest.approx(fine.edge_meV, rel=3e-5)
    assert coarse.renormalisation[0].real == pytest.approx(fine.renormalisation[0].real, rel=2e-4)


def test_pade_is_exact_for_rational_functions():
    z = 1j * np.arange(1, 9, dtype=np.clongdouble)
    there = np.array([0.3, 2.0 + 0.1j], dtype=np.clongdouble)

    def function(x):
        return (x**2 + 3) / (x**2 - 5) + 1 / (x + 2.5j)

    found = pade(z[:7], function(z[:7]), there)
    assert found == pytest.approx(function(there).astype(complex), rel=1e-9)


def test_extended_gap_is_the_same_gap():
    modes, _, _, gap = gap_of(smooth(1.0), 0.1, 0.2)
    frequency, values, z = extended_gap(modes, gap)
    assert frequency[:16].astype(float) == pytest.approx(gap.frequency_meV[:16], rel=1e-14)
    assert values[:16].astype(float) == pytest.approx(gap.gap[:16], rel=1e-8)
    assert z[:16].astype(float) == pytest.approx(gap.renormalisation[:16], rel=1e-8)


def test_gap_edge_is_where_re_delta_is_omega():
    omega = np.linspace(0, 20, 81)
    assert gap_edge(omega, 5 + 0.02 * omega + 0j) == pytest.approx(5 / 0.98)
    assert gap_edge(omega, np.zeros(81, dtype=complex)) is None


def bcs_axis(gap, step, highest):
    omega = np.arange(0, highest, step)
    return RealAxis(omega, np.full(omega.size, gap, dtype=complex), np.ones(omega.size, dtype=complex))


def test_density_of_states_of_bcs():
    axis = bcs_axis(1.0, 0.01, 30.0)
    states = tunnelling.density_of_states(axis)
    omega = axis.omega_meV
    assert np.max(np.abs(states[omega < 0.98])) < 1e-12
    above = omega[omega > 1.1]
    assert states[-above.size : -1] == pytest.approx((above / np.sqrt(above**2 - 1))[:-1], rel=2e-3)
    assert np.trapezoid(states, omega) == pytest.approx(np.sqrt(omega[-1] ** 2 - 1), rel=1e-4)  # no state is lost


def test_conductance_of_bcs():
    """At low T: 0 in the gap, N(eV) above; at V = 0 √(2πΔ/k_BT) e^{−Δ/k_BT}."""
    axis = bcs_axis(1.0, 0.01, 30.0)
    values = tunnelling.conductance(axis, [0.0, 0.5, -2.0, 2.0, 20.0], 0.02 / MEV_PER_K)
    assert values[:2] == pytest.approx([0, 0], abs=1e-9)
    assert values[2:] == pytest.approx([2 / np.sqrt(3), 2 / np.sqrt(3), 20 / np.sqrt(399)], rel=2e-3)
    warm = tunnelling.conductance(axis, 0.0, 0.1 / MEV_PER_K)
    assert float(warm) == pytest.approx(np.sqrt(2 * np.pi / 0.1) * np.exp(-1 / 0.1), rel=0.06)


def test_free_energy_is_thermodynamics():
    """ΔF < 0, rising to 0 as (1 − t)²; ΔC integrates to the entropy that is 0 at Tc and −γT at 0.1 Tc."""
    spectrum = smooth(1.5)
    modes, interaction = modes_of(spectrum), coulomb(0.1, 100.0)
    state = thermodynamics.thermodynamics(modes, interaction, linearised.critical(modes, interaction))
    assert np.all(state.free_energy < 0)
    assert np.all(np.diff(state.free_energy) > 0)
    t = np.linspace(0.1, 1, 2001)
    entropy = np.trapezoid(state.specific_heat(t) / t, t)
    assert entropy == pytest.approx(0.1, abs=0.003)  # S_n − S_s = γT at 0.1 Tc; Z(0) differs a little from 1 + λ there
    assert state.critical_field([0.0, 1.0]) == pytest.approx([1.0, 0.0], abs=1e-9)
    assert float(state.specific_heat(1.0)) == pytest.approx(state.jump, rel=1e-9)


def dense_free_energy(modes, gap, temperature, count):
    """(F_s − F_n)/N(0) of the gap at the lowest frequencies, the others as in the normal state.

    F = −2πT Σ_n ω_n cos θ_n − π²T² Σ_nm λ(n−m) cos(θ_n − θ_m), tan θ = Δ/ω, over n and m of both signs: stationary
    where the gap is a solution. Yuzbashyan & Altshuler, Phys. Rev. B 106, 014512 (2022). Z is not in it.
    """
    n = np.arange(count)
    frequency = np.pi * temperature * (2 * n + 1)
    angle = np.arctan2(gap, frequency)
    values = kernel(modes, temperature, np.arange(2 * count))
    minus, plus = values[np.abs(n[:, None] - n)], values[n[:, None] + n + 1]
    # θ(−ω) = π − θ(ω)
    pairs = minus * (np.cos(angle[:, None] - angle) - 1) - plus * (np.cos(angle[:, None] + angle) - 1)
    return -4 * np.pi * temperature * frequency @ (np.cos(angle) - 1) - 2 * (np.pi * temperature) ** 2 * pairs.sum()


STRONG = [([40.0], [4.0], 0.0), ([40.0], [5.0], 0.1), ([10.0, 60.0], [2.0, 2.0], 0.0), ([20.0, 90.0], [3.0, 5.0], 0.0)]


@pytest.mark.parametrize(("omega", "coupling", "mu_star"), STRONG)
def test_strong_coupling_near_tc_is_not_trivial(omega, coupling, mu_star):
    """Δ ~ √(1 − T/Tc), and ΔF by a functional that knows nothing of ours, at dense frequencies."""
    spectrum = from_modes(omega, coupling, "model")
    modes, interaction = modes_of(spectrum), coulomb(mu_star, omega[-1])
    state = thermodynamics.thermodynamics(modes, interaction, linearised.critical(modes, interaction))
    near = np.array([gap.gap[0] for gap in state.gaps[-3:]]) / np.sqrt(1 - state.reduced[-3:])
    assert near == pytest.approx(near[-1], rel=0.1)
    assert np.all(state.specific_heat(np.linspace(0.9, 1, 20)) > 0)
    if mu_star:
        return
    for place in (5, -1):
        temperature, count = state.gaps[place].temperature_meV, 1200
        there, start = np.arange(count), state.gaps[place]
        gap = np.interp(there, start.points.index, start.gap)
        assert dense_free_energy(modes, gap, temperature, count) == pytest.approx(state.free_energy[place], rel=2e-3)


def test_specific_heat_jump_at_strong_coupling():
    """2.867 for an Einstein mode with λ = 4; it has its highest value at λ ≈ 2 and falls at very strong coupling."""
    found = [full.solve(from_modes([40.0], [coupling], "model"), 0.0).numbers() for coupling in (3.0, 4.0, 6.0, 10.0)]
    jumps = [numbers["specific_heat_jump"] for numbers in found]
    assert jumps[1] == pytest.approx(2.867, abs=0.002)
    assert jumps == sorted(jumps, reverse=True) and jumps[-1] > 1.5


def test_a_trivial_solution_is_none():
    """The equations have the solution Δ = 0 always; above Tc they have no other, and nothing is made of it."""
    modes, interaction, critical, _ = gap_of(from_modes([40.0], [4.0], "model"), 0.0, 0.5)
    with pytest.raises(ArithmeticError, match="Δ = 0"):
        solve_gap(modes, interaction, 1.05 * critical.temperature_meV, critical)
    for reduced in (0.97, 0.985, 0.99, 0.995):
        assert solve_gap(modes, interaction, reduced * critical.temperature_meV, critical).gap[0] > 0


def test_what_failed_to_converge_gives_no_derived_number(monkeypatch):
    """No jump, no field, no condensation energy where one of the fourteen solutions is missing."""

    def failing(modes, interaction, temperature, critical, start=None):
        if temperature > 0.98 * critical.temperature_meV:
            raise ArithmeticError("the iteration ends at Δ = 0 from every start")
        return solve_gap(modes, interaction, temperature, critical, start)

    monkeypatch.setattr(thermodynamics, "solve_gap", failing)
    found = full.solve(from_modes([40.0], [4.0], "model"), 0.0)
    assert found.thermodynamics is None
    kept = {"gap_edge_meV", "two_delta_over_kTc", "isotope_exponent", "dtc_dmu_star_K"}
    derived = {"specific_heat_jump", "gamma_tc2_over_hc2", "gap_matsubara_meV"}
    assert kept <= found.numbers().keys() and not derived & found.numbers().keys()
    assert found.notes == (
        "no gap below Tc on the imaginary axis, and so no thermodynamics: the iteration ends at Δ = 0 from every start",
    )


@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("rows", [20, 30, 50, 400])
def test_few_rows_have_the_same_gap_on_both_axes(rows, even):
    """Between the rows of a table the real axis needs an α²F with the λ(iν) that the rows have on the imaginary one."""
    omega = np.linspace(0, 110, rows + 1)
    if not even:
        omega[1:-1] = np.sort(110 * np.random.default_rng(1).uniform(0, 1, rows - 1))
    acoustic = (omega / 100) ** 2 * np.exp(-((omega / 60) ** 8))
    optical = np.exp(-(((omega - 75) / 10) ** 2)) + np.exp(-(((omega - 90) / 6) ** 2))
    found = continuation.real_axis_gap(tabulated(omega, acoustic + np.where(omega > 0, optical, 0), "few"), 0.1)
    assert found.edge_difference_meV < (2e-5 if even else 3e-5) * found.edge_meV


def test_critical_field_of_lead():
    """Within a tenth of the 80.3 mT of Decker, Mapother & Shaw, Phys. Rev. 112, 1888 (1958)."""
    spectrum = from_modes([4.4, 8.3], [0.9, 0.65], "two peaks like lead's")
    modes, interaction = modes_of(spectrum), coulomb(0.16, 9.0)
    state = thermodynamics.thermodynamics(modes, interaction, linearised.critical(modes, interaction))
    # γ = 3.0 mJ/mol K² = (π²/3) k_B² 2 N(0)(1 + λ): N(0) = 0.25 per spin, eV and atom; 30.3 Å³ an atom.
    assert state.tc_meV / MEV_PER_K == pytest.approx(7.2, rel=0.1)
    assert thermodynamics.critical_field_T(state, 0.25, 30.3) == pytest.approx(0.0803, rel=0.1)
    with pytest.raises(InputError, match="no metal"):
        thermodynamics.critical_field_T(state, 0.0, 30.3)


def test_full_solution_has_everything():
    found = full.solve(smooth(1.0), 0.1)
    numbers = found.numbers()
    assert not found.notes
    assert set(numbers) >= {
        "tc_eliashberg_K",
        "gap_edge_meV",
        "two_delta_over_kTc",
        "isotope_exponent",
        "specific_heat_jump",
    }
    assert all(np.isfinite(value) for value in numbers.values())
    assert numbers["tc_eliashberg_K"] == pytest.approx(linearised.critical_temperature(smooth(1.0), 0.1), rel=1e-9)
    assert numbers["gap_edge_difference_meV"] < 1e-4 * numbers["gap_edge_meV"]


def test_no_tc_is_said():
    found = full.solve(smooth(0.1), 0.12)
    assert found.numbers() == {"tc_eliashberg_K": 0.0}
    assert "does not overcome the Coulomb repulsion" in found.notes[0]


def test_tc_too_low_for_a_real_axis_is_said():
    found = full.solve(smooth(0.25), 0.1)
    assert 0 < found.tc_K < 0.1
    assert found.real_axis is None
    assert found.notes[0].endswith("the gap edge is by Padé alone")
    assert found.two_delta_over_kTc == pytest.approx(3.528, abs=0.002)


def test_very_strong_coupling():
    """The real axis reaches beyond the gap, however far it is above the phonons; Padé is good there too."""
    found = full.solve(smooth(35.0), 0.0)
    assert found.gap_edge_meV > 250
    assert found.real_axis.edge_difference_meV < 0.005 * found.gap_edge_meV
    assert not found.notes
