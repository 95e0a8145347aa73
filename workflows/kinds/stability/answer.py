"""The answer of a stability study from the results that are there, with what failed and what to be wary of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from ase import units

from megabar.analysis.curve import Clipped, clipped
from megabar.analysis.enthalpy import EnthalpyCurve, Outlier, outliers
from megabar.analysis.near_hull import NearHull, near_hull
from megabar.analysis.resolution import resolved
from megabar.analysis.stability import Stability, Transition, analyse
from megabar.analysis.stability_output import stability_json
from megabar.structures.library import library
from megabar.structures.magnetism import spin_matters
from megabar.structures.molecules import formula_unit
from megabar.workflows.kinds.stability.budget import Background, budgeted, error_sources, not_included, protocol_part
from megabar.workflows.kinds.stability.functionals import ByFunctional, by_functional
from megabar.workflows.kinds.stability.hot import HOW_KNOWN, VIBRATIONS, HotHull, hot_hull, vibrations_json
from megabar.workflows.kinds.stability.plan import StabilityPlan
from megabar.workflows.kinds.stability.vibrations import phase_vibrations, vibrating
from megabar.workflows.parts.volumes.ladder import Rung
from megabar.workflows.parts.volumes.notes import spin_notes
from megabar.workflows.parts.volumes.phase_state import PhaseState, phase_states, volume_point
from megabar.workflows.store import CalculationRecord
from megabar.workflows.tasks.interface import Histories

BROKEN_EV = 1e-3
MOSTLY = 0.5
MOST_JUDGED = 2


@dataclass(frozen=True)
class Failure:
    """A calculation without a result: which one, why, in the code's words."""

    phase: str
    volume_A3: float
    key: str
    cause: str
    detail: str


@dataclass(frozen=True)
class Verdict:
    """What the verifying code says of a transition, from single points on the same structures.

    difference_eV: ΔE of the reaction by the judge less that by the study's code (eV/atom); judged_GPa: the transition
    pressure with it, P − difference/ΔV, as H is stationary in V.
    """

    reaction: str
    code: str
    pressure_GPa: float
    judged_GPa: float
    difference_eV: float
    keys: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class StabilityAnswer:
    """What a stability study has found so far.

    curves: enthalpy curves of the phases that have any; stability: the hull against pressure, None while an element
    has no curve. failures: calculations without a result; left: relaxations that left their phase, which thus ends
    there; warnings: what a reader must know of the others.
    verdicts: what the verifying code says. others: the hull by other functionals. near: phases of which the method does
    not tell whether they are on the hull.
    """

    plan: StabilityPlan
    states: tuple[PhaseState, ...]
    curves: tuple[EnthalpyCurve, ...]
    stability: Stability | None
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
    verdicts: tuple[Verdict, ...] = ()
    left: tuple[Failure, ...] = ()
    others: tuple[ByFunctional, ...] = ()
    near: tuple[NearHull, ...] = ()
    hot: tuple[HotHull, ...] = ()

    @property
    def error_sources(self) -> dict[str, str]:
        """How each part of the transitions' errors is known, by the part's name."""
        if self.stability is None:
            return {}
        return error_sources(self.stability, _background(self.plan, self.verdicts, self.others))

    @property
    def not_included(self) -> list[str]:
        """What no part of the errors stands for."""
        return [] if self.plan.toy else not_included(self.stability)

    @property
    def hot_error_sources(self) -> dict[str, str]:
        """The same of hulls with zero-point motion and at temperatures."""
        transitions = [each for hull in self.hot if hull.stability for each in hull.stability.transitions]
        named = {name for each in transitions for name in each.error_parts_GPa}
        own = {VIBRATIONS: HOW_KNOWN} if VIBRATIONS in named else {}
        return {name: how for name, how in (self.error_sources | own).items() if name in named}

    @property
    def without_spin(self) -> dict[str, str]:
        """The phases that may be magnetic, which no calculation here knows of, and why."""
        phases = {ladder.phase: spin_matters(set(ladder.structure.symbols)) for ladder in self.plan.ladders}
        return {} if self.plan.toy else {phase: why for phase, why in phases.items() if why}

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
            content["error_sources"], content["error_not_included"] = self.error_sources, self.not_included
            content["near_hull"] = [
                {
                    "phase": each.phase,
                    "pressure_GPa": each.pressure_GPa,
                    "above_hull_eV_per_atom": each.above_eV,
                    "data_end": each.data_end,
                }
                for each in self.near
            ]
            if self.without_spin:
                content["not_spin_polarised"] = sorted(self.without_spin)
            if self.others:
                content["functionals"] = [self._functional_json(each) for each in self.others]
        else:
            content |= {"stable": [], "transitions": [], "notes": ["an element has no converged calculation yet"]}
        if self.hot:
            content["with_vibrations"] = [self._hot_json(each, at_GPa) for each in self.hot]
            content["vibrations"] = vibrations_json(self.hot[0].vibrations)
        for name, without in (("failures", self.failures), ("left_phase", self.left)):
            content[name] = [
                {"phase": each.phase, "volume_A3": round(each.volume_A3, 4), "cause": each.cause, "detail": each.detail}
                for each in without
            ]
        if self.plan.judge is not None:
            content["verification"] = [
                {
                    "reaction": each.reaction,
                    "code": each.code,
                    "pressure_GPa": each.pressure_GPa,
                    "judged_pressure_GPa": each.judged_GPa,
                    "difference_eV_per_atom": each.difference_eV,
                }
                for each in self.verdicts
            ]
        content["notes"] = [*content.get("notes", []), *self.warnings]
        return content

    def _hot_json(self, hull: HotHull, at_GPa: float | None) -> dict[str, Any]:
        lacking = [] if self.plan.toy else hull.not_included
        return {**hull.json(at_GPa), "error_sources": self.hot_error_sources, "error_not_included": lacking}

    def _functional_json(self, other: ByFunctional) -> dict[str, Any]:
        own = self.stability.transitions if self.stability else ()
        found = other.stability.transitions if other.stability else ()
        return {
            "functional": other.functional,
            "hull": other.stability is not None,
            "transitions": [
                {"reaction_of_phases": each.reaction.phases_text, "pressure_GPa": each.pressure_GPa} for each in found
            ],
            "pressures_GPa": {each.reaction.phases_text: other.pressure(each) for each in own},
            "missing": list(other.missing),
        }


