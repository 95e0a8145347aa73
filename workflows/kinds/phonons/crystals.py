"""The force constants of a phase at its pressures, as far as the results of a study are there."""

from __future__ import annotations

from dataclasses import dataclass

from megabar.analysis.phonons.harmonic import Harmonic
from megabar.structures.errors import InputError
from megabar.workflows.kinds.phonons.plan import PhononPlan
from megabar.workflows.kinds.phonons.wants import Records, Rungs, Trials, sites_at, trials
from megabar.workflows.parts.lattice.sites import ForceConstants, Site, force_constants
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Histories


@dataclass(frozen=True, eq=False)
class CrystalAt:
    """What is known of a phase at one pressure.

    asked: whether the study file names the pressure; else it was added for the free energy. reached_GPa: of the
    structure that was computed. done, count: displaced supercells that are there, and all. constants: None where there
    are none; missing says why. further: the crystal by atoms displaced further, where that was computed.
    """

    phase: str
    formula: str
    pressure_GPa: float
    asked: bool
    reached_GPa: float | None
    structure: Structure | None
    done: int
    count: int
    constants: ForceConstants | None
    further: Harmonic | None
    missing: str

    @property
    def crystal(self) -> Harmonic:
        """The force constants; there must be some."""
        assert self.constants is not None
        return self.constants.crystal


def crystals_of(
    plan: PhononPlan, phase: str, formula: str, rungs: Rungs, records: Records, histories: Histories
) -> list[CrystalAt]:
    """Return what is known of a phase at all its pressures, ascending; rungs of the whole study."""
    own = [rung for rung in rungs if phase in (rung["phase"], rung.get("crystal"))]
    return [
        _at(plan, phase, formula, trials(plan, phase, pressure, own, records), own, records, histories)
        for pressure in plan.pressures_of(phase)
    ]


def _at(
    plan: PhononPlan, phase: str, formula: str, at: Trials, rungs: Rungs, records: Records, histories: Histories
) -> CrystalAt:
    record = at.record

    def known(
        done: int = 0, constants: ForceConstants | None = None, further: Harmonic | None = None, missing: str = ""
    ) -> CrystalAt:
        return CrystalAt(
            phase=phase,
            formula=formula,
            pressure_GPa=at.pressure_GPa,
            asked=at.pressure_GPa in plan.pressures_GPa,
            reached_GPa=record.pressure_GPa if record else None,
            structure=Structure.from_dict(record.structure or {}) if record else None,
            done=done,
            count=plan.supercell(phase).count,
            constants=constants,
            further=further,
            missing=missing,
        )

    if record is None:
        return known(missing=_no_structure(at, rungs, records))
    own, *others = sites_at(plan, phase, at)
    try:
        done, constants, missing = _constants(plan, own, rungs, records, histories)
        checked = _constants(plan, others[0], rungs, records, histories)[1] if others else None
    except InputError as error:
        return known(missing=str(error))
    return known(done, constants, checked.crystal if checked else None, missing)


def _no_structure(at: Trials, rungs: Rungs, records: Records) -> str:
    if any(key in records and not records[key].done for key in at.tried.values()):
        return "the structure at this pressure could not be computed"
    if rungs and all(rung["key"] in records for rung in rungs) and not at.tried:
        return "the volumes computed do not reach this pressure"
    return "the structure is not computed yet"


def _constants(
    plan: PhononPlan, site: Site, rungs: Rungs, records: Records, histories: Histories
) -> tuple[int, ForceConstants | None, str]:
    state = site.state(rungs, records)
    done = sum(number > 0 for number in state.done)
    found = force_constants(site, state, histories)
    if found is None:
        every = len(state.plan.numbers)
        failed = f", {len(state.failed)} of them failed" if state.failed else ""
        return done, None, f"{every - len(state.done)} of {every} supercells are missing{failed}"
    present = {each: mass for each, mass in plan.masses.items() if each in site.structure.symbols}
    if present:
        found = ForceConstants(found.crystal.with_masses(present), found.drift_eV_A, found.misfit)
    return done, found, ""
