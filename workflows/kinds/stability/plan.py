"""A stability study made concrete: method, phases, settings and first volumes, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations_with_replacement
from typing import Any

from ase import Atoms

from megabar.structures.composition import parse_system
from megabar.structures.contacts import shortest_distances
from megabar.structures.copies import copies
from megabar.structures.errors import InputError
from megabar.structures.phase import Phase
from megabar.structures.scaling import guess_volume, scaled_to
from megabar.structures.symmetry import degrees_of_freedom
from megabar.workflows.calculation import Calculation, Relaxation, Structure, digest
from megabar.workflows.codes.interface import Code, Request
from megabar.workflows.codes.registry import code as find_code
from megabar.workflows.config import Config
from megabar.workflows.parts.volumes.ladder import Ladder, Method, Rung, first_indices
from megabar.workflows.protocols import kpoint_grid, metal_factor, protocol
from megabar.workflows.publishing import structure_file, with_file_names
from megabar.workflows.study import StabilityStudy, StudyFile

JUDGED_DENSITY = 2.0
"""k-points per Å⁻¹ of the comparison with a verifying code: both have the same, and the error of PAW data is local."""
MARGIN = 0.25
LEAST_MARGIN_GPA = 15.0
PRESSURE_CLASSES_GPA = (25.0, 50.0, 100.0, 150.0, 200.0, 300.0, 400.0, 500.0, 700.0, 1000.0, 2000.0, 5000.0)
"""Atomic data and k-point grids are chosen for the end of a class, so that similar studies share calculations."""


@dataclass(frozen=True)
class StabilityPlan:
    """What a stability study computes and how.

    pressures_GPa: the pressures asked for, ascending.
    accuracy_eV: uncertainty of an enthalpy (eV/atom) above which volumes are added where the hull depends on it.
    resolution_eV: differences (eV/atom) that the method does not resolve: they do not make a phase worth following
    outside of the pressures that it is known for.
    judge: the method of the verifying code, if any. functionals: those of the other functionals to compare with.
    copies: phases that are not computed, each with the one of the same structure whose ladder answers for it.
    by_hand: whether the study names cutoff or k-points itself, so that the protocol's measured error is not its own.
    """

    system: str
    pressures_GPa: tuple[float, ...]
    accuracy_eV: float
    resolution_eV: float
    method: Method
    ladders: tuple[Ladder, ...]
    toy: bool
    judge: Method | None = None
    functionals: tuple[Method, ...] = ()
    copies: tuple[tuple[str, str], ...] = ()
    by_hand: bool = False

    @property
    def remarks(self) -> list[str]:
        """What is to be known of the plan, in sentences."""
        return [f"{copy} is the same structure as {first}, and is answered as that" for copy, first in self.copies]

    def ladder(self, phase: str) -> Ladder:
        """Return the ladder of a phase."""
        return next(ladder for ladder in self.ladders if ladder.phase == phase)

    def calculation(self, rung: Mapping[str, Any]) -> Calculation:
        """Return the calculation of a stored rung."""
        return self.calculation_of(Rung.from_dict(rung))

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
        for name in ("functionals", "copies", "by_hand"):
            if not content[name]:
                del content[name]
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> StabilityPlan:
        """Return the plan stored by ``to_dict``."""
        return cls(
            **{
                **content,
                "pressures_GPa": tuple(content["pressures_GPa"]),
                "method": Method.from_dict(content["method"]),
                "ladders": tuple(Ladder.from_dict(each) for each in content["ladders"]),
                "judge": Method.from_dict(content["judge"]) if content["judge"] else None,
                "functionals": tuple(Method.from_dict(each) for each in content.get("functionals", ())),
                "copies": tuple((copy, first) for copy, first in content.get("copies", ())),
            }
        )

    def published(self) -> dict[str, Any]:
        """Return the plan as it may be published: with the names of data files instead of their places."""
        content = self.to_dict()
        content["method"] = with_file_names(content["method"])
        content["judge"] = with_file_names(content["judge"]) if content["judge"] else None
        if "functionals" in content:
            content["functionals"] = [with_file_names(each) for each in content["functionals"]]
        return content

    @property
    def fingerprint(self) -> str:
        """Hash of the whole plan: another code version or other data make another one, the data's place does not."""
        content = self.to_dict()
        content.pop("by_hand", None)  # the settings say it; plans of earlier versions do not
        for method in (content["method"], content["judge"] or {"data": ()}, *content.get("functionals", ())):
            for each in method["data"]:
                del each["path"], each["origin"]
        return digest(content)


def functional_kind(functional: str) -> str:
    """Return the kind of the rungs computed by another functional."""
    return f"functional {functional}"


