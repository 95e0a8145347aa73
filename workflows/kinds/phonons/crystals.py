"""The force constants of a phase at its pressures, as far as the results of a study are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from megabar.analysis.enthalpy import EnthalpyCurve
from megabar.analysis.phonons.harmonic import Harmonic
from megabar.structures.errors import InputError
from megabar.workflows.kinds.phonons.plan import PhononPlan
from megabar.workflows.kinds.phonons.response import has_gap
from megabar.workflows.kinds.phonons.wants import Records, Rungs, Trials, phase_curve, response_at, sites_at, trials
from megabar.workflows.parts.lattice import dfpt
from megabar.workflows.parts.lattice.dfpt import PerturbedSite
from megabar.workflows.parts.lattice.sites import ForceConstants, Site, force_constants
from megabar.workflows.parts.volumes.at_pressure import pressure_of
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Histories


@dataclass(frozen=True, eq=False)
class CrystalAt:
    """What is known of a phase at one pressure.

    asked: whether the study file names the pressure; else it was added for the free energy. reached_GPa: of the
    structure that was computed. done, count: displaced supercells (or q-points) that are there, and all.
    insulating: whether the calculation that relaxed the structure has a band gap. constants: None where there are none;
    missing says why. further: the crystal by atoms displaced further, where that was computed.
    """

    phase: str
    formula: str
    pressure_GPa: float
    asked: bool
    reached_GPa: float | None
    structure: Structure | None
    insulating: bool
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
    curve = phase_curve(plan.ladder(phase), own, records)
    return [
        _at(plan, formula, phase, trials(plan, phase, pressure, own, records, curve), curve, own, records, histories)
        for pressure in plan.pressures_of(phase)
    ]


def _at(
    plan: PhononPlan,
    formula: str,
    phase: str,
    at: Trials,
    curve: EnthalpyCurve | None,
    rungs: Rungs,
    records: Records,
    histories: Histories,
) -> CrystalAt:
    record = at.record

    def known(
        done: int = 0,
        constants: ForceConstants | None = None,
        further: Harmonic | None = None,
        missing: str = "",
        count: int = plan.supercell(phase).count,
    ) -> CrystalAt:
        return CrystalAt(
            phase=phase,
            formula=formula,
            pressure_GPa=at.pressure_GPa,
            asked=at.pressure_GPa in plan.pressures_GPa,
            reached_GPa=pressure_of(record, curve) if record else None,
            structure=Structure.from_dict(record.structure or {}) if record else None,
            insulating=record is not None and has_gap(record),
            done=done,
            count=count,
            constants=constants,
            further=further,
            missing=missing,
        )

    if record is None:
        return known(missing=_no_structure(at, rungs, records))
    perturbed = response_at(plan, phase, at)
    if plan.by_dfpt and perturbed is not None:
        return _perturbed(plan, perturbed, known, rungs, records, histories)
    own, *others = sites_at(plan, phase, at)
    try:
        done, constants, missing = _constants(plan, own, rungs, records, histories)
        if constants is not None and perturbed is not None:
            constants = _with_charges(constants, perturbed, rungs, records, histories)
        checked = _constants(plan, others[0], rungs, records, histories)[1] if others else None
        if checked is not None and perturbed is not None:
            checked = _with_charges(checked, perturbed, rungs, records, histories)
    except InputError as error:
        return known(missing=str(error))
    return known(done, constants, checked.crystal if checked else None, missing)


def _perturbed(
    plan: PhononPlan,
    site: PerturbedSite,
    known: Callable[..., CrystalAt],
    rungs: Rungs,
    records: Records,
    histories: Histories,
) -> CrystalAt:
    """Return what perturbation theory gives at a pressure."""
    state = site.state(rungs, records)
    count = len(state.numbers)
    done = sum(state.is_done(state.keys[dfpt.MATRIX].get(number)) for number in state.numbers)
    try:
        crystal = dfpt.perturbed_constants(state, histories)
    except InputError as error:
        return known(done, missing=str(error), count=count)
    if crystal is None:
        failed = f", {len(state.failed)} calculations failed" if state.failed else ""
        return known(done, missing=f"{count - done} of {count} q-points are missing{failed}", count=count)
    return known(done, ForceConstants(crystal, 0.0, None).with_masses(plan.masses), count=count)


def _with_charges(
    constants: ForceConstants, site: PerturbedSite, rungs: Rungs, records: Records, histories: Histories
) -> ForceConstants:
    """Return force constants with the Born charges of the same structure, as they are where these are not there."""
    found = dfpt.charges_of(site.state(rungs, records), histories)
    if found is None:
        return constants
    crystal = constants.crystal
    return replace(constants, crystal=replace(crystal, polar=found.of(crystal.primitive)))


def _no_structure(at: Trials, rungs: Rungs, records: Records) -> str:
    if any(key in records and not records[key].done for key in at.tried.values()):
        return "the structure at this pressure could not be computed"
    if rungs and all(rung["key"] in records for rung in rungs) and not at.tried:
        return "the volumes computed do not reach this pressure"
    if rungs and all(rung["key"] in records for rung in rungs):
        return "no structure near enough to this pressure was found"
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
    return done, found.with_masses(plan.masses), ""
