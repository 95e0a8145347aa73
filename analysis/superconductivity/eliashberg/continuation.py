"""The gap on the real axis by two continuations that know nothing of each other, and how far they differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.eliashberg.kernel import Modes, Spectrum, modes_of
from megabar.analysis.superconductivity.eliashberg.linearised import critical, interaction_of
from megabar.analysis.superconductivity.eliashberg.nonlinear import Gap, solve_gap
from megabar.analysis.superconductivity.eliashberg.pade import continue_by_pade
from megabar.analysis.superconductivity.eliashberg.real_axis import RealAxis, continue_exactly, gap_edge, grid_step
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
COLD = 0.1
"""T/Tc at which the gap stands for that at T = 0."""


@dataclass(frozen=True, eq=False)
class Continued:
    """Δ(ω) and Z(ω) at one temperature: exact iteration, and Padé on the same frequencies; energies in meV."""

    imaginary: Gap
    exact: RealAxis
    pade_gap: Complex
    pade_renormalisation: Complex

    @property
    def edge_meV(self) -> float | None:
        """Gap edge Δ₀ (meV) by exact iteration; None where the state is gapless."""
        return self.exact.edge_meV

    @property
    def pade_edge_meV(self) -> float | None:
        """Gap edge Δ₀ (meV) by Padé; None where it has none."""
        return gap_edge(self.exact.omega_meV, self.pade_gap)

    @property
    def edge_difference_meV(self) -> float | None:
        """|Δ₀ by exact iteration − Δ₀ by Padé| (meV)."""
        ours, other = self.edge_meV, self.pade_edge_meV
        return None if ours is None or other is None else abs(ours - other)

    def difference_meV(self, highest_meV: float) -> float:
        """Return the root mean square of the difference of Δ(ω) from 0 to a frequency (meV)."""
        below = self.exact.omega_meV <= highest_meV
        return float(np.sqrt(np.mean(np.abs(self.exact.gap - self.pade_gap)[below] ** 2)))


def continued(spectrum: Spectrum, gap: Gap) -> Continued | None:
    """Return a solution of the imaginary axis on the real one; None where T is too low for a grid that resolves it.

    Raises ArithmeticError where an iteration does not converge.
    """
    step = grid_step(spectrum, gap)
    if step is None:
        return None
    exact = continue_exactly(spectrum, gap, step)
    return Continued(gap, exact, *continue_by_pade(modes_of(spectrum), gap, exact.omega_meV))


def pade_edge(modes: Modes, gap: Gap) -> float | None:
    """Return the gap edge Δ₀ (meV) by Padé alone; None where it finds none below 2 Δ(iω₀)."""
    omega = np.linspace(0, 2 * float(gap.gap[0]), 401)
    return gap_edge(omega, continue_by_pade(modes, gap, omega)[0])


def real_axis_gap(
    spectrum: Spectrum, mu_star: float, mu_ref_meV: float | None = None, reduced_temperature: float = COLD
) -> Continued | None:
    """Return Δ(ω), Z(ω) at a T/Tc (0.1 stands for 0); None where there is no Tc, or one too low for a grid.

    mu_star: referred to mu_ref_meV, by default the highest phonon frequency. Raises InputError where out of range.
    """
    if not 0 < reduced_temperature < 1:
        raise InputError(f"T/Tc is {reduced_temperature:g}; there is a gap between 0 and 1 only")
    interaction = interaction_of(spectrum, mu_star, mu_ref_meV)
    modes = modes_of(spectrum)
    state = critical(modes, interaction)
    if state is None:
        return None
    return continued(spectrum, solve_gap(modes, interaction, reduced_temperature * state.temperature_meV, state))
