"""What a stability study wants next: it follows from the plan and the results that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from megabar.analysis.hull import hulls_at
from megabar.analysis.refinement import coverage, ends_to_extend, volumes_to_add
from megabar.workflows.answer import answer, judged_transitions
from megabar.workflows.ladder import FINEST, STEP, Rung, chain_parent
from megabar.workflows.phase_state import PhaseState, phase_states
from megabar.workflows.plan import StabilityPlan
from megabar.workflows.store import CalculationRecord

MOST_RUNGS = 40
GRID_POINTS = 201
SMALLEST_STEP = STEP / 7
COVERED_WITHIN_GPA = 0.5
CROSSING_WITHIN = Fraction(1, 16)
"""Distance (in rungs) at which a computed volume serves for a transition: ΔE of two codes hardly changes over it."""


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
    return _for_the_hull(plan, states) or _checks(plan, states, rungs, records)


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


def _checks(
    plan: StabilityPlan,
    states: Sequence[PhaseState],
    rungs: Sequence[Mapping[str, Any]],
    records: Mapping[str, CalculationRecord],
) -> list[Rung]:
    """Return what verifies the finished hull: the judge at the compounds' transitions, relaxations without symmetry."""
    parsed = [Rung.from_dict(rung) for rung in rungs]
    found = answer(plan, rungs, records)
    if found.stability is None:
        return []
    by_phase = {state.ladder.phase: state for state in states}
    wanted = []
    if plan.judge is not None:
        for transition in judged_transitions(found.stability):
            for phase in transition.reaction.phases:
                wanted += _judgement(plan, by_phase[phase], transition.pressure_GPa, parsed)
    for interval in found.stability.intervals:
        state = by_phase[interval.phase]
        if state.ladder.symmetry_check is not None:
            wanted += _rattling(plan, state, (interval.from_GPa + interval.to_GPa) / 2, parsed)
    unique = {rung.key: rung for rung in wanted}
    return list(unique.values())


def _judgement(plan: StabilityPlan, state: PhaseState, pressure_GPa: float, rungs: Sequence[Rung]) -> list[Rung]:
    """Return what is missing of the judge's single point of a phase at a transition: first its own volume there."""
    curve = state.curve()
    assert curve is not None and plan.judge is not None
    ladder = state.ladder
    index = ladder.index_at(float(curve.volume(pressure_GPa)))
    near = min(state.done, key=lambda other: abs(other - index))
    if abs(near - index) > CROSSING_WITHIN:
        failed = [other for other in state.ended if other not in state.done and abs(other - index) <= CROSSING_WITHIN]
        return [] if failed else [_rung(plan, state, index, "crossing", chain_parent(index, state.done))]
    start = state.done[near].key
    if any(rung.kind == "judge" and rung.phase == ladder.phase and rung.start == start for rung in rungs):
        return []
    key = ladder.judged(plan.judge, near, start).key
    return [Rung(ladder.phase, near, key, start, "verification", "judge")]


def _rattling(plan: StabilityPlan, state: PhaseState, pressure_GPa: float, rungs: Sequence[Rung]) -> list[Rung]:
    """Return the relaxation without symmetry of a phase near a pressure, nothing where it was asked for already."""
    if any(rung.kind == "rattled" and rung.phase == state.ladder.phase for rung in rungs):
        return []
    near = min(state.done, key=lambda index: abs((state.done[index].pressure_GPa or 0.0) - pressure_GPa))
    start = state.done[near].key
    key = state.ladder.rattled(plan.method, near, start).key
    return [Rung(state.ladder.phase, near, key, start, "symmetry check", "rattled")]


def _between(state: PhaseState, above_A3: float, below_A3: float) -> Fraction | None:
    """Return the rung in the middle of two computed volumes; None where it was asked for (and failed) already."""
    low, high = (state.ladder.index_at(volume) for volume in (above_A3, below_A3))
    index = Fraction(round((low + high) / 2 * FINEST), FINEST)
    return None if index in state.asked or len(state.asked) >= MOST_RUNGS else index
