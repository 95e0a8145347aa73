"""The coarser grids of q that lie within a computed one: how λ and Tc converge, at no cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from megabar.analysis.superconductivity.dispersion import grid_of, known_crystal
from megabar.analysis.superconductivity.eliashberg.linearised import critical_temperature
from megabar.analysis.superconductivity.elph import ElectronPhonon, spectrum, total_lambda

Grid = tuple[int, int, int]
_ON_GRID = 1e-3


def nested(data: ElectronPhonon) -> tuple[tuple[Grid, ElectronPhonon], ...]:
    """Return the grids N/2, N/3, … that lie within the computed one and have more than Γ, and itself last.

    Their q-points are those of the finer one, whole stars of them. Raises InputError where the cell is not known.
    """
    crystal = known_crystal(data)
    grid = grid_of(np.concatenate([crystal.fractions(point.star_q) for point in data.points]), data.source)
    divisors = [n for n in range(max(grid), 1, -1) if all(size % n == 0 for size in grid) and max(grid) > n]
    found = []
    for divisor in divisors:
        coarse = (grid[0] // divisor, grid[1] // divisor, grid[2] // divisor)
        on = [point for point in data.points if _lies_on(crystal.fractions(point.star_q), coarse)]
        total = sum(len(point.star_q) for point in on)
        points = tuple(replace(point, weight=len(point.star_q) / total) for point in on)
        found.append((coarse, replace(data, points=points)))
    return (*found, (grid, data))


def _lies_on(fractions: np.ndarray, grid: Grid) -> bool:
    places = fractions * grid
    return bool(np.all(np.abs(places - np.round(places)) < _ON_GRID))


def convergence(
    data: ElectronPhonon, smearing: int, mu_star: float, mu_ref_meV: float | None = None
) -> list[tuple[Grid, float, float | None]]:
    """Return grid, λ and Tc (K, Eliashberg; None where there is no coupling) on the nested grids, the finest last.

    smearing: its number. μ* is referred to mu_ref_meV or the highest frequency of the finest grid on all of them.
    """
    reference = mu_ref_meV or spectrum(data, smearing).omega_max_meV
    rows = []
    for grid, part in nested(data):
        coupling = float(total_lambda(part)[smearing])
        tc = critical_temperature(spectrum(part, smearing), mu_star, reference) if coupling > 0 else None
        rows.append((grid, coupling, tc))
    return rows
