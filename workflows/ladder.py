"""The ladder of volumes of a phase, on a grid that no study chooses, so that studies share calculations.

Rung i has the volume V(cell as known) · exp(−STEP·i): i grows with compression, 0 is the cell as known, and halves,
quarters … lie between. A relaxation starts from its neighbour towards rung 0; as the neighbour's key is part of the
key, equal keys have equal histories.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from megabar.structures.phase import Phase
from megabar.structures.scaling import guess_volume, scaled_to
from megabar.workflows.calculation import Calculation, Relaxation, Structure
from megabar.workflows.codes.interface import AtomicData

STEP = 0.2
"""Distance of neighbouring rungs in ln V."""
FINEST = 1024
"""Rungs lie at multiples of 1/FINEST, so that their place is exact in every document."""


@dataclass(frozen=True)
class Method:
    """What all calculations of a study share: code, version, protocol, functional, atomic data of its elements."""

    code: str
    version: str
    protocol: str
    functional: str
    data: tuple[AtomicData, ...]

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Method:
        """Return the method stored as a dictionary."""
        return cls(**{**content, "data": tuple(AtomicData(**each) for each in content["data"])})


@dataclass(frozen=True)
class Ladder:
    """A phase with the settings that it has at all volumes and the pressures where it is computed first.

    structure: the cell as known, at about ``pressure_GPa``; window_GPa: where the phase is computed at first;
    it is extended from there where it turns out to be on the hull at the window's end.
    relaxation: None where symmetry leaves nothing to relax at fixed volume.
    first: indices of the first rungs.
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
    relaxation: Relaxation | None
    first: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the ladder as JSON-able data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Ladder:
        """Return the ladder stored by ``to_dict``."""
        fields = dict(content)
        fields["structure"] = Structure.from_dict(content["structure"])
        fields["relaxation"] = Relaxation(**content["relaxation"]) if content["relaxation"] else None
        for name in ("known_GPa", "window_GPa", "first"):
            fields[name] = tuple(content[name])
        return cls(**fields)

    def volume(self, index: Fraction | int) -> float:
        """Return the volume of a rung (Å³/atom)."""
        return self.structure.volume_per_atom * math.exp(-STEP * float(index))

    def index_at(self, volume: float) -> Fraction:
        """Return the index, in FINEST-ths, nearest to a volume (Å³/atom)."""
        return Fraction(round(FINEST * math.log(self.structure.volume_per_atom / volume) / STEP), FINEST)

    def calculation(self, method: Method, index: Fraction | int, start: str | None) -> Calculation:
        """Return the calculation of a rung, relaxed from the result of the calculation with the key ``start``."""
        atoms = scaled_to(self.structure.atoms(), self.volume(index))
        return Calculation(
            code=method.code,
            version=method.version,
            settings=self.settings,
            structure=Structure.of(atoms),
            data=tuple(each for each in method.data if each.element in self.structure.symbols),
            relaxation=self.relaxation,
            start=start if self.relaxation else None,
        )


@dataclass(frozen=True)
class Rung:
    """One volume of a phase that a study has asked for.

    purpose: why: ``ladder``, ``coverage``, ``extension``, ``refinement``, ``crossing``.
    judge: whether the verifying code computes it, on the structure of the calculation ``start``.
    """

    phase: str
    index: Fraction
    key: str
    start: str | None
    purpose: str
    judge: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the rung as JSON-able data."""
        return {**asdict(self), "index": str(self.index)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Rung:
        """Return the rung stored by ``to_dict``."""
        return cls(**{**content, "index": Fraction(content["index"])})


def first_indices(phase: Phase, window_GPa: tuple[float, float]) -> tuple[int, ...]:
    """Return the whole indices whose guessed volumes cover a window of pressures (GPa), at least two."""
    low, high = (
        math.log(phase.volume_per_atom / guess_volume(phase, pressure)) / STEP for pressure in window_GPa
    )
    first, last = math.floor(low + 0.1), math.ceil(high - 0.1)
    return tuple(range(first, max(last, first + 1) + 1))


def chain_parent(index: Fraction, ended: Collection[Fraction]) -> Fraction | None:
    """Return the nearest of the ended rungs to start from, towards rung 0 where two are as near."""
    if not ended:
        return None
    return min(ended, key=lambda other: (abs(other - index), abs(other)))
