"""Tasks: the keys and forms that they are stored in, and those that run by the calculator of any code."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk

from megabar.workflows.calculation import Calculation, inputs_of
from megabar.workflows.codes.interface import CalculationFailed, Request
from megabar.workflows.codes.registry import CODES, code
from megabar.workflows.config import Config
from megabar.workflows.cost import seconds
from megabar.workflows.execution import execute, is_known, prepare
from megabar.workflows.files import unpacked
from megabar.workflows.folder import HISTORY, RESULT, STATE
from megabar.workflows.store import CalculationRecord, record_of
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.dynamics import TRAJECTORY
from megabar.workflows.tasks.electrons import GroundState, PhononQ
from megabar.workflows.tasks.interface import Begin, Input
from megabar.workflows.tasks.registry import TASKS
from megabar.workflows.tasks.relax import Relax
from megabar.workflows.tasks.single_point import SinglePoint
from megabar.workflows.tasks.stretch import Stretch

KEYS = json.loads((Path(__file__).parent / "data" / "keys.json").read_text())
"""Calculations with their keys as they were stored before there were typed tasks."""
STRETCH = Stretch(steps=20, timestep_fs=2.0, temperature_K=300.0, seed=1, every=5)


def of_emt(atoms: Atoms, task: object, *keys: str) -> Calculation:
    emt = code("emt")
    data = emt.atomic_data(sorted(set(atoms.symbols)), "EMT", "fast", {}, Config())
    settings = emt.settings(Request(atoms, "fast", "EMT", False, data))
    return Calculation("emt", "1", settings, Structure.of(atoms), tuple(data), task, inputs_of(task, keys))


def copper(size: int = 2) -> Atoms:
    return bulk("Cu", cubic=True, a=3.62) * (size, size, size)


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether arrays differ by no more than rounding, which a new list of neighbours sums in another order."""
    return one.shape == other.shape and np.allclose(one, other, rtol=0.0, atol=1e-7)


def run(folder: Path, item: Calculation, begin: Begin | None = None) -> tuple[dict, dict]:
    prepare(folder, item, begin or Begin(item.structure.atoms()))
    result = execute(folder, Config())
    path = folder / HISTORY
    return result, unpacked(path.read_bytes()) if path.exists() else {}


@pytest.mark.parametrize("name", KEYS)
def test_what_was_stored_before_keeps_its_key_and_its_form(name: str) -> None:
    stored = KEYS[name]
    item = Calculation.from_dict(stored["calculation"])
    assert item.key == stored["key"]
    assert json.loads(json.dumps(item.to_dict())) == stored["calculation"]
    roles = {"relaxed": "start", "rattled": "start", "judged": "structure", "phonon": "ground-state"}
    assert {each.role for each in item.inputs} == ({roles[name]} if name in roles else set())
    assert all(each.key in {stored["calculation"]["starts"][place]} for place, each in enumerate(item.inputs))


@pytest.mark.parametrize("task", [SinglePoint(forces=True), STRETCH])
def test_new_tasks_go_through_json_and_have_keys_of_their_own(task: object) -> None:
    item = of_emt(copper(), task, "a" * 40)
    again = Calculation.from_dict(json.loads(json.dumps(item.to_dict())))
    assert (again, again.key) == (item, item.key)
    assert again.inputs == (Input(task.role, "a" * 40),)
    assert {"relaxation", "starts"}.isdisjoint(item.to_dict())  # an earlier version misses them: it is not its own
    other = replace(task, **({"seed": 2} if isinstance(task, Stretch) else {"forces": False}))
    assert replace(item, task=other).key != item.key
    assert replace(item, inputs=(Input("another", "a" * 40),)).key != item.key


def test_a_task_that_is_not_known_is_no_task_of_ours() -> None:
    content = of_emt(copper(), STRETCH).to_dict()
    with pytest.raises(TypeError, match="the task 'anneal'"):
        Calculation.from_dict({**content, "task": "anneal"})
    with pytest.raises(TypeError, match="thermostat"):
        Calculation.from_dict({**content, "parameters": {**content["parameters"], "thermostat": "x"}})


@pytest.mark.parametrize("name", CODES)
def test_every_code_does_what_an_ase_calculator_does_and_says_what_else(name: str) -> None:
    item = replace(of_emt(copper(), SinglePoint()), code=name)
    assert all(is_known(replace(item, task=each)) for each in (Relax(0.01, 0.1, True), SinglePoint(True), STRETCH))
    for task in (GroundState(), PhononQ()):
        assert is_known(replace(item, task=task)) == (name == "espresso")
    assert {*CODES[name].programs} <= {*TASKS}


