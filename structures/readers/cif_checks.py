"""A cell written out against everything that its CIF says of itself: formula, Z, density, multiplicities, volume."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from megabar.structures.contacts import too_close
from megabar.structures.errors import InputError
from megabar.structures.readers.cif_blocks import Block
from megabar.structures.readers.cif_sites import FULL, Site
from megabar.structures.readers.formulas import density_g_cm3, lacking, parse, text, units
from megabar.structures.readers.orbits import Cell

SAME_VOLUME, SAME_DENSITY, SAME_UNITS = 0.015, 0.1, 0.02
"""Parts by which volume, density and number of formula units may differ from what the file says."""


@dataclass(frozen=True)
class Verdict:
    """What a file says of a cell.

    wrong: in words why the cell is not the one of the file, empty where nothing contradicts it.
    confirmed: whether Z, density or multiplicities say that the number of atoms is right. notes: what disagrees.
    """

    wrong: str
    confirmed: bool
    notes: tuple[str, ...] = ()


def formula_of(block: Block) -> dict[str, float] | None:
    """Return the atoms of ``_chemical_formula_sum``, None where it is missing or cannot be understood."""
    return parse(block.text("_chemical_formula_sum"))


def check_volume(block: Block, lattice: NDArray[np.float64]) -> None:
    """Raise InputError where the cell's lengths and angles make another volume than the file says."""
    said, volume = block.number("_cell_volume"), abs(float(np.linalg.det(lattice)))
    if said is not None and said > 0 and not isclose(volume, said, rel_tol=SAME_VOLUME):
        raise InputError(
            f"its cell has {volume:.2f} Å³, and it says {said:g} Å³ (_cell_volume): a length or an angle is wrong"
        )


def check_full(sites: list[Site], lattice: NDArray[np.float64]) -> None:
    """Raise InputError where a site is only partly occupied, or shared by several atoms."""
    for site in sites:
        if site.occupancy is not None and abs(site.occupancy - 1) > FULL:
            shared = [each for each in sites if _apart(each, site, lattice) < 0.1]
            parts = ", ".join(
                f"{occupancy:g} {element}"
                for element, occupancy in sorted((each.element, each.occupancy or 0.0) for each in shared)
            )
            raise InputError(
                f"has a site that is only partly occupied or shared ({parts}); write an ordered structure instead"
            )


def _apart(one: Site, other: Site, lattice: NDArray[np.float64]) -> float:
    vector = one.position - other.position
    return float(np.linalg.norm((vector - np.round(vector)) @ lattice))


def judged(cell: Cell, sites: list[Site], block: Block, lattice: NDArray[np.float64]) -> Verdict:
    """Return what the file says of a cell that was written out."""
    counts = dict(Counter(cell.symbols))
    atoms = Atoms(cell.symbols, cell=lattice, scaled_positions=cell.positions, pbc=True)
    close = too_close(atoms)
    if close:
        return Verdict(close, confirmed=False)
    formula = formula_of(block)
    wrong = _without_hydrogen(sites, counts, formula) or _other_compound(counts, formula)
    if wrong:
        return Verdict(wrong, confirmed=False)
    votes = [*_units(counts, formula, block), *_density(cell, sites, block, atoms), *_multiplicities(cell, sites)]
    against = [words for agrees, words in votes if not agrees]
    agreed = any(agrees for agrees, _ in votes)
    if against and not agreed:
        return Verdict("; ".join(against), confirmed=False)
    return Verdict("", agreed, tuple(f"Not as the file says: {words}." for words in against))


def _without_hydrogen(sites: list[Site], counts: Mapping[str, int], formula: Mapping[str, float] | None) -> str:
    groups = [f"{site.label} ({site.group})" for site in sites if site.group]
    if groups and "H" not in counts:
        return (
            f"its site {groups[0]} stands for a group whose hydrogen has no position of its own: "
            "write the positions of H too"
        )
    if formula and lacking(counts, formula) == {"H"}:
        found = f"{counts['H']} of them" if "H" in counts else "no position of any"
        return (
            f"its formula {text(formula)} has hydrogen atoms, its list of atoms has {found}: "
            "write the positions of H too"
        )
    return ""


def _other_compound(counts: Mapping[str, int], formula: Mapping[str, float] | None) -> str:
    if formula is None or units(counts, formula) is not None:
        return ""
    return (
        f"its atoms make {text(counts)}, its formula is {text(formula)} (_chemical_formula_sum): atoms or symmetry "
        "operations are missing, too many or wrong"
    )


def _units(counts: Mapping[str, int], formula: Mapping[str, float] | None, block: Block) -> list[tuple[bool, str]]:
    """Return whether Z agrees; the formula of the whole cell, which some programs write, tells as much."""
    if formula is None:
        return []
    found, z = units(counts, formula), block.number("_cell_formula_units_z")
    assert found is not None
    whole_cell = isclose(found, 1, rel_tol=SAME_UNITS) and _is_multiple(formula, z)
    if whole_cell:
        return [(True, "")]
    if z is None or z <= 0:
        return []
    said = f"{sum(counts.values())} atoms are {found:g} formula units of {text(formula)}, Z is {z:g}"
    return [(isclose(found, z, rel_tol=SAME_UNITS), said)]


def _is_multiple(formula: Mapping[str, float], z: float | None) -> bool:
    """Return whether a formula is that of a whole cell: z times a smaller one, or any multiple where Z is not told."""
    factors = (z,) if z is not None and z > 1 else (2.0, 3.0)
    return any(all(isclose(round(count / each), count / each) for count in formula.values()) for each in factors)


def _density(cell: Cell, sites: list[Site], block: Block, atoms: Atoms) -> list[tuple[bool, str]]:
    said = block.number("_exptl_crystal_density_diffrn")
    if said is None or said <= 0:
        return []
    deuterium = sum(sites[origin].deuterium for origin in cell.origins)
    found = density_g_cm3(Counter(cell.symbols), deuterium, atoms.get_volume())
    words = f"{len(atoms)} atoms have a density of {found:.3f} g/cm³, it says {said:g} (_exptl_crystal_density_diffrn)"
    return [(isclose(found, said, rel_tol=SAME_DENSITY), words)]


def _multiplicities(cell: Cell, sites: list[Site]) -> list[tuple[bool, str]]:
    found = Counter(cell.origins)
    said = {index: sites[index].multiplicity for index in found}
    if any(each is None for each in said.values()):
        return []
    wrong = [index for index, each in said.items() if each != found[index]]
    if not wrong:
        return [(True, "")]
    first = wrong[0]
    return [(False, f"site {sites[first].label} is there {found[first]} times, its multiplicity is {said[first]}")]
