"""Phonon dispersion: against models with known dispersions, against matdyn.x, and exact at the computed q-points."""

import shutil
import subprocess
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from elph_data import unpacked

from megabar.analysis.superconductivity import dispersion as module
from megabar.analysis.superconductivity.dispersion import dispersion, force_constants, zone_path
from megabar.analysis.superconductivity.elph import Crystal, ElectronPhonon, QPoint
from megabar.analysis.superconductivity.isotopes import RY_MASS_PER_U, with_masses
from megabar.analysis.superconductivity.modes import linewidths_meV
from megabar.analysis.superconductivity.readers.espresso_dyn import lattice_vectors
from megabar.analysis.superconductivity.readers.espresso_elph import gather
from megabar.analysis.superconductivity.readers.espresso_q import GHZ_PER_RY, read_coupling
from megabar.analysis.superconductivity.units import MEV_PER, MEV_PER_RY
from megabar.structures.errors import InputError

QUOTED = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked("h3s_q444", tmp_path_factory.mktemp("h3s"))


@pytest.fixture(scope="module")
def h3s(folder: Path) -> ElectronPhonon:
    return gather(folder)


@pytest.fixture(scope="module")
def al(tmp_path_factory: pytest.TempPathFactory) -> ElectronPhonon:
    return gather(unpacked("al_q444", tmp_path_factory.mktemp("al")))


Springs = list[tuple[int, int, np.ndarray, float]]
"""Atoms i (in another cell) and j, the cell R of i, the stiffness (Ry/bohr²)."""


def model(cell: np.ndarray, positions: np.ndarray, masses_u: list[float], springs: Springs, grid: tuple[int, ...]):
    """Return what ph.x would give for atoms on springs, and Φ(q) of the model itself."""
    atoms = len(positions)

    def at(fractions: np.ndarray) -> np.ndarray:
        matrix = np.zeros((3 * atoms, 3 * atoms), complex)
        for i, j, cells, stiffness in springs:
            vector = cells @ cell + positions[i] - positions[j]
            block = stiffness * np.outer(vector, vector) / (vector @ vector)
            a, b = slice(3 * i, 3 * i + 3), slice(3 * j, 3 * j + 3)
            phase = np.exp(-2j * np.pi * fractions @ cells)
            matrix[a, a] += block
            matrix[b, b] += block
            matrix[a, b] -= block * phase
            matrix[b, a] -= block * phase.conj()
        return matrix

    crystal = Crystal(cell, positions, 1.0)
    root = np.sqrt(np.repeat(np.array(masses_u) * RY_MASS_PER_U, 3))
    points = []
    for number, place in enumerate(product(*map(range, grid)), start=1):
        fractions = np.array(place) / grid
        matrix = at(fractions)
        squares, vectors = np.linalg.eigh(matrix / (root[:, None] * root))
        q = tuple(fractions @ np.linalg.inv(cell).T)
        omega = np.sign(squares) * np.sqrt(np.abs(squares)) * MEV_PER_RY
        none = np.zeros((1, len(omega)))
        shifts = np.zeros(len(omega), bool)
        points.append(QPoint(number, q, 1.0, omega, none, vectors, shifts, matrix, None, np.array([q]), matrix[None]))
    one = np.ones(1)
    masses = np.array(masses_u) * RY_MASS_PER_U
    data = ElectronPhonon("model", tuple(points), one, one, one, ("Al",) * atoms, masses, (), crystal)
    return data, at


def test_fcc_with_springs_between_neighbours() -> None:
    """Along Γ–X: M ω² = 8k sin²(qa/4) longitudinal, 4k sin²(qa/4) transverse (Ashcroft & Mermin, chapter 22)."""
    a, stiffness, mass = 4.0, 0.05, 26.98
    cell = a / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    neighbours = [np.array(c) for c in ([1, 0, 0], [0, 1, 0], [0, 0, 1], [1, -1, 0], [0, 1, -1], [1, 0, -1])]
    data, at = model(cell, np.zeros((1, 3)), [mass], [(0, 0, c, stiffness) for c in neighbours], (4, 4, 4))
    found = force_constants(data)
    unit = np.sqrt(stiffness / (mass * RY_MASS_PER_U)) * MEV_PER_RY
    share = np.linspace(0, 1, 23)
    along = share[:, None] * np.array([0.5, 0.5, 0.0])
    sine = np.abs(np.sin(np.pi / 2 * share))
    expected = unit * np.column_stack([2 * sine, 2 * sine, np.sqrt(8) * sine])
    assert found.frequencies_meV(along) == pytest.approx(expected, abs=1e-5)
    anywhere = np.random.default_rng(1).uniform(-1, 1, (20, 3))
    assert found.at(anywhere) == pytest.approx(np.array([at(q) for q in anywhere]), abs=1e-12)


