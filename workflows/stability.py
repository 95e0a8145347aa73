"""What a stability study wants next, and its answer: both follow from the plan and the results that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from megabar.analysis.curve import Clipped, clipped
from megabar.analysis.enthalpy import EnthalpyCurve, VolumePoint, enthalpy_curve, outliers
from megabar.analysis.hull import hulls_at
from megabar.analysis.refinement import coverage, ends_to_extend, volumes_to_add
from megabar.analysis.stability import Stability, analyse, stability_json
from megabar.workflows.ladder import FINEST, STEP, Ladder, Rung, chain_parent
from megabar.workflows.plan import StabilityPlan
from megabar.workflows.store import CalculationRecord

MOST_RUNGS = 40
GRID_POINTS = 201
SMALLEST_STEP = STEP / 7
COVERED_WITHIN_GPA = 0.5
BRIDGED_LN_VOLUME = 0.05
"""How far a curve is extrapolated, so that a volume at 0.3 GPa need not be followed by one below 0 GPa."""


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
        points = [_point(record) for record in self.done.values()]
        if not points:
            return None
        return enthalpy_curve(self.ladder.phase, self.ladder.formula, points, BRIDGED_LN_VOLUME)


def _point(record: CalculationRecord) -> VolumePoint:
    assert record.volume_A3_per_atom is not None
    assert record.energy_eV_per_atom is not None
    assert record.pressure_GPa is not None
    return VolumePoint(record.volume_A3_per_atom, record.energy_eV_per_atom, record.pressure_GPa)


def phase_states(
    plan: StabilityPlan, rungs: Sequence[Mapping[str, Any]], records: Mapping[str, CalculationRecord]
) -> list[PhaseState]:
    """Return how each phase of a plan stands; rungs as stored with the study, records by key."""
    parsed = [Rung.from_dict(rung) for rung in rungs]
    states = []
    for ladder in plan.ladders:
        own = [rung for rung in parsed if rung.phase == ladder.phase and not rung.judge]
        ended = {rung.index: records[rung.key] for rung in own if rung.key in records}
        states.append(PhaseState(ladder, ended, frozenset(rung.index for rung in own if rung.key not in records)))
    return states


def wanted_next(
    plan: StabilityPlan, rungs: Sequence[Mapping[str, Any]], records: Mapping[str, CalculationRecord]
) -> list[Rung]:
    """Return the calculations that a study wants beyond those it has asked for; none and none open: it is complete.

    First the ladder of each phase, then what covers its window, then what the hull depends on: phases that compete
    at the end of their window are extended, intervals whose uncertainty matters are halved.
    """
    states = phase_states(plan, rungs, records)
    wanted = [rung for state in states for rung in _first(plan, state)]
    waiting = {rung.phase for rung in wanted} | {state.ladder.phase for state in states if _unfinished(state)}
    for state in states:
        if state.ladder.phase not in waiting:
            wanted += _covering(plan, state)
    if wanted or waiting:
        return wanted
    return _for_the_hull(plan, states)


def _unfinished(state: PhaseState) -> bool:
    return bool(state.open) or any(Fraction(index) not in state.asked for index in state.ladder.first)


def _rung(plan: StabilityPlan, state: PhaseState, index: Fraction, purpose: str, parent: Fraction | None) -> Rung:
    start = state.done[parent].key if parent is not None and state.ladder.relaxation else None
    key = state.ladder.calculation(plan.method, index, start).key
    return Rung(state.ladder.phase, index, key, start, purpose)


def _first(plan: StabilityPlan, state: PhaseState) -> list[Rung]:
    """Return the first rungs that can start now: a relaxation waits for its neighbour on the side of the cell known."""
    root = min(state.ladder.first, key=abs)
    wanted = []
    for number in state.ladder.first:
        index = Fraction(number)
        if index in state.asked:
            continue
        towards = index - 1 if number > root else index + 1
        if state.ladder.relaxation is None or number == root:
            wanted.append(_rung(plan, state, index, "ladder", None))
        elif towards in state.ended:
            wanted.append(_rung(plan, state, index, "ladder", chain_parent(index, state.done)))
    return wanted


def _beyond(plan: StabilityPlan, state: PhaseState, end: str, purpose: str) -> list[Rung]:
    """Return the next rung at an end of a ladder; none where the last one there failed or there are too many."""
    last = max(state.ended) if end == "high" else min(state.ended)
    if not state.ended[last].done or len(state.asked) >= MOST_RUNGS:
        return []
    index = Fraction(last.__floor__() + 1) if end == "high" else Fraction(last.__ceil__() - 1)
    return [_rung(plan, state, index, purpose, chain_parent(index, state.done))]


def _covering(plan: StabilityPlan, state: PhaseState) -> list[Rung]:
    curve = state.curve()
    if curve is None:
        return []
    wanted = []
    for gap in coverage(curve, *state.ladder.window_GPa):
        if abs(gap.known_to_GPa - gap.asked_GPa) > COVERED_WITHIN_GPA:
            wanted += _beyond(plan, state, gap.end, "coverage")
    return wanted


def pressure_grid(plan: StabilityPlan) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the pressures (GPa) at which the hull is looked at: those asked for and a fine grid between them."""
    fine = np.linspace(plan.pressures_GPa[0], plan.pressures_GPa[-1], GRID_POINTS)
    return np.unique(np.round(np.concatenate([fine, plan.pressures_GPa]), 6))


