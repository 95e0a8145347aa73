"""What a stability study wants next: it follows from the plan and the results that are there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from megabar.analysis.curve import Array
from megabar.analysis.enthalpy import EnthalpyCurve
from megabar.analysis.hull import hulls_at
from megabar.analysis.refinement import EndToExtend, Gap, coverage, ends_to_extend, matters_beyond, volumes_to_add
from megabar.workflows.kinds.stability.answer import answer, judged_transitions
from megabar.workflows.kinds.stability.functionals import functionals_wanted
from megabar.workflows.kinds.stability.plan import StabilityPlan
from megabar.workflows.parts.volumes.ladder import FINEST, STEP, Rung, chain_parents
from megabar.workflows.parts.volumes.phase_state import PhaseState, phase_states
from megabar.workflows.store import CalculationRecord

MOST_RUNGS = 40
GRID_POINTS = 201
SMALLEST_STEP = STEP / 7
COVERED_WITHIN_GPA = 0.02
MOST_COVERING = 5
"""Volumes added at one end to cover a window: an unbound solid never reaches zero pressure."""
CLOSEST_END = Fraction(1, 2)
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
    wanted, waiting = ladders_wanted(plan, states)
    for group in _elements(states):
        # The phases of an element compete with each other alone: no need to wait for the compounds.
        if not any(state.ladder.phase in waiting for state in group):
            wanted += _extensions(plan, group)
    if wanted or waiting:
        return wanted
    return _extensions(plan, states) or _refinements(plan, states) or _checks(plan, states, rungs, records)


def ladders_wanted(plan: StabilityPlan, states: Sequence[PhaseState]) -> tuple[list[Rung], set[str]]:
    """Return what the ladders want by themselves, and the phases that wait for it: first volumes, then the window."""
    wanted = [rung for state in states for rung in _first(plan, state)]
    waiting = {rung.phase for rung in wanted} | {state.ladder.phase for state in states if _unfinished(state)}
    for state in states:
        if state.ladder.phase not in waiting:
            wanted += _covering(plan, state)
    return wanted, waiting | {rung.phase for rung in wanted}


def _elements(states: Sequence[PhaseState]) -> list[list[PhaseState]]:
    """Return the phases of each pure element."""
    groups: dict[str, list[PhaseState]] = {}
    for state in states:
        if len(set(state.ladder.structure.symbols)) == 1:
            groups.setdefault(state.ladder.structure.symbols[0], []).append(state)
    return list(groups.values())


def _unfinished(state: PhaseState) -> bool:
    return bool(state.open) or any(index not in state.asked for index in state.ladder.first)


def _rung(
    plan: StabilityPlan, state: PhaseState, index: Fraction, purpose: str, done: Collection[Fraction] | None = None
) -> Rung:
    """Return a rung that starts from its neighbours among those done (all where none are named)."""
    parents = chain_parents(index, state.done if done is None else done) if state.ladder.relaxation else ()
    starts = tuple(state.done[parent].key for parent in parents)
    key = state.ladder.calculation(plan.method, index, starts).key
    return Rung(state.ladder.phase, index, key, starts, purpose)


def _first(plan: StabilityPlan, state: PhaseState) -> list[Rung]:
    """Return the first rungs that can start now: a relaxation waits for its neighbour on the side of the cell known."""
    first = state.ladder.first
    root = min(first, key=abs)
    wanted = []
    for place, index in enumerate(first):
        if index in state.asked:
            continue
        towards = root if index == root else first[place - 1] if index > root else first[place + 1]
        if state.ladder.relaxation is None or index == root or towards in state.ended:
            # Only those between the root and itself: what else is done by now is a matter of chance.
            before = [other for other in state.done if min(root, index) <= other <= max(root, index)]
            wanted.append(_rung(plan, state, index, "ladder", before))
    return wanted


def _beyond(plan: StabilityPlan, state: PhaseState, end: str, purpose: str) -> list[Rung]:
    """Return the next rung at an end of a ladder; none where the last one there failed or there are too many.

    Where the last one left its phase, the phase ends between it and its neighbour: a rung half-way follows it, unless
    that was tried and failed.
    """
    last = max(state.ended) if end == "high" else min(state.ended)
    if len(state.asked) >= MOST_RUNGS:
        return []
    if state.ended[last].done:
        index = Fraction(last.__floor__() + 1) if end == "high" else Fraction(last.__ceil__() - 1)
    elif state.done:
        inner = max(state.done) if end == "high" else min(state.done)
        outside = [index for index, record in state.ended.items() if record.state == "left"]
        outside = [index for index in outside if (index > inner if end == "high" else index < inner)]
        if not outside:
            return []
        index = (inner + min(outside, key=lambda index: abs(index - inner))) / 2
        if abs(index - inner) < CLOSEST_END or index in state.asked:
            return []
    else:
        return []
    return [_rung(plan, state, index, purpose)]


def _covering(plan: StabilityPlan, state: PhaseState) -> list[Rung]:
    curve = state.curve()
    if curve is None:
        return []
    wanted = []
    low, high = state.ladder.known_GPa
    asked = (plan.pressures_GPa[0], plan.pressures_GPa[-1])
    # The margin around the pressures that a phase is known for is not insisted on.
    low, high = (min(max(end, asked[0]), asked[1]) for end in (low, high))
    for gap in coverage(curve, low, high):
        first = state.ladder.first
        added = [index for index in state.ended if (index > first[-1] if gap.end == "high" else index < first[0])]
        if abs(gap.known_to_GPa - gap.asked_GPa) > COVERED_WITHIN_GPA and len(added) < MOST_COVERING:
            wanted += _half_step(plan, state, gap) or _beyond(plan, state, gap.end, "coverage")
    return wanted


def _half_step(plan: StabilityPlan, state: PhaseState, gap: Gap) -> list[Rung]:
    """Return the rung half a step beyond an end where that seems to cover a gap; none where a whole one is needed."""
    last = max(state.ended) if gap.end == "high" else min(state.ended)
    index = last + Fraction(1, 2) if gap.end == "high" else last - Fraction(1, 2)
    reached = state.ladder.volume(index)
    enough = reached < gap.volume_A3 if gap.end == "high" else reached > gap.volume_A3
    if not enough or not state.ended[last].done or last.denominator != 1:
        return []
    return [_rung(plan, state, index, "coverage")]


def pressure_grid(plan: StabilityPlan) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the pressures (GPa) at which the hull is looked at: those asked for and a fine grid between them."""
    fine = np.linspace(plan.pressures_GPa[0], plan.pressures_GPa[-1], GRID_POINTS)
    return np.unique(np.round(np.concatenate([fine, plan.pressures_GPa]), 6))


