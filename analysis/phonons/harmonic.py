"""A crystal in the harmonic approximation: cell, supercell and force constants, and the modes that they have."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from megabar.structures.errors import InputError

if TYPE_CHECKING:
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

Array = NDArray[np.float64]
Matrix = tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]


@dataclass(frozen=True, eq=False)
class Polar:
    """What makes the longitudinal modes of an insulator differ from the transverse ones at long wavelengths.

    born: effective charges (e) of the atoms of the primitive cell, shape (atoms, 3, 3), the field first.
    dielectric: electronic dielectric tensor, 3 × 3. coulomb_eV_A: e²/4πε₀ as a file has it, rounded; None: phonopy's
    own. method: of the correction, as phonopy names it: gonze (Gonze & Lee, Phys. Rev. B 55, 10355 (1997)) or wang
    (Wang et al., J. Phys.: Condens. Matter 22, 202201 (2010)).
    """

    born: Array
    dielectric: Array
    coulomb_eV_A: float | None = None
    method: str = "gonze"

    @property
    def parameters(self) -> dict[str, Any]:
        """The same as phonopy takes it."""
        from phonopy.physical_units import get_calculator_physical_units

        factor = get_calculator_physical_units().nac_factor if self.coulomb_eV_A is None else self.coulomb_eV_A
        return {"born": self.born, "dielectric": self.dielectric, "factor": factor, "method": self.method}

    @property
    def drift(self) -> float:
        """The largest component (e) of the sum of the charges: zero in an exact calculation."""
        return float(np.abs(self.born.sum(axis=0)).max())


@dataclass(frozen=True, eq=False)
class Modes:
    """Modes at some q. frequencies_THz: (q, modes), imaginary ones negative; eigenvectors: (q, 3 × atoms, modes)."""

    q: Array
    frequencies_THz: Array
    eigenvectors: NDArray[np.complex128] | None = None
    velocities_km_s: Array | None = None


@dataclass(frozen=True, eq=False)
class Harmonic:
    """Force constants of a crystal in a supercell.

    cell: the unit cell, with its masses (u). supercell_matrix: its columns are the supercell's vectors in the cell's.
    primitive_matrix: the same of the primitive cell, to whose reciprocal vectors all q refer.
    force_constants: eV/Å², shape (primitive cell's or all atoms, supercell's atoms, 3, 3), as phonopy orders them.
    polar: None for a metal, or where it is not known.
    """

    cell: Atoms
    supercell_matrix: NDArray[np.int64]
    primitive_matrix: Array
    force_constants: Array
    polar: Polar | None = None

    @cached_property
    def phonopy(self) -> Phonopy:
        """The same as phonopy has it; not to be changed."""
        found = phonopy_of(self.cell, self.supercell_matrix, self.primitive_matrix)
        found.force_constants = self.force_constants
        if self.polar is not None:
            found.nac_params = self.polar.parameters
        return found

    @cached_property
    def primitive(self) -> Atoms:
        """The primitive cell with its masses."""
        return atoms_of(self.phonopy.primitive)

    @property
    def volume_A3_per_atom(self) -> float:
        """Volume (Å³/atom)."""
        return float(self.cell.get_volume()) / len(self.cell)

    def modes(
        self, q: ArrayLike, eigenvectors: bool = False, velocities: bool = False, direction: ArrayLike | None = None
    ) -> Modes:
        """Return the modes at some q (fractions of the primitive reciprocal vectors, shape (n, 3)).

        direction: from which Γ is approached (the same fractions), where the crystal is polar.
        """
        points = np.atleast_2d(np.asarray(q, float))
        if points.shape[1] != 3:
            raise InputError(f"a q has three fractions of reciprocal vectors (found {points.shape[1]})")
        found = self.phonopy.run_qpoints(
            points,
            with_eigenvectors=eigenvectors,
            with_group_velocities=velocities,
            nac_q_direction=None if direction is None else np.asarray(direction, float),
        )
        return Modes(
            points,
            np.array(found.frequencies),
            np.array(found.eigenvectors) if eigenvectors else None,
            np.array(found.group_velocities) / 10 if velocities else None,  # Å THz = 100 m/s
        )

    def with_masses(self, masses_u: Mapping[str, float]) -> Harmonic:
        """Return the same crystal of other isotopes: masses (u) by element; force constants do not change."""
        absent = [element for element in masses_u if element not in self.cell.get_chemical_symbols()]
        if absent:
            raise InputError(f"there is no {absent[0]} in {self.cell.get_chemical_formula()}, whose mass is given")
        atoms = self.cell.copy()
        atoms.set_masses(
            [masses_u.get(symbol, mass) for symbol, mass in zip(atoms.symbols, atoms.get_masses(), strict=True)]
        )
        return replace(self, cell=atoms)


def phonopy_of(cell: Atoms, supercell_matrix: ArrayLike, primitive_matrix: ArrayLike) -> Phonopy:
    """Return phonopy's object of a cell, without force constants."""
    from phonopy import Phonopy

    with warnings.catch_warnings():
        # A supercell may have less symmetry than the crystal; what follows from it is right, with more displacements.
        warnings.filterwarnings("ignore", "Warning: Point group symmetries")
        return Phonopy(bare(cell), np.asarray(supercell_matrix), primitive_matrix=np.asarray(primitive_matrix, float))


