"""Volumes of phases under pressure made concrete: method, settings and first volumes, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations_with_replacement
from typing import Any

from ase import Atoms

from megabar.structures.composition import parse_system
from megabar.structures.contacts import shortest_distances
from megabar.structures.errors import InputError
from megabar.structures.phase import Phase
from megabar.structures.scaling import guess_volume, scaled_to
from megabar.structures.symmetry import degrees_of_freedom
from megabar.workflows.codes.interface import Code, Request
from megabar.workflows.codes.registry import code as find_code
from megabar.workflows.config import Config
from megabar.workflows.hashing import digest, only_known
from megabar.workflows.parts.method import Method
from megabar.workflows.parts.volumes.ladder import Ladder, first_indices
from megabar.workflows.protocols import kpoint_grid, metal_factor, protocol
from megabar.workflows.publishing import with_file_names
from megabar.workflows.question import MethodChoice
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.relax import Relax

MARGIN = 0.25
LEAST_MARGIN_GPA = 15.0
PRESSURE_CLASSES_GPA = (25.0, 50.0, 100.0, 150.0, 200.0, 300.0, 400.0, 500.0, 700.0, 1000.0, 2000.0, 5000.0)
"""Atomic data and k-point grids are chosen for the end of a class, so that similar studies share calculations."""


OF_EARLIER_PLANS = ("judge", "by_hand")
"""What stored plans of volumes have besides, from when they were plans of stability studies."""


@dataclass(frozen=True)
class VolumesAsked:
    """Which phases are wanted at which pressures (GPa, ascending), and how.

    system: elements joined by hyphens; all of them have their atomic data fixed, whatever the phases hold.
    accuracy_meV: of an enthalpy (meV/atom); None: the protocol's.
    """

    system: str
    phases: tuple[Phase, ...]
    pressures_GPa: tuple[float, ...]
    method: MethodChoice
    accuracy_meV: float | None = None


@dataclass(frozen=True)
class VolumesPlan:
    """The ladders of volumes of some phases.

    pressures_GPa: the pressures asked for, ascending.
    accuracy_eV: uncertainty of an enthalpy (eV/atom) above which volumes are added where they matter.
    resolution_eV: differences (eV/atom) that the method does not resolve: they do not make a phase worth following
    outside of the pressures that it is known for.
    """

    system: str
    pressures_GPa: tuple[float, ...]
    accuracy_eV: float
    resolution_eV: float
    method: Method
    ladders: tuple[Ladder, ...]
    toy: bool

    def ladder(self, phase: str) -> Ladder:
        """Return the ladder of a phase."""
        return next(ladder for ladder in self.ladders if ladder.phase == phase)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-able data; ``judge`` is there since it was when hashes of plans were first stored."""
        return {"judge": None, **asdict(self), "ladders": [ladder.to_dict() for ladder in self.ladders]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> VolumesPlan:
        """Return the plan stored by ``to_dict``; raises TypeError where that has what is not known here."""
        only_known(content, {*VolumesPlan.__dataclass_fields__, *OF_EARLIER_PLANS})
        return cls(**volumes_fields({name: content[name] for name in VolumesPlan.__dataclass_fields__}))

    def published(self) -> dict[str, Any]:
        """Return the plan as it may be published: with the names of data files instead of their places."""
        content = self.to_dict()
        return {**content, "method": with_file_names(content["method"])}

    @property
    def fingerprint(self) -> str:
        """Hash of the plan: another code version or other data make another one, the data's place does not."""
        return fingerprint(self.to_dict())


def volumes_fields(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a stored plan with those of ``VolumesPlan`` as they are in it, all others as stored."""
    return {
        **content,
        "pressures_GPa": tuple(content["pressures_GPa"]),
        "method": Method.from_dict(content["method"]),
        "ladders": tuple(Ladder.from_dict(each) for each in content["ladders"]),
    }


def fingerprint(content: dict[str, Any]) -> str:
    """Return the hash of a plan of volumes as JSON-able data, which is changed: without the places of atomic data."""
    for method in (content["method"], content["judge"] or {"data": ()}, *content.get("functionals", ())):
        for each in method["data"]:
            del each["path"], each["origin"]
    return digest(content)


def plan_volumes(asked: VolumesAsked, method: Method) -> VolumesPlan:
    """Return the ladders of what is asked for, by a method that ``resolve_method`` gave."""
    code = find_code(method.code)
    limits = protocol(code.name, asked.method.protocol)
    return VolumesPlan(
        system=asked.system,
        pressures_GPa=asked.pressures_GPa,
        accuracy_eV=(asked.accuracy_meV or limits.accuracy_meV) / 1000,
        resolution_eV=limits.resolution_meV / 1000,
        method=method,
        ladders=tuple(_ladder(phase, asked, method) for phase in asked.phases),
        toy=code.toy,
    )


def resolve_method(
    code: Code, protocol_name: str, asked: VolumesAsked, config: Config, functional: str | None = None
) -> Method:
    """Return a method for what is asked for, on this machine; functional: another one than it names.

    Makes and caches atomic data where the code needs them. Raises InputError and SetupError for whatever would stop it:
    a missing code, functional or data set, an element that the code does not know.
    """
    functional = code.functionals[0] if code.toy else functional or asked.method.functional
    if functional not in code.functionals:
        known = ", ".join(code.functionals)
        raise InputError(f"{code.name} is not set up for the functional {functional!r} (known: {known})")
    distances = closest(asked.phases, class_end(asked.pressures_GPa[-1]))
    return Method(
        code=code.name,
        version=code.installation(config).version,
        protocol=protocol_name,
        functional=functional,
        data=code.atomic_data(parse_system(asked.system), functional, protocol_name, distances, config),
    )


def closest(phases: tuple[Phase, ...], pressure_GPa: float) -> dict[tuple[str, str], float]:
    """Return the shortest distance (Å) of each pair of elements in any of the phases, squeezed to a pressure.

    Phases known only below the pressure are squeezed to the end of their range, not beyond it.
    """
    found: dict[tuple[str, str], float] = {}
    for phase in phases:
        reached = min(pressure_GPa, max(window(phase, (0.0, pressure_GPa))[1], phase.pressure_GPa))
        squeezed = scaled_to(phase.atoms, guess_volume(phase, reached))
        for pair, distance in shortest_distances(squeezed).items():
            found[pair] = min(distance, found.get(pair, distance))
    elements = sorted({element for phase in phases for element in phase.counts})
    return {pair: found[pair] for pair in combinations_with_replacement(elements, 2) if pair in found}


def class_end(pressure_GPa: float) -> float:
    """Return the end (GPa) of the class that a pressure lies in."""
    return next((end for end in PRESSURE_CLASSES_GPA if pressure_GPa <= end), PRESSURE_CLASSES_GPA[-1])


def window(phase: Phase, asked_GPa: tuple[float, float]) -> tuple[float, float]:
    """Return the pressures (GPa) where a phase is computed at first: those it is known for, with a margin."""
    low, high = phase.known_GPa
    margin_low, margin_high = (max(LEAST_MARGIN_GPA, MARGIN * abs(end)) for end in (low, high))
    found = (max(asked_GPa[0], low - margin_low), min(asked_GPa[1], high + margin_high))
    if found[0] >= found[1]:  # known only outside of what is asked: computed at the nearer end
        end = asked_GPa[0] if high < asked_GPa[0] else asked_GPa[1]
        return (end, end)
    return found


def smallest_cell(phase: Phase, asked: VolumesAsked) -> Atoms:
    """Return a phase's cell at about the smallest of its first volumes, from which its k-point grid follows."""
    low, high = asked.pressures_GPa[0], asked.pressures_GPa[-1]
    return scaled_to(phase.atoms, guess_volume(phase, class_end(window(phase, (low, high))[1])))


def _ladder(phase: Phase, asked: VolumesAsked, method: Method) -> Ladder:
    ends = (asked.pressures_GPa[0], asked.pressures_GPa[-1])
    around = window(phase, ends)
    freedom = degrees_of_freedom(phase.atoms)
    return Ladder(
        phase=phase.name,
        formula=phase.formula,
        source=phase.source,
        doi=phase.doi,
        note=phase.note,
        structure=Structure.of(phase.atoms),
        pressure_GPa=phase.pressure_GPa,
        known_GPa=phase.known_GPa,
        window_GPa=around,
        settings=ladder_settings(phase, asked, method),
        relaxation=relaxation_limits(phase, method) if freedom.internal or freedom.shape else None,
        first=first_indices(phase, around, ends),
    )


def relaxation_limits(phase: Phase, method: Method | MethodChoice) -> Relax:
    """Return how far a phase is relaxed by a method; its shape only where symmetry leaves it free."""
    limits = protocol(method.code, method.protocol)
    shape = degrees_of_freedom(phase.atoms).shape > 0
    return Relax(force_eV_A=limits.force_eV_per_A, stress_GPa=limits.stress_GPa, shape=shape)


def ladder_settings(phase: Phase, asked: VolumesAsked, method: Method) -> dict[str, Any]:
    """Return the settings of a phase at all its volumes by a method, with those that are named by hand."""
    smallest = smallest_cell(phase, asked)
    return {**settings_of(phase, smallest, method), **by_hand(phase, smallest, asked.method)}


def settings_of(phase: Phase, smallest: Atoms, method: Method) -> dict[str, Any]:
    """Return the settings of a phase by a method alone."""
    return find_code(method.code).settings(
        Request(
            smallest=smallest,
            protocol=method.protocol,
            functional=method.functional,
            insulating=phase.insulating,
            data=method.data,
        )
    )


def by_hand(phase: Phase, smallest: Atoms, method: MethodChoice) -> dict[str, Any]:
    """Return the settings that a study names itself."""
    found: dict[str, Any] = {}
    if method.cutoff_eV is not None:
        found["cutoff_eV"] = method.cutoff_eV
    if method.kpoint_density is not None:
        factor = 1.0 if phase.insulating else metal_factor(smallest)
        found["kpoints"] = kpoint_grid(smallest, method.kpoint_density * factor)
    return found
