"""From isothermal to adiabatic stress-strain coefficients, which sound has."""

from __future__ import annotations

import numpy as np
from ase import units
from numpy.typing import ArrayLike

from megabar.analysis.elasticity.tensors import Array, kelvin


def adiabatic(
    isothermal: ArrayLike,
    expansion_per_K: ArrayLike,
    heat_capacity_eV_K: float,
    volume_A3: float,
    temperature_K: float,
) -> Array:
    """Return adiabatic stress-strain coefficients (Kelvin, GPa, the cell's axes) of isothermal ones.

    expansion_per_K: linear thermal expansion at constant pressure, a symmetric 3 × 3 tensor in the cell's axes, or a
    third of the volume's for a cubic crystal. heat_capacity_eV_K: at constant strain, and volume_A3: of the same number
    of atoms. B^S = B^T + (T V / C) λ λ with λ = −B^T α, the change of stress with temperature at constant strain:
    Davies, J. Phys. Chem. Solids 35, 1513 (1974), doi:10.1016/S0022-3697(74)80279-9.
    """
    stiffness = np.asarray(isothermal, float)
    given = np.asarray(expansion_per_K, float)
    heating = stiffness @ kelvin(given * np.eye(3) if given.ndim == 0 else given)
    factor = temperature_K * volume_A3 / heat_capacity_eV_K * units.GPa
    return np.asarray(stiffness + factor * np.outer(heating, heating))
