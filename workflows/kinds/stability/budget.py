"""The error budget of a stability study's transitions: what each part of it is and how it is known."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ase.units import GPa

from megabar.analysis.error_budget import ErrorPart, with_budget
from megabar.analysis.stability import INTERPOLATION, Stability, Transition
from megabar.structures.composition import parse_formula
from megabar.workflows.measured_errors import ProtocolError, protocol_error
from megabar.workflows.parts.method import Method

if TYPE_CHECKING:
    from megabar.workflows.kinds.stability.answer import Verdict
    from megabar.workflows.kinds.stability.functionals import ByFunctional

PROTOCOL, JUDGE, FUNCTIONAL = "protocol", "judge", "functional"
STATIC = ("zero-point motion", "temperature")
"""What an answer for the static lattice leaves out."""
AT_REST, WARM = ("anharmonicity",), ("anharmonicity", "the electrons' entropy")
"""What an answer with zero-point motion leaves out, and one at a temperature."""
TOY_ERROR = ProtocolError(0.0, 0, True, "a toy: exact for itself")


def protocol_part(
    method: Method, toy: bool, elements: Collection[str], by_hand: bool = False, judged: bool = False
) -> ProtocolError | None:
    """Return the error of the numerics of a study's protocol for a transition between phases of some elements.

    by_hand: cutoff or k-points are the study's own; judged: a judge's part stands beside it.
    """
    if toy:
        return TOY_ERROR
    found = protocol_error(method.code, method.protocol, elements, judged)
    if found is None or not by_hand:
        return found
    return replace(found, measured=False, source=f"{found.source}; cutoff or k-points were set by hand, not measured")


def _elements(transition: Transition) -> frozenset[str]:
    terms = (*transition.reaction.reactants, *transition.reaction.products)
    return frozenset(symbol for term in terms for symbol in parse_formula(term.formula))


@dataclass(frozen=True)
class Background:
    """What the errors of a study's transitions come from.

    by_hand: whether cutoff or k-points are the study's own. elements: of the study. verdicts: what a verifying code
    says. others: the hulls by other functionals.
    """

    method: Method
    toy: bool
    by_hand: bool = False
    elements: frozenset[str] = frozenset()
    verdicts: Sequence[Verdict] = ()
    others: Sequence[ByFunctional] = ()

    def verdict(self, transition: Transition) -> Verdict | None:
        """Return the verdict on a transition, None where there is none."""
        return next((each for each in self.verdicts if each.reaction == transition.reaction.phases_text), None)

    def numerics(self, transition: Transition) -> ProtocolError | None:
        """Return the error of the protocol's numerics for a transition."""
        judged = self.verdict(transition) is not None
        return protocol_part(self.method, self.toy, self.elements or _elements(transition), self.by_hand, judged)


def budgeted(stability: Stability, background: Background) -> Stability:
    """Return a stability whose transitions have the errors of protocol, and of judge and functional where they ran."""

    def parts(transition: Transition) -> Iterable[ErrorPart]:
        numerics, verdict = background.numerics(transition), background.verdict(transition)
        if numerics is not None:
            yield ErrorPart(PROTOCOL, numerics.error_eV)
        if verdict is not None:
            yield ErrorPart(JUDGE, abs(verdict.difference_eV))
        spread = spread_GPa(transition, background.others)
        if spread is not None:
            yield ErrorPart(FUNCTIONAL, spread * abs(transition.delta_volume) * GPa)

    return with_budget(stability, parts)


def spread_GPa(transition: Transition, others: Sequence[ByFunctional]) -> float | None:
    """Return the root mean square by which other functionals move a transition; None where none has it."""
    moved = [each.pressure(transition) for each in others]
    found = [pressure - transition.pressure_GPa for pressure in moved if pressure is not None]
    return math.sqrt(sum(move**2 for move in found) / len(found)) if found else None


def not_included(stability: Stability | None, besides: Sequence[str] = STATIC) -> list[str]:
    """Return what no part of some transitions' errors stands for, in words; besides: what the answer leaves out."""
    lacking = [] if stability is None else [each for each in stability.transitions if not _has_functional(each)]
    if stability is None or len(lacking) == len(stability.transitions):
        return ["the functional", *besides]
    names = ", ".join(each.reaction.phases_text for each in lacking)
    return [*([f"the functional for {names}, which no other one has"] if lacking else []), *besides]


def _has_functional(transition: Transition) -> bool:
    return FUNCTIONAL in transition.error_parts_GPa


def error_sources(stability: Stability, background: Background) -> dict[str, str]:
    """Return how each part of the transitions' errors is known, a clause each, by the part's name."""
    if not stability.transitions:
        return {}
    found = {INTERPOLATION: "between the computed volumes, and the noise found in their energies and stresses"}
    unknown = f"of `{background.method.protocol}` is not known"
    numerics = map(background.numerics, stability.transitions)
    said = [f"{1000 * each.error_eV:.2g} meV/atom ({each.source})" if each else unknown for each in numerics]
    found[PROTOCOL] = "; ".join(dict.fromkeys(said))
    if background.verdicts:
        judge = background.verdicts[0].code
        moved = f"what {judge} moves the transition by, on the same structures"
        found[JUDGE] = f"{moved}, in place of the part of the atomic data"
    if any(map(_has_functional, stability.transitions)):
        names = ", ".join(each.functional for each in background.others)
        found[FUNCTIONAL] = f"root mean square of what {names} move the transition by, on the same structures"
    return found
