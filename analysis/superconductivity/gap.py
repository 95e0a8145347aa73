"""The state below Tc at a row of temperatures: what tables and figures of the gap are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.conventions import Reference
from megabar.analysis.superconductivity.eliashberg.continuation import COLD, Continued, real_axis_gap
from megabar.analysis.superconductivity.eliashberg.full import Solution, solve
from megabar.analysis.superconductivity.eliashberg.kernel import modes_of
from megabar.analysis.superconductivity.eliashberg.nonlinear import Gap, solve_gap
from megabar.analysis.superconductivity.eliashberg.real_axis import RealAxis, continue_exactly, grid_step
from megabar.analysis.superconductivity.formulas import check_mu_star
from megabar.analysis.superconductivity.report import reference_meV
from megabar.analysis.superconductivity.spectral import SpectralFunction, broadened, drawn_width_meV
from megabar.analysis.superconductivity.units import MEV_PER_K
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
REDUCED = (COLD, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
"""T/Tc of the table where no temperatures are asked for."""
WARMEST = 0.995
"""T/Tc above which the gap is not solved for: it goes to 0 as √(1 − T/Tc)."""
SAME = 1e-9
"""Relative difference of temperatures that are one."""

DENSE = 600
"""Points from 0 to 4 Δ₀ at which the density of states is told."""


@dataclass(frozen=True, eq=False)
class AtTemperature:
    """The gap at one temperature. axis: on the real axis; None where that cannot be had, and why."""

    temperature_K: float
    gap: Gap
    axis: RealAxis | None
    why: str = ""

    @property
    def edge_meV(self) -> float | None:
        """Gap edge Δ₀ (meV); None where the state is gapless or the real axis is not known."""
        if self.axis is None:
            return None
        found = self.axis.edge_meV
        at_0, first, spacing = self.axis.gap.real[0], self.axis.gap.real[1], self.axis.omega_meV[1]
        if found is None and at_0 > self.gap.gap[0] / 2 and first <= spacing:
            # Weak coupling near Tc: Δ lies below the first frequency, and is the same from 0 up to there.
            return float(at_0 * spacing / (spacing + at_0 - first))
        return found


@dataclass(frozen=True, eq=False)
class GapState:
    """The state below Tc of one spectrum. rows: temperature rising; notes: what is missing and why."""

    spectrum: SpectralFunction
    solution: Solution
    rows: tuple[AtTemperature, ...]
    notes: tuple[str, ...]


def gap_state(
    spectrum: SpectralFunction, mu_star: float, mu_ref: Reference = None, temperatures_K: Sequence[float] = ()
) -> GapState:
    """Return the state of a spectrum at temperatures (K), or from 0.1 Tc to 0.98 Tc where none are asked for.

    Up to 0.1 Tc (0.2 Tc where the real axis is long) the gap is that at 0.1 Tc. Raises InputError for what is out of
    range.
    """
    check_mu_star(mu_star)
    _check_temperatures(temperatures_K)
    solution = solve(spectrum, mu_star, reference_meV(spectrum, mu_ref, mu_star))
    if solution.critical is None:
        return GapState(spectrum, solution, (), solution.notes)
    rows, failed = [], []
    wanted = [t / solution.tc_K for t in temperatures_K] if temperatures_K else REDUCED
    for reduced in sorted({max(t, COLD) for t in wanted if t <= WARMEST}):
        try:
            rows.append(_at(spectrum, solution, reduced * solution.tc_K))
        except ArithmeticError as error:
            failed.append(f"no gap at {reduced * solution.tc_K:.4g} K: {error}")
    return GapState(spectrum, solution, tuple(rows), (*solution.notes, *failed))


def _at(spectrum: SpectralFunction, solution: Solution, temperature_K: float) -> AtTemperature:
    """Return the gap at a temperature; up to that of the solution's real axis, which stands for T = 0, it is that."""
    cold = solution.real_axis
    if cold is not None and temperature_K <= cold.imaginary.temperature_K * (1 + SAME):
        return AtTemperature(temperature_K, cold.imaginary, cold.exact)
    assert solution.critical is not None
    gap = solve_gap(modes_of(spectrum), solution.interaction, temperature_K * MEV_PER_K, solution.critical)
    step = grid_step(spectrum, gap)
    if step is None:
        return AtTemperature(temperature_K, gap, None, "the real axis would be too long")
    try:
        return AtTemperature(temperature_K, gap, continue_exactly(spectrum, gap, step))
    except ArithmeticError as error:
        return AtTemperature(temperature_K, gap, None, f"no real axis: {error}")


def smooth_axis(state: GapState) -> Continued | None:
    """Return Δ(ω) and Z(ω) near T = 0 for the eye: of a sum of peaks, those of α²F as it is drawn, in Gaussians.

    Peaks make Δ(ω) a row of spikes. None where there is no real axis.
    """
    known, spectrum = state.solution.real_axis, state.spectrum
    if known is None or not spectrum.discrete:
        return known
    interaction, drawn = state.solution.interaction, broadened(spectrum, drawn_width_meV(spectrum))
    reduced = known.imaginary.temperature_K / state.solution.tc_K
    try:
        return real_axis_gap(drawn, interaction.mu_star, interaction.reference_meV, reduced) or known
    except ArithmeticError:
        return known


def tunnelling_axis(axis: RealAxis, highest_meV: float, points: int = DENSE) -> RealAxis:
    """Return a part of the real axis up to an energy (meV) with more points, for N(ω)/N(0) near the gap edge.

    Δ(ω) is smooth there, N(ω) is not: Δ(ω) is taken between its points by interpolation.
    """
    omega = np.linspace(0, highest_meV, points)
    gap, renormalisation = (np.interp(omega, axis.omega_meV, each) for each in (axis.gap, axis.renormalisation))
    return RealAxis(omega, gap, renormalisation)


def _check_temperatures(temperatures_K: Sequence[float]) -> None:
    for each in temperatures_K:
        if not (isfinite(each) and each >= 0):
            raise InputError(f"--temperature is {each:g}; a temperature is a number of kelvins from 0 on")
