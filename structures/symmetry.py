"""Space groups, primitive cells, and what symmetry leaves free: coordinates and cell shape."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from megabar.structures.errors import InputError

SYMPREC_A = 0.01
"""Distance (Å) below which positions count as equal: coarser than a relaxation's noise, finer than a distortion."""


@dataclass(frozen=True)
class SpaceGroup:
    """A space group by its number (1 to 230) and its short Hermann–Mauguin symbol, e.g. 225 and ``Fm-3m``."""

    number: int
    symbol: str

    def __str__(self) -> str:
        return f"{self.symbol} ({self.number})"


@dataclass(frozen=True)
class Freedom:
    """What a relaxation at fixed volume may change without breaking the symmetry.

    internal: independent internal coordinates of the atoms, rigid shifts of the whole crystal not counted.
    shape: independent strains that conserve the volume (0 for a cubic cell, 5 for a triclinic one).
    """

    internal: int
    shape: int


def space_group(atoms: Atoms, symprec: float = SYMPREC_A) -> SpaceGroup:
    """Return the space group found with a tolerance ``symprec`` (Å).

    Raises InputError where no symmetry can be determined (e.g. two atoms in the same place).
    """
    dataset = _dataset(atoms, symprec)
    return SpaceGroup(int(dataset.number), str(dataset.international))


def primitive(atoms: Atoms, symprec: float = SYMPREC_A) -> Atoms:
    """Return the standardised primitive cell, made exactly symmetric; axes as spglib standardises them.

    Raises InputError where no symmetry can be determined.
    """
    found = ask_spglib("standardize_cell", _cell(atoms), to_primitive=True, no_idealize=False, symprec=symprec)
    if found is None:
        raise InputError(f"no symmetry can be determined for {_name(atoms)}: are two atoms in the same place?")
    lattice, positions, numbers = found
    return Atoms(numbers=numbers, cell=lattice, scaled_positions=positions, pbc=True)


def degrees_of_freedom(atoms: Atoms, symprec: float = SYMPREC_A) -> Freedom:
    """Return how many internal coordinates and volume-conserving strains the symmetry leaves free.

    The dimension of the space of vectors that every operation of a group leaves unchanged is the mean of the
    operations' traces (characters) over the group: whole numbers, hence exact. Displacements transform as
    (permutation of atoms) x (rotation), strains as the symmetric square of the rotation.
    Raises InputError where no symmetry can be determined.
    """
    atoms = primitive(atoms, symprec)  # A supercell's shape may hide operations.
    dataset = _dataset(atoms, symprec)
    rotations = np.asarray(dataset.rotations, dtype=int)
    positions = atoms.get_scaled_positions()
    lattice = np.asarray(atoms.cell[:], dtype=float)
    displacements = translations = strains = 0
    for rotation, translation in zip(rotations, dataset.translations, strict=True):
        trace = int(np.trace(rotation))
        displacements += trace * _unmoved(positions, lattice, rotation, translation, symprec)
        translations += trace
        strains += (trace**2 + int(np.trace(rotation @ rotation))) // 2
    order = len(rotations)
    return Freedom(internal=_whole(displacements - translations, order), shape=_whole(strains, order) - 1)


def same_symmetry(before: Atoms, after: Atoms, symprec: float = SYMPREC_A) -> str | None:
    """Return in words how the symmetry changed between two cells of one phase, or None where it did not.

    Compared are the space group and the number of atoms in the primitive cell.
    """
    old, new = space_group(before, symprec), space_group(after, symprec)
    old_size, new_size = len(primitive(before, symprec)), len(primitive(after, symprec))
    if old == new and old_size == new_size:
        return None
    change = f"{old} became {new}" if old != new else f"{old} kept"
    if old_size != new_size:
        change += f", primitive cell of {old_size} atoms became one of {new_size}"
    return change


def rattled(atoms: Atoms, amplitude_A: float, seed: int) -> Atoms:
    """Return a copy with all symmetry broken: random displacements and a random strain of unchanged volume.

    amplitude_A: standard deviation (Å) of each Cartesian displacement, the strain's being that over the
    mean distance of atoms; the centre of the atoms stays. The same seed gives the same cell.
    """
    random = np.random.default_rng(seed)
    copy = atoms.copy()
    spacing = (atoms.get_volume() / len(atoms)) ** (1 / 3)
    strain = random.normal(scale=amplitude_A / spacing, size=(3, 3))
    deformation = np.eye(3) + (strain + strain.T) / 2
    deformation /= np.linalg.det(deformation) ** (1 / 3)
    copy.set_cell(atoms.cell[:] @ deformation, scale_atoms=True)
    displacements = random.normal(scale=amplitude_A, size=(len(atoms), 3))
    copy.positions += displacements - displacements.mean(axis=0)
    return copy


