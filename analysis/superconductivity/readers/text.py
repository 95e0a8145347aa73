"""Numbers out of text files."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from megabar.structures.errors import InputError

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][-+]?\d+)?|[-+]?(?:nan|inf(?:inity)?)"


def read_text(path: Path) -> str:
    """Return the text of a file, in UTF-8 or else Latin-1; InputError where it cannot be read or is no text."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    if b"\0" in content:
        raise InputError(f"{path}: not a text file; α²F comes as text, or as A2F.nc from ABINIT")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise InputError(f"{path}: the file is empty; was the calculation that wrote it interrupted?")
    return text


def numbers(line: str) -> list[float] | None:
    """Return the numbers of a line, also Fortran's (1.0D-3, 1.0-100), or None where it holds anything else.

    Between them are spaces, commas or semicolons; a field that is empty between two of those is nan. What follows a
    ``#`` or ``!`` behind them is a comment.
    """
    words = _fields(re.split(r"(?<=[\d.,;\s])[#!]", line, maxsplit=1)[0])
    try:
        return [_number(word) for word in words] or None
    except ValueError:
        return None


def _fields(line: str) -> list[str]:
    line = line.replace('"', " ").strip()
    for mark in (",", ";"):
        if mark in line:
            parts = [part.strip() for part in line.split(mark)]
            return [word for part in parts for word in (part.split() or ["nan"])]
    return line.split()


def _number(word: str) -> float:
    if word[-1:].isdigit():
        word = re.sub(r"(?<=[\d.])([-+]\d{3})$", r"e\1", word.lower().replace("d", "e"))
    return float(word)


def rows(text: str, path: Path, least: int = 2, *, wrapped: bool = False) -> NDArray[np.float64]:
    """Return the rows of numbers of a text whose other lines are comments or sentences, shape (rows, columns).

    wrapped: a row may take several lines, the same in all rows, as Fortran writes many values.
    Raises InputError where rows differ in length, a row is broken, or there are fewer than ``least`` columns.
    """
    _check_signs(text, path)
    found: list[list[float]] = []
    first = 0
    lines = text.splitlines()
    if wrapped and (joined := _joined([row for line in lines if (row := numbers(line)) is not None])) is not None:
        return joined
    for count, line in enumerate(lines, start=1):
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
    table = np.array(found, float)
    if found and len(found[0]) > 1 and np.all(np.isnan(table[:, -1])) and _ends_in_mark(lines[first - 1]):
        table = table[:, :-1]  # a comma behind every row
    if not found or table.shape[1] < least:
        raise InputError(f"{path}: no rows of at least {least} numbers; α²F is a table of frequencies and values")
    return table


def _ends_in_mark(line: str) -> bool:
    return line.rstrip().endswith((",", ";"))


def _joined(parts: list[list[float]]) -> NDArray[np.float64] | None:
    """Return rows of the same few lines each, their first numbers rising; None where they are not so, or of one."""
    counts = [len(part) for part in parts]
    for many in range(1, 9):
        if len(counts) % many or counts != counts[:many] * (len(counts) // many):
            continue
        table = np.array([[*chain(*parts[at : at + many])] for at in range(0, len(parts), many)], float)
        if len(table) > 1 and np.all(np.diff(table[:, 0]) > 0):
            return None if many == 1 else table
    return None


def _check_signs(text: str, path: Path) -> None:
    """Numbers that did not fit their fields, and decimal commas, would be misread."""
    for count, line in enumerate(text.splitlines(), start=1):
        if "***" in line and not line.lstrip().startswith("#"):
            raise InputError(
                f"{path}: line {count} holds ***: a number was too large for its field when it was written"
            )
        words = re.split(r"[;\s]+", line.strip())
        if len(words) > 1 and all(re.fullmatch(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?", word) for word in words):
            raise InputError(f"{path}: line {count} is written with decimal commas; write numbers with a point")
