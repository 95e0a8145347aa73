"""Whatever becomes of its calculations (done, failed, left), a study asks for each once and comes to its end."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pytest
import test_superconductivity_study as tc
from test_stability_workflow import WHOLE, exact, ladder, plan_of

from megabar.workflows.kinds.interface import Plan, slot
from megabar.workflows.kinds.registry import KINDS
from megabar.workflows.kinds.stability import wants as stability
from megabar.workflows.kinds.stability.plan import StabilityPlan
from megabar.workflows.kinds.superconductivity.plan import TcPlan, TcRung
from megabar.workflows.parts.volumes.ladder import Rung
from megabar.workflows.store import CalculationRecord
from megabar.workflows.tasks.relaxing import LEFT_PHASE

MOST_ROUNDS = 200
CHANCES = ((0.9, 0.05, 0.05), (0.6, 0.2, 0.2), (0.2, 0.4, 0.4), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0))
"""Of done, failed and left; what a campaign found needed all three."""


def played(kind: str, plan: Plan, outcome: Any, chance: random.Random) -> Counter[str]:
    """Let a study have what it wants, a few results at a time in any order; return how its calculations ended."""
    rungs: list[dict[str, Any]] = []
    records: dict[str, CalculationRecord] = {}
    for _ in range(MOST_ROUNDS):
        wanted = KINDS[kind].wants(plan, rungs, records)
        assert not {slot(rung) for rung in rungs} & {slot(rung) for rung in wanted}, "asked for twice"
        rungs += {slot(rung): rung for rung in wanted}.values()
        waiting = [rung for rung in rungs if rung["key"] not in records]
        if not waiting:
            return Counter(record.state for record in records.values())
        for rung in chance.sample(waiting, chance.randint(1, len(waiting))):
            records[rung["key"]] = outcome(rung, records)
    raise AssertionError("the study never ends")


def by_chance(record: CalculationRecord, shares: Sequence[float], chance: random.Random) -> CalculationRecord:
    """Return how a calculation ended: as it should have, or otherwise."""
    state = chance.choices(("done", "failed", "left"), shares)[0]
    if state == "done":
        return record
    cause = LEFT_PHASE if state == "left" else "scf-not-converged"
    return CalculationRecord(
        key=record.key, calculation=record.calculation, state=state, cause=cause, detail="by a test"
    )


made = cache(ladder)


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hull at a tenth of the usual pressures: what is asked for twice does not depend on their number."""
    monkeypatch.setattr(stability, "GRID_POINTS", 21)


def stability_plan(chance: random.Random) -> StabilityPlan:
    """Return a study of some invented phases, each known somewhere in 0 to 300 GPa."""
    names = ["Na-low", "Na-high", "He-one", "Na2He"]
    chosen = chance.sample(names, chance.randint(1, 2))
    windows = [WHOLE, (0.0, 40.0), (30.0, 120.0), (100.0, 300.0), (290.0, 300.0)]
    return plan_of(*(made(name, chance.choice(windows), chance.random() < 0.7) for name in chosen))


def stability_trial(seed: int) -> Counter[str]:
    chance = random.Random(seed)
    plan, shares = stability_plan(chance), chance.choice(CHANCES)

    def outcome(rung: Mapping[str, Any], _: Mapping[str, CalculationRecord]) -> CalculationRecord:
        return by_chance(exact(plan, Rung.from_dict(rung)), shares, chance)

    return played("stability", plan, outcome, chance)


def tc_trial(seed: int) -> Counter[str]:
    chance = random.Random(seed)
    plan: TcPlan = tc.plan(tuple(sorted(chance.sample([0.0, 0.001, 10.0, 20.0, 60.0, 150.0], chance.randint(1, 3)))))
    shares = chance.choice(CHANCES)

    def outcome(rung: dict[str, Any], records: dict[str, CalculationRecord]) -> CalculationRecord:
        [whole] = tc.filled([rung], records)
        return by_chance(tc.outcome(plan, TcRung.from_dict(whole)), shares, chance)

    return played("superconductivity", plan, outcome, chance)


@pytest.mark.parametrize("trial", [stability_trial, tc_trial])
def test_no_study_asks_twice_and_every_one_ends(trial: Any) -> None:
    ended = sum((trial(seed) for seed in range(40)), Counter[str]())
    assert min(ended[state] for state in ("done", "failed", "left")) > 40


@pytest.mark.slow
@pytest.mark.parametrize("trial", [stability_trial, tc_trial])
def test_hundreds_of_studies(trial: Any) -> None:
    for seed in range(1000, 1300):
        trial(seed)
