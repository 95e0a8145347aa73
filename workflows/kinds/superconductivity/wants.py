"""What a study of superconductivity wants next: it follows from the plan and the results that are there.

The volumes of the structure's ladder, the structure at each pressure, its ground state, and then all q-points at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from megabar.analysis.enthalpy import EnthalpyCurve
from megabar.workflows.kinds.superconductivity.grids import irreducible
from megabar.workflows.kinds.superconductivity.plan import AT_PRESSURE, GROUND_STATE, MAIN, PHONON, TcPlan, TcRung
from megabar.workflows.parts.volumes import at_pressure
from megabar.workflows.parts.volumes.at_pressure import curve_through
from megabar.workflows.parts.volumes.phase_state import phase_states
from megabar.workflows.parts.volumes.wants import ladders_wanted
from megabar.workflows.store import CalculationRecord
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.electrons import PhononQ

Records = Mapping[str, CalculationRecord]


@dataclass(frozen=True)
class AtPressure:
    """What a study has asked for at one pressure: trials of the structure, ground state, q-points."""

    pressure_GPa: float
    trials: tuple[TcRung, ...]
    ground_state: TcRung | None
    phonons: tuple[TcRung, ...]


def asked_at(rungs: Sequence[TcRung], pressure_GPa: float) -> AtPressure:
    """Return what a study has asked for at one of its pressures."""
    own = [rung for rung in rungs if rung.pressure_GPa == pressure_GPa]
    trials = tuple(rung for rung in own if rung.kind == AT_PRESSURE)
    ground = next((rung for rung in own if rung.kind == GROUND_STATE), None)
    phonons = tuple(rung for rung in own if rung.kind == PHONON)
    return AtPressure(pressure_GPa, trials, ground, tuple(sorted(phonons, key=lambda rung: rung.index)))


def wanted_next(plan: TcPlan, rungs: Sequence[Mapping[str, Any]], records: Records) -> list[TcRung]:
    """Return the calculations that a study wants beyond those it has asked for; none and none open: it is complete."""
    main = [rung for rung in rungs if rung["kind"] == MAIN]
    states = phase_states(plan.volumes, main, records)
    wanted, waiting = ladders_wanted(plan.volumes, states)
    if wanted or waiting:
        return [plan.volume_rung(rung, MAIN) for rung in wanted]
    parsed = with_structures(rungs, records)
    curve = volume_curve(plan, parsed, records)
    if curve is None:
        return []
    found = []
    for pressure in plan.pressures_GPa:
        found += _at(plan, asked_at(parsed, pressure), curve, states[0].done, records)
    return found


def with_structures(rungs: Sequence[Mapping[str, Any]], records: Records) -> list[TcRung]:
    """Return stored rungs, with the structures that are those of results; earlier versions stored them with these."""
    parsed = [TcRung.from_dict(rung) for rung in rungs]
    sources = {rung.structure_of for rung in parsed if rung.structure is None and rung.structure_of in records}
    known = {key: Structure.from_dict(records[key].structure or {}) for key in sources if key}
    return [replace(rung, structure=known.get(rung.structure_of or "", rung.structure)) for rung in parsed]


def volume_curve(plan: TcPlan, rungs: Sequence[TcRung], records: Records) -> EnthalpyCurve | None:
    """Return the enthalpy curve of all volumes computed, None where there is none or it makes no sense."""
    return curve_through(plan.ladder, (rung.key for rung in rungs if rung.kind in (MAIN, AT_PRESSURE)), records)


def settled(asked: AtPressure, records: Records) -> CalculationRecord | None:
    """Return the structure that a pressure is computed at: near enough, or the nearest after all trials."""
    return at_pressure.settled(asked.pressure_GPa, (rung.key for rung in asked.trials), records)


def q_points(plan: TcPlan, structure: Structure, asked: AtPressure, records: Records) -> int:
    """Return how many q-points there are: as ph.x says, before that as symmetry says."""
    done = (records[rung.key] for rung in asked.phonons if rung.key in records and records[rung.key].done)
    told = (PhononQ().result(record, {}).q_points for record in done)
    return next(told, None) or irreducible(structure, plan.grids.q)


def _at(
    plan: TcPlan,
    asked: AtPressure,
    curve: EnthalpyCurve,
    done: Mapping[Fraction, CalculationRecord],
    records: Records,
) -> list[TcRung]:
    if any(rung.key not in records for rung in asked.trials):
        return []
    record = settled(asked, records)
    if record is None:
        return _trial(plan, asked, curve, done)
    structure, name = Structure.from_dict(record.structure or {}), plan.name_at(asked.pressure_GPa)
    if asked.ground_state is None:
        key, pressure = plan.ground_state(structure).key, asked.pressure_GPa
        return [TcRung(name, Fraction(0), key, (), "electrons", GROUND_STATE, pressure, structure, record.key)]
    ground = records.get(asked.ground_state.key)
    if ground is None or not ground.done or asked.ground_state.structure is None:
        return []
    structure, start = asked.ground_state.structure, asked.ground_state.key
    there = {int(rung.index) for rung in asked.phonons}
    return [
        TcRung(
            name,
            Fraction(number),
            plan.phonons(structure, number, start).key,
            (start,),
            "q-point",
            PHONON,
            asked.pressure_GPa,
            structure,
            asked.ground_state.structure_of,
        )
        for number in range(1, q_points(plan, structure, asked, records) + 1)
        if number not in there
    ]


def _trial(
    plan: TcPlan, asked: AtPressure, curve: EnthalpyCurve, done: Mapping[Fraction, CalculationRecord]
) -> list[TcRung]:
    tried = {rung.index for rung in asked.trials}
    found = at_pressure.trial(plan.ladder, plan.method, asked.pressure_GPa, curve, done, tried)
    return [] if found is None else [plan.volume_rung(found, AT_PRESSURE, asked.pressure_GPa)]
