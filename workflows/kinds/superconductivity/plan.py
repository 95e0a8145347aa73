"""A study of superconductivity made concrete: the structure's ladder of volumes, grids, settings, pressures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

from megabar.structures.errors import InputError
from megabar.structures.scaling import guess_volume, scaled_to
from megabar.workflows.calculation import Calculation, inputs_of
from megabar.workflows.codes.espresso.programs import phonon_program
from megabar.workflows.codes.registry import code as find_code
from megabar.workflows.config import Config
from megabar.workflows.hashing import digest, only_known
from megabar.workflows.kinds.superconductivity.grids import Grids, accuracies, grids
from megabar.workflows.kinds.superconductivity.question import SuperconductivityStudy
from megabar.workflows.parts.method import Method
from megabar.workflows.parts.volumes.ladder import Ladder, Rung
from megabar.workflows.parts.volumes.plan import VolumesAsked, VolumesPlan, plan_volumes, resolve_method
from megabar.workflows.publishing import structure_file
from megabar.workflows.question import StudyFile
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.electrons import GroundState, PhononQ

MAIN, AT_PRESSURE, GROUND_STATE, PHONON = "main", "structure", "ground-state", "phonon"
"""Kinds of the rungs."""


@dataclass(frozen=True)
class TcRung:
    """One calculation of a study of superconductivity.

    kind: ``main``: a volume of the ladder; ``structure``: the volume at a pressure; ``ground-state``; ``phonon``.
    index: place on the ladder of the first two, number of the q-point of the last. pressure_GPa: asked for.
    structure: of the last two, relaxed; structure_of: the calculation that relaxed it, by which it is stored.
    """

    phase: str
    index: Fraction
    key: str
    starts: tuple[str, ...]
    purpose: str
    kind: str
    pressure_GPa: float | None = None
    structure: Structure | None = None
    structure_of: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the rung as JSON-able data, without the structure where another calculation has it."""
        structure = self.structure.to_dict() if self.structure and not self.structure_of else None
        own = {name: value for name, value in vars(self).items() if name not in ("structure", "structure_of")}
        named = {"structure_of": self.structure_of} if self.structure_of else {}
        return {**own, "index": str(self.index), "structure": structure, **named}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> TcRung:
        """Return the rung stored by ``to_dict``."""
        structure = content.get("structure")
        return cls(
            phase=content["phase"],
            index=Fraction(content["index"]),
            key=content["key"],
            starts=tuple(content["starts"]),
            purpose=content["purpose"],
            kind=content["kind"],
            pressure_GPa=content.get("pressure_GPa"),
            structure=Structure.from_dict(structure) if structure else None,
            structure_of=content.get("structure_of"),
        )


