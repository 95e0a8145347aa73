"""The kind of study that asks which phases are stable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from megabar.workflows.kinds.interface import Histories, Kind, Late, Records, Rungs
from megabar.workflows.kinds.stability.plan import StabilityPlan, functional_kind, published_definition, resolve
from megabar.workflows.kinds.stability.question import read
from megabar.workflows.kinds.stability.wants import wanted_next
from megabar.workflows.parts.volumes.phase_state import PhaseState, phase_states

if TYPE_CHECKING:
    from megabar.workflows.kinds.stability.answer import StabilityAnswer


RUNGS = ("main", "judge", "reference", "rattled", functional_kind(""))


def _wants(plan: StabilityPlan, rungs: Rungs, records: Records) -> list[dict[str, Any]]:
    return [rung.to_dict() for rung in wanted_next(plan, rungs, records)]


def _answer(plan: StabilityPlan, rungs: Rungs, records: Records, histories: Histories) -> StabilityAnswer:
    from megabar.workflows.kinds.stability.answer import answer

    return answer(plan, rungs, records)


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
    wants=_wants,
    answer=_answer,
    estimate=Late("megabar.workflows.kinds.stability.cost:estimate"),
    report=Late("megabar.workflows.kinds.stability.report:write_report"),
    text=Late("megabar.workflows.kinds.stability.text:hull_text"),
    figures=Late("megabar.workflows.kinds.stability.figures:figures_of"),
    view=Late("megabar.workflows.kinds.stability.view:view_of"),
    phases=_phases,
    publish=published_definition,
)
