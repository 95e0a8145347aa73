"""Plays a study to its end in this process: every calculation that it wants is computed by the toy code, at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import units

from megabar.workflows.calculation import Calculation
from megabar.workflows.config import Config
from megabar.workflows.execution import execute, prepare
from megabar.workflows.files import unpacked
from megabar.workflows.folder import HISTORY
from megabar.workflows.kinds.interface import Plan, slot
from megabar.workflows.kinds.registry import KINDS
from megabar.workflows.store import CalculationRecord, record_of

MOST_ROUNDS = 60


@dataclass
class Played:
    """A study as far as it was played: what it asked for, results by key, and their arrays."""

    kind: str
    plan: Plan
    rungs: list[dict[str, Any]] = field(default_factory=list)
    records: dict[str, CalculationRecord] = field(default_factory=dict)
    arrays: dict[str, dict[str, Any]] = field(default_factory=dict)

    def histories(self, key: str) -> dict[str, Any]:
        """Return the arrays of a calculation."""
        return self.arrays[key]

    def answer(self) -> Any:
        """Return the answer from what is there."""
        return KINDS[self.kind].answer(self.plan, self.rungs, self.records, self.histories)

    def calculation(self, rung: dict[str, Any]) -> Calculation:
        """Return the calculation of a rung, its structure as the database would give it."""
        source = rung.get("structure_of")
        return self.plan.calculation({**rung, "structure": self.records[source].structure} if source else rung)


class Shelf:
    """What a report asks a store for."""

    def __init__(self, records: dict[str, CalculationRecord]) -> None:
        """Take results by key."""
        self.records = records

    def summaries(self, keys: Iterable[str]) -> dict[str, CalculationRecord]:
        """Return those of some calculations that are there."""
        return {key: self.records[key] for key in keys if key in self.records}


def play(
    kind: str,
    plan: Plan,
    folder: Path,
    fails: Callable[[dict[str, Any]], bool] = lambda rung: False,
    pulay_eV: float = 0.0,
) -> Played:
    """Play a study to its end; fails: whether the calculation of a rung is to fail. pulay_eV: of an atom, by V."""
    played, own = Played(kind, plan), KINDS[kind]
    for _ in range(MOST_ROUNDS):
        wanted = own.wants(plan, played.rungs, played.records)
        if not wanted and own.refine is not None:
            wanted = own.refine(plan, played.rungs, played.records, played.histories)
        assert not {slot(rung) for rung in played.rungs} & {slot(rung) for rung in wanted}, "asked for twice"
        if not wanted:
            return played
        played.rungs += wanted
        for rung in wanted:
            item = played.calculation(rung)
            assert item.key == rung["key"]
            if rung["key"] not in played.records:
                _compute(played, item, folder, fails(rung), pulay_eV)
    raise AssertionError("the study never ends")


def _compute(played: Played, item: Calculation, folder: Path, fail: bool, pulay_eV: float) -> None:
    if fail:
        failure = {"state": "failed", "cause": "scf-not-converged", "detail": "by a test"}
        played.records[item.key] = record_of(item, failure, {})
        return
    place = folder / item.key
    parents = [played.records[key] for key in item.starts]
    prepare(place, item, item.task.begin(item, parents, played.histories))
    result = execute(place, Config())
    if pulay_eV:
        result["pressure_GPa"] += pulay_eV / result["volume_A3_per_atom"] / units.GPa
    played.records[item.key] = record_of(item, result, {})
    played.arrays[item.key] = dict(unpacked((place / HISTORY).read_bytes()))
    assert all(np.isfinite(each).all() for each in played.arrays[item.key].values())
