"""Forces on displaced supercells, from FORCE_SETS or from a document of phonopy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from megabar.analysis.phonons.harmonic import Array
from megabar.analysis.phonons.readers.cells import Cells
from megabar.analysis.phonons.readers.documents import numbers_of, text_of
from megabar.analysis.phonons.readers.units import Units
from megabar.structures.errors import InputError

SAME_MOVE_A = 1e-4
LONGEST_A = 2.0
"""No atom is displaced further: what is, is no displacement."""


@dataclass(frozen=True, eq=False)
class ForceSets:
    """Displacements (Å) and forces (eV/Å; None where they are not there yet) of supercells: (sets, atoms, 3)."""

    source: Path
    displacements_A: Array
    forces_eV_A: Array | None

    @property
    def single(self) -> bool:
        """Whether each supercell has one atom displaced."""
        return bool(((np.abs(self.displacements_A).max(axis=2) > 1e-12).sum(axis=1) == 1).all())


def sets_in_document(document: Mapping[str, Any], path: Path, cells: Cells, units: Units) -> ForceSets | None:
    """Return what a document holds of displacements and forces; None where it holds none."""
    from phonopy.interface.phonopy_yaml import PhonopyYamlLoader
    from phonopy.structure.dataset import forces_in_dataset, get_displacements_and_forces

    keys = ("displacements", "dataset", "supercell_energies")
    plain = {key: document[key] for key in keys if document.get(key)}
    if not plain:
        return None
    try:
        dataset = PhonopyYamlLoader({**plain, "natom": len(cells.own.supercell)}).parse().data.dataset
        if dataset is None:
            return None
        there = forces_in_dataset(dataset)
        numbers = [each["number"] for each in dataset.get("first_atoms", ())]
        _check_numbers(numbers, len(cells.own.supercell), path)
        if "first_atoms" in dataset:
            dataset["natom"] = len(cells.own.supercell)
            if there:
                rows = {len(each["forces"]) for each in dataset["first_atoms"] if "forces" in each}
                _check_count(rows.pop() if len(rows) == 1 else 0, len(cells.own.supercell), path)
        moves, forces = get_displacements_and_forces(dataset)
    except (KeyError, ValueError, TypeError, IndexError, RuntimeError, AttributeError) as error:
        raise InputError(f"{path}: its displacements cannot be read ({type(error).__name__}: {error})") from None
    _check_count(moves.shape[1], len(cells.own.supercell), path)
    return _in_order(path, np.asarray(moves), np.asarray(forces) if there else None, cells, units)


def read_force_sets(path: Path, cells: Cells, units: Units) -> ForceSets:
    """Return the forces of a FORCE_SETS file of either kind: one displaced atom each, or all.

    Raises InputError where it is cut off or holds forces of another number of atoms than the supercell has.
    """
    text, atoms = text_of(path), len(cells.own.supercell)
    first = next(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    values = numbers_of(text, path)
    if len(first.split()) == 1:
        moves, forces = _single(values, atoms, path)
    elif len(first.split()) == 6:
        if len(values) % (6 * atoms):
            raise InputError(
                f"{path}: its {len(values) // 6} lines of displacement and force are no multiple of the {atoms} "
                "atoms of the supercell"
            )
        table = np.array(values).reshape(-1, atoms, 6)
        moves, forces = table[..., :3], table[..., 3:]
    else:
        raise InputError(f"{path}: it is no FORCE_SETS: its first line holds neither one number nor six")
    if not np.isfinite(forces).all():
        raise InputError(f"{path}: it holds forces that are no numbers")
    return _in_order(path, moves, forces, cells, units)


def _single(values: list[float], atoms: int, path: Path) -> tuple[Array, Array]:
    if len(values) < 2:
        raise InputError(f"{path}: it holds no displacements")
    _check_count(int(values[0]), atoms, path)
    count, length = int(values[1]), 4 + 3 * atoms
    there = (len(values) - 2) // length
    if len(values) != 2 + count * length:
        raise InputError(
            f"{path}: it says {count} displacements and holds {there}"
            + (" and a part" if (len(values) - 2) % length else "")
            + "; is it cut off?"
        )
    blocks = np.array(values[2:]).reshape(count, length)
    numbers = np.round(blocks[:, 0]).astype(int) - 1
    _check_numbers(numbers.tolist(), atoms, path)
    moves = np.zeros((count, atoms, 3))
    moves[np.arange(count), numbers] = blocks[:, 1:4]
    return moves, blocks[:, 4:].reshape(count, atoms, 3)


def _check_count(found: int, atoms: int, path: Path) -> None:
    if found != atoms:
        raise InputError(
            f"{path}: it holds forces on {found} atoms, the supercell has {atoms}: forces of another supercell"
        )


def _check_numbers(numbers: list[int], atoms: int, path: Path) -> None:
    wrong = [number for number in numbers if not 0 <= number < atoms]
    if wrong:
        raise InputError(f"{path}: atom {wrong[0] + 1} is displaced, the supercell has {atoms}")


def _in_order(path: Path, moves: Array, forces: Array | None, cells: Cells, units: Units) -> ForceSets:
    moves = moves[:, cells.supercell] * units.length_A
    if not np.isfinite(moves).all() or np.abs(moves).max(initial=0.0) > LONGEST_A:
        raise InputError(f"{path}: an atom is displaced by {np.abs(moves).max():.3g} Å: these are no displacements")
    still = np.flatnonzero(np.abs(moves).max(axis=(1, 2)) < 1e-8)
    if len(still):
        raise InputError(f"{path}: in supercell {still[0] + 1} no atom is displaced")
    return ForceSets(path, moves, None if forces is None else forces[:, cells.supercell] * units.force_eV_A)


def check_displacements(found: ForceSets, asked: ForceSets | None) -> str | None:
    """Return a note where forces of some displacements are not there, None where all are those that were asked for.

    Raises InputError where forces are of other displacements, or where those of single atoms are missing.
    """
    if asked is None:
        return None
    many, wanted = len(found.displacements_A), len(asked.displacements_A)
    single = found.single and asked.single
    if many > wanted or (single and many < wanted):
        raise InputError(
            f"{found.source}: it holds forces of {many} displacements, {asked.source.name} has {wanted}"
            + (": displacements are missing" if many < wanted else "")
        )
    off = np.abs(found.displacements_A - asked.displacements_A[:many]).max(axis=(1, 2))
    wrong = np.flatnonzero(off > SAME_MOVE_A)
    if len(wrong):
        place = int(wrong[0])
        raise InputError(
            f"{found.source}: its displacement {place + 1} ({_move(found, place)}) is not that of {asked.source.name} "
            f"({_move(asked, place)}): forces of other displacements, or atoms in another order"
        )
    if many < wanted:
        return f"{found.source.name} has forces of {many} of the {wanted} displaced supercells"
    return None


def _move(sets: ForceSets, place: int) -> str:
    moves = sets.displacements_A[place]
    atoms = np.flatnonzero(np.abs(moves).max(axis=1) > 1e-12)
    if len(atoms) != 1:
        return f"{len(atoms)} atoms displaced"
    return f"atom {atoms[0] + 1} by ({', '.join(f'{x:.4f}' for x in moves[atoms[0]])}) Å"
