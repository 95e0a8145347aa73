"""The kind of study that asks for Tc."""

from __future__ import annotations

from typing import Any

from megabar.workflows.kinds.interface import Kind, Late, Records, Rungs
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


def _wants(plan: TcPlan, rungs: Rungs, records: Records) -> list[dict[str, Any]]:
    return [rung.to_dict() for rung in wanted_next(plan, rungs, records)]


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
    answer=Late("megabar.workflows.kinds.superconductivity.answer:answer"),
    estimate=Late("megabar.workflows.kinds.superconductivity.cost:estimate"),
    report=Late("megabar.workflows.kinds.superconductivity.report:write_report"),
    text=Late("megabar.workflows.kinds.superconductivity.text:study_text"),
    figures=Late("megabar.workflows.kinds.superconductivity.figures:TcFigures"),
    view=Late("megabar.workflows.kinds.superconductivity.view:TcView"),
    phases=_phases,
    publish=published_definition,
)
