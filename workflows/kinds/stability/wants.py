"""What a stability study wants next: it follows from the plan and the results that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from megabar.analysis.curve import Array
from megabar.analysis.enthalpy import EnthalpyCurve
from megabar.analysis.hull import hulls_at
from megabar.analysis.refinement import EndToExtend, ends_to_extend, matters_beyond, volumes_to_add
from megabar.workflows.kinds.stability.answer import answer, judged_transitions
from megabar.workflows.kinds.stability.functionals import functionals_wanted
from megabar.workflows.kinds.stability.hot import unsure
from megabar.workflows.kinds.stability.plan import StabilityPlan
from megabar.workflows.kinds.stability.vibrations import VibrationsPlan, further_place, phonons_wanted, within_reach
from megabar.workflows.parts.force_sets import KIND as FORCES
from megabar.workflows.parts.lattice import sites
from megabar.workflows.parts.lattice.expansion import push_GPa
from megabar.workflows.parts.volumes.ladder import FINEST, STEP, Rung
from megabar.workflows.parts.volumes.phase_state import PhaseState, phase_states
from megabar.workflows.parts.volumes.wants import COVERED_WITHIN_GPA, MOST_RUNGS, beyond, ladders_wanted, rung_at
from megabar.workflows.question import LOWEST_GPA
from megabar.workflows.store import CalculationRecord
from megabar.workflows.tasks.interface import Histories

GRID_POINTS = 201
SMALLEST_STEP = STEP / 7
EXPANDED_WITHIN_GPA = 1.0
"""How near (GPa) the largest volume must come to where vibrations may expand a phase to."""
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


def everything_wanted(
    plan: StabilityPlan, rungs: Sequence[Mapping[str, Any]], records: Mapping[str, CalculationRecord]
) -> list[dict[str, Any]]:
    """Return what a study wants next: what its static hull does, then the phonons of what can matter."""
    own = [rung for rung in rungs if rung.get("kind") != FORCES]
    static = [rung.to_dict() for rung in wanted_next(plan, own, records)]
    if static or plan.vibrations is None or any(rung["key"] not in records for rung in own):
        return static
    states = phase_states(plan, own, records)
    larger = [rung for state in states for rung in _expansion(plan, plan.vibrations, state, states)]
    if larger:
        return [rung.to_dict() for rung in larger]
    return phonons_wanted(plan.vibrations, plan.method, states, plan.pressures_GPa, rungs, records)


def _expansion(
    plan: StabilityPlan, vibrations: VibrationsPlan, state: PhaseState, states: Sequence[PhaseState]
) -> list[Rung]:
    """Return a larger volume of a phase that may matter where its vibrations expand it, beyond all that it has."""
    ends = [ends for each, ends in within_reach(vibrations, states, plan.pressures_GPa) if each is state]
    curve = state.curve()
    if not ends or curve is None or not state.done:
        return []
    lowest = ends[0][0]
    volume = float(np.asarray(curve.volume(max(lowest, curve.from_GPa))))
    modulus = 4.0 * max(lowest, 0.0) + (curve.eos().k0 if len(state.done) > 2 else 20.0)
    masses = state.ladder.structure.atoms().get_masses()
    push = push_GPa(volume, masses, max(vibrations.temperatures_K, default=0.0), modulus)
    wanted = max(lowest - push, LOWEST_GPA)
    if curve.from_GPa <= wanted + EXPANDED_WITHIN_GPA:
        return []
    return beyond(plan, state, "low", "expansion")


def refined(
    plan: StabilityPlan,
    rungs: Sequence[Mapping[str, Any]],
    records: Mapping[str, CalculationRecord],
    histories: Histories,
) -> list[dict[str, Any]]:
    """Return the phonons at further volumes that transitions with zero-point motion or at temperature depend on."""
    if plan.vibrations is None:
        return []
    by_phase = {state.ladder.phase: state for state in phase_states(plan, rungs, records)}
    found: dict[str, list[dict[str, Any]]] = {}
    for hull in answer(plan, rungs, records, histories).hot:
        for phase, volume in unsure(hull, plan.accuracy_eV):
            place = further_place(plan.vibrations, by_phase[phase], volume, plan.method, rungs)
            if place is not None:
                found[place.site.name] = [each.to_dict() for each in sites.wanted(place.site, rungs, records)]
    return [rung for wanted in found.values() for rung in wanted]


def _elements(states: Sequence[PhaseState]) -> list[list[PhaseState]]:
    """Return the phases of each pure element."""
    groups: dict[str, list[PhaseState]] = {}
    for state in states:
        if len(set(state.ladder.structure.symbols)) == 1:
            groups.setdefault(state.ladder.structure.symbols[0], []).append(state)
    return list(groups.values())


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
    found: dict[str, list[Rung]] = {"high": [], "low": []}
    for extension in ends_to_extend(curves, height, grid, grid[0], grid[-1], step=STEP):
        asked = grid[0] if extension.end == "low" else grid[-1]
        if abs(extension.pressure_GPa - asked) > COVERED_WITHIN_GPA and _worth_following(plan, extension, curves):
            found[extension.end] += beyond(plan, by_phase[extension.phase], extension.end, "extension")
    # First upwards: a phase followed there may show that one that begins above need not be followed downwards.
    return found["high"] or found["low"]


def _refinements(plan: StabilityPlan, states: Sequence[PhaseState]) -> list[Rung]:
    """Return the rungs that halve intervals whose uncertainty matters for the hull."""
    by_phase, curves, grid, height = _competition(plan, states)
    wanted = []
    for volume in volumes_to_add(curves, height, grid, target_eV=plan.accuracy_eV, smallest_step=SMALLEST_STEP):
        state = by_phase[volume.phase]
        index = _between(state, volume.above_A3, volume.below_A3)
        if index is not None:
            wanted.append(rung_at(plan, state, index, "refinement"))
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
        return [] if failed else [rung_at(plan, state, index, "crossing")]
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
