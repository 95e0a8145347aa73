"""Masses of isotopes."""

from __future__ import annotations

from ase.data import atomic_masses, atomic_numbers

from megabar.structures.errors import InputError

LIGHTEST, HEAVIEST = 0.5, 3.1
"""Shares of an element's usual mass: tritium has three times that of hydrogen, all other isotopes are nearer."""


def check_isotope(species: str, mass_u: float, source: str) -> None:
    """Raise InputError for a mass (u) that no isotope of an element comes near."""
    usual = float(atomic_masses[atomic_numbers[species]]) if species in atomic_numbers else mass_u
    if not LIGHTEST * usual <= mass_u <= HEAVIEST * usual:
        raise InputError(f"{source}: a mass of {mass_u:g} u is no isotope of {species} ({usual:.4g} u)")
