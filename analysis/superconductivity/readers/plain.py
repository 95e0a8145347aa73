"""Two plain columns: ω and α²F."""

from __future__ import annotations

import re
from pathlib import Path

from megabar.analysis.superconductivity.checks import check_lambda
from megabar.analysis.superconductivity.readers.reading import Reading, variant
from megabar.analysis.superconductivity.readers.text import NUMBER, read_text, rows
from megabar.analysis.superconductivity.units import unit_named
from megabar.structures.errors import InputError

DEFAULT = "meV"
_UNITS = re.compile(r"(?<![A-Za-z])(meV|eV|THz|cm-1|cm\^-1|cm\^\{-1\}|1/cm|Ry|Rydberg|Ha|Hartree|K)(?![A-Za-z])")
_LAMBDA = re.compile(rf"(?:λ|\blambda)(?:\s*[=:]\s*|\s+)({NUMBER})", re.IGNORECASE)


def read_plain(path: Path, unit: str | None = None) -> Reading:
    """Read two columns, ω and α²F; lines that are not numbers are comments, further columns are left aside.

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
    notes = (f"of {table.shape[1]} columns the first two were taken",) if table.shape[1] > 2 else ()
    return Reading(str(path), "plain columns", (found,), notes=notes)


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
