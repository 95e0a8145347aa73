"""ALPHA2F.OUT of Elk and exciting, with LAMBDA.OUT or MCMILLAN.OUT beside it.

Format: ``write(50,'(2G18.10)') w(iw),a2f(iw)`` in Elk's alpha2f.f90 (task 250), frequencies in hartree, on a grid from
a tenth of the phonons' range below the lowest to a tenth above the highest one; so it begins below 0. λ as Elk
integrates it stands in LAMBDA.OUT (Elk 1, exciting) or MCMILLAN.OUT.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from megabar.analysis.superconductivity.checks import check_lambda
from megabar.analysis.superconductivity.readers.reading import Array, Reading, of_stable_modes, own_unit, variant
from megabar.analysis.superconductivity.readers.text import NUMBER, read_text, rows
from megabar.analysis.superconductivity.units import MEV_PER

NAME = "ALPHA2F.OUT"
LAMBDA_FILES = ("MCMILLAN.OUT", "LAMBDA.OUT")
_LAMBDA = re.compile(rf"(?:coupling constant|enhancement parameter)[^:]*:\s*({NUMBER})")
_PADDING = 0.1
_NOISE = 0.01
"""Share of the highest frequency by which acoustic modes may be below 0 by rounding."""


def read_elk(path: Path, unit: str | None = None) -> Reading:
    """Read ALPHA2F.OUT; λ is held against LAMBDA.OUT or MCMILLAN.OUT of the same folder where they are."""
    own = own_unit(str(path), "Elk", "Ha", unit)
    table = rows(read_text(path), path)
    omega, alpha2f, said = of_stable_modes(table[:, 0], table[:, 1], str(path), own)
    said += _below_zero(table[:, 0])
    found = variant(omega, alpha2f, str(path), "α²F", own, notes=said)
    notes: tuple[str, ...] = ()
    stated = stated_lambda(path.parent)
    if stated is None:
        notes = ("there is no LAMBDA.OUT or MCMILLAN.OUT beside it to hold λ against",)
    else:
        check_lambda(found.spectrum.lambda_, stated[1], f"{path} with {stated[0]}")
    return Reading(str(path), "Elk", (found,), notes=notes)


def stated_lambda(folder: Path) -> tuple[str, float] | None:
    """Return the name of the file in which Elk states λ, and λ; None where there is none."""
    for name in LAMBDA_FILES:
        if (folder / name).is_file():
            match = _LAMBDA.search(read_text(folder / name))
            if match:
                return name, float(match.group(1))
    return None


def _below_zero(omega: Array) -> tuple[str, ...]:
    """Say it where the grid itself tells that there are imaginary phonons."""
    span = (omega[-1] + (omega[1] - omega[0]) - omega[0]) / (1 + 2 * _PADDING)
    lowest = float(omega[0] + _PADDING * span)
    if not np.isfinite(lowest) or lowest >= -_NOISE * span:
        return ()
    return (f"the phonons of this calculation go down to {lowest * MEV_PER['Ha']:.3g} meV: some are imaginary",)
