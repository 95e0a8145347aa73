"""Symmetry operations as files list them or as a symbol stands for; whether they are a group and fit the cell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from megabar.structures.errors import InputError
from megabar.structures.symmetry import quiet_spglib

GRID = 48
"""Translations are multiples of 1/48 of the cell: more than any space group in any usual setting needs."""
METRIC = 0.02
"""Part by which lengths may differ that an operation maps on each other."""
_TERM = re.compile(r"([+-]?)(?:(\d+/\d+|\d*\.\d+|\d+)\*?)?([xyz]?)")


@dataclass(frozen=True, eq=False)
class Operations:
    """A set of operations x → W x + w on fractional coordinates.

    rotations: W, whole numbers (n, 3, 3). translations: w (n, 3). source: in words, where they are from.
    """

    rotations: NDArray[np.int_]
    translations: NDArray[np.float64]
    source: str

    def __len__(self) -> int:
        return len(self.rotations)

    def fits(self, lattice: NDArray[np.float64]) -> bool:
        """Return whether all operations leave the lengths and angles of a cell (rows are vectors) as they are."""
        metric = lattice @ lattice.T
        moved = np.einsum("nki,kl,nlj->nij", self.rotations, metric, self.rotations)
        scale = np.sqrt(np.outer(np.diag(metric), np.diag(metric)))
        return bool((np.abs(moved - metric) / scale).max() < METRIC)


def listed(texts: Sequence[str]) -> Operations:
    """Return the operations of a list such as ``-x+1/2, y, -z``; raises InputError that says what is wrong with them.

    Such a list is complete: a set of operations that is no group is refused.
    """
    pairs = dict.fromkeys(_parsed(text) for text in texts)
    rotations = np.array([each[0] for each in pairs], dtype=int).reshape(-1, 3, 3)
    grid = np.array([each[1] for each in pairs], dtype=int).reshape(-1, 3)
    missing = _missing(rotations, grid)
    if missing:
        raise InputError(
            f"its list of {len(pairs)} symmetry operations is no group ({missing}): one of them is missing or wrong"
        )
    return Operations(rotations, grid / GRID, f"its {len(pairs)} symmetry operations")


def _parsed(text: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    parts = text.strip().strip("'\"").lower().replace(" ", "").split(",")
    if len(parts) == 4 and parts[3] in ("+1", "-1", "1"):
        parts = parts[:3]  # magnetic operations; moments are not asked for here
    if len(parts) != 3:
        raise InputError(f"{text.strip()!r} is no symmetry operation (as -x+1/2, y, -z)")
    rotation: list[int] = []
    translation: list[int] = []
    for part in parts:
        row, shift, matched = [0, 0, 0], Fraction(0), 0
        for match in _TERM.finditer(part):
            if not match[0]:
                continue
            matched += len(match[0])
            value = Fraction(match[2] or "1") * (-1 if match[1] == "-" else 1)
            if match[3]:
                row["xyz".index(match[3])] += int(value)
            else:
                shift += value
        if matched != len(part) or not part:
            raise InputError(f"{text.strip()!r} is no symmetry operation (as -x+1/2, y, -z)")
        rotation += row
        translation.append(round(float(shift) * GRID) % GRID)
    if abs(round(np.linalg.det(np.array(rotation).reshape(3, 3)))) != 1:
        raise InputError(f"{text.strip()!r} is no symmetry operation: it changes the volume")
    return tuple(rotation), tuple(translation)


def _missing(rotations: NDArray[np.int_], grid: NDArray[np.int_]) -> str:
    """Return in words why a set of operations is no group, nothing where it is one."""
    known = {(*rotation.ravel().tolist(), *shift.tolist()) for rotation, shift in zip(rotations, grid, strict=True)}
    if (*np.eye(3, dtype=int).ravel().tolist(), 0, 0, 0) not in known:
        return "x, y, z is not among them"
    for rotation, shift in zip(rotations, grid, strict=True):
        products = rotation @ rotations
        shifts = (grid @ rotation.T + shift) % GRID
        for product, moved in zip(products, shifts, strict=True):
            if (*product.ravel().tolist(), *moved.tolist()) not in known:
                return "two of them in turn make one that is not there"
    return ""


def of_symbol(symbol: str) -> list[Operations]:
    """Return the operations that a Hermann–Mauguin symbol may stand for: one set a setting and origin choice.

    ``F m 3 m`` is F m -3 m, ``P 1 21/m 1`` and ``P 21/m`` the same. None at all where the symbol is in no table.
    """
    plain, choice = _split(symbol)
    found = [hall for hall in _halls() if plain in hall[1]]
    found = [hall for hall in found if not choice or hall[2][:1] == choice] or found
    return [_of_hall(number, f"the symbol {symbol.strip()}", kind) for number, _, kind, _ in found]


def of_number(number: int) -> list[Operations]:
    """Return the operations of a space-group number, standard setting: a set for each choice of origin or axes."""
    kinds = [hall for hall in _halls() if hall[3] == number]
    first = kinds[0][2] if kinds else ""
    standard = [hall for hall in kinds if hall[2] == first or hall[2] in ("1", "2", "H", "R")]
    return [_of_hall(each, f"space group number {number}", kind) for each, _, kind, _ in standard]


def of_hall(symbol: str) -> list[Operations]:
    """Return the operations of a Hall symbol, none where it is in no table."""
    import spglib

    wanted = symbol.replace("_", " ").replace(" ", "").lower()
    with quiet_spglib():
        for hall in range(1, 531):
            if spglib.get_spacegroup_type(hall).hall_symbol.replace(" ", "").lower() == wanted:
                return [_of_hall(hall, f"the Hall symbol {symbol.strip()}", "")]
    return []


def _split(symbol: str) -> tuple[str, str]:
    """Return a symbol without spaces and its choice of origin or axes (1, 2, H, R), empty where it makes none."""
    text = re.sub(r"\((\d)\)", r"\1", symbol.strip())
    match = re.fullmatch(r"(.*?)\s*(?::\s*([12HRhr])|\s([SZHR]))", text)
    choice = ""
    if match:
        text = match[1]
        choice = {"S": "1", "Z": "2"}.get((match[2] or match[3]).upper(), (match[2] or match[3]).upper())
    text = re.sub(r"[\s_]", "", text)
    text = text[:1].upper() + text[1:].lower()
    return re.sub(r"^([PIF][mnadc])3", r"\1-3", text), choice


@cache
def _halls() -> tuple[tuple[int, frozenset[str], str, int], ...]:
    """Return Hall number, symbols without spaces, choice and space-group number of all settings that spglib knows."""
    import spglib

    found = []
    with quiet_spglib():
        for hall in range(1, 531):
            kind = spglib.get_spacegroup_type(hall)
            full = kind.international.split(" = ")[-1]
            names = {full, kind.international_full}
            if 3 <= kind.number <= 15:
                if kind.choice.strip("-")[:1] in "bc":  # short symbols leave the axis open; it is never a
                    names.add(" ".join(word for word in full.split() if word != "1"))
            else:
                names.update(kind.international.split(" = "))
            plain = frozenset(re.sub(r"[\s_]", "", each) for each in names)
            if 64 <= kind.number <= 68 or kind.number in (39, 41):
                plain |= {old for each in plain for old in _before_1992(each)}
            found.append((hall, plain, kind.choice, int(kind.number)))
    return tuple(found)


def _before_1992(symbol: str) -> set[str]:
    """Return the older forms of a symbol with the glide plane e, which were written with either letter of two."""
    return {symbol.replace("e", letter) for letter in "abc"} if "e" in symbol else set()


def _of_hall(hall: int, words: str, choice: str) -> Operations:
    import spglib

    with quiet_spglib():
        database: Any = spglib.get_symmetry_from_database(hall)
    source = words + (f", choice {choice}" if choice else "")
    return Operations(np.array(database["rotations"], dtype=int), np.array(database["translations"]), source)
