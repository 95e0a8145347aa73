"""Phonon dispersion from the dynamical matrices on a grid of q: force constants, interpolation, a path of q.

Only force constants are interpolated. The coupling is not: on grids of q that one can afford its interpolation makes
artefacts, so λ_qν and the linewidths are given at the computed q-points that lie on the path, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.elph import Crystal, ElectronPhonon, translations
from megabar.analysis.superconductivity.units import MEV_PER_RY
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
_SAME_DISTANCE = 1e-5
"""Relative difference of distances up to which images of an atom are equally near."""
_REAL = 1e-4
"""Imaginary part that force constants may have (of their maximum): rounding in the files."""
_ON_LINE = 1e-3
POINTS = 60
"""Points on the longest part of a path."""
LATTICE_EPS = 1e-3
"""How nearly a cell must be that of a Bravais lattice (relative)."""


@dataclass(frozen=True, eq=False)
class ForceConstants:
    """Φ(R) between an atom i in the cell R and an atom j in the cell 0.

    shifts: R in units of the lattice vectors, shape (m, 3). values: Ry/bohr², shape (m, 3n, 3n); where several images
    of a pair are equally near, each has its share. masses: by atom (Rydberg units). grid: q-points along each axis.
    """

    shifts: Array
    values: Array
    masses: Array
    grid: tuple[int, int, int]

    def at(self, fractions: Array) -> Complex:
        """Return Φ(q) = Σ_R Φ(R) e^{−iq·R} (Ry/bohr²) at q (units of the reciprocal vectors, (k, 3)), (k, 3n, 3n)."""
        phases = np.exp(-2j * np.pi * (np.atleast_2d(fractions) @ self.shifts.T))
        found: Complex = np.tensordot(phases, self.values, axes=(1, 0))
        return found

    def frequencies_meV(self, fractions: Array) -> Array:
        """Return ħω (meV) at q, ascending, negative where imaginary, shape (k, 3n)."""
        root = np.sqrt(np.repeat(self.masses, 3))
        matrices = self.at(fractions) / (root[:, None] * root)
        squares = np.linalg.eigvalsh((matrices + matrices.conj().swapaxes(1, 2)) / 2)
        found: Array = np.sign(squares) * np.sqrt(np.abs(squares)) * MEV_PER_RY
        return found


def force_constants(data: ElectronPhonon) -> ForceConstants:
    """Return the force constants whose Fourier sum is Φ(q) at every computed q.

    At Γ the rigid shifts are set to ω = 0 first (ph.x applies no sum rule, and leaves them at some meV); all other
    modes are met exactly. A pair of atoms is taken at its nearest images in the supercell that the grid makes, as in
    matdyn.x (Giannozzi et al., Phys. Rev. B 43, 7231 (1991)). Raises InputError where the cell is not known or the
    stars do not make a whole grid.
    """
    crystal = known_crystal(data)
    fractions = np.concatenate([crystal.fractions(point.star_q) for point in data.points])
    matrices = np.concatenate([point.star_constants for point in data.points])
    gamma = [place for place, q in enumerate(fractions) if _is_gamma(q)]
    for place in gamma:
        matrices[place] = without_shifts(matrices[place], data.masses)
    grid = grid_of(fractions, data.source)
    cells = np.array(list(product(*map(range, grid))), float)
    values = np.tensordot(np.exp(2j * np.pi * cells @ fractions.T), matrices, axes=(1, 0)) / len(fractions)
    if np.max(np.abs(values.imag)) > _REAL * np.max(np.abs(values.real)):
        raise InputError(f"{data.source}: its force constants are not real: dynamical matrices of q or −q are missing")
    shifts, shared = _nearest_images(values.real, cells, grid, crystal)
    return ForceConstants(shifts, shared, data.masses, grid)


def known_crystal(data: ElectronPhonon) -> Crystal:
    """Return the crystal of the files; InputError where they tell its lattice by a number that is not known here."""
    if data.crystal is None:
        raise InputError(
            f"{data.source}: the lattice is told by its ibrav alone, which is not one of 1, 2, 3, -3, 4, 6, 7, 8; with "
            "ibrav = 0 the files of ph.x hold the lattice vectors"
        )
    return data.crystal


def grid_of(fractions: Array, source: str) -> tuple[int, int, int]:
    """Return the grid that q-points (units of the reciprocal vectors, shape (k, 3)) make; InputError where none."""
    found = []
    for column in fractions.T:
        fits = [n for n in range(1, len(column) + 1) if np.allclose(n * column, np.round(n * column), atol=n * 1e-4)]
        found.append(fits[0] if fits else 0)
    places = {tuple(each) for each in np.round(fractions * found).astype(int) % np.maximum(found, 1)}
    if 0 in found or len(places) != int(np.prod(found)) or len(fractions) != len(places):
        raise InputError(f"{source}: the {len(fractions)} q of its stars make no whole grid: no dispersion")
    return found[0], found[1], found[2]


def without_shifts(matrix: Complex, masses: Array) -> Complex:
    """Return Φ(Γ) (Ry/bohr²) in which the three modes nearest to rigid shifts have ω = 0, all else as it was."""
    root = np.sqrt(np.repeat(masses, 3))
    squares, vectors = np.linalg.eigh(matrix / (root[:, None] * root))
    shifts = vectors[:, translations(vectors, masses)]
    moved = root[:, None] * shifts
    found: Complex = matrix - (moved * squares[translations(vectors, masses)]) @ moved.conj().T
    return found


def _is_gamma(fractions: Array) -> bool:
    return bool(np.max(np.abs(fractions)) < _ON_LINE)


def _nearest_images(values: Array, cells: Array, grid: tuple[int, int, int], crystal: Crystal) -> tuple[Array, Array]:
    """Return R and Φ(R) with each pair at its nearest images modulo the supercell, shared between equals."""
    supercells = np.array(list(product((-2, -1, 0, 1, 2), repeat=3)), float) * grid
    images = cells[:, None] + supercells  # (cells, images, 3)
    vectors = images @ crystal.cell_A
    places = np.unique(images.reshape(-1, 3), axis=0)
    number = {tuple(each): i for i, each in enumerate(places.astype(int).tolist())}
    rows = np.array([number[tuple(each)] for each in images.reshape(-1, 3).astype(int).tolist()])
    rows = rows.reshape(images.shape[:2])
    shared = np.zeros((len(places), *values.shape[1:]))
    for i, first in enumerate(crystal.positions_A):
        for j, second in enumerate(crystal.positions_A):
            distance = np.linalg.norm(vectors + first - second, axis=2)
            near = distance <= distance.min(axis=1)[:, None] * (1 + _SAME_DISTANCE) + 1e-9
            share = near / near.sum(axis=1)[:, None]
            block = values[:, 3 * i : 3 * i + 3, 3 * j : 3 * j + 3]
            cell, image = np.nonzero(near)
            target = shared[:, 3 * i : 3 * i + 3, 3 * j : 3 * j + 3]
            np.add.at(target, rows[cell, image], share[cell, image][:, None, None] * block[cell])
    used = np.any(shared != 0, axis=(1, 2))
    return places[used], shared[used]


@dataclass(frozen=True, eq=False)
class Part:
    """A straight part of a path. start, end: names of its ends. fractions: q, shape (k, 3). along: place on the axis of
    the figure (1/Å, 2π included), shape (k,). omega_meV: ascending, negative where imaginary, shape (k, modes)."""

    start: str
    end: str
    fractions: Array
    along: Array
    omega_meV: Array


@dataclass(frozen=True, eq=False)
class Marks:
    """The computed modes that lie on a path, one entry each, shape (k,).

    along: place on the axis (1/Å). omega_meV: negative where imaginary. lambda_: λ_qν. linewidth_meV: γ_qν, half the
    width at half the height. point: number of the q-point. Rigid shifts at Γ are not among them.
    """

    along: Array
    omega_meV: Array
    lambda_: Array
    linewidth_meV: Array
    point: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Dispersion:
    """Phonons along a path. shift_meV: the lowest of what ph.x left of the rigid shifts at Γ, which are drawn at 0."""

    parts: tuple[Part, ...]
    marks: Marks
    smearing_Ry: float
    grid: tuple[int, int, int]
    shift_meV: float


def dispersion(data: ElectronPhonon, smearing: int, points: int = POINTS) -> Dispersion:
    """Return the dispersion along the path of the Bravais lattice, with λ_qν and γ_qν (smearing: its number).

    Path: Setyawan & Curtarolo, Comput. Mater. Sci. 49, 299 (2010), by ASE. Raises InputError as `force_constants`.
    """
    constants, crystal = force_constants(data), known_crystal(data)
    parts, at = [], 0.0
    reciprocal = 2 * np.pi * np.linalg.inv(crystal.cell_A).T
    corners = zone_path(crystal)
    longest = max(np.linalg.norm((b - a) @ reciprocal) for _, a, _, b in corners)
    for start, a, end, b in corners:
        length = float(np.linalg.norm((b - a) @ reciprocal))
        count = max(2, round(points * length / float(longest)))
        fractions = a + np.linspace(0, 1, count + 1)[:, None] * (b - a)
        along = at + np.linspace(0, length, count + 1)
        parts.append(Part(start, end, fractions, along, constants.frequencies_meV(fractions)))
        at += length
    shifts = [float(np.min(p.omega_meV[p.translation])) for p in data.points if p.translation.any()]
    marks = _marks(data, smearing, parts, crystal)
    return Dispersion(tuple(parts), marks, float(data.smearings_Ry[smearing]), constants.grid, min(shifts, default=0.0))


def zone_path(crystal: Crystal) -> list[tuple[str, Array, str, Array]]:
    """Return the straight parts of the lattice's path: name and fractions of both ends; Γ is written as Γ."""
    from ase.cell import Cell
    from ase.dft.kpoints import parse_path_string

    try:
        path = Cell(crystal.cell_A).bandpath(npoints=0, eps=LATTICE_EPS)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"there is no path through the Brillouin zone of this cell: {error}") from None
    corners = []
    for names in parse_path_string(path.path):
        for start, end in pairwise(names):
            a, b = (np.asarray(path.special_points[name], float) for name in (start, end))
            corners.append((_pretty(start), a, _pretty(end), b))
    return corners


