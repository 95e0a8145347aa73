"""How far matter expands by its vibrations, guessed before anything is known of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from ase import units

GRUNEISEN, SOFTEST = 2.0, 0.12
"""Of a usual solid, to guess its thermal pressure; the share of its bulk modulus that it is stretched by at most."""
DEBYE_K, DEBYE_U = 430.0, 27.0
"""Debye temperature of aluminium and its mass (u), from which that of others is guessed."""


def push_GPa(volume_A3: float, masses_u: Sequence[float], temperature_K: float, modulus_GPa: float) -> float:
    """Return about the pressure (GPa) by which vibrations expand a solid, no more than it can be stretched by.

    volume_A3: of an atom. Zero-point motion pushes as the atoms would at about 3/8 of the Debye temperature.
    """
    debye = DEBYE_K * math.sqrt(DEBYE_U / float(np.mean(masses_u)))
    thermal = GRUNEISEN * 3 * units.kB * (temperature_K + 0.375 * debye) / volume_A3 / units.GPa
    return float(min(thermal, SOFTEST * max(modulus_GPa, 0.0)))
