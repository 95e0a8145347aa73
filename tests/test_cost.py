"""The cost model: what it learns from the calculations that are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from test_faults import calculation

from megabar.launchers.database.embedded import stop_database
from megabar.launchers.database.open_runtime import open_runtime
from megabar.workflows.calculation import Calculation
from megabar.workflows.config import Config
from megabar.workflows.cost import FEWEST_KNOWN, measured_rate, seconds, size
from megabar.workflows.store import ResultStore, record_of
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.electrons import GroundState
from megabar.workflows.tasks.interface import Task
from megabar.workflows.tasks.registry import TASKS
from megabar.workflows.tasks.relax import Relax
from megabar.workflows.tasks.relax_atoms import RelaxAtoms
from megabar.workflows.tasks.single_point import SinglePoint
from megabar.workflows.tasks.stretch import Stretch

RATE = 3e-4
"""Core-seconds per unit and step that all invented calculations have taken."""
STRETCH = Stretch(steps=20, timestep_fs=2.0, temperature_K=300.0, seed=1)


OF_STEPS = [
    (SinglePoint(forces=True), 1, 1),
    (SinglePoint(), 1, 1),
    (Relax(0.01, 0.1, True), 7, 7),
    (RelaxAtoms(0.01), 7, 7),
    (STRETCH, 20, 21),
]
"""Tasks that any code runs, ionic steps as stored, and the self-consistencies that they took."""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ResultStore]:
    config = Config(data=tmp_path_factory.mktemp("cost") / "data")
    config.data.mkdir()
    with open_runtime(config) as opened:
        yield opened.store
    stop_database(config)


@pytest.fixture
def store(database: ResultStore) -> ResultStore:
    database.database.calculations.delete_many({})
    return database


def of_size(task: Task, cells: int, number: int) -> Calculation:
    """Return a calculation of some cells of copper, each number with a volume of its own."""
    one = calculation("emt", "Cu", 1.0 + 0.001 * number)
    return replace(one, structure=Structure.of(one.structure.atoms() * (cells, 1, 1)), task=task)


def put(store: ResultStore, item: Calculation, ionic_steps: int | None, cpu_s: float) -> None:
    result = {"state": "done", "ionic_steps": ionic_steps, "provenance": {"cpu_s": cpu_s}}
    store.save(record_of(item, result, {}))


@pytest.mark.parametrize(("task", "ionic_steps", "steps"), OF_STEPS)
def test_the_cost_of_a_step_is_learned_from_every_task_of_steps(
    store: ResultStore, task: Task, ionic_steps: int, steps: int
) -> None:
    for number in range(FEWEST_KNOWN):
        assert measured_rate(store, "emt") is None
        item = of_size(task, 1 + number, number)
        put(store, item, ionic_steps, RATE * size(item.to_dict()) * steps)
    assert measured_rate(store, "emt") == pytest.approx(RATE)
    # So that the next one of any task is estimated by its own steps.
    longer = of_size(replace(STRETCH, steps=1000), 8, 9)
    assert seconds(longer, measured_rate(store, "emt")) == pytest.approx(1000 * RATE * size(longer.to_dict()))


def test_no_task_of_steps_is_forgotten() -> None:
    assert {type(task) for task, *_ in OF_STEPS} == {task for task in TASKS.values() if task.through_ase}


def test_programs_of_a_code_say_nothing_of_the_cost_of_a_step(store: ResultStore) -> None:
    for number in range(60):  # as many as are looked at
        put(store, of_size(GroundState(), 1, number), None, 1e6)
    assert measured_rate(store, "emt") is None
    for number in range(FEWEST_KNOWN):
        item = of_size(SinglePoint(forces=True), 2, number)
        put(store, item, 1, RATE * size(item.to_dict()))
    assert measured_rate(store, "emt") == pytest.approx(RATE)


def test_a_task_of_a_newer_version_counts_by_what_is_stored(store: ResultStore) -> None:
    for number in range(FEWEST_KNOWN):
        item = of_size(STRETCH, 1, number)
        put(store, item, 20, 20 * RATE * size(item.to_dict()))
    store.database.calculations.update_many({}, {"$set": {"calculation.parameters.barostat_GPa": 10.0}})
    assert measured_rate(store, "emt") == pytest.approx(RATE)