def test_a_single_point_keeps_its_forces_where_they_are_asked_for(tmp_path: Path) -> None:
    atoms = copper()
    atoms.rattle(0.05, seed=3)
    item = of_emt(atoms, SinglePoint(forces=True))
    result, arrays = run(tmp_path, item)
    found = item.task.result(record_of(item, result, {}), arrays)
    from ase.calculators.emt import EMT

    exact = item.structure.atoms()
    exact.calc = EMT()
    assert np.allclose(found.forces_eV_A, exact.get_forces(), atol=1e-10)
    assert found.energy_eV_per_atom == pytest.approx(exact.get_potential_energy() / len(exact), abs=1e-10)
    without, arrays = run(tmp_path / "without", of_emt(atoms, SinglePoint()))
    assert "forces_eV_A" not in arrays
    assert without["energy_eV_per_atom"] == pytest.approx(result["energy_eV_per_atom"], abs=1e-12)


@pytest.mark.parametrize("task", [SinglePoint(), SinglePoint(forces=True), Relax(0.01, 0.1, True), STRETCH])
def test_a_task_returns_the_arrays_and_the_result_that_it_says(tmp_path: Path, task: object) -> None:
    item = of_emt(copper(1), task)
    result, arrays = run(tmp_path, item)
    assert {*task.arrays} <= arrays.keys()
    assert ("forces_eV_A" in arrays) == (isinstance(task, Relax) or task == SinglePoint(forces=True))
    found = task.result(record_of(item, result, {}), arrays)
    if isinstance(task, Stretch):
        assert found.energy_eV.mean() / 4 == pytest.approx(result["energy_eV_per_atom"])
    else:
        assert found.energy_eV_per_atom == result["energy_eV_per_atom"]
        assert found.pressure_GPa == result["pressure_GPa"]


def test_what_a_q_point_says_is_read_as_numbers() -> None:
    observables = {"q_number": 2, "q_fractions": [0.5, 0, 0.0], "q_points": 8, "frequencies_meV": [1, 2.5]}
    record = CalculationRecord(key="k", calculation={}, state="done", observables=observables)
    found = PhononQ().result(record, {})
    assert (found.q, found.q_points, found.frequencies_meV) == ((0.5, 0.0, 0.0), 8, (1.0, 2.5))
    assert GroundState().result(record, {}).observables == observables


def test_what_a_ground_state_says_of_its_density_of_states() -> None:
    record = CalculationRecord(key="k", calculation={}, state="done")
    older = GroundState().result(record, {})
    assert (older.dos_at_fermi, older.dos_missing, older.dos, older.dos_energy_eV) == (None, "", None, None)
    said = record.model_copy(update={"observables": {"dos_at_fermi_per_eV_spin_cell": 0.2}})
    arrays = {"dos_energy_eV": np.array([-0.02, 0.0]), "dos_per_eV_spin_cell": np.array([0.1, 0.2])}
    found = GroundState().result(said, arrays)
    assert found.dos_at_fermi == 0.2 and found.dos is not None and found.dos.tolist() == [0.1, 0.2]
    assert found.dos_energy_eV is not None and found.dos_energy_eV.tolist() == [-0.02, 0.0]
    assert GroundState().result(said, {"dos_energy_eV": np.zeros(2)}).dos is None  # only a part of it is nothing
    lacking = record.model_copy(update={"observables": {"dos_missing": "a part of a2Fsave"}})
    assert GroundState().result(lacking, {}).dos_missing == "a part of a2Fsave"


@pytest.mark.parametrize("name", CODES)
def test_a_code_says_beforehand_whether_it_gives_forces(name: str) -> None:
    from importlib import import_module

    module, of_ase = {
        "gpaw": ("megabar.workflows.codes.gpaw.calculator", "GpawCalculator"),
        "espresso": ("ase.calculators.espresso", "EspressoTemplate"),
        "abinit": ("megabar.workflows.codes.abinit.adapter", "AbinitCalculator"),
        "vasp": ("megabar.workflows.codes.vasp.adapter", "VaspCalculator"),
        "elk": ("megabar.workflows.codes.elk.adapter", "ElkCalculator"),
        "emt": ("ase.calculators.emt", "EMT"),
    }[name]
    calculator = getattr(import_module(module), of_ase)
    given = calculator().implemented_properties if name == "espresso" else calculator.implemented_properties
    assert CODES[name].forces == ({"forces", "stress"} <= {*given})


@pytest.mark.parametrize("task", [SinglePoint(forces=True), Relax(0.01, 0.1, True), STRETCH])
def test_a_code_without_forces_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: object
) -> None:
    from ase.calculators.emt import EMT

    monkeypatch.setattr(EMT, "implemented_properties", ["energy", "free_energy"])
    result, _ = run(tmp_path, of_emt(copper(1), task))
    assert (result["state"], result["cause"]) == ("failed", "no-forces")
    assert result["detail"].startswith("emt gives energies here, and no forces")
    alone, _ = run(tmp_path / "alone", of_emt(copper(1), SinglePoint()))
    assert alone["state"] == "done"


