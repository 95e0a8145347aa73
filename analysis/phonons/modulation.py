"""The structure that an imaginary mode leads to: atoms moved along it, in the smallest cell that holds it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from ase import Atoms

from megabar.analysis.phonons.harmonic import Harmonic, atoms_of
from megabar.analysis.phonons.imaginary import ImaginaryMode
from megabar.structures.errors import InputError

LARGEST_DENOMINATOR = 12


def repeats_of(q: tuple[float, float, float]) -> tuple[int, int, int]:
    """Return how often the primitive cell is repeated along its vectors so that a q fits in.

    Raises InputError where a fraction has a denominator above LARGEST_DENOMINATOR.
    """
    found = []
    for value in q:
        nearest = Fraction(value).limit_denominator(LARGEST_DENOMINATOR)
        if abs(float(nearest) - value) > 1e-5:
            raise InputError(f"q = {q} fits into no cell of up to {LARGEST_DENOMINATOR} primitive ones along an axis")
        found.append(nearest.denominator)
    first, second, third = found
    return first, second, third


def modulated(crystal: Harmonic, mode: ImaginaryMode, amplitude_A: float) -> tuple[Atoms, Atoms]:
    """Return the cell that holds a mode, undistorted and with its atoms moved along it.

    amplitude_A: how far the atom that moves most is moved (Å).
    """
    modes = crystal.modes(mode.q).frequencies_THz[0]
    band = int(np.argmin(np.abs(modes - mode.frequency_THz)))
    repeats = repeats_of(mode.q)
    found = crystal.phonopy.run_modulations(list(repeats), [[list(mode.q), band, 1.0, 0.0]])
    moves = np.real(np.asarray(found.modulations)[0])
    largest = float(np.linalg.norm(moves, axis=1).max())
    if largest < 1e-8:
        raise InputError(f"the mode at q = {mode.q} moves no atom")
    cell = atoms_of(found.supercell)
    distorted = cell.copy()
    distorted.positions += moves * amplitude_A / largest
    return cell, distorted
