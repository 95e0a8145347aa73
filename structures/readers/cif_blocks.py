"""The data blocks of a CIF as plain texts (International Tables G; S. R. Hall et al., Acta Cryst. A47, 655 (1991))."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from megabar.structures.errors import InputError

UNKNOWN = ("", "?", ".")
"""A value that is not known (?) or not applicable (.)."""
MOST_BYTES = 50_000_000
_UNSAID = re.compile(r"""^_\S+[ \t]+(?:''|""|\?|\.)[ \t]*\r?$""", re.MULTILINE)
"""A tag without a value: some files have it again, with one or without, and the last would count."""


@dataclass(frozen=True)
class Block:
    """One data block: values by tag, tags in lower case and with ``_`` for ``.`` (as older dictionaries have them)."""

    name: str
    values: Mapping[str, str]
    columns: Mapping[str, tuple[str, ...]]

    def text(self, *tags: str) -> str:
        """Return the value of the first of some tags that has a known one, empty without."""
        for tag in tags:
            value = self.values.get(tag) or next(iter(self.columns.get(tag, ())), "")
            if value.strip() not in UNKNOWN:
                return value.strip()
        return ""

    def number(self, *tags: str) -> float | None:
        """Return the number of the first of some tags that has one, its uncertainty ``(2)`` left out."""
        return next((each for tag in tags if (each := number(self.text(tag))) is not None), None)

    def column(self, *tags: str) -> tuple[str, ...]:
        """Return the column of the first of some tags that is there; a value outside of a loop is a column of one."""
        for tag in tags:
            if tag in self.columns:
                return self.columns[tag]
            if tag in self.values:
                return (self.values[tag],)
        return ()


def number(text: str) -> float | None:
    """Return the number of a value such as ``0.333(2)`` or ``1/3``, None where it is none."""
    plain = re.sub(r"\(\d*\)$", "", text.strip())
    match = re.fullmatch(r"([-+]?\d+)/(\d+)", plain)
    if match and int(match[2]):
        return int(match[1]) / int(match[2])
    try:
        return float(plain)
    except ValueError:
        return None


def blocks_of(path: Path) -> list[Block]:
    """Return the data blocks of a file that list atoms; raises InputError where it cannot be read."""
    from pymatgen.io.cif import CifBlock  # a second of import, and only for CIFs

    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path}: is larger than {MOST_BYTES // 1_000_000} MB")
    content = path.read_bytes()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    found = []
    parts = list(_parts(text))
    if not parts:
        raise InputError(f"{path}: cannot be read as a CIF: nothing in it begins with data_")
    for part in parts:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # words that belong to nothing: titles without quotes
                block = CifBlock.from_str(_UNSAID.sub("", part))
        except Exception as error:  # asserts, zips and divides by zero where a loop is incomplete
            if "_atom_site_" not in part.lower() and "_atom_site." not in part.lower():
                continue
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"{path}: cannot be read as a CIF ({reason}): is a loop incomplete or a text without quotes?"
            ) from None
        values, columns = {}, {}
        for tag, value in block.data.items():
            name = tag.lower().replace(".", "_")
            if isinstance(value, str):
                values[name] = value
            else:
                columns[name] = tuple(value)
        made = Block(block.header, values, columns)
        if made.column("_atom_site_label", "_atom_site_type_symbol", "_atom_site_fract_x", "_atom_site_cartn_x"):
            found.append(made)
    return found


def _parts(text: str) -> Iterator[str]:
    """Return the text of each data block; a text between semicolons may hold anything."""
    starts = []
    inside, offset = False, 0
    for line in text.splitlines(keepends=True):
        if line.startswith(";"):
            inside = not inside
        elif not inside and line.lstrip().lower().startswith("data_"):
            starts.append(offset + len(line) - len(line.lstrip()))
        offset += len(line)
    for start, end in pairwise([*starts, len(text)]):
        yield text[start:end]
