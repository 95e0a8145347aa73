"""The kind of study that asks which phases are stable."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from megabar.workflows.kinds.interface import Histories, Kind, Records, Rungs
from megabar.workflows.kinds.stability.plan import StabilityPlan, functional_kind, published_definition, resolve
from megabar.workflows.kinds.stability.question import read
from megabar.workflows.kinds.stability.wants import wanted_next
from megabar.workflows.parts.volumes.phase_state import PhaseState, phase_states

if TYPE_CHECKING:
    from megabar.workflows.cost import StudyEstimate
    from megabar.workflows.kinds.stability.answer import StabilityAnswer
    from megabar.workflows.kinds.stability.figures import StabilityFigures
    from megabar.workflows.kinds.stability.view import HullView
    from megabar.workflows.store import ResultStore, StudyRecord

RUNGS = ("main", "judge", "reference", "rattled", functional_kind(""))


def _wants(plan: StabilityPlan, rungs: Rungs, records: Records) -> list[dict[str, Any]]:
    return [rung.to_dict() for rung in wanted_next(plan, rungs, records)]


def _answer(plan: StabilityPlan, rungs: Rungs, records: Records, histories: Histories) -> StabilityAnswer:
    from megabar.workflows.kinds.stability.answer import answer

    return answer(plan, rungs, records)


def _estimate(name: str, plan: StabilityPlan, store: ResultStore | None) -> StudyEstimate:
    from megabar.workflows.kinds.stability.cost import estimate

    return estimate(name, plan, store)


def _report(folder: Path, study: StudyRecord, answer: StabilityAnswer, store: ResultStore) -> None:
    from megabar.workflows.kinds.stability.report import write_report

    write_report(folder, study, answer, store)


def _text(answer: Mapping[str, Any]) -> str:
    from megabar.workflows.kinds.stability.text import hull_text

    return hull_text(dict(answer))


def _figures(answer: StabilityAnswer) -> StabilityFigures:
    from megabar.workflows.kinds.stability.figures import figures_of

    return figures_of(answer)


def _view(answer: StabilityAnswer) -> HullView:
    from megabar.workflows.kinds.stability.view import view_of

    return view_of(answer)


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
    estimate=_estimate,
    report=_report,
    text=_text,
    figures=_figures,
    view=_view,
    phases=_phases,
    publish=published_definition,
)
