"""The error budget of a stability study's transitions: what each part of it is and how it is known."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from ase.units import GPa

from megabar.analysis.error_budget import ErrorPart, with_budget
from megabar.analysis.stability import INTERPOLATION, Stability, Transition
from megabar.structures.composition import parse_formula
from megabar.workflows.ladder import Method
from megabar.workflows.measured_errors import ProtocolError, protocol_error

if TYPE_CHECKING:
    from megabar.workflows.answer import Verdict
    from megabar.workflows.functionals import ByFunctional

PROTOCOL, JUDGE, FUNCTIONAL = "protocol", "judge", "functional"
STATIC = ("zero-point motion", "temperature")
"""What an answer for the static lattice leaves out."""
TOY_ERROR = ProtocolError(0.0, 0, True, "a toy: exact for itself")


def protocol_part(method: Method, toy: bool, elements: Collection[str]) -> ProtocolError | None:
    """Return the error of the numerics of a study's protocol for a transition between phases of some elements."""
    return TOY_ERROR if toy else protocol_error(method.code, method.protocol, elements)


def _elements(transition: Transition) -> frozenset[str]:
    terms = (*transition.reaction.reactants, *transition.reaction.products)
    return frozenset(symbol for term in terms for symbol in parse_formula(term.formula))


def budgeted(
    stability: Stability,
    method: Method,
    toy: bool,
    verdicts: Sequence[Verdict] = (),
    others: Sequence[ByFunctional] = (),
) -> Stability:
    """Return a stability whose transitions have the errors of the protocol, and of judge and functional where they ran.

    verdicts: what a verifying code says. others: the hulls by other functionals.
    """

    def parts(transition: Transition) -> Iterable[ErrorPart]:
        numerics = protocol_part(method, toy, _elements(transition))
        if numerics is not None:
            yield ErrorPart(PROTOCOL, numerics.error_eV)
        for verdict in verdicts:
            if verdict.reaction == transition.reaction.phases_text:
                yield ErrorPart(JUDGE, abs(verdict.difference_eV))
        spread = spread_GPa(transition, others)
        if spread is not None:
            yield ErrorPart(FUNCTIONAL, spread * abs(transition.delta_volume) * GPa)

    return with_budget(stability, parts)


def spread_GPa(transition: Transition, others: Sequence[ByFunctional]) -> float | None:
    """Return the root mean square by which other functionals move a transition; None where none has it."""
    moved = [each.pressure(transition) for each in others]
    found = [pressure - transition.pressure_GPa for pressure in moved if pressure is not None]
    return math.sqrt(sum(move**2 for move in found) / len(found)) if found else None


def not_included(others: Sequence[ByFunctional]) -> list[str]:
    """Return what no part of the errors stands for, in words."""
    return [*([] if others else ["the functional"]), *STATIC]


def error_sources(
    stability: Stability,
    method: Method,
    toy: bool,
    verdicts: Sequence[Verdict] = (),
    others: Sequence[ByFunctional] = (),
) -> dict[str, str]:
    """Return how each part of the transitions' errors is known, a clause each, by the part's name."""
    if not stability.transitions:
        return {}
    found = {INTERPOLATION: "between the computed volumes, and the noise found in their energies and stresses"}
    numerics = {_elements(each): protocol_part(method, toy, _elements(each)) for each in stability.transitions}
    said = [
        f"{1000 * each.error_eV:.2g} meV/atom ({each.source})" if each else f"of `{method.protocol}` is not known"
        for each in numerics.values()
    ]
    found[PROTOCOL] = "; ".join(dict.fromkeys(said))
    if verdicts:
        found[JUDGE] = f"what {verdicts[0].code} moves the transition by, on the same structures"
    if others:
        names = ", ".join(each.functional for each in others)
        found[FUNCTIONAL] = f"root mean square of what {names} move the transition by, on the same structures"
    return found
