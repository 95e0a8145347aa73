"""The Coulomb pseudopotential: a number μ* has a meaning only with the energy ω_ref that it is referred to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from megabar.structures.errors import InputError

HIGHEST = 1.0
"""μ* from here on is refused: values in the literature lie between 0 and 0.4."""


@dataclass(frozen=True)
class Coulomb:
    """μ* referred to ω_ref (meV): the pair that every equation here takes. Made by `coulomb`, which checks it."""

    mu_star: float
    reference_meV: float

    def inverse(self, temperature_meV: float, count: int) -> float:
        """Return 1/μ*(N) for sums over the N = count lowest frequencies ω_n > 0; μ* must not be 0.

        1/μ*(ω_c) = 1/μ*(ω_ref) + ln(ω_ref/ω_c): Morel & Anderson, Phys. Rev. 125, 1263 (1962). A sum of 1/(n + ½) to N
        is ψ(N + ½) + const, so ln ω_c is ln 2πT + ψ(N + ½); beyond ω_c = ω_ref e^{1/μ*} the inverse is negative.
        """
        from scipy.special import digamma

        return float(
            1 / self.mu_star + np.log(self.reference_meV / (2 * np.pi * temperature_meV)) - digamma(count + 0.5)
        )


def coulomb(mu_star: float, reference_meV: float) -> Coulomb:
    """Return the pseudopotential of a μ* and the energy (meV) that it is referred to; InputError if out of range."""
    if not 0 <= mu_star < HIGHEST:
        raise InputError(f"μ* is {mu_star:g}; it is a number from 0 to below {HIGHEST:g}, mostly 0.1 to 0.2")
    if not (np.isfinite(reference_meV) and reference_meV > 0):
        raise InputError(f"μ* is referred to {reference_meV:g} meV; the energy must be above 0")
    return Coulomb(float(mu_star), float(reference_meV))
