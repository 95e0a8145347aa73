"""The list of atoms of a CIF: which element each site is, where it is, and whether it is full."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from megabar.structures.errors import InputError
from megabar.structures.readers.cif_blocks import UNKNOWN, Block, number
from megabar.structures.readers.formulas import HYDROGEN

FULL = 1e-3
"""Occupancies that differ from one by less are full."""
_WATER = re.compile(r"(?:wat|water|h2o|ow|wa|w)(?![a-z])", re.IGNORECASE)
_HYDROXYL = re.compile(r"(?:o[-_]?h|\(?oh\)?)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Site:
    """One site of the list.

    label: as the file has it. element: its symbol, H for deuterium. position: fractional coordinates.
    group: ``OH`` or ``H2O`` where the label stands for the oxygen of such a group. occupancy: None where unknown.
    multiplicity: in the cell, as the file says it; None where it does not.
    """

    label: str
    element: str
    position: NDArray[np.float64]
    occupancy: float | None
    group: str = ""
    deuterium: bool = False
    multiplicity: int | None = None


def sites_of(block: Block, lattice: NDArray[np.float64], elements: Collection[str]) -> tuple[list[Site], list[str]]:
    """Return the sites of a block and notes about those left out.

    lattice: rows are vectors (Å), for Cartesian coordinates. elements: those of the file's formula, which decide
    between C and Ca in a label ``CA1``; none where it gives no formula. Raises InputError that names the site.
    """
    labels = block.column("_atom_site_label", "_atom_site_type_symbol")
    types = block.column("_atom_site_type_symbol") or ("",) * len(labels)
    positions = _positions(block, labels, lattice)
    occupancies = block.column("_atom_site_occupancy") or ("1",) * len(labels)
    flags = block.column("_atom_site_calc_flag") or ("",) * len(labels)
    hydrogens = block.column("_atom_site_attached_hydrogens") or ("0",) * len(labels)
    multiplicities = block.column("_atom_site_site_symmetry_multiplicity", "_atom_site_symmetry_multiplicity") or (
        "",
    ) * len(labels)
    sites, notes = [], []
    rows = zip(labels, types, positions, occupancies, flags, hydrogens, multiplicities, strict=True)
    for label, kind, position, occupancy, flag, attached, multiplicity in rows:
        if flag.lower() == "dum":
            continue
        if (number(attached) or 0) > 0:
            raise InputError(
                f"its site {label} has {attached} hydrogen atoms attached that have no positions of their own"
            )
        filled = _occupancy(label, occupancy)
        if filled == 0:
            notes.append(f"Site {label} is empty (occupancy 0) and left out.")
            continue
        if position is None:
            raise InputError(f"its site {label} has no position (its coordinates are unknown)")
        element, group = element_of(label, kind, elements)
        count = number(multiplicity)
        whole = int(count) if count is not None and count > 0 else None
        symbol = HYDROGEN.get(element, element)
        sites.append(Site(label, symbol, position, filled, group, element == "D", whole))
    return sites, notes


def _positions(block: Block, labels: tuple[str, ...], lattice: NDArray[np.float64]) -> list[NDArray[np.float64] | None]:
    """Return fractional coordinates, None for a site that has none."""
    axes = [block.column(f"_atom_site_fract_{axis}") for axis in "xyz"]
    cartesian = not all(axes)
    if cartesian:
        axes = [block.column(f"_atom_site_cartn_{axis}") for axis in "xyz"]
    if not all(len(axis) == len(labels) for axis in axes):
        raise InputError("its list of atoms has no coordinates (_atom_site_fract_x, _y, _z)")
    found: list[NDArray[np.float64] | None] = []
    for label, *words in zip(labels, *axes, strict=True):
        if any(word.strip() in UNKNOWN for word in words):
            found.append(None)
            continue
        values = [number(word) for word in words]
        if None in values or not np.isfinite(np.array(values, dtype=float)).all():
            raise InputError(f"its site {label} is at {', '.join(words)}, which are no coordinates")
        position = np.array(values, dtype=float)
        found.append(position @ np.linalg.inv(lattice) if cartesian else position)
    return found


def _occupancy(label: str, word: str) -> float | None:
    if word.strip() in ("", "."):
        return 1.0  # the dictionary's own default
    if word.strip() == "?":
        return None
    value = number(word)
    if value is None or not value >= 0:
        raise InputError(f"its site {label} has the occupancy {word!r}, which is no number")
    return value


def element_of(label: str, kind: str, elements: Collection[str]) -> tuple[str, str]:
    """Return the element (D for deuterium) of a site, and ``OH`` or ``H2O`` where it stands for such a group.

    kind: its type symbol, e.g. ``Fe3+``, empty where there is none. Raises InputError where it cannot be told.
    """
    names = [word for word in (kind, label) if word.strip() not in UNKNOWN]
    for word in names:
        found = _element(word.strip(), elements)
        if found is not None:
            return found
    raise InputError(f"its site {label} names no element{f' of its formula ({_list(elements)})' if elements else ''}")


def _element(word: str, elements: Collection[str]) -> tuple[str, str] | None:
    letters = (re.match(r"[A-Za-z]*", word) or [""])[0]
    tungsten = letters[:1] == "W" and ("W" in elements if elements else len(letters) == 1)
    for pattern, group in ((_HYDROXYL, "OH"), (_WATER, "H2O")):
        if pattern.match(word) and not tungsten:
            return "O", group
    two, one = letters[:2].capitalize(), letters[:1].upper()
    proper = letters[1:2].islower() or len(letters) == 1
    known = [each for each in dict.fromkeys((two, one)) if (each in atomic_numbers and each != "X") or each == "D"]
    if not known:
        return None
    if elements:
        known = [each for each in known if HYDROGEN.get(each, each) in elements]
        if not known:
            return None
    if proper or len(known) == 1:
        return known[0], ""
    raise InputError(f"its site {word} may be {known[0]} or {known[1]}; write its _atom_site_type_symbol")


def _list(elements: Collection[str]) -> str:
    return ", ".join(sorted(elements))
