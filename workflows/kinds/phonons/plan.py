"""A study of phonons made concrete: ladders of volumes, the pressures of each phase, its supercell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from megabar.structures.errors import InputError
from megabar.structures.phase import Phase
from megabar.structures.scaling import guess_volume, scaled_to
from megabar.workflows.calculation import Calculation
from megabar.workflows.codes.registry import code as find_code
from megabar.workflows.config import Config
from megabar.workflows.hashing import digest, only_known
from megabar.workflows.kinds.phonons import mode_cells
from megabar.workflows.kinds.phonons.mode_cells import FOLLOWED
from megabar.workflows.kinds.phonons.question import PhononStudy
from megabar.workflows.kinds.phonons.response import KINDS, WITH_CHARGES, Response, response_for
from megabar.workflows.parts.force_sets import KIND as FORCES
from megabar.workflows.parts.lattice import dfpt
from megabar.workflows.parts.lattice.dfpt import PerturbedSite, check_method
from megabar.workflows.parts.lattice.expansion import push_GPa
from megabar.workflows.parts.lattice.sites import Site, displaced
from megabar.workflows.parts.lattice.supercell import Supercell, supercell_for
from megabar.workflows.parts.method import Method, check_forces
from megabar.workflows.parts.strains import KIND as STRAIN
from megabar.workflows.parts.strains import StrainSet, strain_set
from megabar.workflows.parts.volumes.ladder import Ladder
from megabar.workflows.parts.volumes.plan import VolumesAsked, VolumesPlan, plan_volumes, resolve_method
from megabar.workflows.protocols import protocol
from megabar.workflows.publishing import structure_file
from megabar.workflows.question import LOWEST_GPA, StudyFile
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.relax import Relax

_strain_sets: dict[tuple[str, str, Structure], StrainSet] = {}
MOST_SETS = 8
MAIN, AT_PRESSURE = "main", "structure"
"""Kinds of the rungs, beside those of force sets."""
FURTHER = 2.0
"""How much further atoms are displaced where it is checked how far forces are linear."""
FEWEST_VOLUMES = 5
"""Volumes over which a free energy is known well enough to be differentiated twice."""


@dataclass(frozen=True)
class PhononPlan:
    """What a study of phonons computes and how.

    volumes: the plan of the ladders, from which the structures at pressures follow. supercells: of the phases.
    pressures_GPa: asked for. expanded_GPa: by phase, further pressures, below those asked for or between them, so that
    its free energy is known at the volumes that it has at temperatures_K. masses: of isotopes (u).
    responses: of the phases, where perturbation theory is wanted for anything; born: whether for Born charges.
    """

    volumes: VolumesPlan
    supercells: tuple[Supercell, ...]
    pressures_GPa: tuple[float, ...]
    expanded_GPa: Mapping[str, tuple[float, ...]]
    temperatures_K: tuple[float, ...]
    masses: Mapping[str, float]
    check: bool
    responses: tuple[Response, ...] = ()
    born: bool = False
    elastic: bool = False
    follow: bool = False

    @property
    def method(self) -> Method:
        """Code, version, protocol and atomic data."""
        return self.volumes.method

    @property
    def toy(self) -> bool:
        """Whether results have no physical meaning."""
        return self.volumes.toy

    @property
    def fingerprint(self) -> str:
        """Hash of the whole plan; the place of the atomic data does not enter it."""
        return digest({**self.to_dict(), "volumes": self.volumes.fingerprint})

    def supercell(self, phase: str) -> Supercell:
        """Return the supercell of a phase."""
        return next(each for each in self.supercells if each.phase == phase)

    def pressures_of(self, phase: str) -> tuple[float, ...]:
        """Return all pressures (GPa) at which a phase has force constants, ascending."""
        return tuple(sorted({*self.pressures_GPa, *self.expanded_GPa.get(phase, ())}))

    @staticmethod
    def place(phase: str, pressure_GPa: float) -> str:
        """Return the name that the calculations of a phase at a pressure go by."""
        return f"{phase} at {pressure_GPa:.10g} GPa"

    def site(self, phase: str, pressure_GPa: float, structure: Structure, structure_of: str, times: float = 1) -> Site:
        """Return where force constants are computed: a relaxed structure of a phase.

        times: how much further than usual atoms are displaced.
        """
        name = self.place(phase, pressure_GPa) + ("" if times == 1 else f", displaced {times:g} times")
        return Site(name, structure, structure_of, self.supercell(phase), self.method, times)

    def calculation(self, rung: Mapping[str, Any]) -> Calculation:
        """Return the calculation of a stored rung."""
        kind = rung.get("kind", MAIN)
        if kind in (MAIN, AT_PRESSURE):
            ladder = self.ladder(rung["phase"] if kind == MAIN else rung["crystal"])
            return ladder.calculation(self.method, Fraction(rung["index"]), tuple(rung["starts"]))
        if kind == FOLLOWED:
            ladder = self.ladder(rung["crystal"])
            return mode_cells.calculation(self.method, ladder, ladder.relaxation or self.loosest_limits, rung)
        if kind in KINDS and rung.get("structure"):
            return self.response_site(rung["crystal"], rung).calculation(rung)
        if kind == STRAIN and rung.get("structure"):
            return self.strains(rung["crystal"], rung["phase"], Structure.from_dict(rung["structure"])).calculation(
                int(rung["index"])
            )
        if kind == FORCES and rung.get("structure"):
            structure, supercell = Structure.from_dict(rung["structure"]), self.supercell(rung["crystal"])
            forces = displaced(supercell, rung["phase"], structure, self.method, float(rung["times"]))
            return forces.calculation(int(rung["index"]))
        raise InputError(
            f"{rung['phase']}: the result {rung.get('structure_of')}, whose structure supercell {rung['index']} "
            "has, is not in the database any more"
        )

    def response(self, phase: str) -> Response | None:
        """Return how the response of a phase is computed, None where it is not wanted."""
        return next((each for each in self.responses if each.phase == phase), None)

    @property
    def by_dfpt(self) -> bool:
        """Whether the force constants come from perturbation theory."""
        return any(each.q_grid is not None for each in self.responses)

    def response_site(self, phase: str, rung: Mapping[str, Any]) -> PerturbedSite:
        """Return where the response of a stored rung is computed."""
        found = self.response(phase)
        if found is None:
            raise InputError(f"{phase}: the study has no perturbation theory")
        structure = Structure.from_dict(rung["structure"])
        return found.site(rung["phase"], structure, rung["structure_of"], self.method, bool(rung["insulating"]))

    @property
    def loosest_limits(self) -> Relax:
        """How far atoms are relaxed where a phase itself has nothing to relax."""
        limits = protocol(self.method.code, self.method.protocol)
        return Relax(force_eV_A=limits.force_eV_per_A, stress_GPa=limits.stress_GPa, shape=False)

    def elastic_GPa(self, phase: str) -> tuple[float, ...]:
        """Return the pressures (GPa) at which a phase has elastic constants: where it expands to, too."""
        if not self.elastic:
            return ()
        lowest = self.pressures_of(phase)[:1] if self.temperatures_K else ()
        return tuple(sorted({*lowest, *self.pressures_GPa}))

    def strains(self, phase: str, name: str, structure: Structure) -> StrainSet:
        """Return the strained cells of a relaxed structure of a phase; name: what their rungs go by."""
        ladder = self.ladder(phase)
        known = (self.fingerprint, name, structure)
        if known not in _strain_sets:
            if len(_strain_sets) >= MOST_SETS:
                _strain_sets.clear()
            limits = ladder.relaxation or self.loosest_limits
            _strain_sets[known] = strain_set(name, structure.atoms(), self.method, ladder.settings, limits)
        return _strain_sets[known]

    def ladder(self, phase: str) -> Ladder:
        """Return the ladder of a phase."""
        return self.volumes.ladder(phase)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-able data."""
        return {
            "volumes": self.volumes.to_dict(),
            "supercells": [each.to_dict() for each in self.supercells],
            "pressures_GPa": list(self.pressures_GPa),
            "expanded_GPa": {phase: list(values) for phase, values in self.expanded_GPa.items()},
            "temperatures_K": list(self.temperatures_K),
            "masses": dict(self.masses),
            "check": self.check,
            "responses": [each.to_dict() for each in self.responses],
            "born": self.born,
            "elastic": self.elastic,
            "follow": self.follow,
        }

    def published(self) -> dict[str, Any]:
        """Return the plan as it may be published: with the names of data files instead of their places."""
        return {**self.to_dict(), "volumes": self.volumes.published()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> PhononPlan:
        """Return the plan stored by ``to_dict``; raises TypeError where that has what is not known here."""
        only_known(content, cls.__dataclass_fields__)
        return cls(
            volumes=VolumesPlan.from_dict(content["volumes"]),
            supercells=tuple(Supercell.from_dict(each) for each in content["supercells"]),
            pressures_GPa=tuple(content["pressures_GPa"]),
            expanded_GPa={phase: tuple(values) for phase, values in content["expanded_GPa"].items()},
            temperatures_K=tuple(content["temperatures_K"]),
            masses=content["masses"],
            check=content["check"],
            responses=tuple(Response.from_dict(each) for each in content["responses"]),
            born=content["born"],
            elastic=content["elastic"],
            follow=content["follow"],
        )


def published_definition(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a study file asked as it may be published: structure files by their names."""
    return {**definition, "phases": [structure_file(each) for each in definition.get("phases", ())]}


def resolve(file: StudyFile[PhononStudy], config: Config) -> PhononPlan:
    """Return the plan of a study on this machine; makes and caches atomic data where the code needs them.

    Raises InputError and SetupError for whatever would stop the study.
    """
    study, code = file.study, find_code(file.study.method.code)
    check_forces(code, file.path)
    asked = study.pressure_values
    expanded = {phase.name: _expanded(phase, asked, study.temperatures) for phase in file.phases}
    every = tuple(sorted({*asked, *(each for values in expanded.values() for each in values)}))
    phases = tuple(_over(phase, [*asked, *expanded[phase.name]]) for phase in file.phases)
    elements = dict.fromkeys(element for phase in phases for element in phase.counts)
    wanted = VolumesAsked("-".join(elements), phases, every, study.method)
    method = resolve_method(code, study.method.protocol, wanted, config)
    by_dfpt = study.force_constants == "dfpt"
    if by_dfpt:
        check_method(code.name, method.functional, file.path)
    born = (
        study.born == "auto"
        and code.name in WITH_CHARGES
        and (code.name != "espresso" or method.functional in dfpt.FUNCTIONALS)
    )
    try:
        supercells = tuple(
            supercell_for(
                phase,
                scaled_to(phase.atoms, guess_volume(phase, every[-1])),
                study.supercell.asked,
                study.method,
                method,
            )
            for phase in phases
        )
        smallest = [scaled_to(phase.atoms, guess_volume(phase, every[-1])) for phase in phases]
        responses = tuple(
            response_for(phase, cell, supercell, study.supercell.asked, study.method, method, by_dfpt)
            for phase, cell, supercell in zip(phases, smallest, supercells, strict=True)
            if by_dfpt or born
        )
    except InputError as error:
        raise InputError(f"{file.path}: {error}") from None
    return PhononPlan(
        volumes=plan_volumes(wanted, method),
        supercells=supercells,
        pressures_GPa=asked,
        expanded_GPa=expanded,
        temperatures_K=study.temperatures,
        masses=study.masses,
        check=study.check,
        responses=responses,
        born=born,
        elastic=study.elastic,
        follow=study.follow,
    )


def _over(phase: Phase, pressures_GPa: list[float]) -> Phase:
    """Return a phase as one that is known at all the pressures at which it is wanted."""
    low, high = phase.known_GPa
    return replace(phase, known_GPa=(min(low, *pressures_GPa), max(high, *pressures_GPa)))


def _expanded(phase: Phase, asked_GPa: tuple[float, ...], temperatures_K: tuple[float, ...]) -> tuple[float, ...]:
    """Return the pressures (GPa) that are added so that a free energy is known at all volumes of all temperatures."""
    if not temperatures_K or temperatures_K[-1] <= 0:
        return ()
    low, high = asked_GPa[0], asked_GPa[-1]
    volume = guess_volume(phase, low)
    modulus = -volume / (guess_volume(phase, low + 0.5) - guess_volume(phase, low - 0.5))
    push = push_GPa(volume, phase.atoms.get_masses(), temperatures_K[-1], modulus)
    first = max(LOWEST_GPA, math.floor(low - push))
    # Equal steps in ln V, found among whole pressures, as far from those asked for as those are from each other.
    fine = np.arange(first, high + 1e-9, 1.0)
    ln_volume = np.log([guess_volume(phase, each) for each in fine])
    steps = np.linspace(ln_volume[0], ln_volume[-1], FEWEST_VOLUMES)
    apart = (ln_volume[0] - ln_volume[-1]) / (FEWEST_VOLUMES - 1)
    known = [math.log(guess_volume(phase, each)) for each in asked_GPa]
    found = []
    for wanted in steps:
        if all(abs(wanted - each) > 0.6 * apart for each in known):
            pressure = float(fine[int(np.argmin(np.abs(ln_volume - wanted)))])
            found.append(pressure)
            known.append(math.log(guess_volume(phase, pressure)))
    return tuple(sorted({first, *found} - set(asked_GPa))) if first < low else tuple(sorted(found))
