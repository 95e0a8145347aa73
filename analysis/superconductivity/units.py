"""Units of phonon frequencies, as energies in meV (CODATA values of scipy)."""

from __future__ import annotations

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
}
"""meV in one unit of frequency; THz is ω/2π, as all codes print it."""
_ALIASES = {"cm^-1": "cm-1", "1/cm": "cm-1", "cm⁻¹": "cm-1", "hartree": "Ha", "rydberg": "Ry", "kelvin": "K"}


def unit_named(text: str) -> str:
    """Return the unit that a text names (``meV``, ``THz``, ``cm-1``, …), whatever its case; InputError if none."""
    wanted = text.strip().lower()
    for unit in (*MEV_PER, *_ALIASES):
        if unit.lower() == wanted:
            return _ALIASES.get(unit, unit)
    raise InputError(f"{text!r} is no unit of frequency; it can be {', '.join(MEV_PER)}")
