"""A stability study made concrete: method, phases, settings and first volumes, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from megabar.structures.copies import copies
from megabar.structures.errors import InputError
from megabar.structures.phase import Phase
from megabar.workflows.calculation import Calculation
from megabar.workflows.codes.registry import code as find_code
from megabar.workflows.config import Config
from megabar.workflows.hashing import digest
from megabar.workflows.kinds.stability.question import StabilityStudy
from megabar.workflows.kinds.stability.vibrations import VibrationsPlan
from megabar.workflows.parts.lattice.sites import FORCES, displaced
from megabar.workflows.parts.lattice.supercell import LatticeAsked, supercell_for
from megabar.workflows.parts.method import Method, check_forces
from megabar.workflows.parts.volumes.ladder import Ladder, Rung
from megabar.workflows.parts.volumes.plan import (
    VolumesAsked,
    VolumesPlan,
    fingerprint,
    ladder_settings,
    plan_volumes,
    relaxation_limits,
    resolve_method,
    settings_of,
    smallest_cell,
    volumes_fields,
)
from megabar.workflows.protocols import kpoint_grid
from megabar.workflows.publishing import structure_file, with_file_names
from megabar.workflows.question import StudyFile
from megabar.workflows.structure import Structure

JUDGED_DENSITY = 2.0
"""k-points per Å⁻¹ of the comparison with a verifying code: both have the same, and the error of PAW data is local."""


@dataclass(frozen=True)
class StabilityPlan(VolumesPlan):
    """What a stability study computes and how: the ladders of its phases, and what is compared with them.

    judge: the method of the verifying code, if any. functionals: those of the other functionals to compare with.
    copies: phases that are not computed, each with the one of the same structure whose ladder answers for it.
    by_hand: whether the study names cutoff or k-points itself, so that the protocol's measured error is not its own.
    vibrations: how phonons are computed, None where they are not asked for.
    """

    judge: Method | None = None
    functionals: tuple[Method, ...] = ()
    copies: tuple[tuple[str, str], ...] = ()
    by_hand: bool = False
    vibrations: VibrationsPlan | None = None

    @property
    def remarks(self) -> list[str]:
        """What is to be known of the plan, in sentences."""
        return [f"{copy} is the same structure as {first}, and is answered as that" for copy, first in self.copies]

    def calculation(self, rung: Mapping[str, Any]) -> Calculation:
        """Return the calculation of a stored rung."""
        if rung.get("kind") == FORCES:
            return self._displaced(rung)
        return self.calculation_of(Rung.from_dict(rung))

    def _displaced(self, rung: Mapping[str, Any]) -> Calculation:
        if self.vibrations is None or not rung.get("structure"):
            raise InputError(
                f"{rung['phase']}: the result {rung.get('structure_of')}, whose structure supercell {rung['index']} "
                "has, is not in the database any more"
            )
        supercell = self.vibrations.supercell(rung["crystal"])
        forces = displaced(supercell, rung["phase"], Structure.from_dict(rung["structure"]), self.method)
        return forces.calculation(int(rung["index"]))

    def calculation_of(self, rung: Rung) -> Calculation:
        """Return the calculation of a rung."""
        ladder = self.ladder(rung.phase)
        if rung.kind == "judge" and self.judge is not None and rung.start is not None:
            return ladder.judged(self.judge, rung.index, rung.start)
        if rung.kind == "reference" and rung.start is not None:
            return ladder.reference(self.method, rung.index, rung.start)
        if rung.kind == "rattled" and rung.start is not None:
            return ladder.rattled(self.method, rung.index, rung.start)
        for method in self.functionals:
            if rung.kind == functional_kind(method.functional) and rung.start is not None:
                return ladder.by_functional(method, rung.index, rung.start)
        return ladder.calculation(self.method, rung.index, rung.starts)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-able data; what is empty and came later is left out, so that fingerprints stay."""
        content = {**asdict(self), "ladders": [ladder.to_dict() for ladder in self.ladders]}
        content["vibrations"] = self.vibrations.to_dict() if self.vibrations else None
        for name in ("functionals", "copies", "by_hand", "vibrations"):
            if not content[name]:
                del content[name]
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> StabilityPlan:
        """Return the plan stored by ``to_dict``; raises TypeError where that has what is not known here."""
        return cls(
            **{
                **volumes_fields(content),
                "judge": Method.from_dict(content["judge"]) if content["judge"] else None,
                "functionals": tuple(Method.from_dict(each) for each in content.get("functionals", ())),
                "copies": tuple((copy, first) for copy, first in content.get("copies", ())),
                "vibrations": VibrationsPlan.from_dict(content["vibrations"]) if content.get("vibrations") else None,
            }
        )

    def published(self) -> dict[str, Any]:
        """Return the plan as it may be published: with the names of data files instead of their places."""
        content = super().published()
        content["judge"] = with_file_names(content["judge"]) if content["judge"] else None
        if "functionals" in content:
            content["functionals"] = [with_file_names(each) for each in content["functionals"]]
        return content

    @property
    def fingerprint(self) -> str:
        """Hash of the whole plan: another code version or other data make another one, the data's place does not."""
        content = self.to_dict()
        content.pop("by_hand", None)  # the settings say it; plans of earlier versions do not
        return fingerprint(content)


