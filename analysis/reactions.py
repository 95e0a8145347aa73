"""Reactions between phases: balanced exactly, written as chemists do, in the direction of increasing pressure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

from megabar.structures.composition import formula_text, parse_formula, reduced

# Elements whose formula unit is a molecule of two atoms; written so where the user did.
_DIATOMIC = frozenset({"H", "N", "O", "F", "Cl", "Br", "I"})


@dataclass(frozen=True)
class Term:
    """One side's share of a reaction: so many formula units of a phase."""

    coefficient: int
    formula: str
    phase: str

    @property
    def atoms(self) -> int:
        """Atoms of all its formula units."""
        return self.coefficient * sum(parse_formula(self.formula).values())

    @property
    def named(self) -> str:
        """Phase name, with the formula before it where the name does not begin with it: ``Na-bcc``, ``Na (bcc)``."""
        return self.phase if self.phase.startswith(self.formula) else f"{self.formula} ({self.phase})"


@dataclass(frozen=True)
class Reaction:
    """A balanced reaction; the products are what is stable at the higher pressure."""

    reactants: tuple[Term, ...]
    products: tuple[Term, ...]

    @property
    def polymorphic(self) -> bool:
        """True where one phase becomes another of the same composition."""
        sides = (self.reactants, self.products)
        return all(len(side) == 1 for side in sides)

    @property
    def text(self) -> str:
        """Formulas, ``3 H2S → 2 H3S + S``; phase names for polymorphs, ``Na-bcc → Na-fcc``."""
        return self.phases_text if self.polymorphic else self._join("formula")

    @property
    def phases_text(self) -> str:
        """The same with the names of the phases: ``2 Na-hP4 + He-hcp → Na2He-Fm-3m``."""
        return self._join("named")

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of the phases that take part."""
        return tuple(term.phase for term in self.reactants + self.products)

    @property
    def atom_fractions(self) -> dict[str, float]:
        """Share of the atoms by phase, products positive, reactants negative; each side adds up to one."""
        total = sum(term.atoms for term in self.reactants)
        shares = {term.phase: -term.atoms / total for term in self.reactants}
        return shares | {term.phase: term.atoms / total for term in self.products}

    def _join(self, attribute: str) -> str:
        sides = []
        for side in (self.reactants, self.products):
            words = [
                (f"{term.coefficient} " if term.coefficient > 1 else "") + str(getattr(term, attribute))
                for term in side
            ]
            sides.append(" + ".join(words))
        return " → ".join(sides)


def unit_formula(formula: str) -> str:
    """Return the formula unit that a reaction counts: ``Na4He2`` is ``Na2He``, ``Na2`` is ``Na``, ``H4`` is ``H2``."""
    counts = parse_formula(formula)
    if len(counts) == 1:
        [(symbol, count)] = counts.items()
        return symbol + ("2" if symbol in _DIATOMIC and count % 2 == 0 else "")
    return formula_text(reduced(counts))


def balance(formulas: Sequence[str]) -> tuple[int, ...]:
    """Return the smallest whole numbers ν, the first one negative, with Σ ν_i formula_i = 0 atoms of each element.

    Raises ValueError where no such numbers exist, where they are not unique, or where one of them is zero.
    """
    counts = [parse_formula(formula) for formula in formulas]
    elements = sorted({symbol for count in counts for symbol in count})
    rows = [[Fraction(count.get(symbol, 0)) for count in counts] for symbol in elements]
    pivots = _eliminate(rows)
    free = [column for column in range(len(formulas)) if column not in pivots]
    if len(free) != 1:
        raise ValueError(f"{' and '.join(formulas)} do not have one balanced reaction but {len(free)}")
    solution = [Fraction(0)] * len(formulas)
    solution[free[0]] = Fraction(1)
    for row, column in enumerate(pivots):
        solution[column] = -rows[row][free[0]]
    if not all(solution):
        raise ValueError(f"the balanced reaction of {' and '.join(formulas)} leaves some of them out")
    scale = lcm(*(number.denominator for number in solution))
    whole = [int(number * scale) for number in solution]
    divisor = gcd(*whole) * (-1 if whole[0] > 0 else 1)
    return tuple(number // divisor for number in whole)


def _eliminate(rows: list[list[Fraction]]) -> list[int]:
    """Bring the rows to reduced echelon form in place; return the pivot column of each of the first rows."""
    pivots: list[int] = []
    for column in range(len(rows[0])):
        top = len(pivots)
        chosen = next((row for row in range(top, len(rows)) if rows[row][column]), None)
        if chosen is None:
            continue
        rows[top], rows[chosen] = rows[chosen], rows[top]
        rows[top] = [number / rows[top][column] for number in rows[top]]
        for row in range(len(rows)):
            if row != top and rows[row][column]:
                factor = rows[row][column]
                rows[row] = [a - factor * b for a, b in zip(rows[row], rows[top], strict=True)]
        pivots.append(column)
    return pivots


def make_reaction(
    before: Sequence[tuple[str, str]], after: Sequence[tuple[str, str]], elements: Sequence[str]
) -> Reaction:
    """Return the reaction from the phases before to the phases after, each given as (phase, formula).

    elements: order in which elements are written (compounds come before elements).
    Raises ValueError where the two sides cannot be balanced in exactly one way.
    """
    species = [(phase, unit_formula(formula)) for phase, formula in (*before, *after)]
    numbers = balance([formula for _, formula in species])
    if any(number > 0 for number in numbers[: len(before)]) or any(number < 0 for number in numbers[len(before) :]):
        raise ValueError(f"{' and '.join(phase for phase, _ in species)} do not balance in this direction")
    terms = [Term(abs(number), formula, phase) for number, (phase, formula) in zip(numbers, species, strict=True)]

    def order(term: Term) -> tuple[int, list[float]]:
        counts = parse_formula(term.formula)
        total = sum(counts.values())
        return -len(counts), [-counts.get(element, 0) / total for element in elements]

    split = len(before)
    return Reaction(tuple(sorted(terms[:split], key=order)), tuple(sorted(terms[split:], key=order)))
