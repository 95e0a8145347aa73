"""The ladder of volumes of a phase, on a grid that no study chooses, so that studies share calculations.

Rung i has the volume V(cell as known) · exp(−STEP·i): i grows with compression, 0 is the cell as known, and halves,
quarters … lie between. A relaxation starts from its neighbours towards rung 0; as their keys are part of the key,
equal keys have equal histories.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from fractions import Fraction
from typing import Any

from megabar.structures.phase import Phase
from megabar.structures.scaling import guess_volume, scaled_to
from megabar.workflows.calculation import AS_IT_IS, Calculation, inputs_of
from megabar.workflows.parts.method import Method
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.relax import Relax

STEP = 0.2
"""Distance of neighbouring rungs in ln V."""
RATTLE_A = 0.03
"""Random displacements (Å) of the symmetry-broken check."""
FINEST = 1024
"""Rungs lie at multiples of 1/FINEST, so that their place is exact in every document."""


@dataclass(frozen=True)
class Ladder:
    """A phase with the settings that it has at all volumes and the pressures where it is computed first.

    structure: the cell as known, at about ``pressure_GPa``; window_GPa: where the phase is computed at first;
    it is extended from there where it turns out to be on the hull at the window's end.
    relaxation: None where symmetry leaves nothing to relax at fixed volume.
    first: indices of the first rungs. judge_settings: those of the verifying code, None where there is none;
    reference_settings: the study's own on the verifying code's k-points, for the difference of the two codes;
    symmetry_check: limits of the relaxation from a rattled cell, None where it is not asked for;
    functional_settings: by functional, those of the single points by other functionals.
    """

    phase: str
    formula: str
    source: str
    doi: str
    note: str
    structure: Structure
    pressure_GPa: float
    known_GPa: tuple[float, float]
    window_GPa: tuple[float, float]
    settings: Mapping[str, Any]
    relaxation: Relax | None
    first: tuple[Fraction, ...]
    judge_settings: Mapping[str, Any] | None = None
    reference_settings: Mapping[str, Any] | None = None
    symmetry_check: Relax | None = None
    functional_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the ladder as JSON-able data; without other functionals as it was before there were any."""
        content = {**asdict(self), "first": [str(index) for index in self.first]}
        if not self.functional_settings:
            del content["functional_settings"]
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Ladder:
        """Return the ladder stored by ``to_dict``."""
        fields = dict(content)
        fields["structure"] = Structure.from_dict(content["structure"])
        for name in ("relaxation", "symmetry_check"):
            fields[name] = Relax(**content[name]) if content[name] else None
        for name in ("known_GPa", "window_GPa"):
            fields[name] = tuple(content[name])
        fields["first"] = tuple(Fraction(index) for index in content["first"])
        return cls(**fields)

    def volume(self, index: Fraction | int) -> float:
        """Return the volume of a rung (Å³/atom)."""
        return self.structure.volume_per_atom * math.exp(-STEP * float(index))

    def index_at(self, volume: float) -> Fraction:
        """Return the index, in FINEST-ths, nearest to a volume (Å³/atom)."""
        return Fraction(round(FINEST * math.log(self.structure.volume_per_atom / volume) / STEP), FINEST)

    def calculation(self, method: Method, index: Fraction | int, starts: Sequence[str] = ()) -> Calculation:
        """Return the calculation of a rung, relaxed from the results of the calculations with the keys ``starts``."""
        atoms = scaled_to(self.structure.atoms(), self.volume(index))
        return Calculation(
            code=method.code,
            version=method.version,
            settings=self.settings,
            structure=Structure.of(atoms),
            data=tuple(each for each in method.data if each.element in self.structure.symbols),
            task=self.relaxation or AS_IT_IS,
            inputs=inputs_of(self.relaxation, starts) if self.relaxation else (),
        )

    def judged(self, method: Method, index: Fraction | int, start: str) -> Calculation:
        """Return the verifying code's single point on the relaxed structure of the calculation ``start``."""
        own = self.calculation(method, index)
        return replace(own, settings=self.judge_settings or {}, task=AS_IT_IS, inputs=inputs_of(AS_IT_IS, [start]))

    def reference(self, method: Method, index: Fraction | int, start: str) -> Calculation:
        """Return the study's own code's single point with the verifying code's k-points, on the same structure."""
        own = self.calculation(method, index)
        return replace(own, settings=self.reference_settings or {}, task=AS_IT_IS, inputs=inputs_of(AS_IT_IS, [start]))

    def by_functional(self, method: Method, index: Fraction | int, start: str) -> Calculation:
        """Return the single point by another functional on the relaxed structure of the calculation ``start``."""
        own = self.calculation(method, index)
        settings = self.functional_settings[method.functional]
        return replace(own, settings=settings, task=AS_IT_IS, inputs=inputs_of(AS_IT_IS, [start]))

    def rattled(self, method: Method, index: Fraction | int, start: str) -> Calculation:
        """Return a relaxation without symmetry from the slightly rattled result of the calculation ``start``."""
        own = self.calculation(method, index)
        limits = self.relaxation or self.symmetry_check
        assert limits is not None
        loose = replace(limits, shape=True, rattle_A=RATTLE_A)
        return replace(own, task=loose, inputs=inputs_of(loose, [start]))


