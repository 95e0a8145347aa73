"""What a study of superconductivity will cost: its volumes, and at each pressure a ground state and its q-points."""

from __future__ import annotations

from dataclasses import replace

from megabar.workflows.cost import PhaseEstimate, StudyEstimate, measured_rate, seconds
from megabar.workflows.kinds.superconductivity.grids import irreducible
from megabar.workflows.kinds.superconductivity.plan import TcPlan
from megabar.workflows.parts.volumes.cost import volumes_estimate
from megabar.workflows.store import ResultStore


def estimate(name: str, plan: TcPlan, store: ResultStore | None) -> StudyEstimate:
    """Return what a study would compute and cost.

    What is stored of phonons is not known before the structures are, so it is counted as to be computed.
    """
    volumes = volumes_estimate(name, plan.volumes, store)
    structure = plan.ladder.structure
    count = irreducible(structure, plan.grids.q)
    ground = plan.ground_state(structure)
    rate = measured_rate(store, plan.method.code)
    cost = seconds(ground, rate) + count * seconds(plan.phonons(structure, 1, ground.key), rate)
    rows = tuple(
        PhaseEstimate(
            phase=plan.name_at(pressure),
            formula=plan.ladder.formula,
            atoms=len(structure.symbols),
            window_GPa=(pressure, pressure),
            kpoints=plan.grids.k,
            relaxed=plan.ladder.relaxation is not None,
            volumes=count + 2,
            stored=0,
            core_minutes=cost / 60,
        )
        for pressure in plan.pressures_GPa
    )
    return replace(
        volumes,
        phases=(*volumes.phases, *rows),
        extra_calculations=0,
        core_minutes=sum(each.core_minutes for each in (*volumes.phases, *rows)),
    )