def _unmoved(
    positions: NDArray[np.float64],
    lattice: NDArray[np.float64],
    rotation: NDArray[np.int_],
    translation: NDArray[np.float64],
    symprec: float,
) -> int:
    """Return how many atoms an operation maps onto themselves (modulo the lattice)."""
    moved = positions @ rotation.T + translation - positions
    moved -= np.round(moved)
    return int(np.count_nonzero(np.linalg.norm(moved @ lattice, axis=1) < 2 * symprec))


def _whole(total: int, order: int) -> int:
    value = Fraction(total, order)
    if value.denominator != 1:
        raise RuntimeError(f"the symmetry operations are not a group: {total}/{order} is not whole")
    return value.numerator


def _dataset(atoms: Atoms, symprec: float) -> Any:
    dataset = ask_spglib("get_symmetry_dataset", _cell(atoms), symprec=symprec)
    if dataset is None:
        raise InputError(f"no symmetry can be determined for {_name(atoms)}: are two atoms in the same place?")
    return dataset


def _cell(atoms: Atoms) -> tuple[Any, Any, Any]:
    return (atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers)


def _name(atoms: Atoms) -> str:
    return str(atoms.get_chemical_formula())


@contextmanager
def quiet_spglib() -> Iterator[None]:
    """Silence what spglib from 2.8 on says in every call: that its old way of telling failures will go.

    Which way is on is a global switch that other libraries rely on, so it is left alone here.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def ask_spglib(function: str, *arguments: Any, **options: Any) -> Any:
    """Return what a function of spglib does; None where it fails, told the old way (None) or the new (an exception)."""
    import spglib

    with quiet_spglib():
        try:
            return getattr(spglib, function)(*arguments, **options)
        except Exception as error:
            if type(error).__module__.startswith("spglib"):
                return None
            raise


def conventional(atoms: Atoms, symprec: float = SYMPREC_A) -> tuple[Atoms, list[list[int]]]:
    """Return the standardised conventional cell and its sets of equivalent atoms, as places in it.

    Raises InputError where no symmetry can be determined.
    """
    found = ask_spglib("standardize_cell", _cell(atoms), to_primitive=False, no_idealize=False, symprec=symprec)
    if found is None:
        raise InputError(f"no symmetry can be determined for {_name(atoms)}: are two atoms in the same place?")
    lattice, positions, numbers = found
    cell = Atoms(numbers=numbers, cell=lattice, scaled_positions=positions, pbc=True)
    groups: dict[int, list[int]] = {}
    for place, first in enumerate(_dataset(cell, symprec).equivalent_atoms):
        groups.setdefault(int(first), []).append(place)
    return cell, list(groups.values())


def conventional_matrix(atoms: Atoms, symprec: float = SYMPREC_A) -> NDArray[np.int64] | None:
    """Return the conventional cell's vectors (columns) in those of a cell; None where these are no whole numbers."""
    found = np.linalg.inv(_dataset(atoms, symprec).transformation_matrix)
    whole = np.round(found)
    if np.abs(found - whole).max() > 1e-3 or round(abs(float(np.linalg.det(whole)))) < 1:
        return None
    return np.array(whole, dtype=np.int64)


def symmetrised(atoms: Atoms, symprec: float = SYMPREC_A) -> Atoms:
    """Return the same cell made exactly symmetric: its metric and positions averaged over all operations.

    Axes, orientation and the order of the atoms stay. Raises InputError where no symmetry can be determined.
    """
    dataset = _dataset(atoms, symprec)
    cell = np.asarray(atoms.cell[:], dtype=float)
    metric = np.mean([r.T @ (cell @ cell.T) @ r for r in np.asarray(dataset.rotations, dtype=float)], axis=0)
    # The symmetric stretch that takes the old metric to the new one leaves the orientation.
    start = np.linalg.inv(cell)
    stretch = start @ metric @ start.T
    values, vectors = np.linalg.eigh((stretch + stretch.T) / 2)
    lattice = cell @ (vectors * np.sqrt(values)) @ vectors.T
    places = atoms.get_scaled_positions(wrap=False)
    shifts = np.zeros_like(places)
    for rotation, translation in zip(dataset.rotations, dataset.translations, strict=True):
        moved = places @ np.asarray(rotation, dtype=float).T + translation
        for image in moved:
            off = image - places
            off -= np.round(off)
            near = int(np.argmin(np.linalg.norm(off @ cell, axis=1)))
            shifts[near] += off[near]
    found = atoms.copy()
    found.set_cell(lattice, scale_atoms=False)
    found.set_scaled_positions(places + shifts / len(dataset.rotations))
    return found
