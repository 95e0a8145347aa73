"""What a study of phonons wants next: it follows from the plan and the results that are there.

The volumes of each phase's ladder, its structure at each pressure, and then all displaced supercells there at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from megabar.analysis.enthalpy import EnthalpyCurve
from megabar.workflows.kinds.phonons.plan import AT_PRESSURE, FURTHER, MAIN, PhononPlan
from megabar.workflows.kinds.phonons.response import has_gap, wants_charges
from megabar.workflows.parts.lattice import dfpt, sites
from megabar.workflows.parts.lattice.dfpt import PerturbedSite
from megabar.workflows.parts.lattice.sites import Site
from megabar.workflows.parts.strains import StrainSet, strain_set_state, strains_wanted
from megabar.workflows.parts.volumes import at_pressure
from megabar.workflows.parts.volumes.ladder import Ladder
from megabar.workflows.parts.volumes.phase_state import PhaseState, phase_states
from megabar.workflows.parts.volumes.wants import ladders_wanted
from megabar.workflows.store import CalculationRecord
from megabar.workflows.structure import Structure

Records = Mapping[str, CalculationRecord]
Rungs = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Trials:
    """The structures that were tried for a phase at a pressure. tried: keys by index of the volume, in the order asked.

    record: the one that is near enough, None while there is none. open: whether one is still computed.
    """

    pressure_GPa: float
    tried: Mapping[Fraction, str]
    record: CalculationRecord | None
    open: bool


def trials(
    plan: PhononPlan, phase: str, pressure_GPa: float, rungs: Rungs, records: Records, curve: EnthalpyCurve | None
) -> Trials:
    """Return the structures that were tried for a phase at a pressure (GPa); curve: of all its volumes."""
    name = plan.place(phase, pressure_GPa)
    own = [rung for rung in rungs if rung.get("kind") == AT_PRESSURE and rung["phase"] == name]
    tried = {Fraction(rung["index"]): str(rung["key"]) for rung in own}
    open_ = any(key not in records for key in tried.values())
    # What supercells were made of stays the structure there, though the curve may have moved since.
    made_of = next((rung["structure_of"] for rung in rungs if rung.get("structure_of") and _is_at(rung, name)), None)
    if made_of is not None:
        record = records.get(made_of)
    else:
        record = None if open_ else at_pressure.settled(pressure_GPa, tried.values(), records, curve)
    return Trials(pressure_GPa, tried, record, open_)


def _is_at(rung: Mapping[str, Any], name: str) -> bool:
    """Return whether a rung belongs to a place, under its own name or with more said behind it."""
    return bool(rung["phase"] == name or rung["phase"].startswith(f"{name}, "))


def phase_curve(ladder: Ladder, rungs: Rungs, records: Records) -> EnthalpyCurve | None:
    """Return the enthalpy curve of all volumes of a phase; rungs: of the study, or of the phase alone."""
    own = [
        rung["key"]
        for rung in rungs
        if rung.get("kind", MAIN) in (MAIN, AT_PRESSURE) and ladder.phase in (rung["phase"], rung.get("crystal"))
    ]
    return at_pressure.curve_through(ladder, own, records)


def sites_at(plan: PhononPlan, phase: str, at: Trials) -> list[Site]:
    """Return where force constants are wanted at a pressure whose structure is settled: once, or twice to check."""
    if at.record is None:
        return []
    structure = Structure.from_dict(at.record.structure or {})
    own = plan.site(phase, at.pressure_GPa, structure, at.record.key)
    checked = plan.check and at.pressure_GPa == plan.pressures_GPa[0]
    return [own, plan.site(phase, at.pressure_GPa, structure, at.record.key, FURTHER)] if checked else [own]


def response_at(plan: PhononPlan, phase: str, at: Trials) -> PerturbedSite | None:
    """Return where perturbation theory is wanted at a pressure whose structure is settled; None where it is not."""
    response = plan.response(phase)
    if response is None or at.record is None:
        return None
    structure = Structure.from_dict(at.record.structure or {})
    charges = plan.born and wants_charges(at.record, structure.symbols, plan.method.code)
    if response.q_grid is None and not charges:
        return None
    insulating = charges or (response.q_grid is not None and has_gap(at.record))
    name = plan.place(phase, at.pressure_GPa)
    return response.site(name, structure, at.record.key, plan.method, insulating)


def strains_at(plan: PhononPlan, phase: str, at: Trials) -> StrainSet | None:
    """Return the strained cells at a pressure asked for whose structure is settled."""
    if at.record is None:
        return None
    name = f"{plan.place(phase, at.pressure_GPa)}, strained"
    return plan.strains(phase, name, Structure.from_dict(at.record.structure or {}))


def wanted_next(plan: PhononPlan, rungs: Rungs, records: Records) -> list[dict[str, Any]]:
    """Return the calculations that a study wants beyond those it has asked for; none and none open: it is complete.

    No phase waits for another.
    """
    states = phase_states(plan.volumes, rungs, records)
    first, waiting = ladders_wanted(plan.volumes, states)
    wanted = [rung.to_dict() for rung in first]
    for state in states:
        if state.ladder.phase not in waiting:
            wanted += _of_phase(plan, state, rungs, records)
    return wanted


def _of_phase(plan: PhononPlan, state: PhaseState, rungs: Rungs, records: Records) -> list[dict[str, Any]]:
    phase = state.ladder.phase
    own = [rung for rung in rungs if phase in (rung["phase"], rung.get("crystal"))]
    curve = phase_curve(state.ladder, own, records)
    if curve is None:
        return []
    found: list[dict[str, Any]] = []
    for pressure in plan.pressures_of(phase):
        at = trials(plan, phase, pressure, own, records, curve)
        if at.open:
            continue
        if at.record is None:
            rung = at_pressure.trial(state.ladder, plan.method, pressure, curve, state.done, at.tried)
            if rung is not None:
                named = {"phase": plan.place(phase, pressure), "kind": AT_PRESSURE, "crystal": phase}
                found.append({**rung.to_dict(), **named})
            continue
        found += _at(plan, phase, at, own, records)
    return found


def _at(plan: PhononPlan, phase: str, at: Trials, rungs: Rungs, records: Records) -> list[dict[str, Any]]:
    """Return what is wanted at a pressure whose structure is settled."""
    assert at.record is not None
    named = {"structure_of": at.record.key, "crystal": phase}
    found: list[dict[str, Any]] = []
    if not plan.by_dfpt:
        for site in sites_at(plan, phase, at):
            found += [each.to_dict() for each in sites.wanted(site, rungs, records)]
    perturbed = response_at(plan, phase, at)
    if perturbed is not None:
        wanted = dfpt.wanted(perturbed.state(rungs, records))
        found += [{**each.to_dict(), **named, "insulating": perturbed.insulating} for each in wanted]
    if at.pressure_GPa in plan.elastic_GPa(phase):
        strains = strains_at(plan, phase, at)
        assert strains is not None
        state = strain_set_state(strains, rungs, records)
        found += [{**each.to_dict(), **named} for each in strains_wanted(state)]
    return found