@dataclass(frozen=True)
class Rung:
    """One volume of a phase that a study has asked for.

    purpose: why: ``ladder``, ``coverage``, ``extension``, ``refinement``, ``crossing``,
    ``verification``, ``symmetry check``, ``other functional``.
    kind: ``main``; ``judge``: the verifying code's single point on the structure of the calculation ``start``, and
    ``reference``: the study's code's, with the same k-points;
    ``rattled``: a relaxation without symmetry from it; ``functional …``: its energy and stress by another functional.
    """

    phase: str
    index: Fraction
    key: str
    starts: tuple[str, ...]
    purpose: str
    kind: str = "main"

    @property
    def start(self) -> str | None:
        """Key of the calculation that it starts from, the nearest one where there are two."""
        return self.starts[0] if self.starts else None

    def to_dict(self) -> dict[str, Any]:
        """Return the rung as JSON-able data."""
        return {**asdict(self), "index": str(self.index)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Rung:
        """Return the rung stored by ``to_dict``; what rungs of other kinds of studies have besides is left out."""
        own = {each.name: content[each.name] for each in fields(cls) if each.name in content}
        return cls(**{**own, "index": Fraction(content["index"]), "starts": tuple(content["starts"])})


def first_indices(
    phase: Phase, window_GPa: tuple[float, float], asked_GPa: tuple[float, float]
) -> tuple[Fraction, ...]:
    """Return the indices whose guessed volumes about cover a window of pressures (GPa), at least two, ascending.

    Whole numbers, and half ones at the ends where these fit better. Rounded inwards, as guesses are off by some
    percent and what is missing is added when that is seen, but outwards where the pressures (GPa) that the phase is
    known for, as far as they are asked for, would not be covered.
    """

    def halves(pressure_GPa: float) -> float:
        return 2 * math.log(phase.volume_per_atom / guess_volume(phase, pressure_GPa)) / STEP

    # A guess is the less to be trusted the further it is from the cell as known.
    known = [halves(min(max(end, asked_GPa[0]), asked_GPa[1])) for end in phase.known_GPa]
    doubt = [0.1 + 0.12 * abs(end) for end in known]
    low = Fraction(min(math.ceil(halves(window_GPa[0])), math.floor(known[0] + doubt[0])), 2)
    high = Fraction(max(math.floor(halves(window_GPa[1])), math.ceil(known[1] - doubt[1])), 2)
    if high - low < Fraction(1, 2):
        high = low + Fraction(1, 2)
    inner = [Fraction(number) for number in range(math.floor(low) + 1, math.ceil(high))]
    return (low, *inner, high)


def chain_parents(index: Fraction, done: Collection[Fraction]) -> tuple[Fraction, ...]:
    """Return the rungs to start a relaxation from, the nearest first: two on either side, or two in a row, or one."""
    if not done:
        return ()
    nearest = min(done, key=lambda other: (abs(other - index), abs(other), other))
    across = [other for other in done if (other - index) * (nearest - index) < 0 and abs(other - index) <= 1]
    behind = [other for other in done if 0 < (other - nearest) * (1 if nearest > index else -1) <= 1]
    if across:
        return nearest, min(across, key=lambda other: abs(other - index))
    if behind and abs(nearest - index) <= 1:
        return nearest, min(behind, key=lambda other: abs(other - nearest))
    return (nearest,)
