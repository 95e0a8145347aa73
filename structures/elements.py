"""Rough volumes of matter from its elements alone: what a number must be near to be a volume at all."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

SOFT = frozenset({"H", "He", "N", "O", "F", "Ne", "Ar", "Kr", "Xe", "Rn"})
"""Solids of these elements are soft molecules or noble gases near zero pressure."""
SOFT_GPa = 1.5
"""Their bulk modulus (GPa) near zero pressure."""
K_PRIME = 4.5
"""dK/dP at zero pressure: 4 for metals and oxides, 5 to 7 for molecular solids."""
CUBIC_CENTIMETRE_A3 = 1e24
DENSEST = 0.06
"""Lowest x³ = V/V0 of the Vinet equation that is tabulated: reached above 10 TPa by all but the softest."""


@lru_cache(maxsize=128)
def zero_pressure(element: str) -> tuple[float, float]:
    """Return the volume (Å³/atom) and bulk modulus (GPa) of an element as a solid or liquid near zero pressure.

    From the molar volumes and bulk moduli of pymatgen's periodic table; of the few elements without, the volume is that
    of a sphere of 1.6 covalent radii (Cordero et al., Dalton Trans. 2832 (2008), doi:10.1039/b801115j, as in ASE). The
    modulus of a nonmetal is at least 60 GPa (15 Å³/V)², the trend of the elements: what is softer (graphite, sulfur,
    halogens) loses its empty space at once.
    """
    import warnings

    from ase.data import atomic_numbers, covalent_radii
    from ase.units import mol
    from pymatgen.core.periodic_table import Element

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns of each number that it does not have
        known = Element(element)
        molar, modulus = known.molar_volume, float(known.bulk_modulus or 0.0)
    if molar:
        volume = float(molar) * CUBIC_CENTIMETRE_A3 / mol
    else:
        volume = 4 / 3 * np.pi * (1.6 * float(covalent_radii[atomic_numbers[element]])) ** 3
    if element in SOFT:
        return volume, SOFT_GPa
    trend = 60.0 * (15.0 / volume) ** 2
    return volume, max(modulus, trend) if not modulus or not known.is_metal else modulus


def elements_volume(counts: Mapping[str, int], pressure_GPa: ArrayLike) -> NDArray[np.float64]:
    """Return the volume (Å³/atom) at pressures (GPa) that the atoms of a formula have as elements, roughly.

    Each element follows the Vinet equation of state (Vinet, Ferrante, Smith & Rose, J. Phys. C 19, L467 (1986),
    doi:10.1088/0022-3719/19/20/001) with K0' = 4.5 from its volume at zero pressure; below zero pressure that stays.
    """
    pressure = np.maximum(np.asarray(pressure_GPa, float), 0.0)
    total = np.zeros(pressure.shape)
    x = np.linspace(1.0, DENSEST ** (1 / 3), 400)
    reduced = 3 * (1 - x) / x**2 * np.exp(1.5 * (K_PRIME - 1) * (1 - x))
    for element, count in counts.items():
        volume, modulus = zero_pressure(element)
        total = total + count * volume * np.interp(pressure / modulus, reduced, x**3)
    return total / sum(counts.values())
