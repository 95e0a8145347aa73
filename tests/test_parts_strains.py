"""Strained cells as a part of studies: from plan to elastic constants, run with the toy code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.optimize import BFGS

from megabar.analysis.elasticity.pulay import without_pulay
from megabar.analysis.elasticity.strains import strained
from megabar.structures.errors import InputError
from megabar.workflows.calculation import Calculation
from megabar.workflows.codes.interface import AtomicData, Request
from megabar.workflows.codes.registry import CODES, code
from megabar.workflows.config import Config
from megabar.workflows.execution import execute, is_known, prepare
from megabar.workflows.files import unpacked
from megabar.workflows.folder import HISTORY
from megabar.workflows.parts.method import Method
from megabar.workflows.parts.rung import NumberedRung
from megabar.workflows.parts.strains import (
    StrainSet,
    collect,
    elastic_constants,
    sharp,
    strain_set,
    strain_set_state,
    strains_wanted,
)
from megabar.workflows.store import CalculationRecord, record_of
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.relax import Relax
from megabar.workflows.tasks.relax_atoms import RelaxAtoms
from megabar.workflows.tasks.single_point import SinglePoint

LIMITS = Relax(force_eV_A=0.01, stress_GPa=0.5, shape=True)
Records = dict[str, CalculationRecord]
FCC, HCP = bulk("Cu", a=3.3), bulk("Cu", "hcp", a=2.344, c=3.825)


def planned(atoms: Atoms, **others: Any) -> StrainSet:
    emt = code("emt")
    data = emt.atomic_data(["Cu"], "EMT", "fast", {}, Config())
    settings = emt.settings(Request(atoms, "fast", "EMT", False, data))
    method = Method("emt", "1", "fast", "EMT", tuple(data))
    return strain_set("Cu", atoms, method, settings, LIMITS, **others)


def run(
    plan: StrainSet, folder: Path, config: Config | None = None
) -> tuple[list[dict], dict[str, CalculationRecord], Any]:
    """Return rungs, records and arrays of all cells of a plan, run here."""
    rungs = [rung.to_dict() for rung in strains_wanted(strain_set_state(plan, [], {}))]
    records, arrays = {}, {}
    for rung in rungs:
        item = plan.calculation(rung["index"])
        where = folder / item.key
        prepare(where, item, item.task.begin(item, [], arrays.__getitem__))
        records[item.key] = record_of(item, execute(where, config or Config()), {})
        arrays[item.key] = unpacked((where / HISTORY).read_bytes())
    return rungs, records, arrays.__getitem__


def spring_arrays(plan: StrainSet) -> Any:
    """Return arrays as of an isotropic solid at 20 GPa with λ = 100 and μ = 60 GPa."""

    def histories(key: str) -> Mapping[str, np.ndarray]:
        [number] = [number for number in plan.numbers if plan.calculation(number).key == key]
        e = np.array(plan.strains[number - 1].tensor) if number else np.zeros((3, 3))
        s = (100 * np.trace(e) - 20) * np.eye(3) + 120 * e
        return {"stress_GPa": np.array([[0.0] * 6, [s[0, 0], s[1, 1], s[2, 2], s[1, 2], s[0, 2], s[0, 1]]])}

    return histories


def record(key: str, state: str = "done") -> CalculationRecord:
    return CalculationRecord(key=key, calculation={}, state=state, energy_eV_per_atom=-1.0, pressure_GPa=0.0)


def test_all_cells_are_wanted_at_once_and_only_once() -> None:
    plan = planned(FCC)
    wanted = strains_wanted(strain_set_state(plan, [], {}))
    assert [each.index for each in wanted] == [0, 1, 2, 3]
    assert {each.kind for each in wanted} == {"strain"}
    assert len({each.key for each in wanted}) == 4
    rungs = [each.to_dict() for each in wanted]
    assert [NumberedRung.from_dict(each) for each in rungs] == wanted
    assert strains_wanted(strain_set_state(plan, rungs, {})) == []
    # A further amplitude leaves what was asked for as it is.
    more = planned(FCC, amplitudes=(0.01, 0.005))
    assert [each.index for each in strains_wanted(strain_set_state(more, rungs, {}))] == [4, 5, 6]
    assert [more.calculation(n).key for n in plan.numbers] == [plan.calculation(n).key for n in plan.numbers]


def test_cells_are_strained_and_relaxed_where_their_symmetry_leaves_something_to_relax() -> None:
    fcc, hcp = planned(FCC), planned(HCP)
    assert {type(fcc.calculation(number).task) for number in fcc.numbers} == {SinglePoint}
    tasks = {strain.pattern: hcp.calculation(number).task for number, strain in enumerate(hcp.strains, 1)}
    assert tasks == {"xx": RelaxAtoms(0.001), "zz": SinglePoint(), "yz": RelaxAtoms(0.001)}
    assert hcp.calculation(0).task == SinglePoint()
    cell = fcc.calculation(1).structure.atoms().cell.array
    assert cell == pytest.approx(FCC.cell.array @ np.diag([1.01, 1, 1]), abs=2e-8)
    assert fcc.calculation(1).settings == fcc.calculation(0).settings


@pytest.mark.parametrize("atoms", [FCC, HCP], ids=["fcc", "hcp"])
def test_the_elastic_constants_of_a_metal_come_out_of_the_toy_code(tmp_path: Path, atoms: Atoms) -> None:
    plan = planned(atoms, amplitudes=(0.005,))
    rungs, records, histories = run(plan, tmp_path)
    state = strain_set_state(plan, rungs, records)
    assert (state.complete, state.failed) == (True, [])
    found = elastic_constants(state, histories, noise_GPa=0.0)

    def stress(strain: np.ndarray) -> np.ndarray:
        cell = strained(atoms, strain)
        cell.calc = EMT()
        BFGS(cell, logfile=None).run(fmax=1e-5)
        return cell.get_stress() / units.GPa

    # In the axes of these cells; the strain is small, and atoms are relaxed to the end.
    x, yz = np.diag([1e-3, 0, 0]), np.array([[0, 0, 0], [0, 0, 1e-3], [0, 1e-3, 0]])
    along, shear = (stress(x) - stress(-x)) / 2e-3, (stress(yz) - stress(-yz)) / 4e-3
    b = found.stiffness.voigt_GPa
    assert [b[0, 0], b[0, 1], b[0, 2], b[3, 3]] == pytest.approx([along[0], along[1], along[2], shear[3]], rel=0.01)
    assert found.stiffness.pressure_GPa > 30
    assert found.json()["stable"]


def test_a_strain_too_small_for_the_usual_tolerance_stays_while_atoms_relax(tmp_path: Path) -> None:
    # 0.002 of 2.34 Å is below the 0.01 Å at which a relaxation makes cells symmetric.
    plan = planned(HCP, amplitudes=(0.002,))
    item = plan.calculation(1)
    assert isinstance(item.task, RelaxAtoms)
    for place, task in enumerate((item.task, Relax(0.001, 0.5, shape=False))):
        each = replace(item, task=task)
        folder = tmp_path / str(place)
        prepare(folder, each, each.task.begin(each, [], lambda key: {}))
        result = execute(folder, Config())
        assert result["state"] == "done"
        after = Structure.from_dict(result["structure"])
        kept = np.allclose(after.cell, item.structure.cell, atol=1e-7)
        assert kept == (place == 0)
        if kept:
            assert result["largest_force_eV_A"] <= 0.001
            # The atoms follow the strain across the threefold axis: not where fractions are kept.
            assert np.abs(np.array(after.positions) - item.structure.positions).max() > 1e-4
            assert result["symmetry_change"] is None


def test_stresses_are_collected_as_they_are_stored_and_pulay_stress_is_taken_out() -> None:
    plan = planned(FCC)
    rungs = [each.to_dict() for each in strains_wanted(strain_set_state(plan, [], {}))]
    state = strain_set_state(plan, rungs, {each["key"]: record(each["key"]) for each in rungs})
    found = collect(state, spring_arrays(plan))
    assert found.numbers == (1, 2, 3)
    assert found.rest_GPa == pytest.approx(-20 * np.eye(3))
    fit = elastic_constants(state, spring_arrays(plan)).stiffness
    assert dict(zip(plan.crystal.names, fit.constants_GPa, strict=True)) == pytest.approx(
        {"11": 220.0, "12": 100.0, "44": 60.0}
    )
    # c = −V × 5 GPa: the computed pressure, 20 GPa, is 5 too low; σ changes by P_Pulay × tr ε in all diagonal elements.
    constant = -5 * units.GPa * plan.structure.volume_per_atom
    corrected = elastic_constants(state, spring_arrays(plan), pulay_eV=constant).stiffness
    assert corrected.pressure_GPa == pytest.approx(25.0)
    assert corrected.constants_GPa == pytest.approx([225.0, 105.0, 60.0], rel=1e-4)
    # Cells with a higher cutoff than the phase do not have the phase's Pulay stress.
    raised = strain_set_state(replace(plan, raised=True), rungs, state.records)
    assert elastic_constants(raised, spring_arrays(plan), pulay_eV=constant).stiffness.pressure_GPa == pytest.approx(20)
    assert without_pulay([np.eye(3)], [2.0], 3.0 * units.GPa)[0] == pytest.approx(2.5 * np.eye(3))


def test_what_failed_is_left_out_and_widens_the_error() -> None:
    plan = planned(FCC)
    rungs = [each.to_dict() for each in strains_wanted(strain_set_state(plan, [], {}))]
    records = {each["key"]: record(each["key"], "failed" if each["index"] == 2 else "done") for each in rungs}
    state = strain_set_state(plan, rungs, records)
    assert (state.done, state.failed, state.complete) == ([0, 1, 3], [2], False)
    assert collect(state, spring_arrays(plan)).numbers == (1, 3)
    assert elastic_constants(state, spring_arrays(plan)).stiffness.constants_GPa == pytest.approx([220, 100, 60])
    without_rest = strain_set_state(plan, rungs, {key: each for key, each in records.items() if key != rungs[0]["key"]})
    with pytest.raises(InputError, match="Cu: the stress of the unstrained cell is missing"):
        collect(without_rest, spring_arrays(plan))
    with pytest.raises(InputError, match="emt gives no stress here"):
        collect(state, lambda key: {})
    two = {key: each for key, each in records.items() if key != rungs[3]["key"]}
    with pytest.raises(InputError, match="1 strains do not determine the 3 elastic constants"):
        elastic_constants(strain_set_state(plan, rungs, two), spring_arrays(plan))


def test_stresses_of_another_structure_are_not_taken_for_its_own() -> None:
    plan = planned(FCC)
    rungs = [each.to_dict() for each in strains_wanted(strain_set_state(plan, [], {}))]
    records = {each["key"]: record(each["key"]) for each in rungs}
    other = planned(bulk("Cu", a=3.31))
    with pytest.raises(RuntimeError, match="was computed for another structure"):
        collect(strain_set_state(other, rungs, records), spring_arrays(plan))


def test_a_cell_is_made_symmetric_before_it_is_strained() -> None:
    noisy = HCP.copy()
    noisy.positions += np.random.default_rng(2).normal(scale=1e-3, size=(2, 3))
    assert planned(noisy).crystal.laue == "6/mmm"
    assert len(planned(noisy).strains) == 5


def test_self_consistency_is_sharpened_never_dulled() -> None:
    dull = {"energy_eV_per_electron": 1e-4, "density_per_electron": 1e-4, "eigenstates_eV2_per_electron": 1e-6}
    gpaw = {"cutoff_eV": 400, "scf": {**dull, "steps": 60}}
    found = sharp("gpaw", gpaw)
    assert all(found["scf"][name] < dull[name] for name in dull)
    assert (found["cutoff_eV"], gpaw["scf"]["steps"], found["scf"]["steps"]) == (400, 60, 100)
    assert sharp("gpaw", found) == found
    assert [sharp("gpaw", gpaw, needed)["cutoff_eV"] for needed in (300.0, 700.0)] == [400, 700]
    atomic = AtomicData("Cu", "cu.xml", "0" * 64, 1.0, 700.0, "made")
    method = Method("gpaw", "1", "fast", "PBE", (atomic, replace(atomic, element="O", cutoff_eV=900.0)))
    plans = [strain_set("Cu", FCC, method, {**gpaw, "cutoff_eV": cutoff}, LIMITS) for cutoff in (400, 800)]
    assert [(plan.settings["cutoff_eV"], plan.raised) for plan in plans] == [(700, True), (800, False)]
    assert sharp("espresso", {"scf_energy_eV": 1e-5})["scf_energy_eV"] < 1e-6
    assert sharp("espresso", {"scf_energy_eV": 1e-12})["scf_energy_eV"] == 1e-12
    assert sharp("emt", {}) == {}


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("pw.x") is None, reason="Quantum ESPRESSO is not installed")
def test_silicon_by_quantum_espresso_has_published_constants_its_atoms_relaxed(tmp_path: Path) -> None:
    """Measured: 165.6, 63.9 and 79.5 GPa (McSkimin & Andreatch, J. Appl. Phys. 35, 2161 (1964))."""
    atoms, config, espresso = bulk("Si", a=5.40), Config(data=tmp_path / "data"), code("espresso")
    data = espresso.atomic_data(["Si"], "LDA", "fast", {("Si", "Si"): 2.3}, config)
    settings = {**espresso.settings(Request(atoms, "fast", "LDA", True, data)), "kpoints": [8, 8, 8]}
    method = Method("espresso", espresso.installation(config).version, "fast", "LDA", tuple(data))
    plan = strain_set("Si", atoms, method, settings, Relax(0.02, 1.0, shape=True))
    assert [type(plan.calculation(number).task) for number in plan.numbers] == [SinglePoint] * 3 + [RelaxAtoms]
    rungs, records, histories = run(plan, tmp_path, config)
    found = elastic_constants(strain_set_state(plan, rungs, records), histories)
    b = dict(zip(plan.crystal.names, found.stiffness.constants_GPa, strict=True))
    assert abs(found.stiffness.pressure_GPa) < 0.5
    assert b == pytest.approx({"11": 165.6, "12": 63.9, "44": 79.5}, rel=0.08)
    # The first step of the relaxation has the atoms where the strain alone takes them; they soften C44 by a third.
    clamped = histories(rungs[3]["key"])["stress_GPa"][0]
    assert clamped[3] / (np.sqrt(2) * 0.01) > 1.3 * b["44"]


def test_the_task_goes_through_json_and_returns_what_it_says(tmp_path: Path) -> None:
    plan = planned(HCP)
    item = plan.calculation(1)
    again = Calculation.from_dict(json.loads(json.dumps(item.to_dict())))
    assert (again, again.key) == (item, item.key)
    assert replace(item, task=RelaxAtoms(0.002)).key != item.key
    assert all(is_known(replace(item, code=name)) for name in CODES)
    prepare(tmp_path, item, item.task.begin(item, [], lambda key: {}))
    result = execute(tmp_path, Config())
    arrays = unpacked((tmp_path / HISTORY).read_bytes())
    assert {*item.task.arrays} <= arrays.keys()
    found = item.task.result(record_of(item, result, {}), arrays)
    assert found.energy_eV_per_atom == result["energy_eV_per_atom"]
    assert found.structure.cell == pytest.approx(np.array(item.structure.cell), abs=1e-7)
    assert item.task.work(item) > 1