def published_definition(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a study file asked as it may be published: structure files by their names."""
    phases = definition.get("phases")
    if not isinstance(phases, list | tuple):
        return dict(definition)
    return {**definition, "phases": [structure_file(each) for each in phases]}


def resolve(file: StudyFile, config: Config) -> StabilityPlan:
    """Return the plan of a study on this machine; makes and caches atomic data where the code needs them.

    Raises InputError and SetupError for whatever would stop the study: a missing code, functional or data set,
    an element that the code does not know.
    """
    study = _stability_study(file)
    code = find_code(study.method.code)
    method = _method(code, study.method.protocol, file, config)
    others = [name for name in dict.fromkeys(study.functionals) if name != study.method.functional and not code.toy]
    functionals = tuple(_method(code, study.method.protocol, file, config, name) for name in others)
    limits = protocol(code.name, study.method.protocol)
    judge = None
    if study.verify is not None:
        judge = _method(find_code(study.verify.code), study.verify.protocol, file, config)
    same = copies({phase.name: phase.atoms for phase in file.phases})
    return StabilityPlan(
        system=study.system,
        pressures_GPa=study.pressure_values,
        accuracy_eV=(study.accuracy_meV or limits.accuracy_meV) / 1000,
        resolution_eV=limits.resolution_meV / 1000,
        method=method,
        ladders=tuple(
            _ladder(phase, study, method, judge, functionals) for phase in file.phases if phase.name not in same
        ),
        toy=code.toy,
        judge=judge,
        functionals=functionals,
        by_hand=study.method.cutoff_eV is not None or study.method.kpoint_density is not None,
        copies=tuple(same.items()),
    )


def _method(code: Code, protocol_name: str, file: StudyFile, config: Config, functional: str | None = None) -> Method:
    """Return a method of a study; functional: another one than the study's own."""
    study = _stability_study(file)
    functional = code.functionals[0] if code.toy else functional or study.method.functional
    if functional not in code.functionals:
        known = ", ".join(code.functionals)
        raise InputError(f"{code.name} is not set up for the functional {functional!r} (known: {known})")
    distances = closest(file.phases, _class_end(study.pressure_values[-1]))
    elements = parse_system(study.system)
    return Method(
        code=code.name,
        version=code.installation(config).version,
        protocol=protocol_name,
        functional=functional,
        data=code.atomic_data(elements, functional, protocol_name, distances, config),
    )


def _stability_study(file: StudyFile) -> StabilityStudy:
    assert isinstance(file.study, StabilityStudy)
    return file.study


def closest(phases: tuple[Phase, ...], pressure_GPa: float) -> dict[tuple[str, str], float]:
    """Return the shortest distance (Å) of each pair of elements in any of the phases, squeezed to a pressure.

    Phases known only below the pressure are squeezed to the end of their range, not beyond it.
    """
    found: dict[tuple[str, str], float] = {}
    for phase in phases:
        reached = min(pressure_GPa, max(_window(phase, (0.0, pressure_GPa))[1], phase.pressure_GPa))
        squeezed = scaled_to(phase.atoms, guess_volume(phase, reached))
        for pair, distance in shortest_distances(squeezed).items():
            found[pair] = min(distance, found.get(pair, distance))
    elements = sorted({element for phase in phases for element in phase.counts})
    return {pair: found[pair] for pair in combinations_with_replacement(elements, 2) if pair in found}


def _class_end(pressure_GPa: float) -> float:
    return next((end for end in PRESSURE_CLASSES_GPA if pressure_GPa <= end), PRESSURE_CLASSES_GPA[-1])


def _window(phase: Phase, asked_GPa: tuple[float, float]) -> tuple[float, float]:
    """Return the pressures (GPa) where a phase is computed at first: those it is known for, with a margin."""
    low, high = phase.known_GPa
    margin_low, margin_high = (max(LEAST_MARGIN_GPA, MARGIN * abs(end)) for end in (low, high))
    window = (max(asked_GPa[0], low - margin_low), min(asked_GPa[1], high + margin_high))
    if window[0] >= window[1]:  # known only outside of what is asked: computed at the nearer end
        end = asked_GPa[0] if high < asked_GPa[0] else asked_GPa[1]
        return (end, end)
    return window


def _ladder(
    phase: Phase, study: StabilityStudy, method: Method, judge: Method | None, functionals: Sequence[Method] = ()
) -> Ladder:
    pressures = study.pressure_values
    window = _window(phase, (pressures[0], pressures[-1]))
    limits = protocol(method.code, method.protocol)
    freedom = degrees_of_freedom(phase.atoms)
    top = min(_class_end(window[1]), PRESSURE_CLASSES_GPA[-1])
    smallest = scaled_to(phase.atoms, guess_volume(phase, top))
    settings = {**_settings(phase, smallest, method), **_by_hand(phase, smallest, study)}
    relaxation = Relaxation(force_eV_A=limits.force_eV_per_A, stress_GPa=limits.stress_GPa, shape=freedom.shape > 0)
    judged, reference = None, None
    if judge is not None:
        # The same k-points and smearing for both codes, so that only what differs between them remains.
        same = {"kpoints": kpoint_grid(smallest, JUDGED_DENSITY), "smearing": settings["smearing"]}
        judged, reference = {**_settings(phase, smallest, judge), **same}, {**settings, **same}
    return Ladder(
        phase=phase.name,
        formula=phase.formula,
        source=phase.source,
        doi=phase.doi,
        note=phase.note,
        structure=Structure.of(phase.atoms),
        pressure_GPa=phase.pressure_GPa,
        known_GPa=phase.known_GPa,
        window_GPa=window,
        settings=settings,
        relaxation=relaxation if freedom.internal or freedom.shape else None,
        first=first_indices(phase, window, (pressures[0], pressures[-1])),
        judge_settings=judged,
        reference_settings=reference,
        symmetry_check=relaxation if study.symmetry_check else None,
        functional_settings={
            each.functional: {**_settings(phase, smallest, each), **_by_hand(phase, smallest, study)}
            for each in functionals
        },
    )


def _by_hand(phase: Phase, smallest: Atoms, study: StabilityStudy) -> dict[str, Any]:
    """Return the settings that a study names itself."""
    found: dict[str, Any] = {}
    if study.method.cutoff_eV is not None:
        found["cutoff_eV"] = study.method.cutoff_eV
    if study.method.kpoint_density is not None:
        factor = 1.0 if phase.insulating else metal_factor(smallest)
        found["kpoints"] = kpoint_grid(smallest, study.method.kpoint_density * factor)
    return found


def _settings(phase: Phase, smallest: Atoms, method: Method) -> dict[str, Any]:
    return find_code(method.code).settings(
        Request(
            smallest=smallest,
            protocol=method.protocol,
            functional=method.functional,
            insulating=phase.insulating,
            data=method.data,
        )
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