def answer(
    plan: StabilityPlan,
    rungs: Sequence[Mapping[str, Any]],
    records: Mapping[str, CalculationRecord],
    histories: Histories | None = None,
) -> StabilityAnswer:
    """Return what a study's results say by now; what failed is named, what is missing takes no part.

    histories: returns the arrays of a calculation by its key; without, there are no hulls with zero-point motion.
    """
    states = phase_states(plan, rungs, records)
    curves = tuple(curve for state in states if (curve := state.curve()) is not None)
    elements = {element for ladder in plan.ladders for element in ladder.structure.symbols}
    pure = {curve.formula for curve in _asked_for(plan, curves)}
    units = {ladder.phase: formula_unit(ladder.structure.atoms()) for ladder in plan.ladders}
    found = analyse(_asked_for(plan, curves), units=units) if elements <= pure else None
    stability = resolved(found, resolution_eV(plan)) if found else None
    verdicts = tuple(_verdicts(plan, stability, rungs, records)) if stability else ()
    others = tuple(by_functional(plan, rungs, records, units)) if stability else ()
    near: tuple[NearHull, ...] = ()
    if stability is not None:
        stability = budgeted(stability, _background(plan, verdicts, others))
        near = near_hull(stability, resolution_eV(plan))
    return StabilityAnswer(
        plan=plan,
        states=tuple(states),
        curves=curves,
        stability=stability,
        failures=_without_result(states, "failed"),
        left=_without_result(states, "left"),
        warnings=(
            *_warnings(plan, states),
            *_near_notes(plan, near),
            *_unresolved(plan, _asked_for(plan, curves)),
            *_broken_symmetries(rungs, records),
            *_functional_notes(others),
        ),
        verdicts=verdicts,
        others=others,
        near=near,
        hot=_hot(plan, states, rungs, records, histories, units) if stability is not None else (),
    )


def _hot(
    plan: StabilityPlan,
    states: Sequence[PhaseState],
    rungs: Sequence[Mapping[str, Any]],
    records: Mapping[str, CalculationRecord],
    histories: Histories | None,
    units: Mapping[str, str],
) -> tuple[HotHull, ...]:
    """Return the hulls with zero-point motion and at the temperatures asked for, of natural and of other isotopes."""
    wanted = plan.vibrations
    if wanted is None or histories is None:
        return ()
    known = {state.ladder.phase: vibrating(wanted, plan.method, state, rungs, records, histories) for state in states}
    found = []
    for masses in ({}, wanted.isotopes) if wanted.isotopes else ({},):
        modes = {
            phase: phase_vibrations(wanted, phase, [each.with_masses(masses) for each in places], missing)
            for phase, (places, missing) in known.items()
        }
        named = ", ".join(f"{element}={mass:g}" for element, mass in masses.items())
        background = _background(plan, (), ())
        found += [
            hot_hull(states, modes, each, plan.pressures_GPa, background, resolution_eV(plan), units, named)
            for each in wanted.told_K
        ]
    return tuple(found)


