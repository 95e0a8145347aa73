"""Phases that are one structure under two names, at whatever volume each is given."""

from __future__ import annotations

from collections.abc import Mapping

from ase import Atoms

from megabar.structures.errors import InputError
from megabar.structures.symmetry import primitive, space_group

TOLERANCES = {"ltol": 0.05, "stol": 0.05, "angle_tol": 2.0}
"""Of pymatgen's matcher (lengths relative, distances over (V/N)^⅓, degrees): a distorted structure is another one."""


def copies(structures: Mapping[str, Atoms]) -> dict[str, str]:
    """Return, by the name of each structure that is there before under another name, that first name.

    Equal composition, size of the primitive cell and space group come first, as pymatgen takes a second to import.
    """
    by_formula: dict[str, list[str]] = {}
    for name, atoms in structures.items():
        by_formula.setdefault(atoms.symbols.formula.reduce()[0].format("hill"), []).append(name)
    found: dict[str, str] = {}
    for names in by_formula.values():
        alike: dict[tuple[int, int], list[tuple[str, Atoms]]] = {}
        for name in names if len(names) > 1 else ():
            try:
                cell = primitive(structures[name])
                kind = (space_group(structures[name]).number, len(cell))
            except InputError:  # of no symmetry that can be told: no copy of anything
                continue
            first = next((each for each, other in alike.get(kind, []) if _match(cell, other)), None)
            if first is None:
                alike.setdefault(kind, []).append((name, cell))
            else:
                found[name] = first
    return found


def _match(one: Atoms, other: Atoms) -> bool:
    from pymatgen.analysis.structure_matcher import StructureMatcher
    from pymatgen.io.ase import AseAtomsAdaptor

    matcher = StructureMatcher(**TOLERANCES, primitive_cell=False, scale=True)
    return bool(matcher.fit(*(AseAtomsAdaptor.get_structure(each) for each in (one, other))))
