"""Dynamical matrices and electron-phonon matrices of ph.x: files ``dynN`` and ``elph_dir/a2Fq2r.5S.N``.

A dyn file holds the cell, the masses (Rydberg units: twice the electron's mass is 1), the force constants
Φ(q) = √(M M′) D(q) in Ry/bohr² for every q of the star, Cartesian, and the displacements that diagonalise D at the
first of them. ``a2Fq2r.5S.N`` holds for the smearing number S the matrices G = Σ_k ⟨…|∂V|…⟩*⟨…|∂V|…⟩δδ in the same
layout, so that λ_qν = e† M^-½ G M^-½ e / (2 N(E_F) ω²) (elphon.f90, elphsum). Before it writes them ph.x symmetrises
them (q2qstar_ph.f90): degenerate modes, which the λ of elph.inp_lambda.N splits, have one λ here, with the same sum.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.constants import physical_constants

from megabar.analysis.superconductivity.readers.text import read_text
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
BOHR_A = 1e10 * physical_constants["Bohr radius"][0]
FIRST_LINE = "Dynamical matrix file"
_Q = re.compile(r"q = \(\s*(\S+)\s+(\S+)\s+(\S+)\s*\)")
_MATRIX = "Dynamical  Matrix in cartesian axes"
_MASS = re.compile(r"^\s+\d+\s+'(.{1,8}?)\s*'\s+(\S+)\s*$")
_FREQUENCY = re.compile(r"freq \(\s*\d+\) =\s*(\S+) \[THz\]")


@dataclass(frozen=True, eq=False)
class DynamicalMatrix:
    """What a dyn file holds of one star of q.

    q: first of the star (Cartesian, 2π/a). star: number of its members. species, masses: by atom (Rydberg units).
    force_constants: Φ(q) (Ry/bohr²), shape (3n, 3n). frequencies_THz: ω/2π, negative where imaginary, shape (3n,).
    displacements: of the modes, columns, shape (3n, 3n), each normalised to 1. star_q, star_constants: q and Φ(q) of
    every member, shapes (star, 3) and (star, 3n, 3n). cell_A: rows are lattice vectors (Å), None where only their kind
    is told and it is a rare one. positions_A: Cartesian (Å), shape (n, 3). alat_A: the unit a (Å).
    """

    path: str
    q: tuple[float, float, float]
    star: int
    species: tuple[str, ...]
    masses: Array
    force_constants: Complex
    frequencies_THz: Array
    displacements: Complex
    star_q: Array
    star_constants: Complex
    cell_A: Array | None
    positions_A: Array
    alat_A: float

    @property
    def eigenvectors(self) -> Complex:
        """Eigenvectors of the dynamical matrix as ph.x chose them, columns, shape (3n, 3n): e = √M u, normalised."""
        mass_weighted = np.sqrt(np.repeat(self.masses, 3))[:, None] * self.displacements
        vectors: Complex = mass_weighted / np.linalg.norm(mass_weighted, axis=0)
        return vectors


def is_dyn(path: Path) -> bool:
    """Whether a file is a dynamical matrix of ph.x (not dyn0)."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().startswith(FIRST_LINE)
    except OSError:
        return False


def read_dyn(path: Path) -> DynamicalMatrix:
    """Read a dyn file; InputError where it is incomplete (ph.x was interrupted) or in XML."""
    text = read_text(path)
    if text.lstrip().startswith("<"):
        raise InputError(f"{path}: dynamical matrices in XML are not read; let ph.x write fildyn without .xml")
    lines = text.splitlines()
    if not lines[0].startswith(FIRST_LINE) or len(lines) < 6:
        raise InputError(f"{path}: not a dynamical matrix of ph.x")
    try:
        types, atoms = (int(word) for word in lines[2].split()[:2])
        kinds = [match.groups() for match in map(_MASS.match, lines[3 : 10 + types]) if match][:types]
        start = max(i for i, line in enumerate(lines[: 10 + types]) if _MASS.match(line)) + 1
        of_atom = [int(line.split()[1]) - 1 for line in lines[start : start + atoms]]
        blocks, tail = text.split("Diagonalizing the dynamical matrix")
        matrices = blocks.split(_MATRIX)[1:]
        star = np.array([_q(each) for each in matrices])
        constants = np.array([_matrix(each, atoms) for each in matrices])
        alat = float(lines[2].split()[3]) * BOHR_A
        return DynamicalMatrix(
            str(path),
            _q(matrices[0]),
            len(matrices),
            tuple(kinds[i][0] for i in of_atom),
            np.array([float(kinds[i][1]) for i in of_atom]),
            constants[0],
            np.array([float(value) for value in _FREQUENCY.findall(tail)]).reshape(3 * atoms),
            _displacements(tail, atoms),
            star,
            constants,
            _cell(lines, alat),
            alat * np.array([[float(word) for word in line.split()[2:5]] for line in lines[start : start + atoms]]),
            alat,
        )
    except (ValueError, IndexError, AttributeError):
        raise InputError(f"{path}: the dynamical matrix is not complete; was ph.x interrupted?") from None


