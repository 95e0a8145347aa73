"""What files of phonopy say of a crystal, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from megabar.analysis.phonons.harmonic import Harmonic
from megabar.analysis.phonons.sum_rule import Fit


@dataclass(frozen=True, eq=False)
class PhononReading:
    """A crystal from files.

    source: the file or folder as it was named. code: whose forces they are, as phonopy names it. pressure_GPa: None
    where no file says it. constants_from, polar_from: the files that force constants and Born charges are from. fit:
    how the forces fit, None where there are none. other: the same crystal with its symmetry imposed where the force
    constants were read, or without where it had to be: what differs is an error of theirs.
    """

    source: Path
    code: str
    harmonic: Harmonic
    pressure_GPa: float | None
    constants_from: Path
    polar_from: Path | None
    fit: Fit | None
    other: Harmonic | None
    notes: tuple[str, ...]
