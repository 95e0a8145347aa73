"""Plain columns: ω and α²F, and perhaps more, with or without a heading."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.checks import check_lambda
from megabar.analysis.superconductivity.likeness import other_spectrum
from megabar.analysis.superconductivity.readers.headings import Heading, heading_of
from megabar.analysis.superconductivity.readers.reading import Reading, Variant, variant
from megabar.analysis.superconductivity.readers.text import NUMBER, numbers, read_text, rows
from megabar.analysis.superconductivity.units import unit_named
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
DEFAULT = "meV"
INSIST = "--as-alpha2f takes it for α²F all the same"
_SIGMA = re.compile(r"\b(sigma|error|errors|std|stderr|uncertainty)\b|σ", re.IGNORECASE)
_LAMBDA = re.compile(rf"(?:λ|\blambda)(?:\s*[=:]\s*|\s+)({NUMBER})", re.IGNORECASE)


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are what; errors: of the standard errors of α²F, if there are any."""

    frequency: int
    alpha2f: int
    errors: int | None
    notes: tuple[str, ...]


def read_plain(path: Path, unit: str | None = None, *, insist: bool = False) -> Reading:
    """Read ω and α²F from columns; lines that are not numbers are comments, further columns are left aside.

    They are the first two, or those that a heading names so; where a comment names sigma, σ, error, std or
    uncertainty, the one behind α²F is its standard error. A comment that states λ (``lambda = 0.44``) is held against
    2∫α²F/ω dω.

    unit: of ω, whatever the file says; where none is given, that of the heading, else meV, which is said in a note.
    insist: take for α²F what looks like another spectrum. Raises InputError for what cannot be meant.
    """
    text = read_text(path)
    table = rows(text, path)
    comments = [line for line in text.splitlines() if line.strip() and numbers(line) is None]
    heading = heading_of(comments, table.shape[1])
    columns = _columns(table, heading, "\n".join(comments), path)
    chosen, said = _unit(path, heading, unit)
    omega, value = table[:, columns.frequency], table[:, columns.alpha2f]
    label = heading.names[columns.alpha2f] if heading.alpha2f else "second column"
    found = variant(omega, value, str(path), label, chosen, notes=said)
    looks = other_spectrum(omega, value, found.spectrum, path.name, heading.other)
    if looks is not None and not insist:
        raise InputError(f"{path}: this does not look like α²F: {looks}; {INSIST}")
    for stated in _LAMBDA.findall("\n".join(comments)):
        check_lambda(found.spectrum.lambda_, float(stated), str(path))
    notes = columns.notes if looks is None else (*columns.notes, f"taken for α²F as asked, though {looks}")
    if columns.errors is not None:
        found = _with_errors(found, table[omega > 0, columns.errors], path)
    return Reading(str(path), "plain columns", (found,), notes=notes)


def _columns(table: Array, heading: Heading, comments: str, path: Path) -> Columns:
    """Return which columns are meant; InputError where the first one counts the rows."""
    width = table.shape[1]
    frequency = 0 if heading.frequency is None else heading.frequency
    named = [place for place in heading.alpha2f if place != frequency]
    if frequency and not named and frequency + 1 == width:
        raise InputError(
            f"{path}: its heading names the last column, {heading.names[frequency]!r}, as the frequency, none as α²F"
        )
    alpha2f = named[0] if named else frequency + 1
    if not heading.names and _counts_rows(table):
        raise InputError(
            f"{path}: its first column counts the rows, and the second rises with them: name the columns in a heading "
            "(# n omega a2F), or leave the first one out"
        )
    errors = alpha2f + 1 if alpha2f + 1 < width and _SIGMA.search(comments) else None
    if errors is not None:
        return Columns(frequency, alpha2f, errors, (f"the {_ordinal(errors)} column is the standard error of α²F",))
    if width == 2:
        return Columns(frequency, alpha2f, None, ())
    if (frequency, alpha2f) == (0, 1) and len(named) < 2:
        return Columns(0, 1, None, (f"of {width} columns the first two were taken",))
    taken = f"{heading.names[frequency]!r} and {heading.names[alpha2f]!r}"
    others = "".join(f"; {heading.names[place]!r} may be one too" for place in named[1:])
    return Columns(frequency, alpha2f, None, (f"of {width} columns {taken} were taken for ω and α²F{others}",))


def _ordinal(place: int) -> str:
    return ("first", "second", "third")[place] if place < 3 else f"{place + 1}th"


def _counts_rows(table: Array) -> bool:
    if table.shape[1] < 3:
        return False
    counted, second, third = np.diff(table[:, 0]), np.diff(table[:, 1]), np.diff(table[:, 2])
    return bool(table[0, 0] in (0, 1) and np.all(counted == 1) and np.all(second > 0) and np.any(third < 0))


def _with_errors(found: Variant, errors: Array, path: Path) -> Variant:
    """Return a spectrum with the standard errors of α²F; InputError where they cannot be that."""
    if not (np.all(np.isfinite(errors)) and np.all(errors >= 0)):
        raise InputError(f"{path}: a standard error of α²F (third column) is negative or not a number")
    return replace(found, spectrum=replace(found.spectrum, sigma=errors))


def _unit(path: Path, heading: Heading, asked: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the unit of the frequencies and what is to be said about it; InputError where two could be meant."""
    if asked is not None:
        wanted = unit_named(asked)
        if heading.units and wanted not in heading.units:
            return wanted, (f"frequencies are taken in {wanted} as asked, though a heading names {heading.units[0]}",)
        return wanted, ()
    if "a.u." in heading.units:
        raise InputError(f"{path}: its frequencies are in atomic units, hartree or Rydberg: say which with --unit")
    if len(heading.units) > 1:
        raise InputError(
            f"{path}: its headings name {' and '.join(heading.units)} for the frequencies: say which with --unit"
        )
    if heading.units:
        return heading.units[0], ()
    said = f"the file does not say the unit of its frequencies: taken as {DEFAULT} (--unit says another)"
    return DEFAULT, (said,)