@dataclass(frozen=True)
class TcPlan:
    """What a study of superconductivity computes and how.

    volumes: the plan of the ladder of volumes from which the structure at a pressure follows (one phase).
    coupling: settings of the ground state and of ph.x, but for the number of the q-point.
    mu_star: referred to mu_ref_meV, to the highest phonon frequency where that is None. isotopes: masses (u).
    """

    volumes: VolumesPlan
    grids: Grids
    coupling: Mapping[str, Any]
    phonon: Mapping[str, Any]
    mu_star: tuple[float, ...]
    mu_ref_meV: float | None
    isotopes: Mapping[str, float]

    @property
    def method(self) -> Method:
        """Code, version, protocol and atomic data."""
        return self.volumes.method

    @property
    def toy(self) -> bool:
        """Whether results have no physical meaning."""
        return self.volumes.toy

    @property
    def ladder(self) -> Ladder:
        """The structure and its ladder of volumes."""
        return self.volumes.ladders[0]

    @property
    def pressures_GPa(self) -> tuple[float, ...]:
        """The pressures asked for (GPa), ascending."""
        return self.volumes.pressures_GPa

    @property
    def fingerprint(self) -> str:
        """Hash of the whole plan; the place of the atomic data does not enter it."""
        content = self.to_dict()
        return digest({**content, "volumes": self.volumes.fingerprint, "ladders": None})

    def name_at(self, pressure_GPa: float) -> str:
        """Return the name that the calculations at a pressure go by."""
        return f"{self.ladder.phase} at {pressure_GPa:g} GPa"

    def calculation(self, rung: Mapping[str, Any]) -> Calculation:
        """Return the calculation of a stored rung."""
        return self.calculation_of(TcRung.from_dict(rung))

    def calculation_of(self, rung: TcRung) -> Calculation:
        """Return the calculation of a rung."""
        if rung.kind == GROUND_STATE and rung.structure is not None:
            return self.ground_state(rung.structure)
        if rung.kind == PHONON and rung.structure is not None:
            return self.phonons(rung.structure, int(rung.index), rung.starts[0])
        if rung.kind in (GROUND_STATE, PHONON):
            raise InputError(
                f"{rung.phase}: the result {rung.structure_of}, whose structure the {rung.kind} {rung.index} has, is "
                "not in the database any more"
            )
        return self.ladder.calculation(self.method, rung.index, rung.starts)

    def ground_state(self, structure: Structure) -> Calculation:
        """Return the ground state on both k-grids, for all q-points."""
        return Calculation(
            code=self.method.code,
            version=self.method.version,
            settings=self.coupling,
            structure=structure,
            data=tuple(each for each in self.method.data if each.element in structure.symbols),
            task=GroundState(),
        )

    def phonons(self, structure: Structure, number: int, start: str) -> Calculation:
        """Return the calculation of one q-point, from the ground state with the key ``start``."""
        settings = {**self.coupling, **self.phonon, "q_number": number}
        return replace(
            self.ground_state(structure), settings=settings, task=PhononQ(), inputs=inputs_of(PhononQ(), [start])
        )

    def volume_rung(self, rung: Rung, kind: str, pressure_GPa: float | None = None) -> TcRung:
        """Return a rung of the ladder as one of this study."""
        phase = rung.phase if pressure_GPa is None else self.name_at(pressure_GPa)
        return TcRung(phase, rung.index, rung.key, rung.starts, rung.purpose, kind, pressure_GPa)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-able data; ``ladders`` as plans of other kinds have it."""
        return {
            "volumes": self.volumes.to_dict(),
            "ladders": [self.ladder.to_dict()],
            "grids": asdict(self.grids),
            "coupling": dict(self.coupling),
            "phonon": dict(self.phonon),
            "mu_star": list(self.mu_star),
            "mu_ref_meV": self.mu_ref_meV,
            "isotopes": dict(self.isotopes),
        }

    def published(self) -> dict[str, Any]:
        """Return the plan as it may be published: with the names of data files instead of their places."""
        return {**self.to_dict(), "volumes": self.volumes.published()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> TcPlan:
        """Return the plan stored by ``to_dict``; raises TypeError where that has what is not known here."""
        only_known(content, {*cls.__dataclass_fields__, "ladders"})
        return cls(
            volumes=VolumesPlan.from_dict(content["volumes"]),
            grids=Grids(**{name: tuple(value) for name, value in content["grids"].items()}),
            coupling=content["coupling"],
            phonon=content["phonon"],
            mu_star=tuple(content["mu_star"]),
            mu_ref_meV=content["mu_ref_meV"],
            isotopes=content["isotopes"],
        )


def published_definition(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a study file asked as it may be published: the structure file by its name."""
    return {**definition, "structure": structure_file(definition.get("structure"))}


def resolve(file: StudyFile[SuperconductivityStudy], config: Config) -> TcPlan:
    """Return the plan of a study on this machine; makes and caches pseudopotentials where they are needed.

    Raises InputError and SetupError for whatever would stop the study: ph.x missing, grids that do not fit.
    """
    study, phase = file.study, file.phases[0]
    if study.method.functional not in ("PBE", "PBEsol", "LDA"):
        raise InputError(f"{file.path}: phonons with the functional {study.method.functional!r} are not set up; PBE is")
    phonon_program(config)
    asked = VolumesAsked("-".join(phase.counts), file.phases, study.pressure_values, study.method)
    method = resolve_method(find_code(study.method.code), study.method.protocol, asked, config)
    volumes = plan_volumes(asked, method)
    accuracy = accuracies()[study.method.protocol]
    smallest = scaled_to(phase.atoms, guess_volume(phase, study.pressure_values[-1]))
    try:
        chosen = grids(smallest, study.method.protocol, study.q_grid, study.k_grid, study.k_grid_dense)
    except InputError as error:
        raise InputError(f"{file.path}: {error}") from None
    ladder = volumes.ladders[0]
    coupling = {name: value for name, value in ladder.settings.items() if name != "constant_cutoff"}
    coupling |= {
        "kpoints": list(chosen.k),
        "kpoints_dense": list(chosen.dense),
        "scf_energy_eV": accuracy["scf_energy_eV"],
    }
    return TcPlan(
        volumes=volumes,
        grids=chosen,
        coupling=coupling,
        phonon={
            "q_grid": list(chosen.q),
            "phonon_threshold": accuracy["phonon_threshold"],
            "delta_smearing_Ry": accuracy["delta"]["step_Ry"],
            "delta_smearings": accuracy["delta"]["count"],
        },
        mu_star=study.mu_star,
        mu_ref_meV=study.mu_ref_meV,
        isotopes=study.isotopes,
    )
