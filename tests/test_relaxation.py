"""Relaxations at fixed volume, run with the toy code: they end where they should, and steps are never too long."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from megabar.workflows.calculation import Calculation, inputs_of
from megabar.workflows.codes.interface import CalculationFailed, Request
from megabar.workflows.codes.registry import code
from megabar.workflows.config import Config
from megabar.workflows.execution import execute, prepare
from megabar.workflows.files import unpacked
from megabar.workflows.folder import HISTORY
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Begin
from megabar.workflows.tasks.relax import Relax
from megabar.workflows.tasks.single_point import SinglePoint

LIMITS = Relax(force_eV_A=0.005, stress_GPa=0.2, shape=True)


def relaxed(atoms: Atoms, folder: Path, starts: tuple[str, ...] = (), stiffness: float | None = None):
    """Return the result of a relaxation of copper, and its cells step by step."""
    emt = code("emt")
    data = emt.atomic_data(["Cu"], "EMT", "fast", {}, Config())
    settings = emt.settings(Request(atoms, "fast", "EMT", False, data))
    item = Calculation("emt", "1", settings, Structure.of(atoms), tuple(data), LIMITS, inputs_of(LIMITS, starts))
    prepare(folder, item, Begin(atoms, stiffness))
    result = execute(folder, Config())
    path = folder / HISTORY
    return result, unpacked(path.read_bytes())["cell_A"] if path.exists() else None


def sheared(atoms: Atoms, c_over_a: float) -> Atoms:
    """Return a cell strained along its threefold axis, (1, 1, 1) of the primitive vectors, at the same volume."""
    axis = atoms.cell.array.sum(axis=0) / np.linalg.norm(atoms.cell.array.sum(axis=0))
    along = np.outer(axis, axis)
    deformation = c_over_a ** (2 / 3) * along + c_over_a ** (-1 / 3) * (np.eye(3) - along)
    new = atoms.copy()
    new.set_cell(atoms.cell.array @ deformation.T, scale_atoms=True)
    return new


@pytest.mark.parametrize("a", [3.6, 3.2, 3.0])
def test_one_atom_in_a_rhombohedral_cell_becomes_fcc_in_short_steps(tmp_path: Path, a: float) -> None:
    """Strained by 6 %: soft guesses of the curvature have thrown such a cell into another phase at the first step."""
    start = sheared(bulk("Cu", "fcc", a=a), 1.06)
    result, cells = relaxed(start, tmp_path, starts=("neighbour",), stiffness=3.0)
    assert result["state"] == "done"
    assert result["space_group"] == "Fm-3m"
    steps = [np.linalg.solve(before, after) - np.eye(3) for before, after in pairwise(cells)]
    assert max(np.abs(step).max() for step in steps) < 0.06
    volumes = np.abs(np.linalg.det(cells))
    assert volumes == pytest.approx(volumes[0], rel=1e-6)


@pytest.mark.parametrize("relaxation", [LIMITS, None], ids=["relaxed", "as it is"])
@pytest.mark.parametrize("broken", ["free_energy", "stress", "forces"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_no_result_of_any_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, value: float, relaxation: Relax | None
) -> None:
    """A code that says it converged returns it, in a relaxation or where the cell stays as it is."""
    from ase.calculators.emt import EMT

    calculate = EMT.calculate

    def breaks(self: EMT, *arguments: object, **options: object) -> None:
        calculate(self, *arguments, **options)
        self.results[broken] = self.results[broken] + value

    monkeypatch.setattr(EMT, "calculate", breaks)
    emt, atoms = code("emt"), bulk("Cu", "fcc", a=3.5)
    data = emt.atomic_data(["Cu"], "EMT", "fast", {}, Config())
    settings = emt.settings(Request(atoms, "fast", "EMT", False, data))
    prepare(
        tmp_path,
        Calculation("emt", "1", settings, Structure.of(atoms), tuple(data), relaxation or SinglePoint()),
        Begin(atoms),
    )
    result = execute(tmp_path, Config())
    assert (result["state"], result["cause"]) == ("failed", "not-a-number")
    assert result["detail"] == f"emt returned values that are not finite: {broken}"
    assert not (tmp_path / HISTORY).exists()


@pytest.mark.slow
def test_a_phase_that_turns_into_another_has_left(tmp_path: Path) -> None:
    """A bcc-like rhombohedral cell (c/a of the threefold axis 1.3 away from fcc) falls downhill into fcc."""
    start = sheared(bulk("Cu", "fcc", a=3.6), 0.62)
    result, _ = relaxed(start, tmp_path, starts=("neighbour",))
    assert result["state"] == "left"
    assert "turns into another one" in result["detail"]
    # From a library's rough cell the same is a relaxation like any other.
    free, _ = relaxed(start, tmp_path / "free")
    assert free["state"] == "done"


@pytest.mark.parametrize(("strain", "another"), [(0.06, False), (0.11, False), (0.13, True), (0.2, True)])
def test_a_cell_strained_by_more_than_an_eighth_is_another_phase(strain: float, another: bool) -> None:
    # Between neighbours of a ladder hP4 sodium, whose c/a changes fastest of all that are known, is strained by 0.06.
    from megabar.workflows.tasks.relaxing import _check_same_phase

    start, after = bulk("Cu", cubic=True, a=3.6), bulk("Cu", cubic=True, a=3.6)
    # Along z by the strain, across it by half of it the other way: the volume stays.
    after.set_cell(start.cell.array * np.exp([-strain / 2, -strain / 2, strain]), scale_atoms=True)
    if another:
        with pytest.raises(CalculationFailed, match="turns into another one"):
            _check_same_phase(start, after)
    else:
        _check_same_phase(start, after)
    larger = start.copy()
    larger.set_cell(1.3 * start.cell.array, scale_atoms=True)
    _check_same_phase(start, larger)  # a volume is no strain