def test_two_atoms_on_a_chain() -> None:
    """ω² = k(1/m + 1/M) ± k√((1/m + 1/M)² − 4 sin²(qa/2)/mM): the textbook's diatomic chain, off the cell's origin."""
    cell, stiffness, masses = np.diag([3.0, 5.0, 7.0]), 0.03, [10.0, 40.0]
    positions = np.array([[0.2, 0, 0], [1.7, 0, 0]])
    springs: Springs = [(1, 0, np.zeros(3), stiffness), (0, 1, np.array([1.0, 0, 0]), stiffness)]
    data, _ = model(cell, positions, masses, springs, (4, 2, 1))
    found = force_constants(data)
    assert found.grid == (4, 2, 1)
    q = np.linspace(0, 0.5, 17)
    m, heavy = np.array(masses) * RY_MASS_PER_U
    sums, root = 1 / m + 1 / heavy, np.sqrt((1 / m + 1 / heavy) ** 2 - 4 * np.sin(np.pi * q) ** 2 / (m * heavy))
    expected = np.sqrt(np.maximum(stiffness * np.array([sums - root, sums + root]), 0)).T * MEV_PER_RY
    values = found.frequencies_meV(np.column_stack([q, 0.3 * np.ones(17), np.zeros(17)]))
    assert values[:, 4:] == pytest.approx(expected, abs=1e-4)
    assert np.max(np.abs(values[:, :4])) < 1e-4  # nothing holds the atoms sideways


@pytest.mark.parametrize("name", ["al", "h3s"])
def test_exact_at_every_computed_q_point(name: str, request: pytest.FixtureRequest) -> None:
    data: ElectronPhonon = request.getfixturevalue(name)
    constants = force_constants(data)
    assert data.crystal is not None and constants.grid == (4, 4, 4)
    for point in data.points:
        at_star = constants.frequencies_meV(data.crystal.fractions(point.star_q))
        expected = np.sort(np.where(point.translation, 0.0, point.omega_meV))
        assert at_star == pytest.approx(np.tile(expected, (len(point.star_q), 1)), abs=1e-3)


def test_h3s_has_stiff_hydrogen_and_soft_sulfur_modes(h3s: ElectronPhonon) -> None:
    """As published for Im-3m at 200 GPa, harmonic: S below 80 meV, H above, up to some 220 meV.

    Duan et al., Sci. Rep. 4, 6968 (2014); Errea et al., Phys. Rev. Lett. 114, 157004 (2015).
    """
    found = dispersion(h3s, QUOTED)
    highest = max(float(part.omega_meV.max()) for part in found.parts)
    assert 205 < highest < 230
    for point in h3s.points:
        sulfur = point.atom_shares()[:, 0] > 0.6
        assert np.all(point.omega_meV[sulfur] < 80)
    assert "".join(part.start for part in found.parts) == "ΓHNΓPP"


def test_marks_lie_on_the_lines_with_their_coupling(al: ElectronPhonon) -> None:
    found = dispersion(al, QUOTED)
    marks = found.marks
    assert len(marks.along) > 30
    for along, omega, coupling, number in zip(marks.along, marks.omega_meV, marks.lambda_, marks.point, strict=True):
        part = next(p for p in found.parts if p.along[0] - 1e-9 <= along <= p.along[-1] + 1e-9)
        branches = [np.interp(along, part.along, branch) for branch in part.omega_meV.T]
        assert min(abs(branch - omega) for branch in branches) < 0.2  # between two points of the line
        point = al.points[number - 1]
        mode = int(np.argmin(np.abs(point.omega_meV - omega)))
        assert coupling == pytest.approx(point.lambda_[QUOTED, mode], rel=1e-6)
    there = {int(number) for number in marks.point}
    assert 1 not in there  # Γ of one atom has translations only
    assert found.shift_meV == pytest.approx(0.715, abs=0.001)


