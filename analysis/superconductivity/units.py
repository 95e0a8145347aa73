"""Units of phonon frequencies, as energies in meV (CODATA values of scipy)."""

from __future__ import annotations

import re
from math import pi

from scipy.constants import physical_constants

from megabar.structures.errors import InputError


def _eV(name: str) -> float:
    return float(physical_constants[name][0])


MEV_PER_K = 1e3 * _eV("kelvin-electron volt relationship")
MEV_PER_RY = 1e3 * _eV("Rydberg constant times hc in eV")
MEV_PER_THZ = 1e3 * 1e12 * _eV("hertz-electron volt relationship")
MEV_PER: dict[str, float] = {
    "meV": 1.0,
    "eV": 1e3,
    "THz": MEV_PER_THZ,
    "cm-1": 1e3 * 100 * _eV("inverse meter-electron volt relationship"),
    "Ry": MEV_PER_RY,
    "Ha": 1e3 * _eV("Hartree energy in eV"),
    "K": MEV_PER_K,
    "rad/ps": MEV_PER_THZ / (2 * pi),
}
"""meV in one unit of frequency; THz is ω/2π, as all codes print it, rad/ps (ω in 10¹² s⁻¹) is ω itself."""
SPELLINGS: dict[str, tuple[str, ...]] = {
    "meV": ("milli-?electron-?volts?",),
    "eV": ("electron-?volts?",),
    "THz": ("terahertz",),
    "cm-1": (r"cm\^?\{?[-−–]1\}?", r"cm\*\*\(?[-−–]1\)?", r"cm[-−⁻]¹", r"1/cm", r"wavenumbers?"),
    "Ry": ("ryd", "rydbergs?"),
    "Ha": ("hartrees?",),
    "K": ("kelvins?",),
    "rad/ps": (r"rad\s?(?:/\s?ps|ps\^?\{?[-−–]1\}?|ps⁻¹)",),
}
"""Other spellings of a unit than its name, as regular expressions."""


def spelled(unit: str) -> str:
    """Return a regular expression for all spellings of a unit; it is meant for any case."""
    return "|".join((re.escape(unit), *SPELLINGS[unit]))


def unit_named(text: str) -> str:
    """Return the unit that a text names (``meV``, ``THz``, ``cm-1``, …), whatever its case; InputError if none."""
    for unit in MEV_PER:
        if re.fullmatch(spelled(unit), text.strip(), re.IGNORECASE):
            return unit
    raise InputError(f"{text!r} is no unit of frequency; it can be {', '.join(MEV_PER)}")
