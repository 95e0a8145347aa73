"""Force constants from dynamical matrices on a grid of q, as density-functional perturbation theory gives them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.units import _amu, _e
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.phonons.harmonic import Array, Harmonic, Polar, phonopy_of
from megabar.structures.errors import InputError

Complex = NDArray[np.complex128]
TO_THZ = float(np.sqrt(_e / _amu) * 1e10 / (2 * np.pi) / 1e12)
"""√(eV/Å²/u) as a frequency (THz)."""
ON_GRID = 1e-4


@dataclass(frozen=True, eq=False)
class QMatrices:
    """Force constants at some q of a cell.

    q: fractions of the cell's reciprocal vectors, shape (m, 3). values: Φ_ij(q) = Σ_R Φ(i in cell 0, j in cell R)
    e^{2πi q·R} (eV/Å², Cartesian), shape (m, 3n, 3n): the phase is that of the lattice vectors, without the places of
    the atoms in the cell, as ph.x has it. The macroscopic field is in it, but not at Γ.
    """

    q: Array
    values: Complex

    def frequencies_THz(self, masses_u: ArrayLike) -> Array:
        """Return ω/2π at each q (THz), ascending, negative where imaginary, shape (m, 3n); masses (u) by atom."""
        root = np.sqrt(np.repeat(np.asarray(masses_u, float), 3))
        squares = np.linalg.eigvalsh(self.values / (root[:, None] * root))
        return np.asarray(TO_THZ * np.sign(squares) * np.sqrt(np.abs(squares)))

    def shift_THz(self, masses_u: ArrayLike) -> float:
        """Return the frequency (THz) furthest from zero that rigid shifts are left with at Γ, negative where imaginary.

        Zero in an exact calculation; grids in real space leave something. Raises InputError where Γ is missing.
        """
        at = [each for q, each in zip(self.q, self.values, strict=True) if np.abs(q - np.round(q)).max() < ON_GRID]
        if not at:
            raise InputError("Γ is missing among the q")
        atoms = len(at[0]) // 3
        whole = at[0].real.reshape(atoms, 3, atoms, 3).sum(axis=(0, 2))
        squares = np.linalg.eigvalsh((whole + whole.T) / 2) / np.sum(masses_u)
        furthest = squares[np.argmax(np.abs(squares))]
        return float(TO_THZ * np.sign(furthest) * np.sqrt(abs(furthest)))


def grid_of(q: Array, source: str = "dynamical matrices") -> tuple[int, int, int]:
    """Return the grid that q (fractions, shape (m, 3)) make; InputError where they are not all of one."""
    found = []
    for column in q.T:
        fits = [n for n in range(1, len(column) + 1) if np.allclose(n * column, np.round(n * column), atol=n * ON_GRID)]
        found.append(fits[0] if fits else 0)
    places = {tuple(each) for each in np.round(q * found).astype(int) % np.maximum(found, 1)}
    if 0 in found or len(places) != int(np.prod(found)) or len(q) != len(places):
        raise InputError(f"{source}: the {len(q)} q make no whole grid: each must be there, with its star, once")
    return found[0], found[1], found[2]


def from_matrices(
    cell: Atoms,
    matrices: QMatrices,
    polar: Polar | None = None,
    primitive_matrix: ArrayLike | None = None,
    sum_rule: bool = True,
    source: str = "dynamical matrices",
) -> Harmonic:
    """Return the force constants in the supercell that a grid of q makes.

    cell: the calculation's, with its masses. polar: of the primitive cell's atoms; the dipole-dipole part stays in the
    force constants, as phonopy's correction (Gonze & Lee, Phys. Rev. B 55, 10355 (1997)) expects it.
    primitive_matrix: as `Harmonic` has it; the cell itself where it is None.
    sum_rule: whether the force of each atom on itself is made minus the sum of all others, which moves the modes of all
    q alike; without it those on the grid are exactly as computed.
    Raises InputError where the q make no whole grid, or −q does not belong to q.
    """
    from phonopy.harmonic.dynmat_to_fc import DynmatToForceConstants

    atoms, grid = len(cell), grid_of(matrices.q, source)
    if matrices.values.shape[1:] != (3 * atoms, 3 * atoms):
        raise InputError(f"{source}: matrices of {matrices.values.shape[1] // 3} atoms for a cell of {atoms}")
    _check_reversal(matrices, source)
    supercell_matrix = np.diag(grid)
    whole = phonopy_of(cell, supercell_matrix, np.eye(3))
    # phonopy's phase is that of the atoms' own places.
    places = np.repeat(cell.get_scaled_positions(wrap=False), 3, axis=0)
    phases = np.exp(2j * np.pi * np.einsum("qc,ijc->qij", matrices.q, places[None, :] - places[:, None]))
    root = np.sqrt(np.repeat(cell.get_masses(), 3))
    primitive = np.eye(3) if primitive_matrix is None else np.asarray(primitive_matrix, float)
    several = not np.allclose(primitive, np.eye(3))  # then all rows, of which those of the primitive atoms are taken
    transform = DynmatToForceConstants(whole.primitive, whole.supercell, is_full_fc=several)
    transform.commensurate_points = matrices.q
    transform.dynamical_matrices = matrices.values * phases / (root[:, None] * root)
    transform.run()
    constants = np.array(transform.force_constants)
    if several:
        rows = phonopy_of(cell, supercell_matrix, primitive).primitive.p2s_map
        constants = np.ascontiguousarray(constants[rows])
    else:
        rows = whole.primitive.p2s_map
    if sum_rule:
        _impose_sum_rule(constants, rows)
    return Harmonic(cell, supercell_matrix, primitive, constants, polar)


def _impose_sum_rule(constants: Array, own: NDArray[np.int64]) -> None:
    """Make the force of an atom on itself what the sum rule wants; constants: changed here; own: its column, by row."""
    excess = constants.sum(axis=1)
    constants[np.arange(len(constants)), own] -= (excess + excess.transpose(0, 2, 1)) / 2


def _check_reversal(matrices: QMatrices, source: str) -> None:
    """Raise InputError unless Φ(−q) = Φ(q)*: else the force constants would not be real."""
    grid = grid_of(matrices.q, source)
    number = {tuple(each): i for i, each in enumerate(np.round(matrices.q * grid).astype(int) % grid)}
    other = [number[tuple(each)] for each in np.round(-matrices.q * grid).astype(int) % grid]
    off = np.abs(matrices.values[other] - matrices.values.conj()).max()
    if off > 1e-3 * np.abs(matrices.values).max():
        raise InputError(
            f"{source}: the matrices of q and −q do not belong together: their force constants are not real"
        )