def _background(plan: StabilityPlan, verdicts: Sequence[Verdict], others: Sequence[ByFunctional]) -> Background:
    elements = frozenset(element for ladder in plan.ladders for element in ladder.structure.symbols)
    return Background(plan.method, plan.toy, plan.by_hand, elements, tuple(verdicts), tuple(others))


def resolution_eV(plan: StabilityPlan) -> float:
    """Return the differences (eV/atom) that a study does not tell apart: its protocol's, or those measured for it."""
    elements = {element for ladder in plan.ladders for element in ladder.structure.symbols}
    numerics = protocol_part(plan.method, plan.toy, elements)
    return max(plan.resolution_eV, numerics.error_eV if numerics else 0.0)


def _near_notes(plan: StabilityPlan, near: Sequence[NearHull]) -> list[str]:
    """Return a sentence for each phase that may be on the hull for all that the method tells."""
    found = []
    for each in near:
        height, pressure = f"{max(1000 * each.above_eV, 0.01):.2g} meV/atom", f"{each.pressure_GPa:.4g} GPa"
        end = ", where its data end" if each.data_end else ""
        said = f"{each.phase} comes within {height} of the hull at {pressure}{end}, and is stable nowhere here"
        if not each.never_stable:
            said = f"{each.phase} is {height} above the hull at {pressure}{end}"
        beyond = "; beyond them it may be on it" if each.data_end else ""
        resolution = f"`{plan.method.protocol}` does not resolve less than {1000 * resolution_eV(plan):.2g} meV/atom"
        found.append(f"{said}{beyond} ({resolution})")
    return found


def _functional_notes(others: Sequence[ByFunctional]) -> list[str]:
    """Return a sentence for each functional that has no hull, or lacks phases."""
    found = []
    for each in others:
        if each.stability is None:
            found.append(f"{each.functional}: no hull, as an element has no result by it")
        elif each.missing:
            found.append(f"{each.functional}: calculations of {', '.join(each.missing)} failed or are missing")
    return found


def _without_result(states: Sequence[PhaseState], how: str) -> tuple[Failure, ...]:
    return tuple(
        Failure(
            phase=state.ladder.phase,
            volume_A3=state.ladder.volume(index),
            key=record.key,
            cause=record.cause or "unknown",
            detail=record.detail or "",
        )
        for state in states
        for index, record in sorted(state.ended.items())
        if record.state == how
    )


def _unresolved(plan: StabilityPlan, curves: Sequence[Clipped]) -> list[str]:
    """Return a sentence for each pair of phases of one composition that the method does not tell apart."""
    found = []
    for one, other in combinations(curves, 2):
        low, high = max(one.from_GPa, other.from_GPa), min(one.to_GPa, other.to_GPa)
        if one.formula != other.formula or low >= high:
            continue
        pressures = np.linspace(low, high, 101)
        resolution = resolution_eV(plan)
        close = np.abs(one.enthalpy(pressures) - other.enthalpy(pressures)) < resolution
        if close.mean() > MOSTLY:
            found.append(
                f"{one.phase} and {other.phase} are closer than the {1000 * resolution:.2g} meV/atom that "
                f"`{plan.method.protocol}` resolves, from {pressures[close][0]:.0f} to {pressures[close][-1]:.0f} GPa"
            )
    return found


def _broken_symmetries(rungs: Sequence[Mapping[str, Any]], records: Mapping[str, CalculationRecord]) -> list[str]:
    """Return a sentence for each phase that lowers its energy when its symmetry is broken."""
    found = []
    for rung in map(Rung.from_dict, rungs):
        kept, broken = records.get(rung.start or ""), records.get(rung.key)
        if rung.kind != "rattled" or kept is None or broken is None or not broken.done:
            continue
        gain = (kept.energy_eV_per_atom or 0.0) - (broken.energy_eV_per_atom or 0.0)
        said = f"gains {1000 * gain:.1f} meV/atom" if gain > BROKEN_EV else "gains nothing"
        found.append(f"{rung.phase} at {kept.pressure_GPa:.0f} GPa {said} when its symmetry is broken (rattled)")
    return found


