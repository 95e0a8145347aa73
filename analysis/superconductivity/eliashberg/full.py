"""All that isotropic Eliashberg theory says of one spectrum, at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.eliashberg.continuation import COLD, Continued, continued, pade_edge
from megabar.analysis.superconductivity.eliashberg.derivative import Sensitivity, sensitivity
from megabar.analysis.superconductivity.eliashberg.isotope import isotope_exponent, isotope_exponents
from megabar.analysis.superconductivity.eliashberg.kernel import Modes, Spectrum, modes_of
from megabar.analysis.superconductivity.eliashberg.linearised import LOWEST, Critical, critical, interaction_of
from megabar.analysis.superconductivity.eliashberg.mu_star import Coulomb
from megabar.analysis.superconductivity.eliashberg.nonlinear import Gap, solve_gap
from megabar.analysis.superconductivity.eliashberg.real_axis import MOST, WINDOW
from megabar.analysis.superconductivity.eliashberg.thermodynamics import Thermodynamics, thermodynamics
from megabar.analysis.superconductivity.units import MEV_PER_K

Array = NDArray[np.float64]
WARMEST = 0.2
"""T/Tc up to which the real axis is taken at a higher temperature to need fewer points."""
MANY = 2**13
"""Points on the real axis above which that is done."""


@dataclass(frozen=True, eq=False)
class Solution:
    """The superconducting state of one spectrum; everything but Tc is None where there is no Tc or it failed.

    tc_K: Tc (K), 0 where there is none. gap_edge_meV: Δ₀ near T = 0, from `real_axis`, or by Padé alone where that is
    missing. isotope_exponent_by_species: empty where eigenvectors are not known. notes: why something is missing.
    """

    interaction: Coulomb
    tc_K: float
    critical: Critical | None = None
    sensitivity: Sensitivity | None = None
    thermodynamics: Thermodynamics | None = None
    real_axis: Continued | None = None
    gap_edge_meV: float | None = None
    isotope_exponent: float | None = None
    isotope_exponent_by_species: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def two_delta_over_kTc(self) -> float | None:
        """2Δ₀/k_BTc; 3.528 in BCS theory."""
        return None if self.gap_edge_meV is None else 2 * self.gap_edge_meV / (self.tc_K * MEV_PER_K)

    def numbers(self) -> dict[str, float]:
        """Return the single numbers by name with unit; what cannot be had is absent (see `notes`)."""
        found: dict[str, float | None] = {"tc_eliashberg_K": self.tc_K}
        found |= {
            "gap_edge_meV": self.gap_edge_meV,
            "gap_edge_difference_meV": None if self.real_axis is None else self.real_axis.edge_difference_meV,
            "two_delta_over_kTc": self.two_delta_over_kTc,
        }
        if self.thermodynamics is not None:
            state = self.thermodynamics
            found |= {
                "gap_matsubara_meV": float(state.gaps[0].gap[0]),
                "renormalisation": float(state.gaps[0].renormalisation[0]),
                "specific_heat_jump": state.jump,
                "gamma_tc2_over_hc2": state.field_ratio,
            }
        found["isotope_exponent"] = self.isotope_exponent
        found["dtc_dmu_star_K"] = None if self.sensitivity is None else self.sensitivity.tc_by_mu_star_K
        return {name: value for name, value in found.items() if value is not None}


def solve(spectrum: Spectrum, mu_star: float, mu_ref_meV: float | None = None) -> Solution:
    """Return Tc, gap on both axes, thermodynamics, isotope exponents and derivatives of a spectrum.

    mu_star: referred to mu_ref_meV, by default the highest phonon frequency. Raises InputError where they are out of
    range; what fails to converge is missing and said under `notes`, never nan.
    """
    interaction = interaction_of(spectrum, mu_star, mu_ref_meV)
    modes = modes_of(spectrum)
    state = critical(modes, interaction)
    if state is None:
        return Solution(interaction, 0.0, notes=(_no_tc(modes),))
    answer = sensitivity(modes, interaction, state)
    coupled = spectrum.mode_lambda > 0
    shares = {species: share[coupled] for species, share in spectrum.shares.items()}
    notes: list[str] = []
    cold = _cold_gap(spectrum, interaction, state, notes)
    axis, edge = (None, None) if cold is None else _real_axis(spectrum, modes, cold, notes)
    return Solution(
        interaction,
        state.tc_K,
        state,
        answer,
        _thermodynamics(modes, interaction, state, notes),
        axis,
        edge,
        isotope_exponent(modes, answer),
        isotope_exponents(modes, answer, shares),
        tuple(notes),
    )


def _no_tc(modes: Modes) -> str:
    if modes.coupling.size == 0:
        return "λ is 0: there is nothing that pairs electrons, and no Tc"
    lowest = LOWEST * modes.omega_log_meV / MEV_PER_K
    return f"no Tc above {lowest:.2g} K (1e-6 ω_log): λ = {modes.lambda_:.3g} does not overcome the Coulomb repulsion"


def _thermodynamics(modes: Modes, interaction: Coulomb, state: Critical, notes: list[str]) -> Thermodynamics | None:
    try:
        return thermodynamics(modes, interaction, state)
    except ArithmeticError as error:
        notes.append(f"no gap below Tc on the imaginary axis, and so no thermodynamics: {error}")
        return None


def _cold_gap(spectrum: Spectrum, interaction: Coulomb, state: Critical, notes: list[str]) -> Gap | None:
    """Return the gap at 0.1 Tc, or up to 0.2 Tc where a real axis that resolves T would be long."""
    enough = WINDOW * float(np.max(spectrum.omega_meV)) / (MANY * state.temperature_meV)
    temperature = float(np.clip(enough, COLD, WARMEST)) * state.temperature_meV
    try:
        return solve_gap(modes_of(spectrum), interaction, temperature, state)
    except ArithmeticError as error:
        notes.append(f"no gap near T = 0: {error}")
        return None


def _real_axis(spectrum: Spectrum, modes: Modes, gap: Gap, notes: list[str]) -> tuple[Continued | None, float | None]:
    """Return the gap on the real axis and its edge, which Padé alone may give where the former cannot be had."""
    try:
        found = continued(spectrum, gap)
        reason = f"at {gap.temperature_K:.2g} K it would take more than {MOST} frequencies"
    except ArithmeticError as error:
        found, reason = None, str(error)
    if found is not None:
        if found.edge_meV is None:
            notes.append("no gap edge: Re Δ(ω) = ω has no solution")
        return found, found.edge_meV
    try:
        edge = pade_edge(modes, gap)
    except ArithmeticError:
        edge = None
    by_pade = "; the gap edge is by Padé alone" if edge is not None else ""
    notes.append(f"no gap on the real axis by exact continuation: {reason}{by_pade}")
    return None, edge
