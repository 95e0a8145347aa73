"""What a study of phonons will cost: its volumes, and at each pressure of a phase a structure and its supercells."""

from __future__ import annotations

from dataclasses import replace

from megabar.workflows.cost import PhaseEstimate, StudyEstimate, measured_rate, seconds
from megabar.workflows.kinds.phonons.plan import FURTHER, PhononPlan
from megabar.workflows.parts.volumes.cost import volumes_estimate
from megabar.workflows.store import ResultStore


def estimate(name: str, plan: PhononPlan, store: ResultStore | None) -> StudyEstimate:
    """Return what a study would compute and cost.

    Which supercells are stored is not known before the structures are, so all are counted as to be computed.
    """
    volumes = volumes_estimate(name, plan.volumes, store)
    rate = measured_rate(store, plan.method.code)
    rows, notes = [], []
    for ladder, supercell in zip(plan.volumes.ladders, plan.supercells, strict=True):
        forces = supercell.force_set(ladder.phase, ladder.structure, plan.method)
        single = seconds(forces.calculation(1), rate)
        atoms = len(forces.supercell.symbols)
        for pressure in plan.pressures_of(ladder.phase):
            times = 2 if plan.check and pressure == plan.pressures_GPa[0] else 1
            count = times * len(forces.numbers)
            rows.append(
                PhaseEstimate(
                    phase=plan.place(ladder.phase, pressure),
                    formula=ladder.formula,
                    atoms=atoms,
                    window_GPa=(pressure, pressure),
                    kpoints=tuple(supercell.settings["kpoints"]),
                    relaxed=False,
                    volumes=count + 1,
                    stored=0,
                    core_minutes=count * single / 60,
                )
            )
        other = f"; {supercell.considered} the other way" if supercell.considered else ""
        notes.append(f"{ladder.phase}: {supercell.count} supercells of {atoms} atoms, {supercell.way}{other}")
    if plan.check:
        notes.append(f"at {plan.pressures_GPa[0]:g} GPa once more with atoms displaced {FURTHER:g} times as far")
    return replace(
        volumes,
        phases=(*volumes.phases, *rows),
        extra_calculations=0,
        core_minutes=sum(each.core_minutes for each in (*volumes.phases, *rows)),
        notes=(*volumes.notes, *notes),
    )
