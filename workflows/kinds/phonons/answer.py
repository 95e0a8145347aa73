"""The answer of a study of phonons from the results that are there: modes, stability, zero-point energies, errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import hypot
from typing import Any

import numpy as np

from megabar.analysis.phonons.convergence import smaller
from megabar.analysis.phonons.harmonic import Harmonic
from megabar.analysis.phonons.imaginary import ImaginaryMode, commensurate_points, imaginary_modes
from megabar.analysis.phonons.spectrum import Spectrum, spectrum
from megabar.structures.errors import InputError
from megabar.structures.symmetry import space_group
from megabar.workflows.kinds.phonons.plan import FURTHER, PhononPlan
from megabar.workflows.kinds.phonons.wants import Records, Rungs, Trials, sites_at, trials
from megabar.workflows.parts.lattice.sites import ForceConstants, Site, force_constants
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Histories

LARGE_MISFIT = 0.1
"""Of forces by a fit: more than that is anharmonicity or noise that a reader must know of."""


@dataclass(frozen=True, eq=False)
class PhononsAt:
    """What is known of a phase at one pressure.

    asked: whether the study file names the pressure; else it was added for the free energy. reached_GPa: of the
    structure that was computed. done, count: displaced supercells that are there, and all. constants: None where there
    are none; missing says why. displaced_further: the crystal by displacements twice as far, where that was computed.
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
    displaced_further: Harmonic | None
    missing: str
    notes: tuple[str, ...] = ()

    @property
    def crystal(self) -> Harmonic:
        """The force constants; there must be some."""
        assert self.constants is not None
        return self.constants.crystal

    @cached_property
    def spectrum(self) -> Spectrum:
        """The frequencies on a mesh."""
        return spectrum(self.crystal)

    @cached_property
    def imaginary(self) -> list[ImaginaryMode]:
        """The imaginary modes, the lowest of the supercell's own q first."""
        return imaginary_modes(self.crystal, self.spectrum)

    @cached_property
    def error_parts_eV(self) -> dict[str, float]:
        """What the zero-point energy (eV/atom) may be off by: the supercell's size, the displacements, the fit."""
        energy = self.spectrum.zero_point_eV_per_atom
        parts = {"supercell": abs(spectrum(smaller(self.crystal)).zero_point_eV_per_atom - energy)}
        if self.displaced_further is not None:
            parts["displacement"] = abs(spectrum(self.displaced_further).zero_point_eV_per_atom - energy)
        return parts

    @property
    def error_eV(self) -> float:
        """The error of the zero-point energy (eV/atom)."""
        return hypot(*self.error_parts_eV.values())

    @cached_property
    def shift_THz(self) -> dict[str, float]:
        """Root mean square by which frequencies at the supercell's own q move with its size and with displacements."""
        points = commensurate_points(self.crystal)
        own = self.crystal.modes(points).frequencies_THz
        others = {"supercell": smaller(self.crystal)}
        if self.displaced_further is not None:
            others["displacement"] = self.displaced_further
        return {
            name: float(np.sqrt(np.mean((each.modes(points).frequencies_THz - own) ** 2)))
            for name, each in others.items()
        }

    def json(self, q: Sequence[Sequence[float]] = (), temperatures_K: Sequence[float] = ()) -> dict[str, Any]:
        """Return the same as JSON-able data, units in the keys; q: where frequencies are wanted."""
        content: dict[str, Any] = {
            "phase": self.phase,
            "formula": self.formula,
            "pressure_GPa": self.pressure_GPa,
            "computed_at_GPa": self.reached_GPa,
            "asked": self.asked,
            "supercells": self.count,
            "supercells_done": self.done,
        }
        if self.constants is None:
            return {**content, "missing": self.missing, "notes": list(self.notes)}
        found = self.spectrum
        content |= {
            "volume_A3_per_atom": self.crystal.volume_A3_per_atom,
            "space_group": str(space_group(self.crystal.cell)),
            "stable": not self.imaginary,
            "imaginary": [
                {"q": list(mode.q), "frequency_THz": mode.frequency_THz, "commensurate": mode.commensurate}
                for mode in self.imaginary
            ],
            "imaginary_share": found.imaginary,
            "zero_point_eV_per_atom": found.zero_point_eV_per_atom,
            "zero_point_error_eV_per_atom": self.error_eV,
            "zero_point_error_parts_eV_per_atom": self.error_parts_eV,
            "frequency_shift_THz": self.shift_THz,
            "highest_THz": float(found.frequencies_THz.max()),
            "drift_eV_A": self.constants.drift_eV_A,
        }
        if self.constants.misfit is not None:
            content["misfit"] = self.constants.misfit
        if len(q):
            modes = self.crystal.modes(q)
            content["q"] = modes.q.tolist()
            content["frequencies_THz"] = modes.frequencies_THz.tolist()
        if len(temperatures_K):
            at = found.thermal(temperatures_K)
            content |= thermal_json(at.temperatures_K, at.free_energy_eV, at.entropy_eV_K, at.heat_capacity_eV_K)
        return {**content, "notes": list(self.notes)}


def thermal_json(temperatures_K: Any, free_eV: Any, entropy_eV_K: Any, capacity_eV_K: Any) -> dict[str, Any]:
    """Return harmonic thermodynamics an atom as JSON-able data."""
    from ase.units import kB

    return {
        "temperature_K": np.asarray(temperatures_K).tolist(),
        "free_energy_eV_per_atom": np.asarray(free_eV).tolist(),
        "entropy_kB_per_atom": (np.asarray(entropy_eV_K) / kB).tolist(),
        "heat_capacity_kB_per_atom": (np.asarray(capacity_eV_K) / kB).tolist(),
    }


