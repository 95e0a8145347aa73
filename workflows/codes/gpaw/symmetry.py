"""Symmetry operations for GPAW, found by spglib.

GPAW's own analysis takes fractional translations from the positions as they are and wants them to form a group to
1e-10; positions with the last digits of a relaxation, or of 1/3 through a change of cell, stop it. Here every
translation is the nearest multiple of 1/24.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from megabar.structures.symmetry import ask_spglib

TOLERANCE_A = 1e-4
"""Atoms within this (Å) of their symmetric places count as being there."""

_DIVISIONS = 24  # every translation of the 230 space groups in a standard setting is a multiple of 1/24
_SNAP = 1e-3


def symmetry_parameter(atoms: Atoms) -> dict[str, Any]:
    """Return GPAW's ``symmetry`` for a crystal: rotations, translations and atom maps that form a group exactly.

    GPAW's convention is x' = x U + t for rows x of fractional coordinates. Cells that are not primitive keep the
    operations without translation only, and cells too skewed for GPAW (entries of U beyond 1) are left to GPAW.
    """
    positions = atoms.get_scaled_positions()
    found = ask_spglib("get_symmetry", (atoms.cell.array, positions, atoms.numbers), symprec=TOLERANCE_A)
    if found is None:  # GPAW looks for itself then
        return {}
    rotations = np.asarray(found["rotations"]).transpose(0, 2, 1)
    if np.abs(rotations).max() > 1:
        return {}
    translations = _snapped(np.asarray(found["translations"]))
    primitive = sum(bool((rotation == np.eye(3)).all()) for rotation in rotations) == 1
    kept = np.isfinite(translations).all(axis=1) if primitive else (translations == 0).all(axis=1)
    rotations, translations = rotations[kept], translations[kept]
    return {
        "rotations": rotations.tolist(),
        "translations": translations.tolist(),
        "atommaps": [
            _atom_map(positions, atoms, *operation) for operation in zip(rotations, translations, strict=True)
        ],
        "tolerance": 10 * TOLERANCE_A,
        "symmorphic": False,
    }


def _snapped(translations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each translation as a multiple of 1/24 in [0, 1), nan where it is none (origin off the standard)."""
    whole = np.round(translations * _DIVISIONS)
    near = np.abs(translations - whole / _DIVISIONS) < _SNAP
    return np.where(near, (whole % _DIVISIONS) / _DIVISIONS, np.nan)


def _atom_map(
    positions: NDArray[np.float64], atoms: Atoms, rotation: NDArray[np.int64], translation: NDArray[np.float64]
) -> list[int]:
    """Return for each atom the one that an operation moves it to."""
    difference = (positions @ rotation + translation)[:, None] - positions[None]
    distance = np.linalg.norm((difference - difference.round()) @ atoms.cell.array, axis=2)
    distance[atoms.numbers[:, None] != atoms.numbers[None]] = np.inf
    return [int(atom) for atom in distance.argmin(axis=1)]
