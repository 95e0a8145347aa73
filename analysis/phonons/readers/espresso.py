"""Force constants of Quantum ESPRESSO: the dyn files of ph.x in a folder, or the file that q2r.x makes of them.

Units of the files: Rydberg atomic units, masses in twice the electron's; places in units of alat. A q2r.x file with
Born charges holds force constants without the dipole-dipole part; it is put back here, as matdyn.x puts it back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, chemical_symbols
from ase.units import Bohr, Ry, _amu, _me

from megabar.analysis.phonons.dynamical_matrices import Complex, QMatrices, from_matrices
from megabar.analysis.phonons.harmonic import Array, Harmonic, Polar
from megabar.analysis.phonons.polar import charges
from megabar.analysis.superconductivity.readers.espresso_dyn import (
    DynamicalMatrix,
    is_dyn,
    lattice_vectors,
    read_dyn,
)
from megabar.analysis.superconductivity.readers.text import read_text
from megabar.structures.errors import InputError

RY_BOHR2 = Ry / Bohr**2
"""eV/Å² of one Ry/bohr²."""
RY_MASS_U = 2 * _me / _amu
"""u of one Rydberg unit of mass."""
_HEAD = re.compile(r"^\s*\d+\s+\d+\s+-?\d+(\s+-?\d+\.\d+){6}\s*$")
EWALD, CONVERGED = 1.0, 14.0
"""q2r.x's Ewald parameter, (2π/alat)², and the exponent at which its sum ends (PHonon/PH/rigid.f90)."""


@dataclass(frozen=True, eq=False)
class Crystal:
    """The crystal of dyn files and its matrices. cell: with the masses of the files. polar: None where there is none.

    violation_e: the largest component of the sum of the Born charges as computed, before the sum rule.
    """

    cell: Atoms
    matrices: QMatrices
    polar: Polar | None
    violation_e: float = 0.0


def is_espresso(path: Path) -> bool:
    """Whether a folder has dyn files of ph.x, or a file is one of q2r.x."""
    if path.is_dir():
        return any(is_dyn(each) for each in path.iterdir() if each.is_file())
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return bool(_HEAD.match(file.readline()))
    except OSError:
        return False


def read_espresso(path: Path, sum_rule: bool = True) -> Harmonic:
    """Return the force constants of a folder of dyn files, or of a file of q2r.x (``flfrc``).

    sum_rule: see `dynamical_matrices.from_matrices`. Raises InputError where files are missing, cut off or of different
    crystals, and where the q make no whole grid.
    """
    found = read_dyns(path) if path.is_dir() else _read_fc(path)
    return from_matrices(found.cell, found.matrices, found.polar, sum_rule=sum_rule, source=str(path))


