"""First guesses of volumes under pressure, good to about a tenth, and cells scaled to a volume.

They set the first volumes of a ladder; the energies and stresses computed there replace them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ase import Atoms

from megabar.structures.phase import Phase

K_PRIME = 4.3
"""dK/dP at zero pressure, between MgO and the alkali metals (4.0) and hcp iron (5.4)."""

LARGEST_P_OVER_K = 0.45
"""A compressed solid has a bulk modulus of at least about 2.2 times its pressure; a smaller one is taken as that."""

SOFTENED = 0.5
"""Decompressed until K is this part of its zero-pressure value, the law is left for one that stays bounded."""

VAN_DER_WAALS = frozenset({"H", "He", "N", "O", "F", "Ne", "Cl", "Ar", "Kr", "Xe"})
"""Solids of these elements alone are soft molecules or noble gases at zero pressure."""

_ETA = 1.5 * (K_PRIME - 1)
_LONGEST, _SHORTEST = 1.12, 0.05  # bounds of x = (V/V0)^(1/3); P falls with x up to 1.149 only


def scaled_to(atoms: Atoms, volume_per_atom: float) -> Atoms:
    """Return a copy scaled uniformly to a volume (Å³/atom), fractional coordinates kept."""
    copy = atoms.copy()
    factor = (volume_per_atom * len(atoms) / atoms.get_volume()) ** (1 / 3)
    copy.set_cell(atoms.cell[:] * factor, scale_atoms=True)
    return copy


def guess_volume(phase: Phase, pressure_GPa: float) -> float:
    """Return a rough volume (Å³/atom) of a phase at a pressure (GPa); decreases with pressure everywhere.

    The Vinet equation of state, P = 3 K0 (1-x)/x² exp[3/2 (K0'-1)(1-x)] with x = (V/V0)^⅓ and K0' = 4.3, is laid
    through the volume and bulk modulus of the phase's cell at that cell's pressure (Vinet, Ferrante, Smith & Rose,
    J. Phys. C 19, L467 (1986), doi:10.1088/0022-3719/19/20/001). Below the pressure where K has halved, where the
    equation has no solution soon, V = V1 [1 + u/(1+u)] with u = (P1-P)/K1 goes on with the same slope.
    """
    modulus = phase.bulk_modulus_GPa if phase.bulk_modulus_GPa is not None else guess_bulk_modulus(phase)
    modulus = max(modulus, phase.pressure_GPa / LARGEST_P_OVER_K)
    softest = _solved(_reduced_modulus, SOFTENED)
    here = min(_solved(lambda x: _reduced_pressure(x) / _reduced_modulus(x), phase.pressure_GPa / modulus), softest)
    zero_modulus = modulus / _reduced_modulus(here)
    # Relative to the cell's own point, so that the cell's volume comes back at its pressure in every case.
    reduced = _reduced_pressure(here) + (pressure_GPa - phase.pressure_GPa) / zero_modulus
    return phase.volume_per_atom * _volume_ratio(reduced, softest) / here**3


def guess_bulk_modulus(phase: Phase) -> float:
    """Return a rough bulk modulus (GPa, within a factor of two) at the pressure of the phase's cell.

    Solids bound by van der Waals forces: 2 GPa + 3 P. Others: 60 GPa (15 Å³ / V0)² + 3.5 P, the trend of the
    elements and oxides with the volume per atom at zero pressure, itself guessed as V (1 + P/20 GPa)^¼.
    """
    pressure = max(phase.pressure_GPa, 0.0)
    if VAN_DER_WAALS.issuperset(phase.counts):
        return 2.0 + 3.0 * pressure
    zero_volume = phase.volume_per_atom * (1 + pressure / 20) ** 0.25
    return float(60.0 * (15.0 / zero_volume) ** 2 + 3.5 * pressure)


def _reduced_pressure(x: float) -> float:
    """Return P/K0 of the Vinet equation of state."""
    return 3 * (1 - x) / x**2 * math.exp(_ETA * (1 - x))


def _reduced_modulus(x: float) -> float:
    """Return K/K0 of the Vinet equation of state."""
    return (1 + (_ETA * x + 1) * (1 - x)) / x**2 * math.exp(_ETA * (1 - x))


def _volume_ratio(reduced_pressure: float, softest: float) -> float:
    """Return V/V0 at P/K0, continued beyond the expansion ``softest`` as guess_volume says."""
    lowest = _reduced_pressure(softest)
    if reduced_pressure >= lowest:
        return _solved(_reduced_pressure, reduced_pressure) ** 3
    missing = (lowest - reduced_pressure) / SOFTENED
    return float(softest**3 * (1 + missing / (1 + missing)))


def _solved(function: Callable[[float], float], value: float) -> float:
    """Return the x between 1.12 and 0.05 at which a function that falls with x has a value, by bisection."""
    longest, shortest = _LONGEST, _SHORTEST
    for _ in range(60):
        middle = (longest + shortest) / 2
        if function(middle) < value:
            longest = middle
        else:
            shortest = middle
    return (longest + shortest) / 2
