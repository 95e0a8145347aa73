"""The library of known phases: YAML files, one an element or system, in the folder ``library``.

A file holds ``system`` (elements joined by dashes), ``gaps`` (what is known to be missing, in words) and
``phases``, each with

    name              unique, e.g. Na-hP4
    group             space-group number; first (standard) setting, hexagonal axes for rhombohedral lattices
    origin            1 or 2, only for the groups that have two origin choices
    cell              a, b, c (Å), alpha, beta, gamma (degrees) of the conventional cell
    atoms             one atom of each orbit: element and fractional coordinates, numbers or fractions such as 1/3
    pressure_GPa      pressure at which the cell is roughly right
    known_GPa         pressures between which the phase is known or predicted
    bulk_modulus_GPa  rough bulk modulus at that pressure
    insulating        true where it has a gap at all these pressures (default false)
    source, doi, note citation, what was seen of it and what is approximate
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from ase import Atoms
from ase.cell import Cell
from numpy.typing import NDArray

from megabar.structures.composition import parse_system
from megabar.structures.errors import InputError
from megabar.structures.phase import Phase
from megabar.structures.symmetry import quiet_spglib

SAME_PLACE = 1e-3
"""Two images of an atom closer than this (fractional) are one: a few 1e-5 of rounding in x become 1e-4."""

# Primitive vectors (columns) in terms of the conventional ones by centring, as spglib standardises them.
_PRIMITIVE = {
    "P": "1 0 0  0 1 0  0 0 1",
    "A": "1 0 0  0 1/2 -1/2  0 1/2 1/2",
    "C": "1/2 1/2 0  -1/2 1/2 0  0 0 1",
    "I": "-1/2 1/2 1/2  1/2 -1/2 1/2  1/2 1/2 -1/2",
    "F": "0 1/2 1/2  1/2 0 1/2  1/2 1/2 0",
    "R": "2/3 -1/3 -1/3  1/3 1/3 -2/3  1/3 1/3 1/3",
}


@cache
def library() -> dict[str, Phase]:
    """Return all phases of the library by name; the same dictionary every time, not to be changed."""
    with quiet_spglib():
        return {entry["name"]: _phase(entry) for content in _contents() for entry in content["phases"]}


def phases_of(elements: Sequence[str]) -> list[Phase]:
    """Return every phase made of some or all of the elements and no others, in the order of the files."""
    allowed = set(elements)
    return [phase for phase in library().values() if allowed.issuperset(phase.counts)]


def gaps_of(elements: Sequence[str]) -> list[str]:
    """Return in words what the library is known to lack among the phases made of these elements."""
    allowed = set(elements)
    return [
        f"{content['system']}: {' '.join(content['gaps'].split())}"
        for content in _contents()
        if content.get("gaps") and allowed.issuperset(parse_system(content["system"]))
    ]


def find_phase(name: str) -> Phase:
    """Return the phase of a name, upper and lower case alike.

    Raises InputError with the nearest names where there is none.
    """
    phases = library()
    if name in phases:
        return phases[name]
    lowered = {each.lower(): each for each in phases}
    wanted = name.strip().lower()
    if wanted in lowered:
        return phases[lowered[wanted]]
    close = difflib.get_close_matches(wanted, list(lowered), n=3, cutoff=0.5)
    hint = f"; did you mean {', '.join(lowered[each] for each in close)}?" if close else ""
    raise InputError(f"the library has no phase {name!r}{hint} (`megabar phases` lists them all)")


@cache
def _contents() -> list[dict[str, Any]]:
    """Return the contents of all files, sorted by name."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    files = sorted(
        (each for each in resources.files(__package__).joinpath("library").iterdir() if each.name.endswith(".yaml")),
        key=lambda each: each.name,
    )
    return [yaml.load(each.read_text(encoding="utf-8"), Loader=loader) for each in files]


def _phase(entry: dict[str, Any]) -> Phase:
    modulus = entry.get("bulk_modulus_GPa")
    lowest, highest = entry["known_GPa"]
    return Phase(
        name=entry["name"],
        atoms=_crystal(entry),
        pressure_GPa=float(entry["pressure_GPa"]),
        known_GPa=(float(lowest), float(highest)),
        source=_sentence(entry["source"]),
        doi=entry.get("doi", ""),
        note=_sentence(entry.get("note", "")),
        insulating=bool(entry.get("insulating", False)),
        bulk_modulus_GPa=None if modulus is None else float(modulus),
    )


def _sentence(text: str) -> str:
    return " ".join(text.split())


def _crystal(entry: dict[str, Any]) -> Atoms:
    """Return the primitive cell of an entry: its orbits written out with the operations of its space group."""
    import spglib

    hall = _hall_numbers()[(entry["group"], entry.get("origin"))]
    operations = spglib.get_symmetry_from_database(hall)
    centring = spglib.get_spacegroup_type(hall).international_short[0]
    to_primitive = np.array([float(Fraction(each)) for each in _PRIMITIVE[centring].split()]).reshape(3, 3)
    to_fractional = np.linalg.inv(to_primitive)
    symbols: list[str] = []
    positions: list[NDArray[np.float64]] = []
    for symbol, *coordinates in entry["atoms"]:
        site = np.array([float(Fraction(str(each))) for each in coordinates])
        images = operations["rotations"] @ site + operations["translations"]
        orbit = _distinct(images @ to_fractional.T)
        symbols += [symbol] * len(orbit)
        positions += orbit
    lattice = to_primitive.T @ Cell.fromcellpar(entry["cell"])[:]
    return Atoms(symbols, cell=lattice, scaled_positions=positions, pbc=True)


def _distinct(images: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return one of each set of positions that are the same modulo the lattice, in order."""
    # Not rounded: codes that look for symmetry again want a third to be one to the last digit.
    remaining = images - np.floor(images + 1e-9)
    distinct = []
    while len(remaining):
        first = remaining[0]
        apart = remaining - first
        apart -= np.round(apart)
        distinct.append(first)
        remaining = remaining[np.abs(apart).max(axis=1) > SAME_PLACE]
    return distinct


@cache
def _hall_numbers() -> dict[tuple[int, int | None], int]:
    """Return spglib's Hall number of each space group's standard setting, by number and origin choice."""
    import spglib

    numbers: dict[tuple[int, int | None], int] = {}
    for hall in range(1, 531):
        kind = spglib.get_spacegroup_type(hall)
        origin = int(kind.choice[0]) if kind.choice[:1] in ("1", "2") else None
        numbers.setdefault((kind.number, origin), hall)
    return numbers
