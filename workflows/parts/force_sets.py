"""Force sets: the forces on the atoms of displaced supercells, a calculation each.

The supercells follow from the plan, so that a study of thousands stores none of them: single atoms that are displaced,
as phonopy asks for, or all atoms at random, for fits of force constants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from megabar.workflows.calculation import Calculation
from megabar.workflows.parts.method import Method
from megabar.workflows.parts.rung import NumberedRung, NumberedState, rungs_of
from megabar.workflows.store import CalculationRecord
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Histories
from megabar.workflows.tasks.single_point import SinglePoint

Array = NDArray[np.float64]
Records = Mapping[str, CalculationRecord]
KIND = "forces"
TASK = SinglePoint(forces=True)


@dataclass(frozen=True)
class SingleAtoms:
    """One displaced atom a supercell. moves: the atom's number and its displacement (Å), by supercell."""

    moves: tuple[tuple[int, tuple[float, float, float]], ...]

    @property
    def count(self) -> int:
        """How many supercells there are."""
        return len(self.moves)

    def of(self, number: int, atoms: int) -> Array:
        """Return the displacements (Å, atoms × 3) of a supercell, the first one being number 1."""
        found = np.zeros((atoms, 3))
        atom, move = self.moves[number - 1]
        found[atom] = move
        return found


@dataclass(frozen=True)
class RandomDirections:
    """All atoms displaced by one distance (Å) in directions that are drawn at random, the same ones at every call."""

    count: int
    distance_A: float
    seed: int

    def of(self, number: int, atoms: int) -> Array:
        """Return the displacements (Å, atoms × 3) of a supercell, the first one being number 1."""
        drawn = np.random.default_rng([self.seed, number]).standard_normal((atoms, 3))
        lengths: Array = np.linalg.norm(drawn, axis=1)[:, None]
        return self.distance_A * drawn / lengths


@dataclass(frozen=True)
class ForceSet:
    """The displaced supercells of one structure.

    phase: what their rungs go by. supercell: the one without displacements, number 0, whose forces are wanted too where
    rest is True: those that a structure which is not quite relaxed has.
    """

    phase: str
    supercell: Structure
    displacements: SingleAtoms | RandomDirections
    method: Method
    settings: Mapping[str, Any]
    rest: bool = False

    @property
    def numbers(self) -> range:
        """The numbers of the supercells."""
        return range(0 if self.rest else 1, self.displacements.count + 1)

    def displaced(self, number: int) -> Array:
        """Return the displacements (Å, atoms × 3) of a supercell."""
        atoms = len(self.supercell.symbols)
        return np.zeros((atoms, 3)) if number == 0 else self.displacements.of(number, atoms)

    def calculation(self, number: int) -> Calculation:
        """Return the calculation of a supercell's forces."""
        atoms = self.supercell.atoms()
        atoms.positions += self.displaced(number)
        return Calculation(
            code=self.method.code,
            version=self.method.version,
            settings=self.settings,
            structure=Structure.of(atoms),
            data=tuple(each for each in self.method.data if each.element in self.supercell.symbols),
            task=TASK,
        )


@dataclass(frozen=True, eq=False)
class ForceSetState(NumberedState[ForceSet]):
    """How a force set stands."""


@dataclass(frozen=True, eq=False)
class Forces:
    """Forces of the supercells with some numbers.

    displacements_A, forces_eV_A: supercells × atoms × 3, the forces without those of the supercell at rest where these
    are known. energies_eV: of the supercells. drift_eV_A: the largest sum of the forces of a supercell, over the number
    of its atoms; it is taken out of the forces.
    """

    numbers: tuple[int, ...]
    displacements_A: Array
    forces_eV_A: Array
    energies_eV: Array
    drift_eV_A: float


def force_set_state(plan: ForceSet, rungs: Sequence[Mapping[str, Any]], records: Records) -> ForceSetState:
    """Return how a force set stands; rungs as stored with the study, records by key."""
    return ForceSetState(plan, rungs_of(rungs, plan.phase, KIND), records)


def forces_wanted(state: ForceSetState, purpose: str = "force constants") -> list[NumberedRung]:
    """Return the supercells that were not asked for yet: all of them at once, as none waits for another."""
    return [
        NumberedRung(state.plan.phase, number, state.plan.calculation(number).key, KIND, purpose)
        for number in state.plan.numbers
        if number not in state.keys
    ]


def collect(state: ForceSetState, histories: Histories) -> Forces:
    """Return the forces that are there, one supercell after the other, so that no more than they are in memory."""
    plan = state.plan
    numbers, atoms = [number for number in state.done if number > 0], len(plan.supercell.symbols)
    forces, energies = np.empty((len(numbers), atoms, 3)), np.empty(len(numbers))
    rest = _forces(state, 0, histories) if 0 in state.done else np.zeros((atoms, 3))
    for place, number in enumerate(numbers):
        forces[place] = _forces(state, number, histories) - rest
        energy = state.records[state.keys[number]].energy_eV_per_atom
        energies[place] = np.nan if energy is None else energy * atoms
    drift = forces.mean(axis=1)
    return Forces(
        numbers=tuple(numbers),
        displacements_A=np.array([plan.displaced(number) for number in numbers]).reshape(-1, atoms, 3),
        forces_eV_A=forces - drift[:, None, :],
        energies_eV=energies,
        drift_eV_A=float(np.linalg.norm(drift, axis=1).max(initial=0.0)),
    )


def _forces(state: ForceSetState, number: int, histories: Histories) -> Array:
    key = state.keys[number]
    found = TASK.result(state.records[key], histories(key)).forces_eV_A
    if found is None:
        raise RuntimeError(f"{key}, a supercell of {state.plan.phase}, has no forces")
    return found