def _competition(
    plan: StabilityPlan, states: Sequence[PhaseState]
) -> tuple[dict[str, PhaseState], list[EnthalpyCurve], Array, Array]:
    """Return the phases that have curves, the curves, pressures (GPa) and heights above the hull there (eV/atom)."""
    known = [(state, curve) for state in states if (curve := state.curve()) is not None]
    curves = [curve for _, curve in known]
    grid = pressure_grid(plan)
    height = np.array([hull.above_eV for hull in hulls_at(curves, grid)]).T if curves else np.empty((0, len(grid)))
    return {state.ladder.phase: state for state, _ in known}, curves, grid, height


def _extensions(plan: StabilityPlan, states: Sequence[PhaseState]) -> list[Rung]:
    """Return the rungs that follow phases which compete at the end of their window."""
    by_phase, curves, grid, height = _competition(plan, states)
    beyond: dict[str, list[Rung]] = {"high": [], "low": []}
    for extension in ends_to_extend(curves, height, grid, grid[0], grid[-1], step=STEP):
        asked = grid[0] if extension.end == "low" else grid[-1]
        if abs(extension.pressure_GPa - asked) > COVERED_WITHIN_GPA and _worth_following(plan, extension, curves):
            beyond[extension.end] += _beyond(plan, by_phase[extension.phase], extension.end, "extension")
    # First upwards: a phase followed there may show that one that begins above need not be followed downwards.
    return beyond["high"] or beyond["low"]


def _refinements(plan: StabilityPlan, states: Sequence[PhaseState]) -> list[Rung]:
    """Return the rungs that halve intervals whose uncertainty matters for the hull."""
    by_phase, curves, grid, height = _competition(plan, states)
    wanted = []
    for volume in volumes_to_add(curves, height, grid, target_eV=plan.accuracy_eV, smallest_step=SMALLEST_STEP):
        state = by_phase[volume.phase]
        index = _between(state, volume.above_A3, volume.below_A3)
        if index is not None:
            wanted.append(_rung(plan, state, index, "refinement"))
    return wanted


def _checks(
    plan: StabilityPlan,
    states: Sequence[PhaseState],
    rungs: Sequence[Mapping[str, Any]],
    records: Mapping[str, CalculationRecord],
) -> list[Rung]:
    """Return what verifies the finished hull: the judge at the compounds' transitions, relaxations without symmetry."""
    if plan.judge is None and not plan.functionals and all(each.symmetry_check is None for each in plan.ladders):
        return []  # the answer of a large study takes ten times as long as all the rest
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
    wanted += functionals_wanted(plan, states, found.stability, rungs)
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
        return [] if failed else [_rung(plan, state, index, "crossing")]
    start = state.done[near].key
    if any(rung.kind == "judge" and rung.phase == ladder.phase and start in rung.starts for rung in rungs):
        return []
    pair = {
        "judge": ladder.judged(plan.judge, near, start),
        "reference": ladder.reference(plan.method, near, start),
    }
    return [Rung(ladder.phase, near, each.key, (start,), "verification", kind) for kind, each in pair.items()]


def _rattling(plan: StabilityPlan, state: PhaseState, pressure_GPa: float, rungs: Sequence[Rung]) -> list[Rung]:
    """Return the relaxation without symmetry of a phase near a pressure, nothing where it was asked for already."""
    if any(rung.kind == "rattled" and rung.phase == state.ladder.phase for rung in rungs):
        return []
    near = min(state.done, key=lambda index: abs((state.done[index].pressure_GPa or 0.0) - pressure_GPa))
    start = state.done[near].key
    key = state.ladder.rattled(plan.method, near, start).key
    return [Rung(state.ladder.phase, near, key, (start,), "symmetry check", "rattled")]


def _worth_following(plan: StabilityPlan, extension: EndToExtend, curves: Sequence[EnthalpyCurve]) -> bool:
    """Return whether a phase that competes at the end of its window is to be followed beyond it."""
    [own] = [curve for curve in curves if curve.phase == extension.phase]
    polymorphs = [curve for curve in curves if curve.formula == own.formula and curve is not own]
    return matters_beyond(own, polymorphs, extension.end, plan.resolution_eV, STEP)


def _between(state: PhaseState, above_A3: float, below_A3: float) -> Fraction | None:
    """Return the rung in the middle of two computed volumes; None where it was asked for (and failed) already."""
    low, high = (state.ladder.index_at(volume) for volume in (above_A3, below_A3))
    index = Fraction(round((low + high) / 2 * FINEST), FINEST)
    return None if index in state.asked or len(state.asked) >= MOST_RUNGS else index
