"""Tc: the temperature at which the largest eigenvalue of the linearised Eliashberg equations is 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.eliashberg.frequencies import Frequencies, blocks_for, frequencies
from megabar.analysis.superconductivity.eliashberg.kernel import Modes, Spectrum, kernel, modes_of
from megabar.analysis.superconductivity.eliashberg.mu_star import Coulomb, coulomb
from megabar.analysis.superconductivity.eliashberg.roots import falling_root, polished_root
from megabar.analysis.superconductivity.units import MEV_PER_K

Array = NDArray[np.float64]
COARSE, FINE = 64.0, 4096.0
"""Cutoff over the energy scale of the phonons, while Tc is sought and when it is found: Tc to 1e-4 and to 1e-6."""
LOWEST = 1e-6
"""Tc below this share of ω_log is called 0: a Tc of a millikelvin is beyond what α²F and μ* can say."""
SINGULAR = 0.02
"""|1/μ*(ω_c)| below which another cutoff is taken."""


@dataclass(frozen=True, eq=False)
class Critical:
    """The linearised equations at Tc: temperature, frequencies, and the eigenvector of eigenvalue 1.

    vector: x_n = Δ_n √(weight/(2n+1)) at the nodes, normalised, shape (k,); Δ_n has one sign but for the Coulomb tail.
    """

    temperature_meV: float
    points: Frequencies
    vector: Array

    @property
    def tc_K(self) -> float:
        """Tc (K)."""
        return self.temperature_meV / MEV_PER_K

    @property
    def gap(self) -> Array:
        """Δ(iω_n) at the nodes, in units of its value at the lowest frequency, shape (k,)."""
        values: Array = self.vector * np.sqrt((2 * self.points.index + 1) / self.points.weight)
        relative: Array = values / values[0]
        return relative


def critical_temperature(spectrum: Spectrum, mu_star: float, mu_ref_meV: float | None = None) -> float:
    """Return Tc (K) from the linearised isotropic Eliashberg equations, converged to 1e-6; 0 where there is none.

    mu_star: referred to mu_ref_meV, by default the highest phonon frequency, spectrum.omega_max_meV.
    Raises InputError where they are out of range. Source: see `matrix`.
    """
    found = transition(modes_of(spectrum), interaction_of(spectrum, mu_star, mu_ref_meV))
    return 0.0 if found is None else found[0] / MEV_PER_K


def interaction_of(spectrum: Spectrum, mu_star: float, mu_ref_meV: float | None) -> Coulomb:
    """Return (μ*, ω_ref), ω_ref the highest phonon frequency unless it is given; InputError if out of range."""
    return coulomb(mu_star, spectrum.omega_max_meV if mu_ref_meV is None else mu_ref_meV)


def critical(modes: Modes, interaction: Coulomb) -> Critical | None:
    """Return the solution at Tc of modes with a Coulomb pseudopotential; None where Tc is below 1e-6 ω_log."""
    found = transition(modes, interaction)
    if found is None:
        return None
    temperature, points = found
    _, vectors = np.linalg.eigh(matrix(modes, interaction, temperature, points))
    vector = vectors[:, _place(interaction, temperature, points)]
    return Critical(temperature, points, vector * np.sign(vector[0]))


def transition(modes: Modes, interaction: Coulomb) -> tuple[float, Frequencies] | None:
    """Return Tc (meV) and the frequencies it was found with; None where it is below 1e-6 ω_log."""
    if modes.coupling.size == 0:
        return None

    def rough(log_temperature: float) -> float:
        temperature = float(np.exp(log_temperature))
        return eigenvalue(modes, interaction, temperature, points_at(modes, interaction, temperature, COARSE)) - 1

    log_lowest = float(np.log(LOWEST * modes.omega_log_meV))
    guess, slope = log_estimate(modes, interaction)
    found = falling_root(rough, max(guess, log_lowest), slope, log_lowest)
    if found is None:
        return None
    points = points_at(modes, interaction, float(np.exp(found[0])), FINE)

    def fine(log_temperature: float) -> float:
        return eigenvalue(modes, interaction, float(np.exp(log_temperature)), points) - 1

    return float(np.exp(polished_root(fine, *found))), points


def matrix(modes: Modes, interaction: Coulomb, temperature_meV: float, points: Frequencies) -> Array:
    """Return S_nm = [λ(n−m) + λ(n+m+1) − 2μ* − δ_nm D_n]/√((2n+1)(2m+1)) on compressed frequencies, shape (k, k).

    D_n = λ(0) + 2 Σ_{l=1}^n λ(l). From Allen & Dynes, Phys. Rev. B 12, 905 (1975), made symmetric:
    Owen & Scalapino, Physica 55, 691 (1971); Bergmann & Rainer, Z. Phys. 263, 59 (1973). μ* is that of the cutoff.
    """
    values = points.symmetric(points.pairing @ kernel(modes, temperature_meV, points.differences))
    if interaction.mu_star > 0:
        row = np.sqrt(points.weight / (2 * points.index + 1))
        values -= 2 / interaction.inverse(temperature_meV, points.count) * row[:, None] * row
    return values


def eigenvalue(modes: Modes, interaction: Coulomb, temperature_meV: float, points: Frequencies) -> float:
    """Return the eigenvalue of `matrix` that is 1 at Tc, above 1 below Tc."""
    values = np.linalg.eigvalsh(matrix(modes, interaction, temperature_meV, points))
    return float(values[_place(interaction, temperature_meV, points)])


def points_at(modes: Modes, interaction: Coulomb, temperature_meV: float, reach: float) -> Frequencies:
    """Return frequencies up to `reach` times the scale of the phonons, or twice that where μ* would diverge there."""
    points = frequencies(blocks_for(reach * modes.scale_meV, temperature_meV))
    if interaction.mu_star > 0 and abs(interaction.inverse(temperature_meV, points.count)) < SINGULAR:
        return frequencies(points.blocks + 1)
    return points


def _place(interaction: Coulomb, temperature_meV: float, points: Frequencies) -> int:
    """Return where the eigenvalue stands: last, or next to last where a negative 1/μ*(ω_c) brings one from infinity.

    As 1/μ* goes through 0 one eigenvalue leaves to −∞ and comes back from +∞; the others go on smoothly.
    """
    beyond = interaction.mu_star > 0 and interaction.inverse(temperature_meV, points.count) < 0
    return -2 if beyond else -1


def log_estimate(modes: Modes, interaction: Coulomb) -> tuple[float, float]:
    """Return ln Tc (meV) by Allen & Dynes (1975), and about d(eigenvalue)/d ln T there."""
    coupling, log, second = modes.lambda_, modes.omega_log_meV, modes.omega_2_meV
    inverse = np.log(interaction.reference_meV / log) + (1 / interaction.mu_star if interaction.mu_star else np.inf)
    mu = 1 / inverse if inverse > 1 else 1.0
    net = coupling - mu * (1 + 0.62 * coupling)
    if net <= 0.05 * (1 + coupling):
        return float(np.log(1e-3 * log)), -0.1
    ratio = second / log
    strong = (1 + (coupling / (2.46 * (1 + 3.8 * mu))) ** 1.5) ** (1 / 3)
    shape = 1 + (ratio - 1) * coupling**2 / (coupling**2 + (1.82 * (1 + 6.3 * mu) * ratio) ** 2)
    exponent = -1.04 * (1 + coupling) / net
    return float(np.log(log / 1.2 * strong * shape) + exponent), float(max(1 / exponent, -1.5))