def bare(cell: Atoms) -> PhonopyAtoms:
    """Return a cell as phonopy has it, with its masses."""
    from phonopy.structure.atoms import PhonopyAtoms

    moments = cell.get_initial_magnetic_moments()
    return PhonopyAtoms(
        symbols=cell.get_chemical_symbols(),
        cell=cell.cell[:],
        scaled_positions=cell.get_scaled_positions(),
        masses=cell.get_masses(),
        magnetic_moments=moments if np.any(moments) else None,
    )


def atoms_of(cell: Any) -> Atoms:
    """Return a cell of phonopy's as ASE's, with its masses and magnetic moments (which lower its symmetry)."""
    found = Atoms(cell.symbols, cell=cell.cell, scaled_positions=cell.scaled_positions, masses=cell.masses, pbc=True)
    if cell.magnetic_moments is not None:
        found.set_initial_magnetic_moments(cell.magnetic_moments)
    return found


def harmonic(
    cell: Atoms,
    supercell_matrix: ArrayLike,
    primitive_matrix: ArrayLike,
    displacements_A: ArrayLike,
    forces_eV_A: ArrayLike,
    polar: Polar | None = None,
) -> Harmonic:
    """Return the force constants that forces on displaced supercells give, with sum rule and symmetry.

    displacements_A, forces_eV_A: supercells × atoms × 3, atoms as phonopy orders them. Where each supercell has one
    atom displaced phonopy's finite differences are taken, else symfc's projected least squares (Seko & Togo, Phys. Rev.
    B 110, 214302 (2024)). Raises InputError where there are too few supercells for the symmetry.
    """
    moves, forces = np.asarray(displacements_A, float), np.asarray(forces_eV_A, float)
    found = phonopy_of(cell, supercell_matrix, primitive_matrix)
    shape = (len(found.supercell), 3)
    if moves.shape[1:] != shape or forces.shape != moves.shape:
        raise InputError(
            f"forces of {forces.shape[1] if forces.ndim > 1 else 0} atoms do not belong to a supercell of {shape[0]}"
        )
    single = [np.flatnonzero(np.abs(each).max(axis=1) > 1e-12) for each in moves]
    if all(len(each) == 1 for each in single):
        found.dataset = {
            "natom": shape[0],
            "first_atoms": [
                {"number": int(atoms[0]), "displacement": move[atoms[0]], "forces": force}
                for atoms, move, force in zip(single, moves, forces, strict=True)
            ],
        }
        check_covered(found, [int(atoms[0]) for atoms in single], moves[range(len(moves)), [a[0] for a in single]])
        calculator = "traditional"
    else:
        check_determined(cell, supercell_matrix, primitive_matrix, len(moves))
        found.dataset = {"displacements": moves, "forces": forces}
        calculator = "symfc"
    try:
        found.produce_force_constants(fc_calculator=calculator, calculate_full_force_constants=False, show_drift=False)
    except (ValueError, RuntimeError, np.linalg.LinAlgError) as error:
        raise InputError(f"these forces give no force constants: {error}") from error
    if calculator == "traditional":
        # symfc's projector holds sum rule, permutations and space group at once; one after the other does not quite.
        found.symmetrize_force_constants(show_drift=False, use_symfc_projector=True)
    return Harmonic(
        cell,
        np.asarray(supercell_matrix, dtype=np.int64),
        np.asarray(primitive_matrix, float),
        np.array(found.force_constants),
        polar,
    )


