"""The kind of study that asks for the lattice dynamics of phases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from megabar.workflows.kinds.interface import Histories, Kind, Records, Rungs
from megabar.workflows.kinds.phonons.plan import AT_PRESSURE, MAIN, PhononPlan, published_definition, resolve
from megabar.workflows.kinds.phonons.question import read
from megabar.workflows.kinds.phonons.wants import wanted_next
from megabar.workflows.parts.lattice.sites import FORCES
from megabar.workflows.parts.volumes.phase_state import PhaseState, phase_states

if TYPE_CHECKING:
    from megabar.workflows.cost import StudyEstimate
    from megabar.workflows.kinds.phonons.answer import PhononAnswer
    from megabar.workflows.store import ResultStore


def _answer(plan: PhononPlan, rungs: Rungs, records: Records, histories: Histories) -> PhononAnswer:
    from megabar.workflows.kinds.phonons.answer import answer

    return answer(plan, rungs, records, histories)


def _estimate(name: str, plan: PhononPlan, store: ResultStore | None) -> StudyEstimate:
    from megabar.workflows.kinds.phonons.cost import estimate

    return estimate(name, plan, store)


def _phases(plan: PhononPlan, rungs: Rungs, records: Records) -> dict[str, PhaseState]:
    return {state.ladder.phase: state for state in phase_states(plan.volumes, rungs, records)}


def _text(answer: Mapping[str, Any]) -> str:
    from megabar.workflows.kinds.phonons.text import study_text

    return study_text(dict(answer))


PHONONS = Kind(
    name="phonons",
    command="phonons",
    rungs=(MAIN, AT_PRESSURE, FORCES),
    question=read,
    resolve=resolve,
    read=PhononPlan.from_dict,
    wants=wanted_next,
    answer=_answer,
    estimate=_estimate,
    text=_text,
    phases=_phases,
    publish=published_definition,
)
