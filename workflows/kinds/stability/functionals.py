"""The same hull by other functionals: single points on the structures that the study's own has relaxed.

A structure relaxed by one functional is nearly so by another, and the energy is stationary there; the volumes are not
those that the other one wants, so that energies *and* stresses at all of them make curves of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from megabar.analysis.curve import clipped
from megabar.analysis.enthalpy import EnthalpyCurve, enthalpy_curve
from megabar.analysis.near_hull import heights
from megabar.analysis.stability import Stability, Transition, analyse
from megabar.workflows.kinds.stability.plan import StabilityPlan, functional_kind
from megabar.workflows.parts.volumes.ladder import Rung
from megabar.workflows.parts.volumes.phase_state import BRIDGED_LN_VOLUME, PhaseState, volume_point
from megabar.workflows.store import CalculationRecord

NEAR_EV = 0.03
"""Height above the hull (eV/atom) up to which a phase is computed by the other functionals too: they move differences
between phases by up to about that much (diamond and beta-tin silicon: see docs/stability.md)."""


@dataclass(frozen=True, eq=False)
class ByFunctional:
    """The hull by one other functional; None while an element has no result by it. missing: phases that failed."""

    functional: str
    stability: Stability | None
    missing: tuple[str, ...]

    def pressure(self, transition: Transition) -> float | None:
        """Return the pressure (GPa) of a transition of the study's own functional by this one, None without it."""
        if self.stability is None:
            return None
        same = [
            each.pressure_GPa
            for each in self.stability.transitions
            if each.reaction.phases_text == transition.reaction.phases_text
        ]
        return min(same, key=lambda pressure: abs(pressure - transition.pressure_GPa), default=None)


def phases_compared(stability: Stability) -> set[str]:
    """Return the phases that the other functionals are asked about: on the hull somewhere, or near it."""
    on_hull = {interval.phase for interval in stability.intervals}
    _, above = heights(stability)
    lowest = np.where(np.isfinite(above), above, np.inf).min(axis=0, initial=np.inf)
    return on_hull | {curve.phase for curve, low in zip(stability.curves, lowest, strict=True) if low <= NEAR_EV}


def functionals_wanted(
    plan: StabilityPlan, states: Sequence[PhaseState], stability: Stability, rungs: Sequence[Mapping[str, Any]]
) -> list[Rung]:
    """Return the single points by other functionals that are missing: all volumes of the phases compared."""
    asked = {str(rung["key"]) for rung in rungs}
    compared = phases_compared(stability)
    wanted = []
    for state in states:
        if state.ladder.phase not in compared:
            continue
        for method in plan.functionals:
            for index, record in sorted(state.done.items()):
                kind = functional_kind(method.functional)
                calculation = state.ladder.by_functional(method, index, record.key)
                rung = Rung(state.ladder.phase, index, calculation.key, (record.key,), "other functional", kind)
                if rung.key not in asked:
                    wanted.append(rung)
    return wanted


def by_functional(
    plan: StabilityPlan,
    rungs: Sequence[Mapping[str, Any]],
    records: Mapping[str, CalculationRecord],
    units: Mapping[str, str],
) -> list[ByFunctional]:
    """Return the hull by each other functional from the results that are there; units: as for `analyse`."""
    return [_one(plan, method.functional, rungs, records, units) for method in plan.functionals]


def _one(
    plan: StabilityPlan,
    functional: str,
    rungs: Sequence[Mapping[str, Any]],
    records: Mapping[str, CalculationRecord],
    units: Mapping[str, str],
) -> ByFunctional:
    own = [rung for rung in map(Rung.from_dict, rungs) if rung.kind == functional_kind(functional)]
    done = {rung: records[rung.key] for rung in own if rung.key in records and records[rung.key].done}
    missing = tuple(sorted({rung.phase for rung in own if rung not in done}))
    curves: list[EnthalpyCurve] = []
    for ladder in plan.ladders:
        points = [volume_point(record) for rung, record in done.items() if rung.phase == ladder.phase]
        if points:
            curves.append(enthalpy_curve(ladder.phase, ladder.formula, points, BRIDGED_LN_VOLUME))
    views = [clipped(curve, plan.pressures_GPa[0], plan.pressures_GPa[-1]) for curve in curves]
    known = [view for view in views if view is not None]
    elements = {element for ladder in plan.ladders for element in ladder.structure.symbols}
    if not elements <= {view.formula for view in known}:
        return ByFunctional(functional, None, missing)
    return ByFunctional(functional, analyse(known, units=units), missing)
