"""The isotope effect: α = −d ln Tc/d ln M, of all atoms and of each species."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.eliashberg.derivative import Sensitivity
from megabar.analysis.superconductivity.eliashberg.kernel import Modes

Array = NDArray[np.float64]


def isotope_exponent(modes: Modes, answer: Sensitivity) -> float:
    """Return −d ln Tc/d ln M of all masses together: ω ∝ M^−½, all λᵢ and the pair (μ*, ω_ref) kept.

    ω_ref stays where it is because the repulsion between electrons knows nothing of masses: this gives ½ at μ* = 0 and
    less with repulsion, as Morel & Anderson, Phys. Rev. 125, 1263 (1962).
    """
    return float(np.sum(answer.by_frequencies(modes))) / 2


def isotope_exponents(modes: Modes, answer: Sensitivity, shares: Mapping[str, Array]) -> dict[str, float]:
    """Return −d ln Tc/d ln M of each species; together they are `isotope_exponent`.

    shares: by species, the weight of its atoms in the eigenvector of each mode, shape (n,) like the modes, together 1.
    To first order d ln ωᵢ/d ln M = −share/2 and λᵢ stays: Rainer & Culetto, Phys. Rev. B 19, 2540 (1979).
    """
    each = answer.by_frequencies(modes)
    return {species: float(np.sum(share * each)) / 2 for species, share in shares.items()}
