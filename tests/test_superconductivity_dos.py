"""N(ε) from bands on a grid of k: free electrons, ASE's tetrahedra, and files of pw.x."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.dft.dos import linear_tetrahedron_integration
from elph_data import extracted
from scipy.constants import electron_mass, elementary_charge, hbar

from megabar.analysis.superconductivity.readers.espresso_bands import read_bands
from megabar.analysis.superconductivity.tetrahedra import (
    BandsOnGrid,
    density_of_states,
    fermi_energy,
    states_below,
)
from megabar.structures.errors import InputError
from megabar.workflows.codes.espresso.dos import density_of_states_of
from megabar.workflows.structure import Structure

HCP = np.array([[2.86, 0, 0], [-1.43, 2.476832654817, 0], [0, 0, 4.68]])
"""Cell (Å) of tests/data/espresso/hcp_al_bands.tar.xz: pw.x 6.7, Al, k 6×6×4, with and without symmetry."""
FREE = hbar**2 / (2 * electron_mass) / elementary_charge * 1e20
"""ħ²/2m (eV Å²)."""


def free_electrons(cell: np.ndarray, count: int) -> BandsOnGrid:
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    steps = np.indices((count,) * 3).reshape(3, -1).T / count
    shifts = np.indices((5, 5, 5)).reshape(3, -1).T - 2
    k = (steps[:, None, :] - shifts) @ reciprocal
    energy = np.sort(FREE * (k**2).sum(axis=2), axis=1)[:, :5]
    return BandsOnGrid(energy, np.arange(count**3).reshape((count,) * 3), reciprocal, "free electrons")


@pytest.mark.slow
def test_free_electrons() -> None:
    """N(ε) = V/(4π²) (2m/ħ²)^{3/2} √ε of one spin, and E_F = (ħ²/2m)(3π²n)^⅔."""
    cell = np.array(bulk("Al", "fcc", a=4.04).cell)
    bands, volume = free_electrons(cell, 24), abs(np.linalg.det(cell))
    energy = np.arange(2.0, 14.0, 0.5)
    exact = volume / (4 * np.pi**2) * FREE**-1.5 * np.sqrt(energy)
    # Where bands of two zones cross, the sorted ones have kinks, which linear tetrahedra round off.
    assert density_of_states(bands, energy, 0.5) == pytest.approx(exact, rel=0.04)
    assert states_below(bands, energy) == pytest.approx(2 / 3 * exact * energy, abs=5e-3)
    assert fermi_energy(bands, 3.0) == pytest.approx(FREE * (3 * np.pi**2 * 3 / volume) ** (2 / 3), rel=3e-3)


@pytest.fixture(scope="module")
def hcp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hcp")
    extracted(Path(__file__).parent / "data" / "espresso" / "hcp_al_bands.tar.xz", folder)
    return folder


def test_symmetry_makes_up_the_whole_grid(hcp: Path) -> None:
    few, all_k = (read_bands(hcp / f"{name}.a2Fsave", HCP) for name in ("symmetric", "all_k"))
    assert few.energy_eV.shape == (21, 9)
    assert all_k.energy_eV.shape == (144, 9)
    # pw.x does not converge the highest, empty bands as it does the others.
    assert np.abs(few.energy_eV[few.place] - all_k.energy_eV[all_k.place])[..., :5].max() < 2e-5
    energy = np.arange(-3.0, 10.0, 0.1)
    assert states_below(few, energy) == pytest.approx(states_below(all_k, energy), abs=1e-4)
    assert states_below(few, np.array([-10.0, 100.0])) == pytest.approx([0, 9])


def test_equals_the_tetrahedra_of_ase(hcp: Path) -> None:
    bands = read_bands(hcp / "symmetric.a2Fsave", HCP)
    fine = np.arange(-3.0, 10.0, 0.01)
    values = linear_tetrahedron_integration(HCP, bands.energy_eV[bands.place], fine)
    wide = density_of_states(bands, fine[:1300].reshape(-1, 10).mean(axis=1), 0.1)
    # The two cut the cells of a hexagonal grid into other tetrahedra.
    assert wide == pytest.approx(values[:1300].reshape(-1, 10).mean(axis=1), abs=0.06)
    assert np.sum(wide) * 0.1 == pytest.approx(np.sum(values) * 0.01, abs=0.01)
    below = density_of_states(bands, np.arange(-5.0, fermi_energy(bands, 6.0), 0.01), 0.01)
    assert np.sum(below) * 0.01 == pytest.approx(3.0, abs=0.01)


def test_flat_bands_lose_no_state() -> None:
    flat = BandsOnGrid(np.array([[1.0, 2.0]]), np.zeros((2, 2, 2), int), np.eye(3), "levels")
    found = density_of_states(flat, np.arange(0.0, 3.0, 0.2), 0.2)
    assert np.sum(found) * 0.2 == pytest.approx(2.0)
    assert fermi_energy(replace(flat, energy_eV=np.array([[1.0, 2.0]])), 2.0) == pytest.approx(1.0, abs=1e-6)


def test_files_that_are_none_are_refused(hcp: Path, tmp_path: Path) -> None:
    words = (hcp / "symmetric.a2Fsave").read_text().split()
    for name, content, said in (
        ("cut", words[:150], "only a part"),
        ("text", ["bands"], "not an a2Fsave"),
        ("other", [*words[:2], *words[2 : 2 + 189], "0.123", *words[192:]], "do not lie on the grid"),
        ("asymmetric", [*words[: 2 + 189 + 84 + 3], "1", *map(str, np.eye(3).ravel())], "of the grid out"),
    ):
        path = tmp_path / name
        path.write_text(" ".join(content))
        with pytest.raises(InputError, match=said) as caught:
            read_bands(path, HCP)
        assert str(caught.value).startswith(str(path))


def test_bands_that_cannot_be_read_cost_nothing_but_n_of_energy(hcp: Path, tmp_path: Path) -> None:
    words = (hcp / "symmetric.a2Fsave").read_text().split()
    (tmp_path / "pwscf.a2Fsave").write_text(" ".join(words[:150]))
    structure = Structure.of(Atoms("Al2", cell=HCP, pbc=True))
    arrays, facts = density_of_states_of(tmp_path, structure, "     number of electrons       =         6.00\n")
    assert arrays == {}
    assert "only a part" in facts["dos_missing"]
    shutil.copy(hcp / "symmetric.a2Fsave", tmp_path / "pwscf.a2Fsave")
    arrays, facts = density_of_states_of(tmp_path, structure, "     number of electrons       =         6.00\n")
    assert set(arrays) == {"dos_energy_eV", "dos_per_eV_spin_cell"}
    assert density_of_states_of(tmp_path, structure, "")[1]["dos_missing"].startswith("pw.x does not say")