def test_dynamics_without_a_thermostat_conserve_the_energy(tmp_path: Path) -> None:
    item = of_emt(copper(), replace(STRETCH, steps=200, timestep_fs=1.0, temperature_K=600.0, every=1))
    result, arrays = run(tmp_path, item)
    kept = item.task.result(record_of(item, result, {}), arrays)
    total = kept.energy_eV + kept.kinetic_eV
    assert np.ptp(total) < 0.01 * np.ptp(kept.kinetic_eV)
    assert kept.positions_A.shape == kept.momenta.shape == (200, 32, 3)
    assert np.allclose(kept.momenta.sum(axis=1), 0.0, atol=1e-9)
    # Of what the atoms of a perfect crystal are given half goes into their bonds (equipartition).
    given = total.mean() - run(tmp_path / "static", of_emt(copper(), SinglePoint()))[0]["energy_eV_per_atom"] * 32
    assert kept.kinetic_eV[50:].mean() == pytest.approx(given / 2, rel=0.05)
    last = item.structure.atoms()
    last.positions[:] = kept.positions_A[-1]
    static, _ = run(tmp_path / "last", of_emt(last, SinglePoint()))
    gas_GPa = 2 / 3 * kept.kinetic_eV[-1] / last.get_volume() / units.GPa
    assert -kept.stress_GPa[-1, :3].mean() == pytest.approx(static["pressure_GPa"] + gas_GPa, abs=1e-6)


def test_velocities_are_those_of_the_temperature(tmp_path: Path) -> None:
    item = of_emt(
        bulk("CuAu", "zincblende", a=5.6, cubic=True) * (6, 6, 6), replace(STRETCH, steps=1, timestep_fs=0.001)
    )
    result, arrays = run(tmp_path, item)
    # 1728 atoms of two masses: one sample scatters by 2 %.
    masses = item.structure.atoms().get_masses()
    momenta = arrays["momenta"][0]
    for element in ("Cu", "Au"):
        own = [symbol == element for symbol in item.structure.symbols]
        found = (momenta[own] ** 2 / masses[own][:, None]).mean() / units.kB
        assert found == pytest.approx(300.0, rel=0.1)
    assert np.abs(momenta.sum(axis=0)).max() < 1e-9
    assert result["observables"]["temperature_K"] == pytest.approx(300.0, rel=0.08)


@pytest.mark.slow
def test_a_thermostat_brings_a_crystal_to_its_temperature(tmp_path: Path) -> None:
    task = replace(STRETCH, steps=600, timestep_fs=4.0, friction_per_fs=0.02, temperature_K=400.0)
    result, _ = run(tmp_path, of_emt(copper(), task))
    # 96 degrees of freedom: one sample scatters by 14 %, the mean over about 100 independent ones by 2 %.
    assert result["observables"]["temperature_K"] == pytest.approx(400.0, rel=0.12)


def test_a_chain_of_stretches_is_one_trajectory(tmp_path: Path) -> None:
    whole = of_emt(copper(), replace(STRETCH, steps=40, every=1))
    _, one = run(tmp_path / "whole", whole)
    half = replace(whole, task=replace(STRETCH, steps=20, every=1))
    result, first = run(tmp_path / "first", half)
    second = replace(half, inputs=(Input("before", half.key),))
    begin = second.task.begin(second, [record_of(half, result, {})], lambda key: first)
    _, rest = run(tmp_path / "second", second, begin)
    assert same(np.concatenate([first["positions_A"], rest["positions_A"]]), one["positions_A"])
    with pytest.raises(RuntimeError, match="has no result"):
        second.task.begin(second, [], lambda key: {})


@pytest.mark.parametrize("friction", [0.0, 0.02])
def test_a_stretch_that_was_killed_goes_on_to_the_same_numbers(tmp_path: Path, friction: float) -> None:
    item = of_emt(copper(), replace(STRETCH, steps=40, friction_per_fs=friction))
    _, exact = run(tmp_path / "whole", item)
    folder = tmp_path / "killed"
    run(folder, replace(item, task=replace(item.task, steps=20)))
    # What lies there when it is killed half-way: two records of the file are whole, a third one is half-written.
    shorter = unpacked((folder / HISTORY).read_bytes())
    (folder / RESULT).unlink()
    (folder / HISTORY).unlink()
    prepare(folder, item, Begin(item.structure.atoms()))
    stop_after(folder, item, 2)
    assert json.loads((folder / STATE).read_text())["frames"] == 2
    with (folder / TRAJECTORY).open("ab") as file:
        file.write(b"half a record")
    with counted_steps() as kept:
        result, arrays = run(folder, item)
    assert kept == [3, 4, 5, 6, 7, 8]
    assert result["state"] == "done"
    assert all(same(arrays[name], exact[name]) for name in exact)
    assert same(arrays["positions_A"][:4], shorter["positions_A"])
    assert not (folder / TRAJECTORY).exists() and not (folder / STATE).exists()


