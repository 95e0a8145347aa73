"""The kind of study that asks for the lattice dynamics of phases."""

from __future__ import annotations

from megabar.workflows.kinds.interface import Kind, Late, Records, Rungs
from megabar.workflows.kinds.phonons.follow import refined
from megabar.workflows.kinds.phonons.mode_cells import FOLLOWED
from megabar.workflows.kinds.phonons.plan import AT_PRESSURE, MAIN, PhononPlan, published_definition, resolve
from megabar.workflows.kinds.phonons.question import read
from megabar.workflows.kinds.phonons.response import KINDS
from megabar.workflows.kinds.phonons.wants import wanted_next
from megabar.workflows.parts.force_sets import KIND as FORCES
from megabar.workflows.parts.strains import KIND as STRAIN
from megabar.workflows.parts.volumes.phase_state import PhaseState, phase_states


def _phases(plan: PhononPlan, rungs: Rungs, records: Records) -> dict[str, PhaseState]:
    return {state.ladder.phase: state for state in phase_states(plan.volumes, rungs, records)}


PHONONS = Kind(
    name="phonons",
    command="phonons",
    rungs=(MAIN, AT_PRESSURE, FORCES, STRAIN, FOLLOWED, *KINDS),
    question=read,
    resolve=resolve,
    read=PhononPlan.from_dict,
    wants=wanted_next,
    refine=refined,
    answer=Late("megabar.workflows.kinds.phonons.answer:answer"),
    estimate=Late("megabar.workflows.kinds.phonons.cost:estimate"),
    report=Late("megabar.workflows.kinds.phonons.report:write_report"),
    text=Late("megabar.workflows.kinds.phonons.text:study_text"),
    figures=Late("megabar.workflows.kinds.phonons.figures:PhononFigures"),
    view=Late("megabar.workflows.kinds.phonons.view:PhononView"),
    phases=_phases,
    publish=published_definition,
)
