"""The study file: what the user asks, validated before anything else happens."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ase.data import chemical_symbols
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from megabar.analysis.superconductivity.formulas import check_mu_star
from megabar.structures.composition import parse_system
from megabar.structures.errors import InputError
from megabar.structures.files import read_phase
from megabar.structures.library import find_phase, library, phases_of
from megabar.structures.names import check_folder_name, check_name
from megabar.structures.phase import Phase
from megabar.workflows.calculation import digest
from megabar.workflows.codes.registry import ADAPTERS
from megabar.workflows.protocols import protocol_names
from megabar.workflows.yaml_input import nearest, read_yaml, validated

if TYPE_CHECKING:
    from ruamel.yaml.comments import CommentedMap

STUDIES = ("stability", "superconductivity")
MOST_POINTS = 200
NEWER = ("functionals",)
"""Keys of study files that are left out of a study's hash where they are empty."""
LOWEST_GPA, HIGHEST_GPA, MOST_PRESSURES = -20.0, 5000.0, 2001


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Pressures(_Model):
    """Pressures from a first to a last one in equal steps (GPa)."""

    first: float = Field(alias="from")
    last: float = Field(alias="to")
    step: float = Field(default=25.0, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Pressures:
        _check_pressures((self.first, self.last))
        if self.first >= self.last:
            raise ValueError(f"`from` ({self.first:g} GPa) must be below `to` ({self.last:g} GPa)")
        if (self.last - self.first) / self.step > MOST_PRESSURES:
            raise ValueError(f"a step of {self.step:g} GPa makes more than {MOST_PRESSURES} pressures")
        return self

    def values(self) -> tuple[float, ...]:
        """Return all pressures (GPa), the last one included."""
        count = math.floor((self.last - self.first) / self.step + 1e-9)
        values = [self.first + index * self.step for index in range(count + 1)]
        return tuple(values if math.isclose(values[-1], self.last) else [*values, self.last])


class PhaseFile(_Model):
    """A phase from a structure file: where it is, and optionally its name and the pressure of its cell (GPa)."""

    file: str
    name: str | None = None
    pressure: float | None = None


class MethodChoice(_Model):
    """Which code computes, how accurately and with which functional; cutoff and k-points may be set by hand."""

    code: str
    protocol: str = "fast"
    functional: str = "PBE"
    cutoff_eV: float | None = Field(default=None, gt=0)
    kpoint_density: float | None = Field(default=None, gt=0, le=50)

    @field_validator("code")
    @classmethod
    def _known_code(cls, value: str) -> str:
        if value not in ADAPTERS:
            raise ValueError(f"unknown code{nearest(value, list(ADAPTERS))} (known: {', '.join(ADAPTERS)})")
        return value

    @field_validator("protocol")
    @classmethod
    def _known_protocol(cls, value: str) -> str:
        names = protocol_names()
        if value not in names:
            raise ValueError(f"unknown protocol{nearest(value, list(names))} (known: {', '.join(names)})")
        return value


class Verification(_Model):
    """Which other code judges the compound's transition: single points on the same structures, differences only."""

    code: Literal["elk"]
    protocol: str = "moderate"


def _pressures(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [value]
    return value


class StabilityStudy(_Model):
    """Which phases of a system are stable between two pressures.

    accuracy_meV: uncertainty of an enthalpy (meV/atom) above which a volume is added where the hull depends on it;
    None: the protocol's.
    symmetry_check: also relax slightly rattled cells, to see whether a lower symmetry is preferred.
    functionals: others by which the hull is compared, from single points on the structures of the study's own.
    """

    kind: Literal["stability"]
    system: str
    pressures: Annotated[Pressures | tuple[float, ...], BeforeValidator(_pressures)]
    phases: Literal["library"] | tuple[str | PhaseFile, ...] = "library"
    method: MethodChoice
    verify: Verification | None = None
    accuracy_meV: float | None = Field(default=None, gt=0)
    symmetry_check: bool = False
    functionals: tuple[str, ...] = ()

    @field_validator("system")
    @classmethod
    def _known_elements(cls, value: str) -> str:
        try:
            parse_system(value)
        except InputError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("pressures")
    @classmethod
    def _possible(cls, value: Pressures | tuple[float, ...]) -> Pressures | tuple[float, ...]:
        return _ascending(value)

    @property
    def pressure_values(self) -> tuple[float, ...]:
        """The pressures asked for (GPa), ascending."""
        return self.pressures.values() if isinstance(self.pressures, Pressures) else self.pressures


class SuperconductivityStudy(_Model):
    """Tc of a structure at one or more pressures.

    structure: a phase of the library or a structure file. mu_star: the Coulomb pseudopotentials, referred to
    mu_ref_meV (meV), by default to the highest phonon frequency. q_grid, k_grid, k_grid_dense: of phonons, of the
    ground state and phonons' electrons, of the double delta; the protocol's where they are not given.
    isotopes: masses (u) for which Tc is given besides the natural ones.
    """

    kind: Literal["superconductivity"]
    structure: str | PhaseFile
    pressures: Annotated[Pressures | tuple[float, ...], BeforeValidator(_pressures)] = (0.0,)
    method: MethodChoice
    mu_star: Annotated[tuple[float, ...], BeforeValidator(_pressures)] = (0.10, 0.13)
    mu_ref_meV: float | None = Field(default=None, gt=0)
    q_grid: tuple[int, int, int] | None = None
    k_grid: tuple[int, int, int] | None = None
    k_grid_dense: tuple[int, int, int] | None = None
    isotopes: dict[str, float] = Field(default_factory=dict)

    @field_validator("pressures")
    @classmethod
    def _possible(cls, value: Pressures | tuple[float, ...]) -> Pressures | tuple[float, ...]:
        return _ascending(value)

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
        from megabar.analysis.superconductivity.isotopes import check_isotope

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

    @property
    def pressure_values(self) -> tuple[float, ...]:
        """The pressures asked for (GPa), ascending."""
        return self.pressures.values() if isinstance(self.pressures, Pressures) else self.pressures


def _ascending(value: Pressures | tuple[float, ...]) -> Pressures | tuple[float, ...]:
    if isinstance(value, tuple):
        if not value:
            raise ValueError("at least one pressure is needed")
        _check_pressures(value)
        return tuple(sorted(set(value)))
    return value


def _check_pressures(values: tuple[float, ...]) -> None:
    for value in values:
        if not LOWEST_GPA <= value <= HIGHEST_GPA:
            raise ValueError(f"{value:g} GPa is not possible here: between {LOWEST_GPA:g} and {HIGHEST_GPA:g} GPa")


class StudyFile(_Model):
    """A study with the file that it came from and the phases it names."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    path: Path
    study: StabilityStudy | SuperconductivityStudy
    phases: tuple[Phase, ...]

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def identifier(self) -> str:
        """Name and a hash of what is asked, so that an edited file is another study."""
        cells = [(phase.name, phase.atoms.cell.array, phase.atoms.get_scaled_positions()) for phase in self.phases]
        asked = self.study.model_dump(mode="json")
        # What earlier versions did not know must not make another study of an old file.
        asked = {name: value for name, value in asked.items() if name not in NEWER or value}
        return f"{self.name}-{digest([asked, cells])[:8]}"


def load_study(path: Path) -> StudyFile:
    """Return the study in a YAML file with its phases.

    Raises InputError naming the file, the line and the key of a mistake.
    """
    content = read_yaml(path)
    try:
        check_folder_name(path.stem, "a study has the name of its file, and")
    except InputError as error:
        raise InputError(f"{path}: {error}: rename the file") from None
    kind = content.get("kind")
    if kind not in STUDIES:
        found = "is missing" if kind is None else f"is {kind!r}"
        raise InputError(
            f"{path}, line {1 if kind is None else content.lc.key('kind')[0] + 1}: the key `kind` {found}; "
            f"this version knows the kinds {', '.join(f'`{each}`' for each in STUDIES)}"
        )
    if kind == "superconductivity":
        return _superconductivity(path, content)
    study = validated(StabilityStudy, content, path)
    line = content.lc.key("phases")[0] + 1 if "phases" in content else 1
    try:
        phases = _phases(study, path.parent)
        _check_phases(study, phases)
    except InputError as error:
        raise InputError(f"{path}, line {line}: {error}") from None
    return StudyFile(path=path, study=study, phases=phases)


def _superconductivity(path: Path, content: CommentedMap) -> StudyFile:
    study = validated(SuperconductivityStudy, content, path)
    line = content.lc.key("structure")[0] + 1
    try:
        phase = _phase(study.structure, path.parent)
        if phase.insulating:
            raise InputError(f"the phase {phase.name!r} is an insulator: it has no electron-phonon Tc")
        for element in study.isotopes:
            if element not in phase.counts:
                line = content.lc.key("isotopes")[0] + 1
                raise InputError(f"`isotopes`: there is no {element} in {phase.name} ({phase.formula})")
    except InputError as error:
        raise InputError(f"{path}, line {line}: {error}") from None
    return StudyFile(path=path, study=study, phases=(phase,))


def _phases(study: StabilityStudy, folder: Path) -> tuple[Phase, ...]:
    elements = parse_system(study.system)
    if study.phases == "library":
        return tuple(phases_of(elements))
    return tuple(_phase(entry, folder) for entry in study.phases)


def _phase(entry: str | PhaseFile, folder: Path) -> Phase:
    if isinstance(entry, PhaseFile):
        if entry.name is not None:
            check_name(entry.name, "the phase")
        return _named(read_phase(folder / entry.file, entry.name, entry.pressure))
    path = folder / entry
    if entry not in library() and (path.is_file() or path.suffix or "/" in entry):
        return _named(read_phase(path))
    return find_phase(entry)


def _named(phase: Phase) -> Phase:
    """Return a phase from a file; raises InputError where the file's name is none for a phase."""
    try:
        check_name(phase.name, "the phase")
    except InputError as error:
        raise InputError(f"{error}: give it another `name` ({{file: …, name: …}})") from None
    return phase


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