def _pretty(name: str) -> str:
    return "Γ" if name in ("G", "Gamma") else name.translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def _marks(data: ElectronPhonon, smearing: int, parts: list[Part], crystal: Crystal) -> Marks:
    """Return the computed modes that lie on the path, at every place where they lie on it."""
    from megabar.analysis.superconductivity.modes import linewidths_meV

    steps = np.array(list(product((-2, -1, 0, 1, 2), repeat=3)), float)
    found: list[tuple[float, int, int]] = []
    for number, point in enumerate(data.points):
        images = (crystal.fractions(point.star_q)[:, None] + steps).reshape(-1, 3)
        for part in parts:
            a, line = part.fractions[0], part.fractions[-1] - part.fractions[0]
            share = (images - a) @ line / (line @ line)
            off = np.linalg.norm(images - a - share[:, None] * line, axis=1)
            on = (off < _ON_LINE) & (share > -_ON_LINE) & (share < 1 + _ON_LINE)
            for place in np.unique(np.round(np.clip(share[on], 0, 1), 3)):
                along = float(part.along[0] + place * (part.along[-1] - part.along[0]))
                found += [(along, number, int(mode)) for mode in np.flatnonzero(~point.translation)]
    points = np.array([each[1] for each in found], int)
    widths = [linewidths_meV(data, smearing, point) for point in data.points]
    return Marks(
        np.array([each[0] for each in found]),
        np.array([data.points[n].omega_meV[mode] for _, n, mode in found]),
        np.array([data.points[n].lambda_[smearing, mode] for _, n, mode in found]),
        np.array([widths[n][mode] for _, n, mode in found]),
        np.array([data.points[n].number for n in points], int),
    )