def _for_the_hull(plan: StabilityPlan, states: Sequence[PhaseState]) -> list[Rung]:
    known = [(state, curve) for state in states if (curve := state.curve()) is not None]
    if not known:
        return []
    curves = [curve for _, curve in known]
    by_phase = {state.ladder.phase: state for state, _ in known}
    grid = pressure_grid(plan)
    distance = np.array([hull.above_eV for hull in hulls_at(curves, grid)]).T
    wanted = []
    for extension in ends_to_extend(curves, distance, grid, grid[0], grid[-1], step=STEP):
        if abs(extension.pressure_GPa - (grid[0] if extension.end == "low" else grid[-1])) > COVERED_WITHIN_GPA:
            wanted += _beyond(plan, by_phase[extension.phase], extension.end, "extension")
    if wanted:
        return wanted
    for volume in volumes_to_add(curves, distance, grid, target_eV=plan.accuracy_eV, smallest_step=SMALLEST_STEP):
        state = by_phase[volume.phase]
        index = _between(state, volume.above_A3, volume.below_A3)
        if index is not None:
            wanted.append(_rung(plan, state, index, "refinement", chain_parent(index, state.done)))
    return wanted


def _between(state: PhaseState, above_A3: float, below_A3: float) -> Fraction | None:
    """Return the rung in the middle of two computed volumes; None where it was asked for (and failed) already."""
    low, high = (state.ladder.index_at(volume) for volume in (above_A3, below_A3))
    index = Fraction(round((low + high) / 2 * FINEST), FINEST)
    return None if index in state.asked or len(state.asked) >= MOST_RUNGS else index


@dataclass(frozen=True)
class Failure:
    """A calculation that failed: which one, why, in the code's words."""

    phase: str
    volume_A3: float
    key: str
    cause: str
    detail: str


@dataclass(frozen=True, eq=False)
class StabilityAnswer:
    """What a stability study has found so far.

    curves: enthalpy curves of the phases that have any; stability: the hull against pressure, None while an element
    has no curve. failures: calculations without a result; warnings: what a reader must know of the others.
    """

    plan: StabilityPlan
    states: tuple[PhaseState, ...]
    curves: tuple[EnthalpyCurve, ...]
    stability: Stability | None
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]

    def curve(self, phase: str) -> EnthalpyCurve | None:
        """Return the enthalpy curve of a phase, None where it has none."""
        return next((curve for curve in self.curves if curve.phase == phase), None)

    def json(self, at_GPa: float | None = None) -> dict[str, Any]:
        """Return the answer as JSON-able data, units in the keys."""
        method = self.plan.method
        content: dict[str, Any] = {
            "system": self.plan.system,
            "method": {
                "code": method.code,
                "version": method.version,
                "functional": method.functional,
                "protocol": method.protocol,
                "toy": self.plan.toy,
            },
        }
        if self.stability is not None:
            content |= stability_json(self.stability, at_GPa)
        else:
            content |= {"stable": [], "transitions": [], "notes": ["an element has no converged calculation yet"]}
        content["failures"] = [
            {"phase": each.phase, "volume_A3": round(each.volume_A3, 4), "cause": each.cause, "detail": each.detail}
            for each in self.failures
        ]
        content["notes"] = [*content.get("notes", []), *self.warnings]
        return content


def answer(
    plan: StabilityPlan, rungs: Sequence[Mapping[str, Any]], records: Mapping[str, CalculationRecord]
) -> StabilityAnswer:
    """Return what a study's results say by now; what failed is named, what is missing takes no part."""
    states = phase_states(plan, rungs, records)
    curves = tuple(curve for state in states if (curve := state.curve()) is not None)
    elements = {element for ladder in plan.ladders for element in ladder.structure.symbols}
    pure = {curve.formula for curve in _asked_for(plan, curves)}
    failures = tuple(
        Failure(
            phase=state.ladder.phase,
            volume_A3=state.ladder.volume(index),
            key=record.key,
            cause=record.cause or "unknown",
            detail=record.detail or "",
        )
        for state in states
        for index, record in sorted(state.ended.items())
        if not record.done
    )
    return StabilityAnswer(
        plan=plan,
        states=tuple(states),
        curves=curves,
        stability=analyse(_asked_for(plan, curves)) if elements <= pure else None,
        failures=failures,
        warnings=tuple(_warnings(plan, states)),
    )


def _asked_for(plan: StabilityPlan, curves: Sequence[EnthalpyCurve]) -> list[Clipped]:
    """Return the curves between the pressures of the study."""
    low, high = plan.pressures_GPa[0], plan.pressures_GPa[-1]
    views = (clipped(curve, low, high) for curve in curves)
    return [view for view in views if view is not None]


def _warnings(plan: StabilityPlan, states: Sequence[PhaseState]) -> list[str]:
    """Return what a reader must know: toy results, lost symmetry, overlapping spheres, phases without results."""
    found = []
    if plan.toy:
        found.append(f"{plan.method.code} is a toy: its numbers have no physical meaning")
    for state in states:
        phase, done = state.ladder.phase, state.done
        if not done:
            found.append(f"{phase} has no converged calculation and takes no part")
            continue
        changes = [(record.pressure_GPa or 0.0, record.symmetry_change) for record in done.values()]
        changed = sorted((pressure, change) for pressure, change in changes if change)
        if changed:
            pressures = ", ".join(f"{pressure:.0f}" for pressure, _ in changed)
            found.append(f"{phase}: the symmetry changed at {pressures} GPa ({changed[0][1]})")
        close = sorted((record.pressure_GPa or 0.0, record.warnings[0]) for record in done.values() if record.warnings)
        if close:
            found.append(f"{phase}: from {close[0][0]:.0f} GPa on, {close[0][1]}")
        for outlier in outliers([_point(record) for record in done.values()]):
            found.append(
                f"{phase}: the calculation at {outlier.point.volume_A3:.2f} Å³/atom disagrees with its neighbours "
                f"by {1000 * outlier.energy_off_eV:.0f} meV/atom and {outlier.pressure_off_GPa:.1f} GPa"
            )
    return found
