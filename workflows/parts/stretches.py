"""Chains of stretches: molecular dynamics in pieces that are stored, restarted and lengthened one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from megabar.workflows.calculation import Calculation, inputs_of
from megabar.workflows.parts.method import Method
from megabar.workflows.parts.rung import NumberedRung, rungs_of
from megabar.workflows.store import CalculationRecord
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Histories
from megabar.workflows.tasks.stretch import Stretch, StretchResult

Records = Mapping[str, CalculationRecord]
KIND = "stretch"


@dataclass(frozen=True)
class Chain:
    """Stretches one after the other.

    phase: what their rungs go by. structure: of the first one. stretch: what each of them does; the seed of the random
    numbers is raised by one from each to the next. count: how many are wanted by now; a longer chain begins with the
    shorter one.
    """

    phase: str
    structure: Structure
    stretch: Stretch
    count: int
    method: Method
    settings: Mapping[str, Any]

    def calculation(self, number: int, before: str | None) -> Calculation:
        """Return the stretch with a number, the first being 1; before: the key of the one before it."""
        task = replace(self.stretch, seed=self.stretch.seed + number - 1)
        return Calculation(
            code=self.method.code,
            version=self.method.version,
            settings=self.settings,
            structure=self.structure,
            data=tuple(each for each in self.method.data if each.element in self.structure.symbols),
            task=task,
            inputs=inputs_of(task, [before] if before else []),
        )


@dataclass(frozen=True, eq=False)
class ChainState:
    """How a chain stands. keys: of the stretches asked for, by number."""

    plan: Chain
    keys: Mapping[int, str]
    records: Records

    @cached_property
    def done(self) -> int:
        """How many stretches there are, from the first one on."""
        number = 0
        while (record := self.records.get(self.keys.get(number + 1, ""))) is not None and record.done:
            number += 1
        return number

    @property
    def broken(self) -> CalculationRecord | None:
        """The stretch that failed, after which there is none; None where none has."""
        return self.records.get(self.keys.get(self.done + 1, ""))

    def results(self, histories: Histories) -> Iterator[StretchResult]:
        """Yield the stretches that are there, in their order: one in memory at a time."""
        for number in range(1, self.done + 1):
            key = self.keys[number]
            yield self.plan.stretch.result(self.records[key], histories(key))


def chain_state(plan: Chain, rungs: Sequence[Mapping[str, Any]], records: Records) -> ChainState:
    """Return how a chain stands; rungs as stored with the study, records by key."""
    return ChainState(plan, rungs_of(rungs, plan.phase, KIND), records)


def stretch_wanted(state: ChainState, purpose: str = "dynamics") -> list[NumberedRung]:
    """Return the next stretch; none where one is open, the last one failed, or there are enough."""
    number = state.done + 1
    if number > state.plan.count or number in state.keys:
        return []
    before = state.keys.get(state.done)
    key = state.plan.calculation(number, before).key
    return [NumberedRung(state.plan.phase, number, key, KIND, purpose, (before,) if before else ())]
