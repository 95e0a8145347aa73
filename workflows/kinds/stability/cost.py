"""What a stability study will cost, estimated before it runs."""

from __future__ import annotations

import math

from megabar.workflows.cost import STEPS_OF_RELAXATION, PhaseEstimate, StudyEstimate, measured_rate, seconds
from megabar.workflows.kinds.stability.answer import spin_notes
from megabar.workflows.kinds.stability.plan import StabilityPlan
from megabar.workflows.parts.volumes.cost import first_calculations
from megabar.workflows.store import ResultStore

REFINEMENT_SHARE = 0.3
"""Volumes that a study adds where they matter, as a share of its first ones (measured: 10–40%)."""


def estimate(name: str, plan: StabilityPlan, store: ResultStore | None) -> StudyEstimate:
    """Return what a study would compute and cost; calculations in the store cost nothing."""
    rate = measured_rate(store, plan.method.code)
    phases, total = [], 0.0
    for ladder in plan.ladders:
        calculations = first_calculations(plan, ladder)
        stored = store.ended([each.key for each in calculations]) if store else {}
        cost = sum(seconds(each, rate) for each in calculations if each.key not in stored)
        # Single points by other functionals: one self-consistency on each relaxed structure.
        steps = STEPS_OF_RELAXATION if ladder.relaxation else 1
        compared = len(plan.functionals) * sum(seconds(each, rate) for each in calculations) / steps
        total += (1 + REFINEMENT_SHARE) * (cost + compared)
        phases.append(
            PhaseEstimate(
                phase=ladder.phase,
                formula=ladder.formula,
                atoms=len(ladder.structure.symbols),
                window_GPa=ladder.window_GPa,
                kpoints=tuple(ladder.settings["kpoints"]),
                relaxed=ladder.relaxation is not None,
                volumes=len(calculations),
                stored=len(stored),
                core_minutes=cost / 60,
            )
        )
    return StudyEstimate(
        name=name,
        code=plan.method.code,
        version=plan.method.version,
        protocol=plan.method.protocol,
        functional=plan.method.functional,
        phases=tuple(phases),
        extra_calculations=_extra(sum(each.volumes for each in phases), len(plan.functionals)),
        core_minutes=total / 60,
        notes=(*plan.remarks, *(() if plan.toy else spin_notes(plan))),
    )


def _extra(volumes: int, functionals: int) -> int:
    """Return about how many calculations follow the first ones: refinement, and all volumes by other functionals."""
    refined = math.ceil(REFINEMENT_SHARE * volumes)
    return refined + functionals * (volumes + refined)