@contextmanager
def counted_steps() -> Iterator[list[int]]:
    """Have the numbers of the steps that are kept while the block runs."""
    from megabar.workflows.tasks import dynamics

    numbers: list[int] = []
    keep = dynamics._keep

    def counting(run, frame, number, rng):
        numbers.append(number)
        keep(run, frame, number, rng)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamics, "_keep", counting)
        yield numbers


def stop_after(folder: Path, item: Calculation, frames: int) -> None:
    """Run a calculation in its folder until it has kept some frames, and leave it as a kill would."""
    from megabar.workflows.tasks import dynamics

    class Killed(BaseException):
        pass

    keep = dynamics._keep

    def killing(run, frame, number, rng):
        keep(run, frame, number, rng)
        if number == frames:
            raise Killed

    dynamics._keep = killing
    try:
        with pytest.raises(Killed):
            execute(folder, Config())
    finally:
        dynamics._keep = keep


@pytest.mark.parametrize("damage", ["short", "nan", "state"])
def test_what_was_kept_of_a_stretch_is_not_trusted_where_it_is_damaged(tmp_path: Path, damage: str) -> None:
    item = of_emt(copper(1), STRETCH)
    _, exact = run(tmp_path / "whole", item)
    folder = tmp_path / "damaged"
    prepare(folder, item, Begin(item.structure.atoms()))
    stop_after(folder, item, 2)
    path = folder / TRAJECTORY
    if damage == "short":
        path.write_bytes(path.read_bytes()[:-8])
    elif damage == "nan":
        path.write_bytes(path.read_bytes()[:-8] + np.array([np.nan]).tobytes())
    else:
        (folder / STATE).write_text('{"frames": 2}')
    with counted_steps() as kept:
        _, arrays = run(folder, item)
    assert kept == [1, 2, 3, 4]  # nothing of it is believed
    assert all(same(arrays[name], exact[name]) for name in exact)


def test_a_stretch_killed_after_its_last_step_asks_the_code_once_more(tmp_path: Path) -> None:
    item = of_emt(copper(1), STRETCH)
    folder = tmp_path / "killed"
    prepare(folder, item, Begin(item.structure.atoms()))
    stop_after(folder, item, 4)
    from ase.calculators.emt import EMT

    asked = []
    calculate = EMT.calculate
    with pytest.MonkeyPatch.context() as patch, counted_steps() as kept:
        patch.setattr(
            EMT, "calculate", lambda self, *words, **more: (asked.append(1), calculate(self, *words, **more))[1]
        )
        result, _ = run(folder, item)
    assert (result["state"], kept, len(asked)) == ("done", [], 1)


def test_a_stretch_without_what_the_one_before_it_left_does_not_begin_anew(tmp_path: Path) -> None:
    item = of_emt(copper(1), STRETCH, "a" * 40)
    with pytest.raises(RuntimeError, match="what the stretch before this one ended with"):
        run(tmp_path, item)


def test_the_temperature_counts_the_momenta_that_are_free(tmp_path: Path) -> None:
    """Of four atoms whose momenta sum to zero nine are: at one step, with a thermostat and without."""
    found = []
    for friction in (0.0, 1e-9):
        item = of_emt(copper(1), replace(STRETCH, steps=1, timestep_fs=0.01, friction_per_fs=friction))
        _, arrays = run(tmp_path / str(friction), item)
        found.append(float(arrays["temperature_K"][0]))
        assert found[-1] == pytest.approx(2 * float(arrays["kinetic_eV"][0]) / (9 * units.kB))
    assert found[0] == pytest.approx(found[1], rel=1e-3)


def test_a_stretch_that_runs_away_has_failed(tmp_path: Path) -> None:
    item = of_emt(copper(1), replace(STRETCH, steps=200, timestep_fs=60.0, temperature_K=2000.0))
    result, _ = run(tmp_path, item)
    assert (result["state"], result["cause"]) == ("failed", "dynamics-ran-away")
    assert "time step of 60 fs" in result["detail"]
    assert issubclass(CalculationFailed, Exception)


def test_a_task_says_its_work() -> None:
    one, relaxed, steps = (
        seconds(of_emt(copper(), task), 1.0) for task in (SinglePoint(), Relax(0.01, 0.1, True), STRETCH)
    )
    assert relaxed == pytest.approx(5 * one)
    assert steps == pytest.approx(20 * one)
