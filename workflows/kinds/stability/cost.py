"""What a stability study will cost, estimated before it runs."""

from __future__ import annotations

from dataclasses import replace

from megabar.workflows.cost import PhaseEstimate, StudyEstimate, measured_rate, seconds
from megabar.workflows.kinds.stability.plan import StabilityPlan
from megabar.workflows.kinds.stability.vibrations import VibrationsPlan
from megabar.workflows.parts.volumes.cost import volumes_estimate
from megabar.workflows.store import ResultStore

VOLUMES_WITH_PHONONS = 3
"""Of a phase that matters; which phases do is known once the static hull stands."""


def estimate(name: str, plan: StabilityPlan, store: ResultStore | None) -> StudyEstimate:
    """Return what a study would compute and cost; calculations in the store cost nothing.

    Phonons are counted for all phases: which of them matter is not known before the static hull is.
    """
    volumes = volumes_estimate(name, plan, store, len(plan.functionals))
    found = replace(volumes, notes=(*plan.remarks, *volumes.notes))
    return found if plan.vibrations is None else _with_phonons(found, plan, plan.vibrations, store)


def _with_phonons(
    estimate: StudyEstimate, plan: StabilityPlan, vibrations: VibrationsPlan, store: ResultStore | None
) -> StudyEstimate:
    rate = measured_rate(store, plan.method.code)
    rows, notes = [], []
    for ladder, supercell in zip(plan.ladders, vibrations.supercells, strict=True):
        forces = supercell.force_set(ladder.phase, ladder.structure, plan.method)
        count, atoms = VOLUMES_WITH_PHONONS * len(forces.numbers), len(forces.supercell.symbols)
        rows.append(
            PhaseEstimate(
                phase=f"{ladder.phase}, phonons",
                formula=ladder.formula,
                atoms=atoms,
                window_GPa=ladder.window_GPa,
                kpoints=tuple(supercell.settings["kpoints"]),
                relaxed=False,
                volumes=count,
                stored=0,
                core_minutes=count * seconds(forces.calculation(1), rate) / 60,
            )
        )
        other = f"; {supercell.considered} the other way" if supercell.considered else ""
        notes.append(f"{ladder.phase}: {supercell.count} supercells of {atoms} atoms a volume, {supercell.way}{other}")
    notes.append(
        "phonons only of the phases within reach of the static hull: at most what is counted here, mostly less"
    )
    return replace(
        estimate,
        phases=(*estimate.phases, *rows),
        core_minutes=estimate.core_minutes + sum(each.core_minutes for each in rows),
        notes=(*estimate.notes, *notes),
    )