def functional_kind(functional: str) -> str:
    """Return the kind of the rungs computed by another functional."""
    return f"functional {functional}"


def published_definition(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a study file asked as it may be published: structure files by their names."""
    phases = definition.get("phases")
    if not isinstance(phases, list | tuple):
        return dict(definition)
    return {**definition, "phases": [structure_file(each) for each in phases]}


def resolve(file: StudyFile[StabilityStudy], config: Config) -> StabilityPlan:
    """Return the plan of a study on this machine; makes and caches atomic data where the code needs them.

    Raises InputError and SetupError for whatever would stop the study: a missing code, functional or data set,
    an element that the code does not know, a code without the stresses that pressures are read from.
    """
    study = file.study
    code = find_code(study.method.code)
    check_forces(code, file.path)
    asked = VolumesAsked(study.system, file.phases, study.pressure_values, study.method, study.accuracy_meV)
    same = copies({phase.name: phase.atoms for phase in file.phases})
    # Copies too have their distances judged, as they always had: the choice of atomic data must not change.
    method = resolve_method(code, study.method.protocol, asked, config)
    others = [name for name in dict.fromkeys(study.functionals) if name != study.method.functional and not code.toy]
    functionals = tuple(resolve_method(code, study.method.protocol, asked, config, name) for name in others)
    judge = None
    if study.verify is not None:
        judge = resolve_method(find_code(study.verify.code), study.verify.protocol, asked, config)
    single = tuple(phase for phase in file.phases if phase.name not in same)
    volumes = plan_volumes(replace(asked, phases=single), method)
    ladders = tuple(
        _compared(ladder, phase, study, asked, judge, functionals)
        for ladder, phase in zip(volumes.ladders, single, strict=True)
    )
    return StabilityPlan(
        **{**vars(volumes), "ladders": ladders},
        judge=judge,
        functionals=functionals,
        by_hand=study.method.cutoff_eV is not None or study.method.kpoint_density is not None,
        copies=tuple(same.items()),
        vibrations=_vibrations(study, single, asked, method) if study.vibrating else None,
    )


def _vibrations(study: StabilityStudy, phases: Sequence[Phase], asked: VolumesAsked, method: Method) -> VibrationsPlan:
    """Return how the phonons of phases are computed."""
    lattice = study.supercell.asked if study.supercell else LatticeAsked()
    supercells = tuple(
        supercell_for(phase, smallest_cell(phase, asked), lattice, study.method, method) for phase in phases
    )
    return VibrationsPlan(supercells, study.zero_point, study.temperatures, study.isotopes)


def _compared(
    ladder: Ladder,
    phase: Phase,
    study: StabilityStudy,
    asked: VolumesAsked,
    judge: Method | None,
    functionals: Sequence[Method],
) -> Ladder:
    """Return a ladder with the settings of what it is compared with: judge, other functionals, broken symmetry."""
    method_settings, found = ladder.settings, ladder
    if judge is not None:
        # The same k-points and smearing for both codes, so that only what differs between them remains.
        smallest = smallest_cell(phase, asked)
        same = {"kpoints": kpoint_grid(smallest, JUDGED_DENSITY), "smearing": method_settings["smearing"]}
        found = replace(
            found,
            judge_settings={**settings_of(phase, smallest, judge), **same},
            reference_settings={**method_settings, **same},
        )
    return replace(
        found,
        symmetry_check=relaxation_limits(phase, asked.method) if study.symmetry_check else None,
        functional_settings={each.functional: ladder_settings(phase, asked, each) for each in functionals},
    )


def check_same_method(plans: Sequence[StabilityPlan]) -> None:
    """Raise InputError where plans were computed in ways whose energies must not be compared."""
    first = plans[0]
    for other in plans[1:]:
        for name, one, two in _differences(first, other):
            raise InputError(f"results with different {name} ({one} and {two}) must not be mixed in one hull")


def _differences(one: StabilityPlan, other: StabilityPlan) -> Iterator[tuple[str, str, str]]:
    for name in ("code", "version", "protocol", "functional"):
        values = getattr(one.method, name), getattr(other.method, name)
        if values[0] != values[1]:
            yield name, *values
    data = [{each.element: each.sha256 for each in plan.method.data} for plan in (one, other)]
    for element in sorted(data[0].keys() & data[1].keys()):
        if data[0][element] != data[1][element]:
            yield f"pseudopotentials or PAW sets of {element}", data[0][element][:12], data[1][element][:12]
    settings = [
        {
            digest({name: value for name, value in ladder.settings.items() if name != "kpoints"})
            for ladder in plan.ladders
        }
        for plan in (one, other)
    ]
    if settings[0] != settings[1]:
        yield "settings", _cutoffs(one), _cutoffs(other)


def _shared_settings(plan: StabilityPlan) -> set[str]:
    """Return hashes of the settings that all phases share: all but the k-points, which differ from cell to cell."""
    shared = ({name: value for name, value in ladder.settings.items() if name != "kpoints"} for ladder in plan.ladders)
    return {digest(settings) for settings in shared}


def _cutoffs(plan: StabilityPlan) -> str:
    return ", ".join(sorted({f"cutoff {ladder.settings.get('cutoff_eV')} eV" for ladder in plan.ladders}))
