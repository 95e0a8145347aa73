"""What a stability study asks: the model of its file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from megabar.structures.composition import parse_system
from megabar.structures.errors import InputError
from megabar.structures.library import phases_of
from megabar.structures.phase import Phase
from megabar.workflows.parts.lattice.choice import (
    SupercellChoice,
    ascending_temperatures,
    check_masses,
    temperature_list,
)
from megabar.workflows.question import (
    MethodChoice,
    Model,
    PhaseFile,
    PressureStudy,
    StudyFile,
    named_phase,
)
from megabar.workflows.yaml_input import validated

if TYPE_CHECKING:
    from ruamel.yaml.comments import CommentedMap


class Verification(Model):
    """Which other code judges the compound's transition: single points on the same structures, differences only."""

    code: Literal["elk"] = Field(description="an all-electron code")
    protocol: str = Field(default="moderate", description="its accuracy")


class StabilityStudy(PressureStudy):
    """Which phases of a system are stable between two pressures."""

    later: ClassVar[tuple[str, ...]] = ("functionals", "zero_point", "temperatures", "isotopes", "supercell")
    kind: Literal["stability"] = Field(description="`stability`")
    system: str = Field(description="elements joined by dashes, as `Na-He`")
    phases: Literal["library"] | tuple[str | PhaseFile, ...] = Field(
        default="library", description="`library`: all known phases; or a list of their names and of structure files"
    )
    method: MethodChoice = Field(description="code, protocol and functional")
    verify: Verification | None = Field(
        default=None, description="an all-electron check of the compounds' transitions, on the same structures"
    )
    accuracy_meV: float | None = Field(
        default=None,
        gt=0,
        description="uncertainty of an enthalpy (meV/atom) above which volumes are added where the hull depends on "
        "them; by default the protocol's",
    )
    symmetry_check: bool = Field(
        default=False, description="also relax slightly rattled cells, to see whether a lower symmetry is preferred"
    )
    functionals: tuple[str, ...] = Field(
        default=(),
        description="others that the hull is compared by, as `[PBE, PBEsol, LDA]`: single points on the relaxed "
        "structures",
    )
    zero_point: bool = Field(
        default=False, description="whether the hull is told with zero-point motion too: phonons of what can matter"
    )
    temperatures: Annotated[tuple[float, ...], BeforeValidator(temperature_list)] = Field(
        default=(),
        description="temperatures (K) at which the hull is told too, by quasi-harmonic free energies, and P–T diagrams",
    )
    isotopes: dict[str, float] = Field(
        default_factory=dict,
        description="masses (u), as `{H: 2.014}`, for which the hulls with zero-point motion are told besides",
    )
    supercell: SupercellChoice | None = Field(
        default=None, description="supercells of the phonons, where they are not to be those of the protocol"
    )

    @property
    def vibrating(self) -> bool:
        """Whether phonons are asked for."""
        return self.zero_point or bool(self.temperatures)

    @field_validator("temperatures")
    @classmethod
    def _possible_temperatures(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        return ascending_temperatures(value)

    @model_validator(mode="after")
    def _phonons_of_something(self) -> StabilityStudy:
        for name in ("isotopes", "supercell"):
            if getattr(self, name) and not self.vibrating:
                raise ValueError(f"`{name}` is for phonons, and none are asked for: set `zero_point` or `temperatures`")
        if self.supercell is not None and self.supercell.repeats is not None:
            raise ValueError("`supercell.repeats` is of one phase; give `length_A`")
        return self

    @field_validator("system")
    @classmethod
    def _known_elements(cls, value: str) -> str:
        try:
            parse_system(value)
        except InputError as error:
            raise ValueError(str(error)) from None
        return value


def _phases(study: StabilityStudy, folder: Path) -> tuple[Phase, ...]:
    elements = parse_system(study.system)
    if study.phases == "library":
        return tuple(phases_of(elements))
    return tuple(named_phase(entry, folder) for entry in study.phases)


def _check_phases(study: StabilityStudy, phases: tuple[Phase, ...]) -> None:
    elements = parse_system(study.system)
    names = [phase.name for phase in phases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two phases have the name {twice[0]!r}; give one of them another `name`")
    for phase in phases:
        foreign = [element for element in phase.counts if element not in elements]
        if foreign:
            raise InputError(f"the phase {phase.name!r} has {', '.join(foreign)}, not in the system {study.system}")
    for element in elements:
        if not any(list(phase.counts) == [element] for phase in phases):
            if study.phases == "library":
                raise InputError(
                    f"the library has no phase of pure {element}, and formation enthalpies need one; list in `phases` "
                    f"what is to be computed, with a file (CIF, POSCAR, extxyz) for {element}"
                )
            raise InputError(f"no phase of pure {element} is given, and formation enthalpies need one; add one")


def read(path: Path, content: CommentedMap) -> StudyFile[StabilityStudy]:
    """Return the study in a YAML file's content with its phases.

    Raises InputError naming the file, the line and the key of a mistake.
    """
    study = validated(StabilityStudy, content, path)
    line = content.lc.key("phases")[0] + 1 if "phases" in content else 1
    try:
        phases = _phases(study, path.parent)
        _check_phases(study, phases)
        if study.isotopes:
            line = content.lc.key("isotopes")[0] + 1
            check_masses(study.isotopes, phases, "`isotopes`")
    except InputError as error:
        raise InputError(f"{path}, line {line}: {error}") from None
    return StudyFile(path=path, study=study, phases=phases)
