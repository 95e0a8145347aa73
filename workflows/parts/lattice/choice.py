"""What study files say of supercells, temperatures and isotopes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from megabar.structures.errors import InputError
from megabar.structures.isotopes import check_isotope
from megabar.structures.phase import Phase
from megabar.workflows.parts.lattice.supercell import LatticeAsked
from megabar.workflows.question import Model, one_or_more

MOST_TEMPERATURES = 200
HIGHEST_K = 20000.0
MOST_REPEATS = 12


class SupercellChoice(Model):
    """The supercells, where they are not to be those of the protocol."""

    length_A: float | None = Field(
        default=None, ge=3, le=60, description="how far atoms are at least from their images (Å)"
    )
    repeats: tuple[int, int, int] | None = Field(
        default=None, description="repeats of the phase's cell along its vectors, instead of that; of a single phase"
    )
    displacement_A: float | None = Field(default=None, gt=0, le=0.3, description="how far atoms are displaced (Å)")
    displacements: Literal["auto", "finite", "random"] = Field(
        default="auto",
        description="`finite`: one atom at a time, by symmetry; `random`: all atoms at random, fitted by symfc; "
        "`auto`: whichever costs less",
    )

    @model_validator(mode="after")
    def _one_size(self) -> SupercellChoice:
        if self.length_A is not None and self.repeats is not None:
            raise ValueError("`length_A` and `repeats` both give the size of the supercell: give one of them")
        if self.repeats is not None and not all(1 <= each <= MOST_REPEATS for each in self.repeats):
            raise ValueError(
                f"`repeats`: three whole numbers between 1 and {MOST_REPEATS} (found {list(self.repeats)})"
            )
        return self

    @property
    def asked(self) -> LatticeAsked:
        """The same as the part has it."""
        return LatticeAsked(self.length_A, self.displacement_A, self.displacements, self.repeats)


def temperature_list(value: Any) -> Any:
    """Return temperatures given as a number, a list, or ``{from: , to: , step: }`` as a list; all else as it is."""
    if not isinstance(value, Mapping):
        return one_or_more(value)
    if set(value) != {"from", "to", "step"} or not all(isinstance(each, int | float) for each in value.values()):
        raise ValueError("temperatures (K) are a number, a list, or `{from: , to: , step: }`")
    first, last, step = (float(value[name]) for name in ("from", "to", "step"))
    if step <= 0 or last < first or (last - first) / step > MOST_TEMPERATURES:
        raise ValueError(f"from {first:g} to {last:g} K by {step:g} K makes no list of up to {MOST_TEMPERATURES}")
    return [first + step * number for number in range(int((last - first) / step + 1e-9) + 1)]


def ascending_temperatures(values: tuple[float, ...]) -> tuple[float, ...]:
    """Return temperatures (K) sorted, each once; raises ValueError for impossible ones, and for too many."""
    wrong = [each for each in values if not 0 <= each <= HIGHEST_K]
    if wrong:
        raise ValueError(f"{wrong[0]:g} K is not possible here: between 0 and {HIGHEST_K:g} K")
    if len(values) > MOST_TEMPERATURES:
        raise ValueError(f"more than {MOST_TEMPERATURES} temperatures")
    return tuple(sorted(set(values)))


def check_masses(masses: Mapping[str, float], phases: Sequence[Phase], key: str) -> None:
    """Raise InputError for masses (u) of elements that are in no phase, and for impossible ones; key: of the file."""
    for element, mass in masses.items():
        if not any(element in phase.counts for phase in phases):
            raise InputError(f"{key}: there is no {element} in {', '.join(phase.name for phase in phases)}")
        check_isotope(element, mass, key)
