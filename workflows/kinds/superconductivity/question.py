"""What a study of superconductivity asks: the model of its file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from ase.data import chemical_symbols
from pydantic import BeforeValidator, Field, field_validator, model_validator

from megabar.analysis.superconductivity.formulas import check_mu_star
from megabar.structures.errors import InputError
from megabar.structures.isotopes import check_isotope
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


MOST_POINTS = 200


class SuperconductivityStudy(PressureStudy):
    """Tc of a structure at one or more pressures."""

    kind: Literal["superconductivity"] = Field(description="`superconductivity`")
    structure: str | PhaseFile = Field(description="a phase of the library, or a structure file")
    pressures: Annotated[Pressures | tuple[float, ...], BeforeValidator(one_or_more)] = Field(
        default=(0.0,), description="`{from: , to: , step: }`, a list, or one number (GPa)"
    )
    method: MethodChoice = Field(description="code (`espresso`), protocol and functional")
    mu_star: Annotated[tuple[float, ...], BeforeValidator(one_or_more)] = Field(
        default=(0.10, 0.13), description="the Coulomb pseudopotential μ*, one or several"
    )
    mu_ref_meV: float | None = Field(
        default=None,
        gt=0,
        description="the energy (meV) that μ* is referred to; by default the highest phonon frequency",
    )
    q_grid: tuple[int, int, int] | None = Field(
        default=None, description="q-points of the phonons, instead of the protocol's"
    )
    k_grid: tuple[int, int, int] | None = Field(
        default=None, description="k-points of the ground state and of the phonons' electrons"
    )
    k_grid_dense: tuple[int, int, int] | None = Field(
        default=None, description="k-points of the double delta; a multiple of both other grids"
    )
    isotopes: dict[str, float] = Field(
        default_factory=dict, description="masses (u) for which Tc is given besides the natural ones, as `{H: 2.014}`"
    )

    @field_validator("mu_star")
    @classmethod
    def _of_metals(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value:
            raise ValueError("at least one μ* is needed")
        for each in value:
            try:
                check_mu_star(each, "mu_star")
            except InputError as error:
                raise ValueError(str(error)) from None
        return tuple(sorted(set(value)))

    @field_validator("method")
    @classmethod
    def _with_phonons(cls, value: MethodChoice) -> MethodChoice:
        if value.code != "espresso":
            raise ValueError(f"electron-phonon coupling is computed with the code espresso, not with {value.code}")
        return value

    @model_validator(mode="after")
    def _commensurate(self) -> SuperconductivityStudy:
        for name in ("q_grid", "k_grid", "k_grid_dense"):
            if any(not 1 <= each <= MOST_POINTS for each in getattr(self, name) or ()):
                raise ValueError(
                    f"`{name}`: three whole numbers between 1 and {MOST_POINTS} (found {getattr(self, name)})"
                )
        for name, inner in (("k_grid_dense", "q_grid"), ("k_grid_dense", "k_grid")):
            dense, own = getattr(self, name), getattr(self, inner)
            if dense and own and any(one % other for one, other in zip(dense, own, strict=True)):
                raise ValueError(
                    f"`{name}` {list(dense)} does not hold the grid `{inner}` {list(own)}: each of its numbers must be "
                    "a multiple, as every q must connect two of its k-points"
                )
        for element, mass in self.isotopes.items():
            if element not in chemical_symbols or mass <= 0:
                raise ValueError(
                    f"`isotopes`: {element}: {mass:g} is no isotope; an element and its mass in u, as H: 2.014"
                )
            try:
                check_isotope(element, mass, "`isotopes`")
            except InputError as error:
                raise ValueError(str(error)) from None
        return self


def read(path: Path, content: CommentedMap) -> StudyFile[SuperconductivityStudy]:
    """Return the study in a YAML file's content with its structure.

    Raises InputError naming the file, the line and the key of a mistake.
    """
    study = validated(SuperconductivityStudy, content, path)
    line = content.lc.key("structure")[0] + 1
    try:
        phase = named_phase(study.structure, path.parent)
        if phase.insulating:
            raise InputError(f"the phase {phase.name!r} is an insulator: it has no electron-phonon Tc")
        for element in study.isotopes:
            if element not in phase.counts:
                line = content.lc.key("isotopes")[0] + 1
                raise InputError(f"`isotopes`: there is no {element} in {phase.name} ({phase.formula})")
    except InputError as error:
        raise InputError(f"{path}, line {line}: {error}") from None
    return StudyFile(path=path, study=study, phases=(phase,))
