"""In which supercells a phase's force constants are computed: the same at all its volumes, chosen beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from ase import Atoms

from megabar.structures.errors import InputError
from megabar.structures.symmetry import symmetrised
from megabar.workflows.parts.force_sets import ForceSet, RandomDirections, SingleAtoms
from megabar.workflows.parts.method import Method
from megabar.workflows.structure import Structure
from megabar.workflows.yaml_input import plain, read_yaml

if TYPE_CHECKING:
    from megabar.analysis.phonons.harmonic import Array
    from megabar.structures.phase import Phase
    from megabar.workflows.question import MethodChoice

FILE = Path(__file__).with_name("protocols.yaml")
SEED = 1
"""Of random displacements: the same in all studies, so that they share calculations."""
MOST_ATOMS, LEAST_LENGTH_A = 2000, 3.0
NARROW = {"kind": "fermi-dirac", "width_eV": 0.02}
"""Smearing of supercells of insulators."""
Way = Literal["auto", "finite", "random"]
Rows = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class LatticeAsked:
    """What a study wants of its supercells; None: what its protocol says.

    length_A: from atoms to their images. repeats: three numbers, of the cell's vectors, instead of that.
    way: how atoms are displaced: one at a time, all at random, or whichever costs less.
    """

    length_A: float | None = None
    distance_A: float | None = None
    way: Way = "auto"
    repeats: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Supercell:
    """How the force constants of a phase are computed at any of its volumes.

    matrix, primitive: as phonopy has them, rows of the matrices whose columns are vectors in the cell's own.
    moves: the atom's number in the supercell and its direction in fractions of the supercell's vectors; where there are
    none, ``random`` supercells have all atoms displaced. distance_A: how far. settings: of the code, for the supercell.
    rest: whether the forces of the supercell at rest are wanted, as symmetry does not make them zero.
    considered: how many supercells the other way would take; 0 where it was not asked.
    """

    phase: str
    matrix: Rows
    primitive: tuple[tuple[float, ...], ...]
    distance_A: float
    settings: Mapping[str, Any]
    rest: bool
    moves: tuple[tuple[int, tuple[float, float, float]], ...] = ()
    random: int = 0
    considered: int = field(default=0, compare=False)

    @property
    def count(self) -> int:
        """How many displaced supercells there are at each volume."""
        return self.random or len(self.moves)

    @property
    def way(self) -> str:
        """How atoms are displaced, in words."""
        return "all atoms at random, fitted by symfc" if self.random else "one atom at a time, finite differences"

    def atoms_of(self, cell: Atoms) -> int:
        """Return how many atoms the supercell has."""
        return len(cell) * round(abs(float(np.linalg.det(np.array(self.matrix, float)))))

    def of(self, structure: Structure) -> tuple[Atoms, Atoms]:
        """Return the cell of a relaxed structure made exactly symmetric, and its supercell."""
        from megabar.analysis.phonons.supercells import supercell_of

        cell = symmetrised(structure.atoms())
        return cell, supercell_of(cell, self.matrix)

    def force_set(self, name: str, structure: Structure, method: Method, times: float = 1.0) -> ForceSet:
        """Return the displaced supercells of a relaxed structure.

        name: what their rungs go by. times: how much further than usual atoms are displaced.
        """
        _, supercell = self.of(structure)
        distance = times * self.distance_A
        if self.random:
            displaced: SingleAtoms | RandomDirections = RandomDirections(self.random, distance, SEED)
        else:
            displaced = SingleAtoms(
                tuple((atom, _moved(direction, supercell.cell.array, distance)) for atom, direction in self.moves)
            )
        return ForceSet(name, Structure.of(supercell), displaced, method, self.settings, self.rest)

    def to_dict(self) -> dict[str, Any]:
        """Return the same as JSON-able data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Supercell:
        """Return what ``to_dict`` stored."""
        fields = dict(content)
        fields["matrix"] = tuple(tuple(row) for row in content["matrix"])
        fields["primitive"] = tuple(tuple(row) for row in content["primitive"])
        fields["moves"] = tuple((atom, tuple(direction)) for atom, direction in content["moves"])
        return cls(**fields)


def _moved(direction: tuple[float, float, float], rows: Array, distance_A: float) -> tuple[float, float, float]:
    move = np.array(direction) @ rows
    x, y, z = (float(each) for each in move * distance_A / np.linalg.norm(move))
    return x, y, z


