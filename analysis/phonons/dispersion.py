"""Phonon dispersion along the crystallographers' path through the Brillouin zone, and the density of states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from megabar.analysis.phonons.harmonic import Array, Harmonic
from megabar.analysis.phonons.spectrum import LENGTH_A

POINTS_PER_INV_A = 40.0


@dataclass(frozen=True, eq=False)
class Branch:
    """A straight piece of the path. distance: along the path (2π/Å); q: fractions; frequencies_THz: (q, modes)."""

    labels: tuple[str, str]
    q: Array
    distance: Array
    frequencies_THz: Array
    velocities_km_s: Array | None = None


@dataclass(frozen=True, eq=False)
class Dispersion:
    """Frequencies along the path (Hinuma et al., Comput. Mater. Sci. 128, 140 (2017), by seekpath), with their density.

    density: states per THz and primitive cell at density_THz.
    """

    branches: tuple[Branch, ...]
    density_THz: Array
    density: Array


def path(crystal: Harmonic) -> list[tuple[tuple[str, Array], tuple[str, Array]]]:
    """Return the pieces of seekpath's path: name and q of both ends, in the primitive reciprocal vectors."""
    import warnings

    import seekpath

    cell = crystal.primitive
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = seekpath.get_path_orig_cell((cell.cell[:], cell.get_scaled_positions(), cell.numbers))
    points = {name: np.array(q, float) for name, q in found["point_coords"].items()}
    return [((one, points[one]), (two, points[two])) for one, two in found["path"]]


def dispersion(crystal: Harmonic, velocities: bool = False, length_A: float = LENGTH_A) -> Dispersion:
    """Return the dispersion along the path and the density of states (linear tetrahedra).

    In a polar crystal Γ is approached along each piece of the path.
    """
    branches, distance = [], 0.0
    reciprocal = crystal.primitive.cell.reciprocal()[:]
    for (first, start), (last, end) in path(crystal):
        length = float(np.linalg.norm((end - start) @ reciprocal))
        q = np.linspace(start, end, max(8, int(np.ceil(POINTS_PER_INV_A * 2 * np.pi * length)) + 1))
        modes = crystal.modes(q, velocities=velocities, direction=end - start)
        at = distance + np.linspace(0.0, length, len(q))
        branches.append(Branch((first, last), q, at, modes.frequencies_THz, modes.velocities_km_s))
        distance = float(at[-1])
    crystal.phonopy.run_mesh(length_A, is_gamma_center=True)
    density = crystal.phonopy.run_total_dos(use_tetrahedron_method=True)
    return Dispersion(tuple(branches), np.array(density.frequency_points), np.array(density.dos))