def test_linewidths_are_those_of_ph(folder: Path, h3s: ElectronPhonon) -> None:
    """γ_qν by πN(E_F)ω²λ equals the gamma (GHz) that ph.x writes, but for the mean over degenerate modes."""
    for point in h3s.points[1:4]:
        theirs = read_coupling(folder / "elph_dir" / f"elph.inp_lambda.{point.number}").gamma_GHz[QUOTED]
        ours = linewidths_meV(h3s, QUOTED, point)
        assert ours.sum() == pytest.approx(theirs.sum() * MEV_PER_RY / GHZ_PER_RY, rel=1e-3)


@pytest.mark.skipif(not shutil.which("matdyn.x") or not shutil.which("q2r.x"), reason="needs Quantum ESPRESSO")
def test_as_matdyn_interpolates(
    folder: Path, h3s: ElectronPhonon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    q = np.array([[0.1, 0.2, 0.3], [0.37, 0.11, -0.6], [0, 0, 0.13], [0.5, 0.25, 0.25]])
    run(tmp_path, "q2r.x", f"&input\n fildyn='{folder}/h3s.dyn', zasr='no', flfrc='fc'\n/\n")
    rows = "\n".join(" ".join(map(str, row)) for row in q)
    masses = " ".join(f"amass({i + 1})={mass}," for i, mass in enumerate((32.06, 1.008)))
    run(tmp_path, "matdyn.x", f"&input\n asr='no', flfrc='fc', flfrq='freq', {masses}\n/\n{len(q)}\n{rows}\n")
    words = (tmp_path / "freq").read_text().split("/", 1)[1].split()
    theirs = np.array(words, float).reshape(len(q), 3 + 12)[:, 3:] * MEV_PER["cm-1"]
    monkeypatch.setattr(module, "without_shifts", lambda matrix, masses: matrix)  # asr='no'
    assert h3s.crystal is not None
    ours = force_constants(h3s).frequencies_meV(h3s.crystal.fractions(q))
    assert ours == pytest.approx(theirs, abs=2e-3)


def run(folder: Path, program: str, text: str) -> None:
    (folder / "input").write_text(text)
    subprocess.run([program, "-in", "input"], cwd=folder, check=True, capture_output=True, timeout=120)


def test_other_masses_have_their_own_dispersion(al: ElectronPhonon) -> None:
    heavy = with_masses(al, {"Al": 2 * 26.98})
    q = np.array([[0.21, 0.1, 0.0]])
    ratio = force_constants(al).frequencies_meV(q) / force_constants(heavy).frequencies_meV(q)
    assert ratio == pytest.approx(np.sqrt(2 * 26.98 * RY_MASS_PER_U / al.masses[0]) * np.ones((1, 3)), rel=1e-6)


def test_what_makes_no_grid_is_told(al: ElectronPhonon) -> None:
    with pytest.raises(InputError, match="make no whole grid"):
        force_constants(replace(al, points=al.points[:-1]))
    with pytest.raises(InputError, match="ibrav alone"):
        dispersion(replace(al, crystal=None), QUOTED)


def test_lattices_have_their_volumes() -> None:
    """a³ times 1, ¼, ½, ½, c√¾, c, c/2 and bc, and vectors of equal length where the lattice has them."""
    celldm = [2.0, 1.3, 1.7, 0.0, 0.0, 0.0]
    shares = {1: 1, 2: 0.25, 3: 0.5, -3: 0.5, 4: 1.7 * np.sqrt(0.75), 6: 1.7, 7: 0.85, 8: 1.3 * 1.7}
    for ibrav, share in shares.items():
        cell = lattice_vectors(ibrav, celldm)
        assert cell is not None
        assert np.linalg.det(cell) == pytest.approx(8 * share), ibrav
        if ibrav in (1, 2, 3, -3, 7):
            assert np.ptp(np.linalg.norm(cell, axis=1)) < 1e-12
    assert lattice_vectors(14, celldm) is None


def test_path_of_a_hexagonal_cell() -> None:
    cell = lattice_vectors(4, [3.0, 0, 1.6, 0, 0, 0])
    assert cell is not None
    names = [(start, end) for start, _, end, _ in zone_path(Crystal(cell, np.zeros((1, 3)), 3.0))]
    assert names[:3] == [("Γ", "M"), ("M", "K"), ("K", "Γ")]