def read_gamma(path: Path, atoms: int) -> tuple[float, float, tuple[float, float, float], Complex]:
    """Return smearing (Ry), N(E_F) (per spin, Ry and cell), q and the matrix G (3n, 3n) of an a2Fq2r file."""
    text = read_text(path)
    try:
        smearing, _, dos = (float(word) for word in text.split("\n", 1)[0].split())
        first = text.split(_MATRIX)[1]
        return smearing, dos, _q(first), _matrix(first, atoms)
    except (ValueError, IndexError, AttributeError):
        raise InputError(f"{path}: the electron-phonon matrix is not complete; was ph.x interrupted?") from None


def _q(block: str) -> tuple[float, float, float]:
    found = _Q.search(block)
    assert found is not None  # AttributeError is caught by the callers as "not complete"
    x, y, z = (float(word) for word in found.groups())
    return x, y, z


def _cell(lines: list[str], alat: float) -> Array | None:
    """Return the lattice vectors (rows, in the unit of alat) that the head of a dyn file tells."""
    if lines[3].strip() == "Basis vectors":
        return alat * np.array([[float(word) for word in line.split()] for line in lines[4:7]])
    words = lines[2].split()
    return lattice_vectors(int(words[2]), [alat, *(float(word) for word in words[4:9])])


def lattice_vectors(ibrav: int, celldm: Sequence[float]) -> Array | None:
    """Return lattice vectors (rows, in the unit of celldm[0]) of pw.x; None for lattices that are not known here.

    celldm: a, b/a, c/a and three cosines. INPUT_PW of Quantum ESPRESSO, `ibrav`.
    """
    a, b, c = celldm[0], celldm[1], celldm[2]
    shapes = {
        1: np.eye(3),
        2: np.array([[-0.5, 0, 0.5], [0, 0.5, 0.5], [-0.5, 0.5, 0]]),
        3: np.array([[0.5, 0.5, 0.5], [-0.5, 0.5, 0.5], [-0.5, -0.5, 0.5]]),
        -3: np.array([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]]),
        4: np.array([[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, c]]),
        6: np.diag([1, 1, c]),
        7: np.array([[0.5, -0.5, c / 2], [0.5, 0.5, c / 2], [-0.5, -0.5, c / 2]]),
        8: np.diag([1, b, c]),
    }
    return a * shapes[ibrav] if ibrav in shapes else None


def _matrix(block: str, atoms: int) -> Complex:
    """Return the matrix of a block: for each pair of atoms their numbers, then the three rows of a 3×3 matrix."""
    words = _Q.sub("", block).split()
    size = 2 + 18
    table = np.array([float(word) for word in words[: size * atoms * atoms]]).reshape(atoms * atoms, size)
    parts = table[:, 2:].reshape(atoms, atoms, 3, 3, 2)
    matrix: Complex = (parts[..., 0] + 1j * parts[..., 1]).transpose(0, 2, 1, 3).reshape(3 * atoms, 3 * atoms)
    return (matrix + matrix.conj().T) / 2


def _displacements(tail: str, atoms: int) -> Complex:
    rows = [
        [float(word) for word in line.split()[1:7]] for line in tail.splitlines() if re.match(r"\s*\(\s+\S+\s", line)
    ]
    table = np.array(rows).reshape(3 * atoms, 3 * atoms, 2)
    return np.asarray((table[..., 0] + 1j * table[..., 1]).T)
