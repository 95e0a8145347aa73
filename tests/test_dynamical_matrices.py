"""Force constants from the dynamical matrices of ph.x, against ph.x, q2r.x and matdyn.x themselves."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.phonons.dynamical_matrices import QMatrices, from_matrices, grid_of
from megabar.analysis.phonons.harmonic import Harmonic, Polar, atoms_of, phonopy_of
from megabar.analysis.phonons.polar import charges
from megabar.analysis.phonons.readers.espresso import element, is_espresso, read_dyns, read_espresso
from megabar.structures.errors import InputError

DATA = Path(__file__).parent / "data"
CM = 29.9792458e-3
"""THz of one cm⁻¹."""
OFF_GRID = [[0.01, 0.005, 0.0], [0.1, 0.1, 0.0], [0.3, 0.2, 0.1], [0.25, 0.5, 0.4]]
needs_matdyn = pytest.mark.skipif(not shutil.which("matdyn.x"), reason="needs q2r.x and matdyn.x")


def unpacked(folder: Path, name: str) -> Path:
    with tarfile.open(DATA / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return next(folder.rglob("*dyn0")).parent


@pytest.fixture(scope="module")
def mgo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(tmp_path_factory.mktemp("mgo"), "dfpt/mgo_q222")


@pytest.fixture(scope="module")
def lih(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(tmp_path_factory.mktemp("lih"), "dfpt/lih_q211")


@pytest.fixture(scope="module")
def al(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(tmp_path_factory.mktemp("al"), "elph/al_q444")


def matdyn(folder: Path, q: ArrayLike) -> tuple[NDArray[np.float64], Path]:
    """Return the frequencies (THz) of q2r.x and matdyn.x with their simple sum rule, and the file of q2r.x."""
    points = np.asarray(q, float)
    stem = next(folder.glob("*dyn0")).name[:-1]
    lines = "\n".join(" ".join(map(str, each)) for each in points)
    run(["q2r.x"], folder, f"&input\n fildyn='{stem}' flfrc='own.fc' zasr='simple'\n/\n")
    run(
        ["matdyn.x"],
        folder,
        f"&input\n flfrc='own.fc' asr='simple' flfrq='own.freq' q_in_cryst_coord=.true.\n/\n{len(points)}\n{lines}\n",
    )
    words = (folder / "own.freq").read_text().split("/", 1)[1].split()
    return CM * np.array(words, float).reshape(len(points), -1)[:, 3:], folder / "own.fc"


def run(command: list[str], folder: Path, text: str) -> None:
    done = subprocess.run(command, cwd=folder, input=text, text=True, capture_output=True, check=True)
    assert "JOB DONE" in done.stdout


def frequencies(crystal: Harmonic, q: ArrayLike) -> NDArray[np.float64]:
    return crystal.modes(q).frequencies_THz


@pytest.mark.parametrize("name", ["mgo", "al"])
def test_frequencies_on_the_grid_are_those_of_ph(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(name)
    found = read_dyns(folder)
    crystal = read_espresso(folder, sum_rule=False)
    expected = found.matrices.frequencies_THz(found.cell.get_masses())
    away = np.abs(found.matrices.q).max(axis=1) > 1e-6  # at Γ phonopy's correction would have a direction
    assert frequencies(crystal, found.matrices.q[away]) == pytest.approx(expected[away], abs=0.001)
    printed = np.loadtxt(  # as ph.x diagonalised them
        [line.split("=")[1] for line in next(folder.glob("*dyn2")).read_text().splitlines() if "[THz]" in line],
        usecols=0,
    )
    # The masses of aluminium's files come from another atomic mass unit than ours, a few in 10⁶.
    assert min(np.abs(expected - printed).max(axis=1)) < 0.001


def test_magnesia_between_the_grid_points_is_as_matdyn_has_it(mgo: Path) -> None:
    crystal = read_espresso(mgo)
    # matdyn.x 6.7, asr = 'simple', cm⁻¹
    expected = CM * np.array(
        [
            [8.0149, 8.2183, 13.0121, 380.1209, 380.1454, 674.6424],
            [98.1698, 98.1698, 150.0958, 385.9684, 385.9684, 660.5573],
            [193.9712, 208.3714, 310.7942, 372.3080, 406.5597, 627.7483],
            [264.5691, 299.4484, 379.3388, 423.0055, 437.9660, 560.4436],
        ]
    )
    assert frequencies(crystal, OFF_GRID) == pytest.approx(expected, abs=0.002)
    at_gamma = crystal.modes([[0, 0, 0]], direction=[0.01, 0.005, 0.0]).frequencies_THz[0]
    assert at_gamma == pytest.approx([0, 0, 0, 11.396, 11.396, 20.227], abs=0.002)


@needs_matdyn
@pytest.mark.parametrize("name", ["mgo", "al"])
def test_dispersion_agrees_with_matdyn(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(name)
    expected, file = matdyn(folder, OFF_GRID)
    assert is_espresso(folder) and is_espresso(file)
    assert frequencies(read_espresso(folder), OFF_GRID) == pytest.approx(expected, abs=0.003)
    assert frequencies(read_espresso(file), OFF_GRID) == pytest.approx(expected, abs=0.003)


@needs_matdyn
def test_the_first_index_of_born_charges_is_the_field(lih: Path) -> None:
    near = [[0.001, 0.002, -0.0015], [0.0, 0.0, 0.001]]
    expected, file = matdyn(lih, near)
    crystal = read_espresso(lih)
    assert crystal.polar is not None
    turned = replace(crystal, polar=Polar(crystal.polar.born.transpose(0, 2, 1), crystal.polar.dielectric))
    # The second mode depends on it most; what the sum rule leaves of the acoustic modes is handled in two ways.
    assert frequencies(crystal, near)[:, 1] == pytest.approx(expected[:, 1], abs=0.002)
    assert np.abs(frequencies(turned, near)[:, 1] - expected[:, 1]).min() > 0.03
    assert frequencies(read_espresso(file), near) == pytest.approx(frequencies(crystal, near), abs=0.002)


def test_force_constants_of_q2r_hold_no_dipoles_and_get_them_back(mgo: Path) -> None:
    q = [[0.5, 0.5, 0.0], [0.5, 0.5, 0.5], [0.3, 0.2, 0.1]]
    one, other = read_espresso(mgo), read_espresso(mgo / "mgo.fc")
    assert frequencies(other, q) == pytest.approx(frequencies(one, q), abs=0.002)
    assert other.polar is not None and one.polar is not None
    assert other.polar.born == pytest.approx(one.polar.born, abs=1e-6)


def test_sum_rule_of_charges_and_forces(mgo: Path) -> None:
    found = read_dyns(mgo)
    assert found.violation_e == pytest.approx(0.0750510, abs=1e-6)  # 2.0073452 − 2.0823961
    assert found.polar is not None
    assert found.polar.born.sum(axis=0) == pytest.approx(np.zeros((3, 3)), abs=1e-12)
    assert found.polar.born[0] == pytest.approx(np.eye(3) * 2.0448707, abs=1e-6)
    assert found.polar.dielectric == pytest.approx(np.eye(3) * 3.5760848, abs=1e-6)
    # Rigid shifts as ph.x leaves them, √(ΣΦ / ΣM); it prints 2.4390 THz, of modes that are not quite rigid.
    assert found.matrices.shift_THz(found.cell.get_masses()) == pytest.approx(2.5489, abs=1e-3)
    assert read_espresso(mgo).modes([[0, 0, 0]]).frequencies_THz[0][:3] == pytest.approx(0, abs=1e-3)


def test_conventional_cell_gives_the_force_constants_of_the_primitive_one(mgo: Path) -> None:
    """A cell of several primitive ones, as a ladder may have it, with charges of all its atoms."""
    small = read_espresso(mgo)
    cell = bulk("MgO", "rocksalt", a=4.25, cubic=True)
    cell.set_masses([small.cell.get_masses()[0 if symbol == "Mg" else 1] for symbol in cell.symbols])
    vectors = np.linalg.inv(cell.cell.array) @ small.cell.cell.array.T
    q = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    born = np.array([np.eye(3) * (2.1 if symbol == "Mg" else -2.0) for symbol in cell.symbols])
    made = charges(cell, born, np.eye(3) * 3.0)
    assert made.violation_e == pytest.approx(0.4)
    primitive = atoms_of(phonopy_of(cell, np.eye(3, dtype=int), vectors).primitive)
    own = made.of(primitive)
    assert own.born.shape == (2, 3, 3)
    assert [own.born[list(primitive.symbols).index(each), 0, 0] for each in ("Mg", "O")] == pytest.approx([2.05, -2.05])
    # The eight atoms at Γ hold what the two have at Γ and at X.
    inner = q @ np.linalg.inv(cell.cell.array).T @ small.cell.cell.array.T
    assert np.allclose(inner, np.round(2 * inner) / 2)
    values = _folded(small, cell, inner)
    whole = from_matrices(cell, QMatrices(np.zeros((1, 3)), values[None]), primitive_matrix=vectors)
    assert len(whole.primitive) == 2
    bare = replace(small, polar=None)
    assert frequencies(whole, inner[1:]) == pytest.approx(frequencies(bare, inner[1:]), abs=0.01)


def _folded(crystal: Harmonic, cell: Atoms, q: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return Φ at Γ of a larger cell, from Φ at the q of the primitive one that it folds onto Γ."""
    small = crystal.cell
    root = np.sqrt(np.repeat(small.get_masses(), 3))
    bare = replace(crystal, polar=None).phonopy
    number = [list(small.symbols).index(symbol) for symbol in cell.symbols]
    reciprocal = small.cell.reciprocal()[:]
    found = np.zeros((3 * len(cell), 3 * len(cell)), complex)
    for each in q:
        [matrix] = bare.run_qpoints([each], with_dynamical_matrices=True).dynamical_matrices
        matrix = matrix * (root[:, None] * root)
        phase = np.exp(-2j * np.pi * (cell.positions[None, :] - cell.positions[:, None]) @ (each @ reciprocal))
        blocks = matrix.reshape(2, 3, 2, 3)[number][:, :, number]
        found += (blocks * phase[:, None, :, None]).reshape(found.shape) / len(q)
    return found


