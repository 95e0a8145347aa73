"""What a fixed number of plane waves does to the stresses of strained cells."""

from __future__ import annotations

import numpy as np
from ase import units
from numpy.typing import ArrayLike

from megabar.analysis.elasticity.tensors import Array


def without_pulay(stresses_GPa: ArrayLike, volumes_A3: ArrayLike, constant_eV: float) -> Array:
    """Return stresses, shape (n, 3, 3), as they are at a constant cutoff.

    constant_eV: what the computed pressure has too much, times the volume: a constant for a phase
    (``EnthalpyCurve.pulay_eV``, of an atom like volumes_A3). What the energy lacks depends on the cutoff alone, so that
    the Pulay stress is a pressure in strained cells too, about c/V: Francis & Payne, J. Phys.: Condens. Matter 2, 4395
    (1990), doi:10.1088/0953-8984/2/19/007.
    """
    pressures = constant_eV / np.asarray(volumes_A3, float) / units.GPa
    return np.asarray(np.asarray(stresses_GPa, float) + pressures[..., None, None] * np.eye(3))
