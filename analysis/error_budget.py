"""What the error of a transition consists of: each term of the enthalpy of reaction, over the change of volume."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite, sqrt

import numpy as np
from ase.units import GPa

from megabar.analysis.hull_events import SAME_GPa
from megabar.analysis.stability import Stability, StableInterval, Transition


@dataclass(frozen=True)
class ErrorPart:
    """One term of an error budget: its name and the standard error (eV/atom) of the reaction's enthalpy that it makes.

    name: ``interpolation``, ``protocol``, ``judge``, ``functional``, …: the key of the JSON document.
    """

    name: str
    error_eV: float


def with_budget(stability: Stability, parts: Callable[[Transition], Iterable[ErrorPart]]) -> Stability:
    """Return a stability whose transitions have all parts of their errors, and the totals that follow.

    parts: returns the terms of a transition beyond those that it has. As H is linear about the crossing, each moves the
    pressure by its error over |ΔV|; independent terms add up as squares. The errors of the intervals' ends and
    ``resolved`` follow from the totals. A transition whose own error is not known stays without a total.
    """
    span = float(np.ptp(stability.grid_GPa)) if len(stability.grid_GPa) else 0.0
    completed = (_completed(each, parts(each)) for each in stability.transitions)
    transitions = tuple(_judged(stability.intervals, each, span) for each in completed)
    intervals = tuple(_with_errors(each, transitions) for each in stability.intervals)
    return replace(stability, transitions=transitions, intervals=intervals)


def _completed(transition: Transition, more: Iterable[ErrorPart]) -> Transition:
    per_GPa = abs(transition.delta_volume) * GPa
    if transition.error_GPa is None or not isfinite(per_GPa) or per_GPa == 0:
        return transition
    found = {**transition.error_parts_GPa, **{each.name: each.error_eV / per_GPa for each in more}}
    return replace(transition, error_parts_GPa=found, error_GPa=sqrt(sum(error**2 for error in found.values())))


def _judged(intervals: Sequence[StableInterval], transition: Transition, span_GPa: float) -> Transition:
    """Return a transition with whether its error leaves room for its phases on either side.

    It is not resolved where, moved by its error, one of its phases would be left without any pressure. Where the data
    end nothing says that the phase does: there the error must only be below the whole range (GPa).
    """
    if transition.error_GPa is None:
        return transition
    at, shares = transition.pressure_GPa, transition.reaction.atom_fractions
    room = []
    for each in intervals:
        share = shares.get(each.phase, 0.0)
        if share < 0 and each.from_GPa < at <= each.to_GPa + SAME_GPa:
            room.append(span_GPa if each.from_open else at - each.from_GPa)
        if share > 0 and each.from_GPa - SAME_GPa <= at < each.to_GPa:
            room.append(span_GPa if each.to_open else each.to_GPa - at)
    return replace(transition, resolved=bool(room) and transition.error_GPa <= min(room))


def _with_errors(interval: StableInterval, transitions: Sequence[Transition]) -> StableInterval:
    """Return an interval with the errors of the transitions at its ends."""

    def error(pressure: float, known: float | None) -> float | None:
        if known is None:
            return None
        at = [each for each in transitions if abs(each.pressure_GPa - pressure) <= SAME_GPa]
        own = [each.error_GPa for each in at if interval.phase in each.reaction.phases and each.error_GPa is not None]
        return own[0] if own else known

    return replace(
        interval,
        from_error_GPa=error(interval.from_GPa, interval.from_error_GPa),
        to_error_GPa=error(interval.to_GPa, interval.to_error_GPa),
    )
