"""What ladders of volumes will cost, estimated before they run."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

from megabar.workflows.calculation import AS_IT_IS, Calculation
from megabar.workflows.cost import PhaseEstimate, StudyEstimate, measured_rate, seconds
from megabar.workflows.parts.volumes.ladder import Ladder, chain_parents
from megabar.workflows.parts.volumes.notes import spin_notes
from megabar.workflows.parts.volumes.plan import VolumesPlan
from megabar.workflows.store import ResultStore

REFINEMENT_SHARE = 0.3
"""Volumes that a study adds where they matter, as a share of its first ones (measured: 10–40%)."""


def volumes_estimate(name: str, plan: VolumesPlan, store: ResultStore | None, others: int = 0) -> StudyEstimate:
    """Return what a study by its name would compute and cost; calculations in the store cost nothing.

    others: functionals by which all structures are computed once more, as single points.
    """
    rate = measured_rate(store, plan.method.code)
    phases, total = [], 0.0
    for ladder in plan.ladders:
        calculations = first_calculations(plan, ladder)
        stored = store.ended([each.key for each in calculations]) if store else {}
        cost = sum(seconds(each, rate) for each in calculations if each.key not in stored)
        # Single points by other functionals: one self-consistency on each relaxed structure.
        compared = others * sum(seconds(replace(each, task=AS_IT_IS), rate) for each in calculations)
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
        extra_calculations=_extra(sum(each.volumes for each in phases), others),
        core_minutes=total / 60,
        notes=() if plan.toy else tuple(spin_notes(plan)),
    )


def first_calculations(plan: VolumesPlan, ladder: Ladder) -> list[Calculation]:
    """Return a ladder's first calculations in the order in which each can start from the one before."""
    done: dict[Fraction, str] = {}
    calculations = []
    root = min(ladder.first, key=abs)
    for index in sorted(ladder.first, key=lambda index: abs(index - root)):
        low, high = sorted((root, index))
        before = [other for other in done if low <= other <= high]
        calculation = ladder.calculation(plan.method, index, [done[other] for other in chain_parents(index, before)])
        done[index] = calculation.key
        calculations.append(calculation)
    return calculations


def _extra(volumes: int, functionals: int) -> int:
    """Return about how many calculations follow the first ones: refinement, and all volumes by other functionals."""
    refined = math.ceil(REFINEMENT_SHARE * volumes)
    return refined + functionals * (volumes + refined)
