"""What force constants of others break: the sum rule, the symmetry; and the forces that they do not explain."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from ase import units
from numpy.typing import ArrayLike

from megabar.analysis.phonons.harmonic import Array, Harmonic
from megabar.analysis.phonons.spectrum import THZ

SHARED = 0.5
"""Share of the unexplained forces, all but equal in all supercells, from which on the cell itself is not at rest."""


def symmetrised(crystal: Harmonic) -> Harmonic:
    """Return the nearest force constants with sum rule, permutations and space group, by symfc's projector."""
    from megabar.analysis.phonons.harmonic import phonopy_of

    work = phonopy_of(crystal.cell, crystal.supercell_matrix, crystal.primitive_matrix)
    work.force_constants = crystal.force_constants.copy()
    work.symmetrize_force_constants(show_drift=False, use_symfc_projector=True)
    return replace(crystal, force_constants=np.array(work.force_constants))


def sum_rule_eV_A2(crystal: Harmonic) -> float:
    """Return the largest component (eV/Å²) of the force on an atom when the whole crystal is shifted."""
    return float(np.abs(crystal.force_constants.sum(axis=1)).max())


def translation_THz(crystal: Harmonic) -> float:
    """Return the frequency (THz) furthest from zero that a shift of the whole crystal has: by the sum rule none."""
    rows = crystal.force_constants
    if len(rows) != len(crystal.primitive):
        rows = rows[crystal.phonopy.primitive.p2s_map]
    total = rows.sum(axis=(0, 1))
    squares = np.linalg.eigvalsh((total + total.T) / 2) / crystal.primitive.get_masses().sum()
    # sqrt(eV/Å²/u) in THz: ħω is that times ħ in ASE's units of time
    energies = np.sqrt(np.abs(squares)) * units._hbar * units.J * units.s
    return float(np.abs(energies).max() / THZ)


def predicted_forces(crystal: Harmonic, displacements_A: ArrayLike) -> Array:
    """Return the harmonic forces (eV/Å) on displaced supercells: displacements (Å) and forces (sets, atoms, 3)."""
    moves = np.asarray(displacements_A, float)
    found = np.zeros_like(moves)
    primitive, constants = crystal.phonopy.primitive, crystal.force_constants
    compact = len(constants) == len(primitive)
    shifts = primitive.atomic_permutations
    for atom in np.flatnonzero(np.abs(moves).max(axis=(0, 2)) > 0):
        if compact:
            home = primitive.s2p_map[atom]
            shift = shifts[np.flatnonzero(shifts[:, atom] == home)[0]]
            row = constants[primitive.p2p_map[home]][shift]
        else:
            row = constants[atom]
        found -= np.einsum("jab,sa->sjb", row, moves[:, atom])
    return found


@dataclass(frozen=True)
class Fit:
    """How well forces and force constants go together.

    residual: root mean square of what the harmonic forces leave, over that of the forces. varying: the same without
    what is equal in all supercells. rest_eV_A: largest force that is equal in all. drift: largest force an atom when
    all of a supercell are summed, over the root mean square of the forces.
    """

    residual: float
    varying: float
    rest_eV_A: float
    drift: float

    @property
    def at_rest(self) -> bool:
        """Whether the unexplained forces differ from supercell to supercell, as those of a relaxed cell do."""
        return self.varying > SHARED * self.residual


def fit_of(crystal: Harmonic, displacements_A: ArrayLike, forces_eV_A: ArrayLike) -> Fit:
    """Return how well force constants explain forces (sets, atoms, 3) on displaced supercells."""
    forces = np.asarray(forces_eV_A, float)
    left = forces - predicted_forces(crystal, displacements_A)
    size = float(np.sqrt((forces**2).mean())) or 1.0
    common = left.mean(axis=0) if len(left) > 3 else np.zeros(left.shape[1:])
    sums = np.abs(forces.sum(axis=1)).max() / forces.shape[1]
    return Fit(
        float(np.sqrt((left**2).mean())) / size,
        float(np.sqrt(((left - common) ** 2).mean())) / size,
        float(np.abs(common).max()),
        float(sums) / size,
    )