def test_files_that_do_not_belong_together_are_refused(mgo: Path, lih: Path, tmp_path: Path) -> None:
    def folder(name: str) -> Path:
        return Path(shutil.copytree(mgo, tmp_path / name))

    missing = folder("missing")
    (missing / "dyn3").unlink()
    with pytest.raises(InputError, match="dyn0 tells of 3 q, of which 2 have their file here"):
        read_espresso(missing)
    (missing / "dyn0").unlink()
    with pytest.raises(InputError, match="the 5 q make no whole grid"):
        read_espresso(missing)
    mixed = folder("mixed")
    shutil.copy(lih / "dyn2", mixed / "dyn2")
    with pytest.raises(InputError, match="of another crystal"):
        read_espresso(mixed)
    several = folder("several")
    shutil.copy(mgo / "dyn1", several / "old.dyn1")
    with pytest.raises(InputError, match="several calculations are here"):
        read_espresso(several)
    cut = folder("cut")
    (cut / "dyn2").write_text((mgo / "dyn2").read_text()[:2000])
    with pytest.raises(InputError, match="interrupted"):
        read_espresso(cut)
    short = tmp_path / "short.fc"
    short.write_text((mgo / "mgo.fc").read_text()[:4000])
    with pytest.raises(InputError, match=r"short\.fc: the force constants are not complete"):
        read_espresso(short)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no dyn files"):
        read_espresso(tmp_path / "empty")
    assert not is_espresso(tmp_path / "empty") and not is_espresso(mgo / "dyn1")


