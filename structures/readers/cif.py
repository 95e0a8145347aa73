"""Structures from CIFs: the operations that a file lists decide, and the result is what the file says of itself.

Neither the symbol nor the reader of one program is believed alone: many files give an old symbol, or one of another
setting or origin, beside a right list of operations.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.cell import Cell as AseCell
from numpy.typing import NDArray

from megabar.structures.errors import InputError
from megabar.structures.readers.cif_blocks import Block, blocks_of
from megabar.structures.readers.cif_checks import Verdict, check_full, check_volume, formula_of, judged
from megabar.structures.readers.cif_sites import Site, sites_of
from megabar.structures.readers.found import Found
from megabar.structures.readers.operations import Operations, listed, of_hall, of_number, of_symbol
from megabar.structures.readers.orbits import Cell, written_out
from megabar.structures.readers.pressures import pressure_of_cif

SYMBOL = ("_space_group_name_h-m_alt", "_symmetry_space_group_name_h-m", "_space_group_name_h-m_full")
NUMBER = ("_space_group_it_number", "_symmetry_int_tables_number")
HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
LISTED = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
SAME_PLACE_A = 0.005


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A cell as one set of operations makes it, and what the file says of it."""

    operations: Operations
    cell: Cell
    verdict: Verdict


def read_cif(path: Path) -> Found:
    """Return the one structure of a CIF; raises InputError where it has none or several, or contradicts itself."""
    blocks = blocks_of(path)
    if len(blocks) != 1:
        named = f" ({', '.join(block.name for block in blocks[:4])}, …)" if blocks else ""
        raise InputError(f"{path}: holds {len(blocks) or 'no'} structures{named}; a file with one is needed")
    try:
        return _read(blocks[0], path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _read(block: Block, path: Path) -> Found:
    lattice = _lattice(block)
    check_volume(block, lattice)
    formula = formula_of(block)
    sites, notes = sites_of(block, lattice, formula or ())
    if not sites:
        raise InputError("holds no atoms")
    check_full(sites, lattice)
    chosen, remarks = _chosen(_candidates(block), sites, block, lattice)
    notes += [*chosen.cell.notes, *chosen.verdict.notes, *remarks]
    if formula is None:
        notes.append("The file gives no formula to check its atoms against.")
    if any(site.occupancy is None for site in sites):
        notes.append("Occupancies are not known (?): all sites were taken as full.")
    if any(site.deuterium for site in sites):
        notes.append("Deuterium is taken as hydrogen.")
    pressure, said = pressure_of_cif(block)
    atoms = Atoms(chosen.cell.symbols, cell=lattice, scaled_positions=chosen.cell.positions, pbc=True)
    return Found(_as_before(atoms, path), pressure, (*notes, *said))


def _lattice(block: Block) -> NDArray[np.float64]:
    parameters = []
    for name in ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"):
        value = block.number(f"_cell_{name}")
        if value is None or not 0 < value < 10_000:
            said = block.text(f"_cell_{name}") or "missing"
            raise InputError(f"has no cell: _cell_{name} is {said}")
        parameters.append(value)
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            lattice = np.array(AseCell.fromcellpar(parameters)[:], dtype=float)
        except (AssertionError, ValueError, ZeroDivisionError):
            lattice = np.full((3, 3), np.nan)
    if not np.isfinite(lattice).all() or abs(np.linalg.det(lattice)) < 1e-3:
        raise InputError(f"has no cell: lengths and angles {', '.join(f'{each:g}' for each in parameters)} make none")
    return lattice


def _candidates(block: Block) -> list[Operations]:
    """Return the sets of operations that the file may mean: the listed ones, else those of its symbols or number."""
    texts = block.column(*LISTED)
    if texts:
        return [listed(texts)]
    hall, symbol, number = block.text(*HALL), block.text(*SYMBOL), block.number(*NUMBER)
    if hall and (found := of_hall(hall)):
        return found
    if symbol:
        found = of_symbol(symbol)
        if not found:
            raise InputError(
                f"lists no symmetry operations, and its symbol {symbol!r} is in no table: write the operations "
                "(_space_group_symop_operation_xyz)"
            )
        return found
    if number is not None:
        if number not in range(1, 231):
            raise InputError(f"its space group number is {number:g}, not one of 1 to 230")
        return of_number(int(number))
    only = listed(["x,y,z"])
    return [Operations(only.rotations, only.translations, "no symmetry, as the file tells none")]


def _chosen(
    candidates: Sequence[Operations], sites: list[Site], block: Block, lattice: NDArray[np.float64]
) -> tuple[_Candidate, list[str]]:
    """Return the cell that agrees with what the file says, and notes; raises InputError where none or several do."""
    wrong: list[str] = []
    fitting: list[_Candidate] = []
    for operations in candidates:
        try:
            if not operations.fits(lattice):
                raise InputError("lengths and angles of its cell do not fit its symmetry operations")
            cell = written_out(sites, operations, lattice)
            verdict = judged(cell, sites, block, lattice)
        except InputError as error:
            wrong.append(str(error))
            continue
        if verdict.wrong:
            wrong.append(verdict.wrong + (f" (with {operations.source})" if len(candidates) > 1 else ""))
        else:
            fitting.append(_Candidate(operations, cell, verdict))
    confirmed = [each for each in fitting if each.verdict.confirmed]
    different = _different(confirmed or fitting, lattice)
    if not different:
        raise InputError(wrong[0])
    if len(different) > 1:
        choices = ", ".join(f"{each.operations.source}: {len(each.cell.symbols)} atoms" for each in different)
        raise InputError(
            f"lists no symmetry operations, and its symbol leaves the origin or the axes open ({choices}): write the "
            "operations (_space_group_symop_operation_xyz), or the choice into the symbol, as F d -3 m :2"
        )
    return different[0], _remarks(different[0], block)


def _remarks(chosen: _Candidate, block: Block) -> list[str]:
    """Return what to say of operations that the symbol contradicts; raises InputError where nothing else decides."""
    symbol = block.text(*SYMBOL)
    if not block.column(*LISTED):
        if chosen.operations.source.startswith("no symmetry"):
            return ["The file tells no symmetry: its atoms are taken as all of the cell."]
        return []
    meant = of_symbol(symbol) if symbol else []
    sizes = {len(each) for each in meant}
    if not sizes or len(chosen.operations) in sizes:
        return []
    said = f"it lists {len(chosen.operations)} symmetry operations, and {symbol} has {max(sizes)}"
    if not chosen.verdict.confirmed:
        raise InputError(f"{said}: nothing in it (Z, density, multiplicities) tells which is right")
    return [f"Of symmetry, {said}; the atoms are as many as the file says with the listed ones."]


def _different(found: Sequence[_Candidate], lattice: NDArray[np.float64]) -> list[_Candidate]:
    """Return one of each set of candidates that are the same crystal, told by all of its distances."""
    kept: list[_Candidate] = []
    prints: list[NDArray[np.float64]] = []
    for each in found:
        own = _fingerprint(each.cell, lattice) if len(found) > 1 else np.zeros(0)
        if not any(len(own) == len(other) and np.allclose(own, other, atol=1e-3) for other in prints):
            kept.append(each)
            prints.append(own)
    return kept


def _fingerprint(cell: Cell, lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    apart = cell.positions[:, None] - cell.positions[None]
    lengths = np.linalg.norm((apart - np.round(apart)) @ lattice, axis=-1)
    numbers = Atoms(cell.symbols).numbers.astype(float)
    return np.sort((lengths + 100 * np.add.outer(numbers, numbers)).ravel())


def _as_before(atoms: Atoms, path: Path) -> Atoms:
    """Return the cell as ASE reads it where that is the same one, to the digit and in the same order of atoms.

    Calculations are known by these digits: those that studies have from such a file stay what they are.
    """
    from ase.io import read

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            images: Any = read(path, index=":", format="cif")
    except Exception:  # ASE's readers raise anything
        return atoms
    if len(images) != 1 or len(images[0]) != len(atoms) or not np.allclose(images[0].cell[:], atoms.cell[:], atol=1e-6):
        return atoms
    other = images[0]
    apart = other.get_scaled_positions()[:, None] - atoms.get_scaled_positions()[None]
    lengths = np.linalg.norm((apart - np.round(apart)) @ atoms.cell[:], axis=-1)
    nearest = lengths.argmin(axis=1)
    same = len(set(nearest.tolist())) == len(atoms) and lengths.min(axis=1).max() < SAME_PLACE_A
    return other if same and (other.numbers == atoms.numbers[nearest]).all() else atoms
