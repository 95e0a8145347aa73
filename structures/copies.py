"""Phases that are one structure under two names, at whatever volume each is given."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any

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
        alike: dict[tuple[int, int], list[tuple[str, _Reduced]]] = {}
        for name in names if len(names) > 1 else ():
            try:
                cell = _Reduced(primitive(structures[name]))
                kind = (space_group(structures[name]).number, len(cell.atoms))
            except InputError:  # of no symmetry that can be told: no copy of anything
                continue
            first = next((each for each, other in alike.get(kind, []) if _match(cell, other)), None)
            if first is None:
                alike.setdefault(kind, []).append((name, cell))
            else:
                found[name] = first
    return found


class _Reduced:
    """A primitive cell that becomes pymatgen's reduced one when it is first compared, and only then."""

    def __init__(self, atoms: Atoms) -> None:
        self.atoms = atoms

    @cached_property
    def structure(self) -> Any:
        from pymatgen.io.ase import AseAtomsAdaptor

        return AseAtomsAdaptor.get_structure(self.atoms).get_reduced_structure(reduction_algo="niggli")


def _match(one: _Reduced, other: _Reduced) -> bool:
    return bool(_matcher().fit(one.structure, other.structure, skip_structure_reduction=True))


@cache
def _matcher() -> Any:
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return StructureMatcher(**TOLERANCES, primitive_cell=False, scale=True)
