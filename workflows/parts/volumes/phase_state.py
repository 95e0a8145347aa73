"""How the phases of a study stand: rungs that have ended, rungs still open, the curve they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

from megabar.analysis.enthalpy import EnthalpyCurve, VolumePoint, enthalpy_curve
from megabar.workflows.parts.volumes.ladder import Ladder, Rung
from megabar.workflows.parts.volumes.plan import VolumesPlan
from megabar.workflows.store import CalculationRecord

BRIDGED_LN_VOLUME = 0.01
"""How far a curve is extrapolated, so that a volume at 0.3 GPa need not be followed by one below 0 GPa."""

MOST_CURVES = 4096
"""Kept in a process: of a few large studies."""


@dataclass(frozen=True)
class PhaseState:
    """The rungs of one phase: ended ones with their records, and those still open."""

    ladder: Ladder
    ended: Mapping[Fraction, CalculationRecord]
    open: frozenset[Fraction]

    @property
    def done(self) -> dict[Fraction, CalculationRecord]:
        """The rungs with a converged result."""
        return {index: record for index, record in self.ended.items() if record.done}

    @property
    def asked(self) -> set[Fraction]:
        """All rungs asked for."""
        return {*self.ended, *self.open}

    def curve(self) -> EnthalpyCurve | None:
        """Return the enthalpy curve of the converged rungs, None where there is none."""
        return self._curve

    @cached_property
    def _curve(self) -> EnthalpyCurve | None:
        points = tuple(volume_point(record) for record in self.done.values())
        return curve_of(self.ladder.phase, self.ladder.formula, points) if points else None


@lru_cache(maxsize=MOST_CURVES)
def curve_of(phase: str, formula: str, points: tuple[VolumePoint, ...]) -> EnthalpyCurve:
    """Return the enthalpy curve through some points; kept, since a study is planned anew after each of its results."""
    return enthalpy_curve(phase, formula, points, BRIDGED_LN_VOLUME)


def volume_point(record: CalculationRecord) -> VolumePoint:
    """Return what an enthalpy curve needs of a converged calculation."""
    assert record.volume_A3_per_atom is not None
    assert record.energy_eV_per_atom is not None
    assert record.pressure_GPa is not None
    return VolumePoint(record.volume_A3_per_atom, record.energy_eV_per_atom, record.pressure_GPa)


def phase_states(
    plan: VolumesPlan, rungs: Sequence[Mapping[str, Any]], records: Mapping[str, CalculationRecord]
) -> list[PhaseState]:
    """Return how each phase of a plan stands; rungs as stored with the study, records by key."""
    by_phase: dict[str, list[Rung]] = {ladder.phase: [] for ladder in plan.ladders}
    for rung in rungs:
        if rung.get("kind", "main") == "main" and rung["phase"] in by_phase:
            by_phase[rung["phase"]].append(Rung.from_dict(rung))
    states = []
    for ladder in plan.ladders:
        own = by_phase[ladder.phase]
        ended = {rung.index: records[rung.key] for rung in own if rung.key in records}
        states.append(PhaseState(ladder, ended, frozenset(rung.index for rung in own if rung.key not in records)))
    return states
