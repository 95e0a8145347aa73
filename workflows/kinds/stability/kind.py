"""The kind of study that asks which phases are stable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from megabar.workflows.kinds.interface import Kind, Late, Records, Rungs
from megabar.workflows.kinds.stability.plan import StabilityPlan, functional_kind, published_definition, resolve
from megabar.workflows.kinds.stability.question import read
from megabar.workflows.kinds.stability.wants import everything_wanted, refined
from megabar.workflows.parts.force_sets import KIND as FORCES
from megabar.workflows.parts.volumes.phase_state import PhaseState, phase_states

if TYPE_CHECKING:
    pass


RUNGS = ("main", "judge", "reference", "rattled", FORCES, functional_kind(""))


def _phases(plan: StabilityPlan, rungs: Rungs, records: Records) -> dict[str, PhaseState]:
    states = {state.ladder.phase: state for state in phase_states(plan, rungs, records)}
    return states | {copy: states[first] for copy, first in plan.copies}


STABILITY = Kind(
    name="stability",
    command="hull",
    rungs=RUNGS,
    question=read,
    resolve=resolve,
    read=StabilityPlan.from_dict,
    wants=everything_wanted,
    refine=refined,
    answer=Late("megabar.workflows.kinds.stability.answer:answer"),
    estimate=Late("megabar.workflows.kinds.stability.cost:estimate"),
    report=Late("megabar.workflows.kinds.stability.report:write_report"),
    text=Late("megabar.workflows.kinds.stability.text:hull_text"),
    figures=Late("megabar.workflows.kinds.stability.figures:figures_of"),
    view=Late("megabar.workflows.kinds.stability.view:view_of"),
    phases=_phases,
    publish=published_definition,
)
