"""The Eliashberg solver against the dense matrix and against EPW, for time and number, side by side in one run.

CPU seconds of one core (set OMP_NUM_THREADS=1); EPW's seconds are those of the whole process, its start included. The
first solution in a process builds tables that all later ones share: it is timed apart. EPW is left out where it is
not installed. Run: python benchmarks/eliashberg.py [--without-epw]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import epw_isotropic
from elph_data import unpacked

from megabar.analysis.superconductivity.eliashberg import (
    bandwidth,
    continuation,
    dense,
    derivative,
    full,
    linearised,
    nonlinear,
    thermodynamics,
)
from megabar.analysis.superconductivity.eliashberg.band import band
from megabar.analysis.superconductivity.eliashberg.isotope import isotope_exponent
from megabar.analysis.superconductivity.eliashberg.kernel import modes_of
from megabar.analysis.superconductivity.eliashberg.mu_star import coulomb
from megabar.analysis.superconductivity.eliashberg.real_axis import gap_edge
from megabar.analysis.superconductivity.gap import gap_state
from megabar.analysis.superconductivity.readers import read_alpha2f
from megabar.analysis.superconductivity.spectral import scale_coupling, scale_frequencies, tabulated
from megabar.analysis.superconductivity.units import MEV_PER_K

MU_STAR = 0.10
ACCURACIES, LARGEST = (1e-4, 1e-6, 1e-7), 2000
REACHES = (20, 80, 320, 1280)


def timed(function, *arguments, repeat=5):
    """The result of a function, and the smallest CPU time of some calls (s)."""
    times = []
    for _ in range(repeat):
        begin = time.process_time()
        result = function(*arguments)
        times.append(time.process_time() - begin)
    return result, min(times)


def smooth(coupling, points=500):
    """Acoustic modes and two optical peaks below 110 meV, as a table up to 120 meV."""
    omega = np.linspace(0, 120, points + 1)[1:]
    acoustic = (omega / 100) ** 2 * np.exp(-((omega / 60) ** 8))
    optical = np.exp(-(((omega - 75) / 10) ** 2)) + np.exp(-(((omega - 90) / 6) ** 2))
    shape = tabulated(omega, acoustic + optical, "model")
    return scale_coupling(shape, coupling / shape.lambda_)


def spectra():
    folder = Path(tempfile.mkdtemp())
    return {
        "H3S, 200 GPa (68 modes)": read_alpha2f(unpacked("h3s_q444", folder)).spectrum,
        "Al (16 modes)": read_alpha2f(unpacked("al_q444", folder)).spectrum,
        "table of 500, λ = 1": smooth(1.0),
        "table of 500, λ = 3": smooth(3.0),
        "table of 2000, λ = 0.5": smooth(0.5, 2000),
    }


def first(spectrum):
    begin = time.process_time()
    linearised.critical_temperature(spectrum, MU_STAR)
    between = time.process_time()
    full.solve(spectrum, MU_STAR)
    after = time.process_time()
    first_tc, first_all = 1e3 * (between - begin), 1e3 * (after - between)
    print(f"first Tc in a process {first_tc:.0f} ms, then the first full set {first_all:.0f} ms\n")


def tc_against_dense(cases):
    print(
        f"Tc (K) from the linearised equations, its error, and the dense matrix with cutoffs of {REACHES} times ω_max"
    )
    columns = "".join(f"{'n':>8}{'error':>8}{'s':>8}{'ratio':>7}" for _ in REACHES)
    print(f"{'':<26}{'Tc':>10}{'error':>8}{'ms':>7}{columns}")
    for name, spectrum in cases.items():
        tc, seconds = timed(linearised.critical_temperature, spectrum, MU_STAR)
        converged = with_cutoff(spectrum, 32 * linearised.FINE)
        row = f"{name:<26}{tc:>10.5f}{tc / converged - 1:>8.0e}{1e3 * seconds:>7.2f}"
        modes, interaction = modes_of(spectrum), coulomb(MU_STAR, spectrum.omega_max_meV)
        for reach in REACHES:
            if reach * spectrum.omega_max_meV / (2 * np.pi * tc * MEV_PER_K) > 3000:
                row += f"{'too large':>16}{'':>15}"
                continue
            arguments = (modes, interaction, (0.97 * tc, 1.03 * tc), reach)
            (found, count), dense_seconds = timed(dense.dense_critical_temperature, *arguments, repeat=1)
            row += f"{count:>8}{found / converged - 1:>8.0e}{dense_seconds:>8.2f}{dense_seconds / seconds:>7.0f}"
        print(row)
    print()


def equal_accuracy(cases):
    """Ours as it is (error below 1e-8) against the cheapest dense matrix that reaches an accuracy; bracket of 3%."""
    print("the smallest dense matrix that reaches an accuracy of Tc: its frequencies, s, and times ours")
    print(f"{'':<26}" + "".join(f"{f'{target:.0e}':>8}{'s':>9}{'ratio':>7}" for target in ACCURACIES))
    for name, spectrum in cases.items():
        tc, seconds = timed(linearised.critical_temperature, spectrum, MU_STAR, repeat=9)
        converged = with_cutoff(spectrum, 32 * linearised.FINE)
        modes, interaction = modes_of(spectrum), coulomb(MU_STAR, spectrum.omega_max_meV)
        large = 0.0
        row, reach = f"{name:<26}", 20.0
        for target in ACCURACIES:
            while True:
                count = reach * spectrum.omega_max_meV / (2 * np.pi * 1.03 * tc * MEV_PER_K)
                if count > LARGEST:
                    row += f"{f'> {LARGEST}':>8}{'':>9}{f'> {large / seconds:.0f}':>7}"
                    break
                arguments = (modes, interaction, (0.97 * tc, 1.03 * tc), reach)
                (found, used), large = timed(dense.dense_critical_temperature, *arguments, repeat=3)
                if abs(found / converged - 1) <= target:
                    row += f"{used:>8}{large:>9.4f}{large / seconds:>7.0f}"
                    break
                reach *= 1.25
        print(row)
    print()


def with_cutoff(spectrum, reach):
    usual, linearised.FINE = linearised.FINE, reach
    try:
        return linearised.critical_temperature(spectrum, MU_STAR)
    finally:
        linearised.FINE = usual


def answers(modes, interaction, state):
    return isotope_exponent(modes, derivative.sensitivity(modes, interaction, state))


def parts(cases):
    print("the full set, ms of CPU: Tc, derivatives with isotopes, gap at 0.1 Tc, real axis twice, thermodynamics, all")
    print(f"{'with N(ε)':>84}")
    energy = np.linspace(-20, 15, 3501)
    electrons = band(energy, 0.6 + 0.4 / (1 + (energy / 0.25) ** 2), 0.0, "peak")
    for name, spectrum in cases.items():
        modes, interaction = modes_of(spectrum), coulomb(MU_STAR, spectrum.omega_max_meV)
        state, seconds = timed(linearised.critical, modes, interaction)
        times = [seconds]
        times.append(timed(answers, modes, interaction, state)[1])
        cold = 0.1 * state.temperature_meV
        gap, seconds = timed(nonlinear.solve_gap, modes, interaction, cold, state)
        times.append(seconds)
        times.append(timed(continuation.continued, spectrum, gap, repeat=2)[1])
        times.append(timed(thermodynamics.thermodynamics, modes, interaction, state, repeat=2)[1])
        solution, seconds = timed(full.solve, spectrum, MU_STAR, repeat=2)
        times.append(seconds)
        banded, seconds = timed(bandwidth.critical_temperature_of_band, spectrum, electrons, MU_STAR, repeat=2)
        numbers = solution.numbers()
        print(
            f"{name:<26}" + "".join(f"{1e3 * each:>8.1f}" for each in times) + f"{1e3 * seconds:>9.1f}   "
            f"Δ₀ {numbers['gap_edge_meV']:.4f} ± {numbers['gap_edge_difference_meV']:.0e} meV, "
            f"2Δ₀/k_BTc {numbers['two_delta_over_kTc']:.3f}, ΔC/γTc {numbers['specific_heat_jump']:.3f}, "
            f"α {numbers['isotope_exponent']:.3f}, Tc with a peak of N(ε) {banded:.2f} K"
        )
    print()


def below_tc(cases):
    """What `megabar gap` computes: the full set, and the gap edge at twelve temperatures."""
    print("the state below Tc at twelve temperatures, with the full set, ms of CPU")
    for name, spectrum in cases.items():
        state, seconds = timed(gap_state, spectrum, MU_STAR, repeat=2)
        edges = sum(row.edge_meV is not None for row in state.rows)
        print(f"{name:<26}{1e3 * seconds:>8.1f}   gap edges at {edges} of {len(state.rows)} temperatures")
    print()


def scan():
    """A scan over pressure: frequencies rise, coupling falls."""
    base = smooth(2.5)
    cases = [scale_coupling(scale_frequencies(base, 1 + 0.8 * x), 1 / (1 + 1.2 * x)) for x in np.linspace(0, 1, 1000)]
    begin = time.process_time()
    temperatures = [linearised.critical_temperature(each, MU_STAR) for each in cases]
    seconds = time.process_time() - begin
    print(f"1000 spectra of 500 frequencies: {seconds:.2f} s, Tc {temperatures[0]:.1f} to {temperatures[-1]:.1f} K\n")


def against_epw():
    if epw_isotropic.missing():
        print(f"EPW: {epw_isotropic.missing()} is not installed")
        return
    print("Δ(iω₀) (meV) by EPW's isotropic solver and by ours, μ* referred to the cutoff of EPW's sums (meV)")
    folder = epw_isotropic.prepared(Path(tempfile.mkdtemp()))
    spectrum, temperatures = smooth(1.5), (10.0, 40.0, 70.0)
    modes = modes_of(spectrum)
    for cutoff in (1000.0, 10_000.0, 30_000.0):
        theirs, theirs_s = epw_isotropic.solved(
            folder, spectrum.omega_meV, spectrum.alpha2f, MU_STAR, cutoff, temperatures
        )
        interaction = coulomb(MU_STAR, cutoff)

        def ours(interaction=interaction):
            state = linearised.critical(modes, interaction)
            return [nonlinear.solve_gap(modes, interaction, t * MEV_PER_K, state) for t in temperatures]

        gaps, ours_s = timed(ours)
        rows = ", ".join(
            f"{t:g} K: {a.gap_meV:.5f} {b.gap[0]:.5f}" for t, a, b in zip(temperatures, theirs, gaps, strict=True)
        )
        print(f"{cutoff:>7.0f}  {rows};  {theirs_s:.2f} s and {ours_s:.4f} s (with Tc)")
    theirs, theirs_s = epw_isotropic.solved(
        folder, spectrum.omega_meV, spectrum.alpha2f, MU_STAR, 1000.0, (10.0,), real_axis=True
    )
    interaction = coulomb(MU_STAR, 1000.0)
    state = linearised.critical(modes, interaction)
    cold = nonlinear.solve_gap(modes, interaction, 10 * MEV_PER_K, state)
    found, ours_s = timed(continuation.continued, spectrum, cold, repeat=3)
    theirs_edge = gap_edge(theirs[0].omega_meV, theirs[0].real_gap_meV)
    print(
        f"gap edge at 10 K by exact continuation, cutoff 1000 meV: {theirs_edge:.4f} and {found.edge_meV:.4f} meV; "
        f"{theirs_s:.2f} s and {ours_s:.3f} s (Padé of both with it)"
    )


def main() -> None:
    cases = spectra()
    first(next(iter(cases.values())))
    tc_against_dense(cases)
    equal_accuracy(cases)
    parts(cases)
    below_tc(cases)
    scan()
    if "--without-epw" not in sys.argv:
        against_epw()


if __name__ == "__main__":
    main()
