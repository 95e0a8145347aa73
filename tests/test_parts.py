"""Parts that kinds of studies share: force sets and chains of stretches, as pure functions of plan and results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from megabar.workflows.parts.force_sets import (
    ForceSet,
    RandomDirections,
    SingleAtoms,
    collect,
    force_set_state,
    forces_wanted,
)
from megabar.workflows.parts.method import Method
from megabar.workflows.parts.rung import NumberedRung
from megabar.workflows.parts.stretches import Chain, chain_state, stretch_wanted
from megabar.workflows.store import CalculationRecord
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.stretch import Stretch

METHOD = Method("emt", "1", "fast", "EMT", ())
CELL = Structure.of(bulk("Cu", cubic=True, a=3.62))
MOVES = SingleAtoms(((0, (0.01, 0.0, 0.0)), (3, (0.0, -0.01, 0.0))))
SET = ForceSet("Cu-fcc", CELL, MOVES, METHOD, {})
CHAIN = Chain("Cu-fcc", CELL, Stretch(10, 1.0, 300.0, seed=7), 3, METHOD, {})
SPRING = 5.0


def record(key: str, state: str = "done") -> CalculationRecord:
    return CalculationRecord(key=key, calculation={}, state=state, energy_eV_per_atom=-1.0, pressure_GPa=0.0)


def springs(plan: ForceSet, drift: float = 0.0, rest: float = 0.0):
    """Return arrays as of atoms that springs hold: forces against displacements, a residual force, a drift."""

    def histories(key: str) -> dict[str, np.ndarray]:
        [number] = [number for number in plan.numbers if plan.calculation(number).key == key]
        forces = -SPRING * plan.displaced(number) + drift
        forces[1, 2] += rest
        return {"forces_eV_A": forces[None]}

    return histories


def test_all_supercells_are_wanted_at_once_and_only_once() -> None:
    first = forces_wanted(force_set_state(SET, [], {}))
    assert [rung.index for rung in first] == [1, 2]
    assert len({rung.key for rung in first}) == 2
    rungs = [rung.to_dict() for rung in first]
    assert forces_wanted(force_set_state(SET, rungs, {})) == []
    assert [NumberedRung.from_dict(each) for each in rungs] == first
    # The rungs of other phases and parts are none of its own.
    others = [{**rungs[0], "phase": "Cu-bcc"}, {**rungs[1], "kind": "stretch"}]
    assert [rung.index for rung in forces_wanted(force_set_state(SET, others, {}))] == [1, 2]


def test_supercells_follow_from_the_plan() -> None:
    moved = SET.calculation(2).structure.atoms().positions - CELL.atoms().positions
    assert np.allclose(moved, [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, -0.01, 0]], atol=1e-7)
    drawn = replace(SET, displacements=RandomDirections(5, 0.03, seed=1))
    all_moves = [drawn.displaced(number) for number in drawn.numbers]
    assert np.allclose([np.linalg.norm(each, axis=1) for each in all_moves], 0.03)
    assert len({each.tobytes() for each in all_moves}) == 5
    # More of them begin with the same ones: what is computed stays.
    more = replace(drawn, displacements=RandomDirections(9, 0.03, seed=1))
    assert [more.calculation(n).key for n in drawn.numbers] == [drawn.calculation(n).key for n in drawn.numbers]
    other = replace(drawn, displacements=RandomDirections(5, 0.03, seed=2))
    assert other.calculation(1).key != drawn.calculation(1).key


def test_forces_are_collected_without_drift_and_without_those_at_rest() -> None:
    plan = replace(SET, rest=True)
    rungs = [rung.to_dict() for rung in forces_wanted(force_set_state(plan, [], {}))]
    assert [rung["index"] for rung in rungs] == [0, 1, 2]
    records = {rung["key"]: record(rung["key"]) for rung in rungs}
    state = force_set_state(plan, rungs, records)
    assert state.complete and not state.failed
    found = collect(state, springs(plan, rest=0.2))
    assert found.numbers == (1, 2)
    # Displaced alone an atom feels its spring; of the sum of all forces each atom has its share taken out.
    exact = -SPRING * found.displacements_A
    exact -= exact.mean(axis=1, keepdims=True)
    assert np.allclose(found.forces_eV_A, exact, atol=1e-12)
    assert found.energies_eV == pytest.approx([-4.0, -4.0])
    drifting = collect(force_set_state(SET, rungs[1:], records), springs(SET, drift=0.1))
    assert np.allclose(drifting.forces_eV_A, exact, atol=1e-12)
    assert drifting.drift_eV_A == pytest.approx(np.linalg.norm([0.1, 0.1 + SPRING * 0.01 / 4, 0.1]))


def test_what_failed_of_a_force_set_is_named_and_the_rest_goes_on() -> None:
    rungs = [rung.to_dict() for rung in forces_wanted(force_set_state(SET, [], {}))]
    records = {rungs[0]["key"]: record(rungs[0]["key"], "failed"), rungs[1]["key"]: record(rungs[1]["key"])}
    state = force_set_state(SET, rungs, records)
    assert (state.done, state.failed, state.complete) == ([2], [1], False)
    assert collect(state, springs(SET)).numbers == (2,)
    assert forces_wanted(state) == []
    with pytest.raises(RuntimeError, match="has no forces"):
        collect(state, lambda key: {})


def test_a_chain_asks_for_one_stretch_after_the_other() -> None:
    rungs, records = [], {}
    for number in (1, 2, 3):
        [rung] = stretch_wanted(chain_state(CHAIN, rungs, records))
        assert rung.index == number
        assert rung.starts == ((rungs[-1]["key"],) if rungs else ())
        assert CHAIN.calculation(number, rung.starts[0] if rung.starts else None).key == rung.key
        rungs.append(rung.to_dict())
        assert stretch_wanted(chain_state(CHAIN, rungs, records)) == []  # it is open
        records[rung.key] = record(rung.key)
    state = chain_state(CHAIN, rungs, records)
    assert (state.done, state.broken) == (3, None)
    assert stretch_wanted(state) == []
    [longer] = stretch_wanted(chain_state(replace(CHAIN, count=5), rungs, records))
    assert longer.index == 4
    seeds = [CHAIN.calculation(number, None).task.seed for number in (1, 2, 3)]
    assert seeds == [7, 8, 9]


def test_a_chain_ends_where_a_stretch_failed() -> None:
    [first] = stretch_wanted(chain_state(CHAIN, [], {}))
    records = {first.key: record(first.key, "failed")}
    state = chain_state(CHAIN, [first.to_dict()], records)
    assert state.done == 0 and state.broken is records[first.key]
    assert stretch_wanted(state) == []
    assert list(state.results(lambda key: {})) == []