def test_matrices_that_make_no_force_constants_are_refused(mgo: Path) -> None:
    found = read_dyns(mgo)
    with pytest.raises(InputError, match="no whole grid"):
        grid_of(np.array([[0.0, 0, 0], [0.5, 0, 0], [0.5, 0, 0]]))
    with pytest.raises(InputError, match="q and −q"):
        from_matrices(found.cell, replace(found.matrices, values=found.matrices.values * np.exp(0.3j)))
    with pytest.raises(InputError, match="of 2 atoms for a cell of 1"):
        from_matrices(bulk("Al"), found.matrices)
    with pytest.raises(InputError, match="another lattice"):
        charges(found.cell, np.zeros((2, 3, 3)), np.eye(3)).of(bulk("MgO", "rocksalt", a=4.0))
    with pytest.raises(InputError, match=r"shape \(atoms, 3, 3\)"):
        charges(found.cell, np.zeros((3, 3, 3)), np.eye(3))


@pytest.mark.parametrize(
    ("name", "mass", "expected"),
    [("Mg", 24.3, "Mg"), ("Fe1", 55.8, "Fe"), ("O_h", 16.0, "O"), ("C2", 12.0, "C"), ("X1", 16.0, "O")],
)
def test_species_are_elements(name: str, mass: float, expected: str) -> None:
    assert element(name, mass) == expected