@dataclass(frozen=True)
class Failed:
    """A calculation without a result."""

    phase: str
    what: str
    key: str
    cause: str
    detail: str


@dataclass(frozen=True, eq=False)
class PhononAnswer:
    """What a study of phonons has found so far: its phases at their pressures, in the order of the study file."""

    plan: PhononPlan
    phases: tuple[PhononsAt, ...]
    failures: tuple[Failed, ...]
    notes: tuple[str, ...]

    def json(self, q: Sequence[Sequence[float]] = (), temperatures_K: Sequence[float] | None = None) -> dict[str, Any]:
        """Return the answer as JSON-able data, units in the keys.

        q: where frequencies are wanted besides; temperatures_K: instead of the study's own.
        """
        method = self.plan.method
        temperatures = self.plan.temperatures_K if temperatures_K is None else temperatures_K
        return {
            "method": {
                "code": method.code,
                "version": method.version,
                "functional": method.functional,
                "protocol": method.protocol,
            },
            "supercells": [
                {
                    "phase": each.phase,
                    "matrix": [list(row) for row in each.matrix],
                    "displacements": each.way,
                    "displacement_A": each.distance_A,
                    "count": each.count,
                }
                for each in self.plan.supercells
            ],
            "phases": [each.json(q, temperatures) for each in self.phases],
            "failures": [vars(each) for each in self.failures],
            "notes": list(self.notes),
        }


def answer(plan: PhononPlan, rungs: Rungs, records: Records, histories: Histories) -> PhononAnswer:
    """Return the answer; histories: returns the arrays of a calculation by its key (forces)."""
    failures = tuple(
        Failed(rung["phase"], _what(rung), rung["key"], record.cause or record.state, record.detail or "")
        for rung in rungs
        if (record := records.get(rung["key"])) is not None and not record.done
    )
    found = []
    for ladder in plan.volumes.ladders:
        own = [rung for rung in rungs if ladder.phase in (rung["phase"], rung.get("crystal"))]
        for pressure in plan.pressures_of(ladder.phase):
            at = trials(plan, ladder.phase, pressure, own, records)
            found.append(_at(plan, ladder.phase, ladder.formula, at, own, records, histories))
    notes = [] if plan.toy else ["phonons are harmonic at each volume, electrons as at low temperature"]
    return PhononAnswer(plan, tuple(found), failures, tuple(notes))


def _what(rung: Mapping[str, Any]) -> str:
    kind = rung.get("kind", "main")
    return {"main": "volume", "structure": "structure"}.get(kind, "supercell") + f" {rung['index']}"


def _at(
    plan: PhononPlan, phase: str, formula: str, at: Trials, rungs: Rungs, records: Records, histories: Histories
) -> PhononsAt:
    record = at.record
    supercell = plan.supercell(phase)

    def known(
        done: int = 0,
        constants: ForceConstants | None = None,
        further: Harmonic | None = None,
        missing: str = "",
        notes: tuple[str, ...] = (),
    ) -> PhononsAt:
        return PhononsAt(
            phase=phase,
            formula=formula,
            pressure_GPa=at.pressure_GPa,
            asked=at.pressure_GPa in plan.pressures_GPa,
            reached_GPa=record.pressure_GPa if record else None,
            structure=Structure.from_dict(record.structure or {}) if record else None,
            done=done,
            count=supercell.count,
            constants=constants,
            displaced_further=further,
            missing=missing,
            notes=notes,
        )

    if record is None:
        return known(missing=_no_structure(at, rungs, records))
    own, *others = sites_at(plan, phase, at)
    try:
        done, constants, missing = _constants(plan, own, rungs, records, histories)
        checked = _constants(plan, others[0], rungs, records, histories)[1] if others else None
    except InputError as error:
        return known(missing=str(error))
    if constants is None:
        return known(done, missing=missing)
    return known(done, constants, checked.crystal if checked else None, notes=_notes(constants, checked))


def _no_structure(at: Trials, rungs: Rungs, records: Records) -> str:
    if any(key in records and not records[key].done for key in at.tried.values()):
        return "the structure at this pressure could not be computed"
    if all(rung["key"] in records for rung in rungs) and rungs and not at.tried:
        return "the volumes computed do not reach this pressure"
    return "the structure is not computed yet"


def _constants(
    plan: PhononPlan, site: Site, rungs: Rungs, records: Records, histories: Histories
) -> tuple[int, ForceConstants | None, str]:
    state = site.state(rungs, records)
    done = sum(number > 0 for number in state.done)
    found = force_constants(site, state, histories)
    if found is not None and plan.masses:
        present = {each: mass for each, mass in plan.masses.items() if each in site.structure.symbols}
        found = ForceConstants(found.crystal.with_masses(present), found.drift_eV_A, found.misfit)
    if found is not None:
        return done, found, ""
    failed = f", {len(state.failed)} of them failed" if state.failed else ""
    return (
        done,
        None,
        f"{len(state.plan.numbers) - len(state.done)} of {len(state.plan.numbers)} supercells are missing{failed}",
    )


def _notes(constants: ForceConstants, checked: ForceConstants | None) -> tuple[str, ...]:
    found = []
    if constants.misfit is not None and constants.misfit > LARGE_MISFIT:
        found.append(
            f"force constants leave {100 * constants.misfit:.0f} % of the forces: they are not linear over these "
            "displacements, or noisy"
        )
    if checked is not None:
        points = commensurate_points(constants.crystal)
        one, two = (each.crystal.modes(points).frequencies_THz for each in (constants, checked))
        largest = float(np.abs(one - two).max())
        found.append(f"displacements {FURTHER:g} times as far move frequencies by at most {largest:.2g} THz")
    return tuple(found)
