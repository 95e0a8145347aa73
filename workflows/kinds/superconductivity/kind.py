"""The kind of study that asks for Tc."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from megabar.workflows.kinds.interface import Histories, Kind, Records, Rungs
from megabar.workflows.kinds.superconductivity.plan import (
    AT_PRESSURE,
    GROUND_STATE,
    MAIN,
    PHONON,
    TcPlan,
    published_definition,
    resolve,
)
from megabar.workflows.kinds.superconductivity.question import read
from megabar.workflows.kinds.superconductivity.wants import wanted_next
from megabar.workflows.parts.volumes.phase_state import PhaseState, phase_states

if TYPE_CHECKING:
    from megabar.workflows.cost import StudyEstimate
    from megabar.workflows.kinds.superconductivity.answer import TcAnswer
    from megabar.workflows.kinds.superconductivity.figures import TcFigures
    from megabar.workflows.kinds.superconductivity.view import TcView
    from megabar.workflows.store import ResultStore, StudyRecord


def _wants(plan: TcPlan, rungs: Rungs, records: Records) -> list[dict[str, Any]]:
    return [rung.to_dict() for rung in wanted_next(plan, rungs, records)]


def _answer(plan: TcPlan, rungs: Rungs, records: Records, histories: Histories) -> TcAnswer:
    from megabar.workflows.kinds.superconductivity.answer import answer

    return answer(plan, rungs, records, histories)


def _estimate(name: str, plan: TcPlan, store: ResultStore | None) -> StudyEstimate:
    from megabar.workflows.kinds.superconductivity.cost import estimate

    return estimate(name, plan, store)


def _report(folder: Path, study: StudyRecord, answer: TcAnswer, store: ResultStore) -> None:
    from megabar.workflows.kinds.superconductivity.report import write_report

    write_report(folder, study, answer, store)


def _text(answer: Mapping[str, Any]) -> str:
    from megabar.workflows.kinds.superconductivity.text import study_text

    return study_text(dict(answer))


def _figures(answer: TcAnswer) -> TcFigures:
    from megabar.workflows.kinds.superconductivity.figures import TcFigures

    return TcFigures(answer)


def _view(answer: TcAnswer) -> TcView:
    from megabar.workflows.kinds.superconductivity.view import TcView

    return TcView(answer)


def _phases(plan: TcPlan, rungs: Rungs, records: Records) -> dict[str, PhaseState]:
    main = [rung for rung in rungs if rung["kind"] in (MAIN, AT_PRESSURE)]
    ladder = [{**rung, "phase": plan.ladder.phase, "kind": MAIN} for rung in main]
    return {state.ladder.phase: state for state in phase_states(plan.volumes, ladder, records)}


SUPERCONDUCTIVITY = Kind(
    name="superconductivity",
    command="tc",
    rungs=(MAIN, AT_PRESSURE, GROUND_STATE, PHONON),
    question=read,
    resolve=resolve,
    read=TcPlan.from_dict,
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
