"""What a study of phonons asks: the model of its file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from megabar.structures.errors import InputError
from megabar.workflows.parts.lattice.choice import (
    SupercellChoice,
    ascending_temperatures,
    check_masses,
    temperature_list,
)
from megabar.workflows.question import (
    MethodChoice,
    PhaseFile,
    Pressures,
    PressureStudy,
    StudyFile,
    named_phase,
    one_or_more,
)
from megabar.workflows.yaml_input import validated

if TYPE_CHECKING:
    from ruamel.yaml.comments import CommentedMap


def _entries(value: Any) -> Any:
    """Return one phase as a list of one."""
    return [value] if isinstance(value, str) or (isinstance(value, dict) and "file" in value) else value


class PhononStudy(PressureStudy):
    """Force constants of phases at pressures, whether they are dynamically stable, and their free energies."""

    kind: Literal["phonons"] = Field(description="`phonons`")
    phases: Annotated[tuple[str | PhaseFile, ...], BeforeValidator(_entries)] = Field(
        description="one or several phases of the library, or structure files"
    )
    pressures: Annotated[Pressures | tuple[float, ...], BeforeValidator(one_or_more)] = Field(
        default=(0.0,), description="`{from: , to: , step: }`, a list, or one number (GPa)"
    )
    method: MethodChoice = Field(description="code, protocol and functional")
    temperatures: Annotated[tuple[float, ...], BeforeValidator(temperature_list)] = Field(
        default=(),
        description="temperatures (K) of the quasi-harmonic free energies, one or several; volumes are added so that "
        "the phases can expand",
    )
    supercell: SupercellChoice = Field(default_factory=SupercellChoice, description="size and displacements")
    force_constants: Literal["displacements", "dfpt"] = Field(
        default="displacements",
        description="from forces on displaced supercells, with every code; or `dfpt`: by perturbation theory in the "
        "primitive cell (`espresso`, ph.x)",
    )
    born: Literal["auto", "none"] = Field(
        default="auto",
        description="Born charges and dielectric tensor of insulators of several elements: computed where the code has "
        "them (`espresso`, `gpaw`), or left out",
    )
    elastic: bool = Field(
        default=False, description="elastic constants at each pressure, with sound velocities and mechanical stability"
    )
    follow: bool = Field(
        default=False,
        description="relax the structures that imaginary modes lead to, with their symmetry and what is gained by them",
    )
    check: bool = Field(
        default=True,
        description="displace atoms twice as far at one pressure of each phase too, to see how far forces are linear",
    )
    masses: dict[str, float] = Field(
        default_factory=dict, description="masses (u) of isotopes, as `{H: 2.014}`, instead of the natural ones"
    )

    @field_validator("temperatures")
    @classmethod
    def _possible_temperatures(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        return ascending_temperatures(value)

    @model_validator(mode="after")
    def _of_phases(self) -> PhononStudy:
        if not self.phases:
            raise ValueError("`phases`: at least one is needed")
        if self.supercell.repeats is not None and len(self.phases) > 1:
            raise ValueError("`supercell.repeats` is of one phase; with several give `length_A`")
        return self


def read(path: Path, content: CommentedMap) -> StudyFile[PhononStudy]:
    """Return the study in a YAML file's content with its phases.

    Raises InputError naming the file, the line and the key of a mistake.
    """
    study = validated(PhononStudy, content, path)
    line = content.lc.key("phases")[0] + 1
    try:
        phases = tuple(named_phase(entry, path.parent) for entry in study.phases)
        names = [phase.name for phase in phases]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"two phases have the name {twice[0]!r}; give one of them another `name`")
        if study.masses:
            line = content.lc.key("masses")[0] + 1
            check_masses(study.masses, phases, "`masses`")
    except InputError as error:
        raise InputError(f"{path}, line {line}: {error}") from None
    return StudyFile(path=path, study=study, phases=phases)