@cache
def accuracies() -> dict[str, Any]:
    """Return what the protocols mean for force constants."""
    content: dict[str, Any] = plain(read_yaml(FILE))
    return content


def supercell_for(
    phase: Phase, smallest: Atoms, asked: LatticeAsked, choice: MethodChoice, method: Method
) -> Supercell:
    """Return the supercell of a phase; smallest: its cell at about its smallest volume.

    Raises InputError where the supercell would be impossibly large.
    """
    from megabar.analysis.phonons.supercells import finite_moves, primitive_matrix_of, random_count, supercell_of
    from megabar.structures.symmetry import degrees_of_freedom

    accuracy = accuracies()[method.protocol]
    cell = symmetrised(smallest)
    matrix = _matrix(cell, asked, accuracy, phase.name)
    primitive = primitive_matrix_of(cell)
    distance = asked.distance_A or accuracy["distance_A"]
    supercell = supercell_of(cell, matrix)
    moves = finite_moves(cell, matrix, primitive, distance)
    directions = tuple((atom, _direction(move, supercell.cell.array)) for atom, move in moves)
    parts: dict[str, Any] = {
        "phase": phase.name,
        "matrix": tuple(tuple(int(each) for each in row) for row in matrix),
        "primitive": tuple(tuple(round(float(each), 10) for each in row) for row in primitive),
        "distance_A": distance,
        "settings": supercell_settings(phase, supercell, choice, method),
        "rest": degrees_of_freedom(cell).internal > 0,
    }
    finite = Supercell(**parts, moves=directions)
    if asked.way == "finite":
        return finite
    count = random_count(cell, matrix, primitive)
    random = Supercell(**parts, random=count, considered=finite.count)
    if asked.way == "random" or _cost(random, cell, method) < _cost(finite, cell, method):
        return random
    return Supercell(**parts, moves=directions, considered=count)


def _matrix(cell: Atoms, asked: LatticeAsked, accuracy: Mapping[str, Any], name: str) -> Any:
    from megabar.analysis.phonons.supercells import shortest_vector, supercell_matrix

    try:
        matrix = (
            np.diag(asked.repeats)
            if asked.repeats is not None
            else supercell_matrix(cell, asked.length_A or accuracy["length_A"])
        )
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    atoms = len(cell) * round(abs(float(np.linalg.det(matrix))))
    images = shortest_vector(matrix.T @ cell.cell.array)
    if images < LEAST_LENGTH_A:
        raise InputError(
            f"{name}: atoms of this supercell ({atoms} of them) are {images:.2f} Å from their images, and less than "
            f"{LEAST_LENGTH_A:g} Å makes no force constants; ask for more repeats"
        )
    if atoms > MOST_ATOMS:
        raise InputError(f"{name}: a supercell of {atoms} atoms is more than {MOST_ATOMS}; ask for a smaller one")
    return matrix


def _direction(move: tuple[float, float, float], rows: Array) -> tuple[float, float, float]:
    fractions = np.linalg.solve(rows.T, np.array(move))
    x, y, z = (float(each) for each in np.round(fractions / np.abs(fractions).max(), 8))
    return x, y, z


def supercell_settings(phase: Phase, supercell: Atoms, choice: MethodChoice, method: Method) -> dict[str, Any]:
    """Return the settings of a supercell: those of the phase with k-points of its own, and tighter thresholds."""
    from megabar.workflows.parts.volumes.plan import by_hand, settings_of

    found = {**settings_of(phase, supercell, method), **by_hand(phase, supercell, choice)}
    if phase.insulating and "smearing" in found:
        # Where levels of a small gap are smeared, forces are not those of the insulator: silicon's mode at Γ comes out
        # at 14.8 THz with the width that metals need, at 15.7 with none.
        found["smearing"] = dict(NARROW)
    for name, value in accuracies()[method.protocol]["scf"].get(method.code, {}).items():
        found[name] = {**found.get(name, {}), **value} if isinstance(value, dict) else value
    return found


def _cost(supercell: Supercell, cell: Atoms, method: Method) -> float:
    """Return about what the force set of a volume costs, in core-seconds of the cost model."""
    from megabar.workflows.cost import seconds

    plan = supercell.force_set("cost", Structure.of(cell), method)
    return plan.displacements.count * seconds(plan.calculation(1), None)