def _verdicts(
    plan: StabilityPlan,
    stability: Stability,
    rungs: Sequence[Mapping[str, Any]],
    records: Mapping[str, CalculationRecord],
) -> list[Verdict]:
    """Return the verdicts on the transitions whose phases all have been judged near their pressure."""
    checks = [rung for rung in map(Rung.from_dict, rungs) if rung.kind in ("judge", "reference")]
    ours = {rung.start: records.get(rung.key) for rung in checks if rung.kind == "reference"}
    judged: dict[str, list[tuple[float, float, str]]] = {}
    for rung in checks:
        relaxed, own, other = records.get(rung.start or ""), ours.get(rung.start), records.get(rung.key)
        if rung.kind == "judge" and relaxed and own and other and own.done and other.done:
            difference = (other.energy_eV_per_atom or 0.0) - (own.energy_eV_per_atom or 0.0)
            judged.setdefault(rung.phase, []).append((relaxed.pressure_GPa or 0.0, difference, rung.key))
    found = []
    for transition in judged_transitions(stability):
        pressure, shares = transition.pressure_GPa, transition.reaction.atom_fractions
        if not all(phase in judged for phase in shares):
            continue
        nearest = {phase: min(judged[phase], key=lambda each: abs(each[0] - pressure)) for phase in shares}
        difference = sum(share * nearest[phase][1] for phase, share in shares.items())
        found.append(
            Verdict(
                reaction=transition.reaction.phases_text,
                code=plan.judge.code if plan.judge else "",
                pressure_GPa=pressure,
                judged_GPa=pressure - difference / transition.delta_volume / units.GPa,
                difference_eV=difference,
                keys=tuple(each[2] for each in nearest.values()),
            )
        )
    return found


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
    else:
        found += spin_notes(plan)
    found += plan.remarks
    for state in states:
        phase, done = state.ladder.phase, state.done
        if not done:
            found.append(f"{phase} has no converged calculation and takes no part")
            continue
        if full := _without_empty_bands(state):
            found.append(
                f"{phase}: {full} of its calculations, by an earlier version, had no empty band, which a metal needs: "
                "if it is one, its energies are too high; compute it anew in another data folder (MEGABAR_DATA)"
            )
        changes = [(record.pressure_GPa or 0.0, record.symmetry_change) for record in done.values()]
        changed = sorted((pressure, change) for pressure, change in changes if change)
        if changed:
            pressures = ", ".join(f"{pressure:.0f}" for pressure, _ in changed)
            found.append(f"{phase}: the symmetry changed at {pressures} GPa ({changed[0][1]})")
        close = sorted((record.pressure_GPa or 0.0, record.warnings[0]) for record in done.values() if record.warnings)
        if close:
            found.append(f"{phase}: from {close[0][0]:.0f} GPa on, {close[0][1]}")
        for outlier in outliers([volume_point(record) for record in done.values()]):
            found.append(
                f"{phase}: the calculation at {outlier.point.volume_A3:.2f} Å³/atom disagrees with its neighbours "
                f"by {off_text(outlier)}"
            )
    return found


def _without_empty_bands(state: PhaseState) -> int:
    """Return how many results of a phase, not known to be an insulator, come from as many bands as electrons fill.

    GPAW says so by a Fermi level at infinity. Until 0.1.0 calcium was computed that way, 60 to 120 meV/atom too high.
    """
    known = library().get(state.ladder.phase)
    if known is not None and known.insulating:
        return 0
    levels = [record.observables.get("fermi_eV") for record in state.done.values()]
    return sum(isinstance(level, float) and np.isinf(level) for level in levels)


def off_text(outlier: Outlier) -> str:
    """Return how far a point is off, without a number that rounds to nothing."""
    numbers = ((1000 * outlier.energy_off_eV, "meV/atom"), (outlier.pressure_off_GPa, "GPa"))
    said = [f"{off:.1f} {unit}" for off, unit in numbers if abs(off) >= 0.05]
    return " and ".join(said) or " and ".join(f"{off:.2g} {unit}" for off, unit in numbers)


def judged_transitions(stability: Stability) -> list[Transition]:
    """Return the transitions that a judge is asked about: those by which compounds appear or go."""
    return [each for each in stability.transitions if not each.reaction.polymorphic][:MOST_JUDGED]