def check_covered(crystal: Phonopy, atoms: Sequence[int], moves_A: Array) -> None:
    """Raise InputError where displacements of single atoms leave a direction of some atom undisplaced.

    atoms: numbers in the supercell, moves_A: their displacements (n, 3). phonopy itself takes what is missing as zero.
    """
    symmetry, supercell = crystal.symmetry, crystal.supercell
    moved = set(atoms)
    for atom in moved:
        lattice = supercell.cell.T
        turns = [lattice @ turn @ np.linalg.inv(lattice) for turn in symmetry.get_site_symmetry(atom)]
        own = moves_A[[number == atom for number in atoms]]
        turned = np.concatenate([own @ turn.T for turn in turns])
        rank = np.linalg.matrix_rank(turned / np.linalg.norm(turned, axis=1).max(), tol=1e-3)
        if rank < 3:
            raise InputError(
                f"displacements are missing: atom {atom + 1} of the supercell ({supercell.symbols[atom]}) is displaced "
                f"along {rank} of 3 directions only, symmetry included"
            )
    for atom in crystal.primitive.p2s_map:
        if not moved & set(symmetry.atomic_permutations[:, atom].tolist()):
            raise InputError(
                f"displacements are missing: neither atom {atom + 1} of the supercell ({supercell.symbols[atom]}) is "
                "displaced nor one that symmetry makes equal to it"
            )


def check_determined(cell: Atoms, supercell_matrix: ArrayLike, primitive_matrix: ArrayLike, supercells: int) -> None:
    """Raise InputError where forces of so many supercells leave force constants undetermined.

    symfc itself returns zeros then, without an error.
    """
    unknown = independent_constants(cell, supercell_matrix, primitive_matrix)
    atoms = len(cell) * round(abs(np.linalg.det(np.asarray(supercell_matrix))))
    if 3 * atoms * supercells < unknown:
        raise InputError(
            f"{supercells} supercells of {atoms} atoms have {3 * atoms * supercells} forces for {unknown} independent "
            f"force constants: at least {-(-unknown // (3 * atoms))} supercells are needed"
        )


def independent_constants(cell: Atoms, supercell_matrix: ArrayLike, primitive_matrix: ArrayLike) -> int:
    """Return how many force constants symmetry leaves independent in a supercell, an upper bound by permutations."""
    from symfc import Symfc
    from symfc.utils.utils import SymfcAtoms

    own = phonopy_of(cell, supercell_matrix, primitive_matrix).supercell
    atoms = SymfcAtoms(cell=own.cell, scaled_positions=own.scaled_positions, numbers=own.numbers)
    solver = Symfc(atoms).compute_basis_set(max_order=2)
    return int(solver.basis_set[2].basis_set.shape[1])


def same_frequencies(one: Harmonic, other: Harmonic, q: Sequence[Sequence[float]]) -> float:
    """Return the largest difference (THz) of the frequencies of two force constants of one crystal at some q."""
    return float(np.abs(one.modes(q).frequencies_THz - other.modes(q).frequencies_THz).max())
