"""What study files of all kinds share: pressures, phases, the method; validated before anything else happens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from megabar.structures.errors import InputError
from megabar.structures.files import read_phase
from megabar.structures.library import find_phase, library
from megabar.structures.names import check_name
from megabar.structures.phase import Phase
from megabar.workflows.codes.registry import ADAPTERS
from megabar.workflows.hashing import digest
from megabar.workflows.protocols import protocol_names
from megabar.workflows.yaml_input import nearest

LOWEST_GPA, HIGHEST_GPA, MOST_PRESSURES = -20.0, 5000.0, 2001


class Model(BaseModel):
    """A part of a study file: what it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Pressures(Model):
    """Pressures from a first to a last one in equal steps (GPa)."""

    first: float = Field(alias="from", description="the lowest pressure (GPa), −20 or more")
    last: float = Field(alias="to", description="the highest pressure (GPa), 5000 or less")
    step: float = Field(default=25.0, gt=0, description="between two pressures (GPa)")

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


class PhaseFile(Model):
    """A phase from a structure file: where it is, and optionally its name and the pressure of its cell (GPa)."""

    file: str = Field(description="a structure file (CIF, POSCAR, extxyz, …), beside the study file or with its path")
    name: str | None = Field(default=None, description="what the phase is called; by default as the file")
    pressure: float | None = Field(
        default=None, description="pressure (GPa) of the cell in the file, where the file does not tell it"
    )


class MethodChoice(Model):
    """Which code computes, how accurately and with which functional; cutoff and k-points may be set by hand."""

    code: str = Field(description="`gpaw`, `espresso`, `abinit`, `vasp`, `elk`, or the toy `emt`")
    protocol: str = Field(default="fast", description="`fast`, `moderate` or `precise`: a named accuracy")
    functional: str = Field(default="PBE", description="as the code calls it; `PBE+D3`, `PBE+D4` with GPAW")
    cutoff_eV: float | None = Field(default=None, gt=0, description="plane-wave cutoff (eV), instead of the protocol's")
    kpoint_density: float | None = Field(
        default=None,
        gt=0,
        le=50,
        description="k-points per Å⁻¹ (2π included), instead of the protocol's; metals of fewer than four atoms a cell "
        "get denser ones",
    )

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


def one_or_more(value: Any) -> Any:
    """Return a number as a list of one, and all else as it is."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [value]
    return value


def ascending(value: Pressures | tuple[float, ...]) -> Pressures | tuple[float, ...]:
    """Return pressures sorted, each once; raises ValueError for impossible ones and for none."""
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


class Study(Model):
    """What a study file asks; every kind has its own.

    later: keys that came after studies were first stored: they are left out of a study's hash where they are empty, so
    that an old file stays the same study.
    """

    later: ClassVar[tuple[str, ...]] = ()
    kind: str = Field(description="the kind of study")


class PressureStudy(Study):
    """A study at one or more pressures, or from a first to a last one (GPa)."""

    pressures: Annotated[Pressures | tuple[float, ...], BeforeValidator(one_or_more)] = Field(
        description="`{from: , to: , step: }`, a list, or one number (GPa); they set the range and the tables, and "
        "transitions are found between them"
    )

    @field_validator("pressures")
    @classmethod
    def _possible(cls, value: Pressures | tuple[float, ...]) -> Pressures | tuple[float, ...]:
        return ascending(value)

    @property
    def pressure_values(self) -> tuple[float, ...]:
        """The pressures asked for (GPa), ascending."""
        return self.pressures.values() if isinstance(self.pressures, Pressures) else self.pressures


AskedT = TypeVar("AskedT", bound=Study)


@dataclass(frozen=True)
class StudyFile(Generic[AskedT]):
    """A study with the file that it came from and the phases it names."""

    path: Path
    study: AskedT
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
        asked = {name: value for name, value in asked.items() if name not in self.study.later or value}
        return f"{self.name}-{digest([asked, cells])[:8]}"


def named_phase(entry: str | PhaseFile, folder: Path) -> Phase:
    """Return a phase that a study names: of the library, or from a file, its path relative to a folder."""
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
