"""Chemical formulas and systems as plain tuples and dictionaries."""

from __future__ import annotations

import re
from functools import reduce
from math import gcd

from ase.data import atomic_numbers

from megabar.structures.errors import InputError

_TOKEN = re.compile(r"([A-Z][a-z]?)(\d*)")


def parse_formula(formula: str) -> dict[str, int]:
    """Return the atoms of a formula such as ``Na2He``, element by count.

    Raises InputError where the text is not a formula of known elements with whole numbers.
    """
    text = formula.strip()
    if not text or _TOKEN.sub("", text):
        raise InputError(f"{formula!r} is not a chemical formula; write it like Na2He or MgSiO3")
    counts: dict[str, int] = {}
    for symbol, digits in _TOKEN.findall(text):
        if symbol not in atomic_numbers or symbol == "X":
            raise InputError(f"{symbol!r} in the formula {formula!r} is not a chemical element")
        count = int(digits) if digits else 1
        if count == 0:
            raise InputError(f"the formula {formula!r} has zero atoms of {symbol}")
        counts[symbol] = counts.get(symbol, 0) + count
    return counts


def reduced(counts: dict[str, int]) -> dict[str, int]:
    """Return the counts divided by their greatest common divisor."""
    divisor = reduce(gcd, counts.values())
    return {symbol: count // divisor for symbol, count in counts.items()}


def formula_text(counts: dict[str, int]) -> str:
    """Return the formula of the counts in their order, ones left out: ``{"Na": 2, "He": 1}`` is ``Na2He``."""
    return "".join(symbol + (str(count) if count > 1 else "") for symbol, count in counts.items())


def reduced_formula(formula: str) -> str:
    """Return the formula in its smallest whole numbers, elements in the order written: ``Na4He2`` is ``Na2He``."""
    return formula_text(reduced(parse_formula(formula)))


def parse_system(system: str) -> tuple[str, ...]:
    """Return the elements of a system such as ``Na-He``, in the order written.

    Raises InputError for unknown or repeated elements.
    """
    elements = tuple(part.strip() for part in system.split("-"))
    for element in elements:
        if element not in atomic_numbers or element == "X":
            raise InputError(f"{element!r} in the system {system!r} is not a chemical element; write it like Na-He")
    if len(set(elements)) != len(elements):
        raise InputError(f"the system {system!r} names an element twice")
    return elements
