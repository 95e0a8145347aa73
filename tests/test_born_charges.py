"""Born charges from displacements and symmetry, and those that GPAW computes."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from phonopy.structure.symmetry import symmetrize_borns_and_epsilon

from megabar.analysis.phonons.born import born_charges
from megabar.analysis.phonons.harmonic import phonopy_of
from megabar.analysis.phonons.polar import charges
from megabar.analysis.phonons.supercells import finite_moves
from megabar.structures.errors import InputError
from megabar.workflows.calculation import Calculation
from megabar.workflows.codes.gpaw.response import _Response
from megabar.workflows.codes.interface import Request
from megabar.workflows.codes.registry import code
from megabar.workflows.config import Config
from megabar.workflows.execution import execute, prepare
from megabar.workflows.files import read_json, unpacked
from megabar.workflows.records import CalculationRecord
from megabar.workflows.stopping import Stopped, ask_to_stop, forget_stop
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Begin
from megabar.workflows.tasks.response import Dielectric, DielectricResult

ONE = np.eye(3, dtype=int)
RESPONSE = {"cutoff_eV": 40.0, "bands_per_occupied": 6.0, "displacement_A": 0.01}


@pytest.mark.parametrize(
    "cell",
    [
        bulk("ZnO", "wurtzite", a=3.25, c=5.2, u=0.382),
        Atoms("LiH", cell=[[0.1, 2.0, 1.9], [2.0, 0.2, 2.3], [1.8, 2.2, 0.0]], scaled_positions=[[0, 0, 0], [0.5] * 3]),
    ],
    ids=["wurtzite", "triclinic"],
)
def test_few_displacements_and_symmetry_give_all_tensors(cell: Atoms) -> None:
    cell.pbc = True
    drawn = np.random.default_rng(3).normal(size=(len(cell), 3, 3))
    with pytest.raises(InputError, match=r"lack the symmetry of their cell") if len(cell) > 2 else nullcontext():
        charges(cell, drawn, np.eye(3))
    unitcell = phonopy_of(cell, ONE, np.eye(3)).unitcell
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made, _ = symmetrize_borns_and_epsilon(drawn, np.eye(3), unitcell)  # any tensors of the crystal's symmetry
    moves = finite_moves(cell, ONE, np.eye(3), 0.01)
    assert len(moves) < 3 * len(cell) or len(cell) == 2
    atoms, vectors = [atom for atom, _ in moves], np.array([move for _, move in moves])
    dipoles = np.array([made[atom] @ move for atom, move in moves])  # the first index is that of the polarisation
    found = born_charges(cell, atoms, vectors, dipoles)
    assert found == pytest.approx(made, abs=1e-9)
    assert np.abs(found - found.transpose(0, 2, 1)).max() > 0.1 or len(cell) == 4
    with pytest.raises(InputError, match="do not determine the Born charges of atom"):
        born_charges(cell, atoms[:1], vectors[:1], dipoles[:1])


def dielectric_of(atoms: Atoms, root: Path, kpoints: int) -> tuple[Calculation, Path]:
    """Return the calculation of a crystal's response by GPAW, prepared in its folder."""
    config, gpaw = Config(data=root), code("gpaw")
    data = gpaw.atomic_data(sorted(set(atoms.symbols)), "PBE", "fast", {}, config)
    settings = gpaw.settings(Request(atoms, "fast", "PBE", True, data))
    scf = {**settings["scf"], "density_per_electron": 1e-6, "eigenstates_eV2_per_electron": 1e-9}
    own = {"kpoints": [kpoints] * 3, "scf": scf, "occupations": "fixed", "response": RESPONSE}
    calculation = Calculation(
        "gpaw", gpaw.installation(config).version, {**settings, **own}, Structure.of(atoms), data, task=Dielectric()
    )
    folder = root / "calculations" / calculation.key
    prepare(folder, calculation, Begin(atoms))
    return calculation, folder


def result_of(calculation: Calculation, folder: Path, result: dict[str, Any]) -> DielectricResult:
    record = CalculationRecord(key=calculation.key, calculation={}, **result)
    found: DielectricResult = Dielectric().result(record, unpacked((folder / "history.npz").read_bytes()))
    return found


@pytest.mark.slow
def test_gpaw_gives_born_charges_and_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gpaw")
    calculation, folder = dielectric_of(bulk("MgO", "rocksalt", a=4.25), tmp_path, 3)
    step = _Response.step

    def stop_after(self: _Response, name: str, compute: Any) -> Any:
        found = step(self, name, compute)
        if name == "moved 0 +1":
            ask_to_stop(folder)
        return found

    with monkeypatch.context() as patched, pytest.raises(Stopped):
        patched.setattr(_Response, "step", stop_after)
        execute(folder, Config(data=tmp_path))
    forget_stop(folder)
    assert list(read_json(folder / "response.json")["done"]) == ["dielectric", "moved 0 +1"]
    result = execute(folder, Config(data=tmp_path))
    assert result["state"] == "done", result
    found = result_of(calculation, folder, result)
    # The Berry phase's own numbers here; PBE by perturbation theory: 1.96 to 1.98 on dense k-grids.
    assert found.charges.polar.born[0] == pytest.approx(1.984 * np.eye(3), abs=0.005)
    assert found.charges.violation_e < 0.002
    assert found.charges.polar.dielectric == pytest.approx(4.15 * np.eye(3), abs=0.05)  # 3.2 on k 8×8×8
    assert found.gamma is None and found.gap_eV == pytest.approx(4.22, abs=0.02)
    assert read_json(folder / "response.json") is None


@pytest.mark.slow
def test_gpaw_tells_a_metal_as_such(tmp_path: Path) -> None:
    pytest.importorskip("gpaw")
    _, folder = dielectric_of(bulk("Al", a=4.0), tmp_path, 3)
    result = execute(folder, Config(data=tmp_path))
    assert (result["state"], result["cause"]) == ("failed", "metallic")
    assert "a metal screens every field" in result["detail"]
