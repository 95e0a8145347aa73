"""Numbers out of text files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from megabar.structures.errors import InputError

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][-+]?\d+)?|[-+]?(?:nan|inf(?:inity)?)"


def read_text(path: Path) -> str:
    """Return the text of a file; InputError where it cannot be read or is no text."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file; α²F comes as text, or as A2F.nc from ABINIT") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not text.strip():
        raise InputError(f"{path}: the file is empty; was the calculation that wrote it interrupted?")
    return text


def numbers(line: str) -> list[float] | None:
    """Return the numbers of a line (Fortran's D exponents too), or None where it holds anything else or nothing."""
    words = line.replace(",", " ").split()
    try:
        return [
            float(re.sub("[dD]", "e", word)) if word.lower() not in ("nan", "inf") else float(word) for word in words
        ] or None
    except ValueError:
        return None


def rows(text: str, path: Path, least: int = 2) -> NDArray[np.float64]:
    """Return the rows of numbers of a text whose other lines are comments or sentences, shape (rows, columns).

    Raises InputError where rows differ in length, a row is broken, or there are fewer than ``least`` columns.
    """
    found: list[list[float]] = []
    first = 0
    for count, line in enumerate(text.splitlines(), start=1):
        row = numbers(line)
        if row is None:
            if found and re.match(rf"\s*(?:{NUMBER})\s", line) and not line.lstrip().startswith("#"):
                raise InputError(f"{path}: line {count}: {line.strip()[:60]!r} is no row of numbers")
            continue
        if found and len(row) != len(found[0]):
            raise InputError(
                f"{path}: line {count} has {len(row)} numbers where line {first} has {len(found[0])}; "
                "every row needs the same columns"
            )
        first = first or count
        found.append(row)
    if not found or len(found[0]) < least:
        raise InputError(f"{path}: no rows of at least {least} numbers; α²F is a table of frequencies and values")
    return np.array(found, float)
