"""The per-q files of an electron-phonon calculation of Quantum ESPRESSO, gathered and held against each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.elph import Crystal, ElectronPhonon, QPoint, lambdas_of, translations
from megabar.analysis.superconductivity.readers.espresso_dyn import DynamicalMatrix, is_dyn, read_dyn, read_gamma
from megabar.analysis.superconductivity.readers.espresso_q import NAME, CouplingAtQ, read_coupling
from megabar.analysis.superconductivity.readers.text import read_text
from megabar.analysis.superconductivity.units import MEV_PER
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
_SAME_Q, _SAME_SQUARE, _DEGENERATE = 2e-4, 2e-5, 2e-5
_GAMMA_FILE = "a2Fq2r.{smearing}.{number}"
_FIRST_GAMMA = 51
_SAME_SUM = 2e-4
_LEAST_MEV = 20 * MEV_PER["cm-1"]
"""ph.x writes λ = 0 for modes below 20 cm⁻¹, real or imaginary; their linewidths are in the matrices all the same."""


@dataclass(frozen=True)
class QFiles:
    """The files of one q-point: elph.inp_lambda.N or dynN.elph.N, dynN and, of every smearing or not, a2Fq2r.5S.N."""

    number: int
    coupling: Path
    dyn: Path
    gamma: tuple[Path, ...] = ()


def gather(folder: Path) -> ElectronPhonon:
    """Read all per-q files of a folder: ``dyn*`` in it, ``elph.inp_lambda.*`` (and ``a2Fq2r.*``) in it or in elph_dir.

    Of ``electron_phonon='simple'`` and of tetrahedra, ``dynN.elph.N`` instead.

    Raises InputError where q-points are missing (named), files are of different runs, or nothing is there.
    """
    files, grid = find_files(folder)
    return assemble(files, str(folder), grid)


def find_files(folder: Path) -> tuple[tuple[QFiles, ...], int | None]:
    """Return the files of every q-point of a folder and the number of q in the whole grid, where dyn0 tells it."""
    if folder.name == "elph_dir":
        folder = folder.parent
    inner = folder / "elph_dir" if (folder / "elph_dir").is_dir() else folder
    couplings = _couplings(inner) or _couplings(folder)  # of tetrahedra they are beside an elph_dir that is empty
    if not couplings:
        raise InputError(
            f"{folder}: there is no elph.inp_lambda.N in it or in its elph_dir, and no dynN.elph.N; it is no folder of "
            "ph.x"
        )
    dyns, prefix = _dyn_files(folder)
    grid, wanted = _grid(folder / f"{prefix}0")
    numbers = range(1, wanted + 1) if wanted else sorted(couplings)
    name = next(iter(couplings.values())).name
    named = "elph.inp_lambda" if name.startswith("elph.inp_lambda") else "dynN.elph.N"
    for kind, there in ((named, couplings), ("dynamical matrix", dyns)):
        missing = [str(number) for number in numbers if number not in there]
        if missing:
            raise InputError(
                f"{folder}: q-point{'s' if len(missing) > 1 else ''} {', '.join(missing)} of {len(numbers)} "
                f"{'have' if len(missing) > 1 else 'has'} no {kind} file; run them, then gather again"
            )
    return tuple(QFiles(n, couplings[n], dyns[n], _gamma_files(inner, n)) for n in numbers), grid


def _couplings(folder: Path) -> dict[int, Path]:
    return {int(match.group(1)): path for path in _listed(folder) if (match := NAME.search(path.name))}


def assemble(files: Sequence[QFiles], source: str, grid: int | None = None) -> ElectronPhonon:
    """Read the files of every q-point and put them together; grid: number of q that the stars must make up.

    Raises InputError where they do not belong together.
    """
    read = [(each, read_coupling(each.coupling), read_dyn(each.dyn)) for each in files]
    for each, coupling, dyn in read:
        _same_point(each, coupling, dyn)
        _same_run(read[0][1], coupling)
    total = sum(dyn.star for _, _, dyn in read)
    # A grid shifted by half a step has less symmetry than the crystal: its stars fill several of its images.
    shifted = not any(_is_gamma(dyn.q) for _, _, dyn in read)
    if grid is not None and total != grid and not (shifted and total % grid == 0):
        raise InputError(f"{source}: the stars of the q-points have {total} members together, the grid has {grid}")
    notes = () if grid is not None else (f"there is no dyn0: the grid is taken to be the {total} q of the stars found",)
    first, dyn = read[0][1], read[0][2]
    points = tuple(_point(each, coupling, matrix, matrix.star / total) for each, coupling, matrix in read)
    crystal = None if dyn.cell_A is None else Crystal(dyn.cell_A, dyn.positions_A, dyn.alat_A)
    return ElectronPhonon(
        source, points, first.smearings_Ry, first.dos_per_Ry, first.fermi_eV, dyn.species, dyn.masses, notes, crystal
    )


def _point(files: QFiles, coupling: CouplingAtQ, dyn: DynamicalMatrix, weight: float) -> QPoint:
    matrices = _matrices(files, coupling, dyn)
    if matrices is None:
        lambda_ = _unsplit(coupling.lambda_, coupling.squares_Ry2)
    else:
        lambda_ = lambdas_of(matrices, dyn.masses, dyn.eigenvectors, coupling.squares_Ry2, coupling.dos_per_Ry)
        lambda_ = np.where(coupling.lambda_ == 0, 0.0, lambda_) if _is_gamma(coupling.q) else lambda_
        _same_sum(files, lambda_, coupling)
    return QPoint(
        files.number,
        coupling.q,
        weight,
        coupling.omega_meV,
        lambda_,
        dyn.eigenvectors,
        translations(dyn.eigenvectors, dyn.masses)
        if _is_gamma(coupling.q)
        else np.zeros(len(coupling.omega_meV), bool),
        dyn.force_constants,
        matrices,
        dyn.star_q,
        dyn.star_constants,
    )


def _unsplit(lambda_: Array, squares: Array) -> Array:
    """Return λ with the mean over modes of one frequency: symmetry makes them equal, the interpolation splits them."""
    close = np.abs(np.diff(squares)) <= _DEGENERATE * np.max(np.abs(squares))
    group = np.concatenate([[0], np.cumsum(~close)])
    count = np.bincount(group)
    mean = np.array([np.bincount(group, weights=row) / count for row in lambda_])
    found: Array = mean[:, group]
    return found


def _same_point(files: QFiles, coupling: CouplingAtQ, dyn: DynamicalMatrix) -> None:
    root = np.sqrt(np.repeat(dyn.masses, 3))
    if len(root) != len(coupling.squares_Ry2) or not np.allclose(coupling.q, dyn.q, atol=_SAME_Q):
        raise InputError(f"{files.coupling} and {files.dyn} are not of the same q-point of one calculation")
    squares = np.linalg.eigvalsh(dyn.force_constants / (root[:, None] * root))
    if np.max(np.abs(squares - np.sort(coupling.squares_Ry2))) > _SAME_SQUARE * max(np.max(np.abs(squares)), 1e-6):
        raise InputError(f"{files.coupling} and {files.dyn} have different frequencies: they are of different runs")


def _same_run(one: CouplingAtQ, other: CouplingAtQ) -> None:
    for name in ("smearings_Ry", "dos_per_Ry", "fermi_eV"):
        first, second = getattr(one, name), getattr(other, name)
        if first.shape != second.shape or not np.allclose(first, second, atol=2e-5):
            raise InputError(
                f"{other.path} and {one.path} have different smearings or N(E_F): they are not of one calculation"
            )


def _same_sum(files: QFiles, lambda_: Array, coupling: CouplingAtQ) -> None:
    """The matrices are symmetrised, the λ of the other file are not: their sums over degenerate modes agree.

    Modes whose λ ph.x leaves out say nothing of that.
    """
    told = np.abs(coupling.omega_meV) > 1.01 * _LEAST_MEV
    expected = _unsplit(coupling.lambda_, coupling.squares_Ry2)
    if not np.allclose(lambda_[:, told], expected[:, told], rtol=2e-3, atol=_SAME_SUM):
        raise InputError(f"{files.gamma[0]} and {files.coupling} give different λ: they are of different runs")


def _matrices(files: QFiles, coupling: CouplingAtQ, dyn: DynamicalMatrix) -> Complex | None:
    if len(files.gamma) != len(coupling.smearings_Ry):
        return None
    found = []
    for place, path in enumerate(files.gamma):
        smearing, dos, q, matrix = read_gamma(path, len(dyn.masses))
        same = np.allclose((smearing, dos), (coupling.smearings_Ry[place], coupling.dos_per_Ry[place]), atol=1e-3)
        if not same or not np.allclose(q, dyn.q, atol=_SAME_Q):
            raise InputError(f"{path} and {files.coupling} are not of the same q-point of one calculation")
        found.append(matrix)
    return np.array(found)


def _gamma_files(folder: Path, number: int) -> tuple[Path, ...]:
    found = []
    for smearing in range(_FIRST_GAMMA, _FIRST_GAMMA + 50):
        path = folder / _GAMMA_FILE.format(smearing=smearing, number=number)
        if not path.is_file():
            break
        found.append(path)
    return tuple(found)


def _dyn_files(folder: Path) -> tuple[dict[int, Path], str]:
    """Return the dyn files by number, and what their names begin with."""
    by_prefix: dict[str, dict[int, Path]] = {}
    for path in _listed(folder):
        match = re.fullmatch(r"(.*?)(\d+)", path.name)
        if match and not NAME.search(path.name) and not path.name.startswith("a2Fq2r") and is_dyn(path):
            by_prefix.setdefault(match.group(1), {})[int(match.group(2))] = path
    if not by_prefix:
        raise InputError(
            f"{folder}: there is no dynamical matrix (fildyn of ph.x) in it; the weights of q come from them"
        )
    if len(by_prefix) > 1:
        raise InputError(
            f"{folder}: it holds dynamical matrices of several runs ({', '.join(by_prefix)}); keep those of one"
        )
    [(prefix, found)] = by_prefix.items()
    return found, prefix


def _grid(path: Path) -> tuple[int | None, int | None]:
    """Return the numbers of q in the grid and of stars that dyn0 tells, or None for both."""
    if not path.is_file():
        return None, None
    words = read_text(path).split()
    try:
        return prod(int(word) for word in words[:3]), int(words[3])
    except (ValueError, IndexError):
        raise InputError(f"{path}: not a dyn0 of ph.x: it begins with the q-grid and the number of q-points") from None


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror or error})") from None


def _is_gamma(q: tuple[float, float, float]) -> bool:
    return max(abs(each) for each in q) < _SAME_Q