def read_dyns(folder: Path) -> Crystal:
    """Return the crystal and all matrices of the dyn files of a folder, all of one calculation."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and is_dyn(path)]
    if not files:
        raise InputError(f"{folder}: there are no dyn files of ph.x here")
    stems = sorted({re.sub(r"\d+$", "", path.name) for path in files})
    if len(stems) > 1:
        raise InputError(
            f"{folder}: dyn files of several calculations are here ({', '.join(stems)}): give each a folder"
        )
    wanted = _count(folder / f"{stems[0]}0")
    if wanted is not None and wanted != len(files):
        raise InputError(f"{folder}: {stems[0]}0 tells of {wanted} q, of which {len(files)} have their file here")
    dyns = [read_dyn(path) for path in files]
    cell = _cell(dyns[0])
    for other in dyns[1:]:
        _check_same(dyns[0], other)
    matrices = matrices_of(dyns)
    polar = next((each for each in map(read_polar, files) if each is not None), None)
    if polar is None:
        return Crystal(cell, matrices, None)
    made = charges(cell, polar.born, polar.dielectric)
    return Crystal(cell, matrices, made.polar, made.violation_e)


def matrices_of(dyns: Sequence[DynamicalMatrix]) -> QMatrices:
    """Return the matrices of all members of the stars of some dyn files."""
    cells = [dyn.cell_A for dyn in dyns]
    assert all(each is not None for each in cells)
    fractions = [dyn.star_q @ np.asarray(cell).T / dyn.alat_A for dyn, cell in zip(dyns, cells, strict=True)]
    # ph.x's sum has e^{−iq·R} with the first atom in the cell R: the same as e^{iq·R} with the second one there.
    return QMatrices(np.concatenate(fractions), RY_BOHR2 * np.concatenate([dyn.star_constants for dyn in dyns]))


def read_polar(path: Path) -> Polar | None:
    """Return Born charges and dielectric tensor of a dyn file as they stand there, None where it has none.

    ``Effective Charges E-U: Z_{alpha}{s,beta}``: alpha, the rows, is the field; beta the displacement.
    """
    text = read_text(path)
    tensor = re.search(r"Dielectric Tensor:\s*\n(.*?)Effective Charges E-U", text, re.DOTALL)
    block = re.search(r"Effective Charges E-U[^\n]*\n(.*?)(?:Effective Charges U-E|Diagonalizing|\Z)", text, re.DOTALL)
    if tensor is None or block is None:
        return None
    try:
        dielectric = np.array(tensor[1].split(), float).reshape(3, 3)
        born = np.array([part.split()[1:10] for part in block[1].split("atom #")[1:]], float).reshape(-1, 3, 3)
    except ValueError:
        raise InputError(f"{path}: its Born charges are not complete; was ph.x interrupted?") from None
    return Polar(born, dielectric)


def _read_fc(path: Path) -> Crystal:
    """Return the crystal of a file of q2r.x, and the matrices on its grid."""
    text = read_text(path)
    if text.lstrip().startswith("<"):
        raise InputError(f"{path}: force constants in XML are not read; let q2r.x write flfrc without .xml")
    if not _HEAD.match(text.split("\n", 1)[0]):
        raise InputError(f"{path}: not a file of force constants of q2r.x (its first line has no cell)")
    try:
        cell, alat, rest = _fc_head(text.split("\n"))
        polar, rest = _fc_polar(rest, len(cell))
        grid, constants = _fc_table(" ".join(rest).split(), len(cell))
    except (ValueError, IndexError):
        raise InputError(f"{path}: the force constants are not complete; was q2r.x interrupted?") from None
    places = np.array(list(product(*map(range, grid))), float)
    q = places / grid
    waves = np.exp(-2j * np.pi * q @ places.T)
    values = np.tensordot(waves, constants.reshape(len(places), *constants.shape[3:]), axes=(1, 0))
    # Of q and q + G the one around zero; both are the same matrix in this phase.
    if polar is not None:
        values = values + np.array([_dipoles(each, cell, polar, alat, grid) for each in q])
        made = charges(cell, polar.born, polar.dielectric)
        return Crystal(cell, QMatrices(q, RY_BOHR2 * values), made.polar, made.violation_e)
    return Crystal(cell, QMatrices(q, RY_BOHR2 * values), None)


def _fc_head(lines: list[str]) -> tuple[Atoms, float, list[str]]:
    types, count, ibrav = (int(word) for word in lines[0].split()[:3])
    celldm = [float(word) for word in lines[0].split()[3:9]]
    alat, at = celldm[0] * Bohr, 1
    if ibrav == 0:
        lattice: Array | None = alat * np.array([lines[row].split() for row in (1, 2, 3)], float)
        at = 4
    else:
        lattice = lattice_vectors(ibrav, [alat, *celldm[1:]])
    if lattice is None:
        raise InputError(f"the lattice is told by ibrav = {ibrav} alone, which is not known here; use ibrav = 0")
    kinds = [re.match(r"\s*\d+\s+'\s*(.*?)\s*'\s+(\S+)", line) for line in lines[at : at + types]]
    table = [line.split() for line in lines[at + types : at + types + count]]
    found = [kinds[int(row[1]) - 1] for row in table]
    names, masses = zip(*((kind[1], float(kind[2])) for kind in found if kind is not None), strict=True)
    positions = alat * np.array([row[2:5] for row in table], float)
    return _atoms(names, np.array(masses), lattice, positions), alat, lines[at + types + count :]


def _fc_polar(lines: list[str], count: int) -> tuple[Polar | None, list[str]]:
    if lines[0].strip().upper().strip(".")[:1] != "T":
        return None, lines[1:]
    dielectric = np.array([lines[row].split() for row in (1, 2, 3)], float)
    born = [[lines[5 + 4 * atom + row].split() for row in range(3)] for atom in range(count)]
    return Polar(np.array(born, float), dielectric), lines[4 + 4 * count :]


def _fc_table(words: list[str], count: int) -> tuple[tuple[int, int, int], Array]:
    """Return the grid and the force constants (Ry/bohr²), shape (n1, n2, n3, 3 × atoms, 3 × atoms)."""
    n1, n2, n3 = (int(word) for word in words[:3])
    block = 4 + 4 * n1 * n2 * n3
    table = np.array(words[3 : 3 + 9 * count**2 * block], float).reshape(9 * count**2, block)
    values = table[:, 4:].reshape(3, 3, count, count, n3, n2, n1, 4)[..., 3]
    found: Array = values.transpose(6, 5, 4, 2, 0, 3, 1).reshape(n1, n2, n3, 3 * count, 3 * count)
    return (n1, n2, n3), found


def _dipoles(q: Array, cell: Atoms, polar: Polar, alat: float, grid: tuple[int, int, int]) -> Complex:
    """Return the dipole-dipole part of Φ(q) that q2r.x has taken out (Ry/bohr²), q in fractions, (3n, 3n).

    Gonze & Lee, Phys. Rev. B 55, 10355 (1997), equations 72 to 75, the sum over reciprocal vectors alone. At Γ without
    the term G = 0. Along axes with one q there are no further vectors.
    """
    reciprocal = alat * cell.cell.reciprocal()[:]
    reach = np.sqrt(4 * EWALD * CONVERGED)
    sizes = np.array(
        [0 if n == 1 else int(reach / np.linalg.norm(b)) + 1 for n, b in zip(grid, reciprocal, strict=True)]
    )
    steps = np.array(list(product(*(range(-size, size + 1) for size in sizes))), float)
    count = len(cell)
    positions = cell.positions / alat
    factor = 8 * np.pi / (cell.get_volume() / Bohr**3)

    def part(vectors: Array) -> Complex:
        length = np.einsum("gi,ij,gj->g", vectors, polar.dielectric, vectors)
        used = (length > 1e-12) & (length < 4 * EWALD * CONVERGED)
        vectors, length = vectors[used], length[used]
        weights = factor * np.exp(-length / (4 * EWALD)) / length
        waves = np.einsum("gi,aij->gaj", vectors, polar.born) * np.exp(2j * np.pi * vectors @ positions.T)[:, :, None]
        flat = waves.reshape(len(vectors), 3 * count)
        found: Complex = (weights[:, None] * flat).T @ flat.conj()
        return found

    own = part(steps @ reciprocal).real.reshape(count, 3, count, 3).sum(axis=2)
    found = part((steps + q) @ reciprocal).reshape(count, 3, count, 3)
    for atom in range(count):
        found[atom, :, atom, :] -= own[atom]
    return found.reshape(3 * count, 3 * count)


def _cell(dyn: DynamicalMatrix) -> Atoms:
    if dyn.cell_A is None:
        raise InputError(
            f"{dyn.path}: the lattice is told by its ibrav alone, which is not known here; with ibrav = 0 the files of "
            "ph.x hold the lattice vectors"
        )
    return _atoms(dyn.species, dyn.masses, dyn.cell_A, dyn.positions_A)


def _atoms(names: Sequence[str], masses: Array, cell: Array, positions: Array) -> Atoms:
    masses_u = RY_MASS_U * np.asarray(masses, float)
    symbols = [element(name, mass) for name, mass in zip(names, masses_u, strict=True)]
    return Atoms(symbols, cell=cell, positions=positions, masses=masses_u, pbc=True)


def element(name: str, mass_u: float) -> str:
    """Return the element of a species of pw.x (``Fe1``, ``O_2``, …), by its mass where the name is none."""
    for length in (2, 1):
        word = name[:length].capitalize()
        if word in chemical_symbols[1:]:
            return word
    return str(chemical_symbols[1 + int(np.argmin(np.abs(atomic_masses[1:] - mass_u)))])


def _check_same(one: DynamicalMatrix, other: DynamicalMatrix) -> None:
    same = one.species == other.species and np.allclose(one.positions_A, other.positions_A, atol=1e-4)
    if not same or other.cell_A is None or not np.allclose(np.asarray(one.cell_A), other.cell_A, atol=1e-4):
        raise InputError(f"{other.path}: of another crystal than {one.path}")


def _count(path: Path) -> int | None:
    """Return how many q there are as dyn0 tells, None where there is no such file."""
    try:
        return int(path.read_text(encoding="utf-8").split()[3])
    except (OSError, ValueError, IndexError):
        return None
