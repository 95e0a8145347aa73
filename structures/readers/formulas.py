"""Formulas as files write them: nested, with fractions and deuterium; and whether a cell has the same composition."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isclose

from ase.data import atomic_masses, atomic_numbers
from scipy.constants import atomic_mass

SAME = 0.02
"""Part by which numbers of atoms may differ from a formula's, which files round to two digits."""
HYDROGEN = {"H": "H", "D": "H", "T": "H"}
_TOKEN = re.compile(r"\s*([A-Z][a-z]?|\(|\)|\[|\]|\d*\.?\d+)")


def parse(text: str) -> dict[str, float] | None:
    """Return the atoms of a formula such as ``Al (O2 H)`` or ``Mg1.8 Fe.2 Si O4``; None where it is no formula."""
    position, stack = 0, [dict[str, float]()]
    last: dict[str, float] = {}
    text = text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            return None
        word, position = match[1], match.end()
        if word in "([":
            stack.append({})
            last = {}
        elif word in ")]":
            if len(stack) < 2:
                return None
            last = stack.pop()
            _add(stack[-1], last, 1.0)
        elif word[0].isalpha():
            symbol = HYDROGEN.get(word, word)
            if symbol not in atomic_numbers or symbol == "X":
                return None
            last = {symbol: 1.0}
            _add(stack[-1], last, 1.0)
        elif not last:
            return None
        else:
            _add(stack[-1], last, float(word) - 1.0)
            last = {}
    if len(stack) > 1 or not stack[0]:
        return None
    return {symbol: count for symbol, count in stack[0].items() if count > 0} or None


def _add(into: dict[str, float], what: Mapping[str, float], times: float) -> None:
    for symbol, count in what.items():
        into[symbol] = into.get(symbol, 0.0) + times * count


def units(counts: Mapping[str, int], formula: Mapping[str, float]) -> float | None:
    """Return how many formula units a cell's atoms are, None where they are of another composition."""
    if set(counts) != set(formula):
        return None
    total = sum(counts.values()) / sum(formula.values())
    if all(isclose(count, total * formula[symbol], rel_tol=SAME) for symbol, count in counts.items()):
        return total
    return None


def lacking(counts: Mapping[str, int], formula: Mapping[str, float]) -> set[str]:
    """Return the elements that a formula has more of than the atoms, measured by the element it agrees with best."""
    shared = [symbol for symbol in counts if symbol in formula and symbol != "H"]
    if not shared:
        return set(formula) - set(counts)
    scale = max(counts[symbol] / formula[symbol] for symbol in shared)
    return {symbol for symbol, count in formula.items() if counts.get(symbol, 0) < (1 - SAME) * scale * count}


def text(counts: Mapping[str, float]) -> str:
    """Return atoms as a formula with spaces, as CIFs write it."""
    return " ".join(f"{symbol}{count:g}" if count != 1 else symbol for symbol, count in counts.items())


def density_g_cm3(counts: Mapping[str, int], deuterium: int, volume_A3: float) -> float:
    """Return the density (g/cm³) of a cell's atoms; deuterium: how many of the hydrogen atoms are deuterium."""
    mass = sum(float(atomic_masses[atomic_numbers[symbol]]) * count for symbol, count in counts.items())
    return float((mass + 1.0060 * deuterium) * atomic_mass * 1e3 / (volume_A3 * 1e-24))
