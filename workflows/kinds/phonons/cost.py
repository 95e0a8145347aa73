"""What a study of phonons will cost: its volumes, and at each pressure of a phase a structure and its supercells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from megabar.structures.library import library
from megabar.workflows.calculation import Calculation
from megabar.workflows.cost import PhaseEstimate, StudyEstimate, measured_rate, seconds
from megabar.workflows.kinds.phonons.plan import FURTHER, PhononPlan
from megabar.workflows.kpoints import irreducible_kpoints
from megabar.workflows.parts.volumes.cost import volumes_estimate
from megabar.workflows.parts.volumes.ladder import Ladder
from megabar.workflows.store import ResultStore
from megabar.workflows.structure import Structure


def _further(plan: PhononPlan, ladder: Ladder, rate: float | None) -> Callable[[float], tuple[int, float]]:
    """Return how many calculations there are beside supercells at a pressure (GPa), and their cost (core-seconds)."""
    response = plan.response(ladder.phase)
    perturbed: list[Calculation] = []
    if response is not None:
        site = response.site(ladder.phase, ladder.structure, "", plan.method, insulating=True)
        if response.q_grid is not None:
            ground = site.ground_state()
            points = irreducible_kpoints(Structure.of(site.cell), response.q_grid)
            perturbed += [ground, *(site.matrix(number, ground.key) for number in range(2, points + 1))]
        if plan.born and len(set(ladder.structure.symbols)) > 1 and _insulating(ladder):
            perturbed.append(site.dielectric())
    strains = plan.strains(ladder.phase, ladder.phase, ladder.structure) if plan.elastic else None
    strained = [] if strains is None else [strains.calculation(number) for number in strains.numbers]
    everywhere = (len(perturbed), sum(seconds(each, rate) for each in perturbed))
    elastic = (len(strained), sum(seconds(each, rate) for each in strained))

    def at(pressure_GPa: float) -> tuple[int, float]:
        wanted = elastic if pressure_GPa in plan.elastic_GPa(ladder.phase) else (0, 0.0)
        return everywhere[0] + wanted[0], everywhere[1] + wanted[1]

    return at


def _insulating(ladder: Ladder) -> bool:
    """Return whether a phase is known to be an insulator before anything is computed."""
    known = library().get(ladder.phase)
    return known is not None and known.insulating


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
        more = _further(plan, ladder, rate)
        for pressure in plan.pressures_of(ladder.phase):
            times = 2 if plan.check and pressure == plan.pressures_GPa[0] else 1
            count = 0 if plan.by_dfpt else times * len(forces.numbers)
            others, others_s = more(pressure)
            rows.append(
                PhaseEstimate(
                    phase=plan.place(ladder.phase, pressure),
                    formula=ladder.formula,
                    atoms=atoms,
                    window_GPa=(pressure, pressure),
                    kpoints=tuple(supercell.settings["kpoints"]),
                    relaxed=False,
                    volumes=count + others + 1,
                    stored=0,
                    core_minutes=(count * single + others_s) / 60,
                )
            )
        if plan.by_dfpt:
            response = plan.response(ladder.phase)
            grid = "×".join(map(str, response.q_grid or ())) if response else ""
            notes.append(f"{ladder.phase}: perturbation theory on {grid} q in the primitive cell")
            continue
        other = f"; {supercell.considered} the other way" if supercell.considered else ""
        notes.append(f"{ladder.phase}: {supercell.count} supercells of {atoms} atoms, {supercell.way}{other}")
    if plan.check and not plan.by_dfpt:
        notes.append(f"at {plan.pressures_GPa[0]:g} GPa once more with atoms displaced {FURTHER:g} times as far")
    return replace(
        volumes,
        phases=(*volumes.phases, *rows),
        extra_calculations=0,
        core_minutes=sum(each.core_minutes for each in (*volumes.phases, *rows)),
        notes=(*volumes.notes, *notes),
    )
