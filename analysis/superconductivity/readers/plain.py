"""Two plain columns: ω and α²F."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.checks import check_lambda
from megabar.analysis.superconductivity.readers.reading import Reading, Variant, variant
from megabar.analysis.superconductivity.readers.text import NUMBER, read_text, rows
from megabar.analysis.superconductivity.units import unit_named
from megabar.structures.errors import InputError

DEFAULT = "meV"
_UNITS = re.compile(r"(?<![A-Za-z])(meV|eV|THz|cm-1|cm\^-1|cm\^\{-1\}|1/cm|Ry|Rydberg|Ha|Hartree|K)(?![A-Za-z])")
_SIGMA = re.compile(r"\b(sigma|error|errors|std|stderr|uncertainty)\b|σ", re.IGNORECASE)
_LAMBDA = re.compile(rf"(?:λ|\blambda)(?:\s*[=:]\s*|\s+)({NUMBER})", re.IGNORECASE)


def read_plain(path: Path, unit: str | None = None) -> Reading:
    """Read two columns, ω and α²F; lines that are not numbers are comments, further columns are left aside.

    A third one is the standard error of α²F where a comment names it: sigma, σ, error, std or uncertainty.

    unit: of ω; where none is given, the one that a comment names, else meV, which is said in a note. A comment that
    states λ (``lambda = 0.44``) is held against 2∫α²F/ω dω. Raises InputError for what cannot be meant.
    """
    text = read_text(path)
    table = rows(text, path)
    comments = "\n".join(line for line in text.splitlines() if not re.match(rf"\s*(?:{NUMBER})", line))
    chosen, said = _unit(path, comments, unit)
    found = variant(table[:, 0], table[:, 1], str(path), "second column", chosen, notes=said)
    for stated in _LAMBDA.findall(comments):
        check_lambda(found.spectrum.lambda_, float(stated), str(path))
    if table.shape[1] > 2 and _SIGMA.search(comments):
        found = _with_errors(found, table, path)
        return Reading(str(path), "plain columns", (found,), notes=("the third column is the standard error of α²F",))
    notes = (f"of {table.shape[1]} columns the first two were taken",) if table.shape[1] > 2 else ()
    return Reading(str(path), "plain columns", (found,), notes=notes)


def _with_errors(found: Variant, table: NDArray[np.float64], path: Path) -> Variant:
    """Return a spectrum with the standard errors of the third column; InputError where they cannot be that."""
    errors = table[table[:, 0] > 0, 2]
    if not (np.all(np.isfinite(errors)) and np.all(errors >= 0)):
        raise InputError(f"{path}: a standard error of α²F (third column) is negative or not a number")
    return replace(found, spectrum=replace(found.spectrum, sigma=errors))


def _unit(path: Path, comments: str, asked: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the unit of the frequencies and what is to be said about it."""
    named = {unit_named(word.replace("^{-1}", "-1")) for word in _UNITS.findall(comments)}
    if asked is not None:
        wanted = unit_named(asked)
        if len(named) == 1 and named != {wanted}:
            raise InputError(f"{path}: its comments say {named.pop()}, but the unit asked for is {wanted}")
        return wanted, ()
    if len(named) == 1:
        return named.pop(), ()
    said = f"the file does not say the unit of its frequencies: taken as {DEFAULT} (--unit says another)"
    return DEFAULT, (said,)
