"""What a method cannot tell apart: polymorphs that exchange places within its resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from megabar.analysis.curve import Curve
from megabar.analysis.hull_events import SAME_GPa
from megabar.analysis.stability import Stability, StableInterval, Transition

POINTS = 65


def resolved(stability: Stability, resolution_eV: float) -> Stability:
    """Return a stability without what lies within the resolution of the method (eV/atom), and say what it was.

    A phase that replaces a polymorph over some pressures and is replaced by the same one again, nowhere lower by
    the resolution, has no interval of its own.
    """
    intervals, transitions = list(stability.intervals), list(stability.transitions)
    notes = []
    while (found := _excursion(stability.curves, intervals, resolution_eV)) is not None:
        before, excursion, after = found
        notes.append(
            f"{excursion.phase} replaces {before.phase} between {excursion.from_GPa:.3g} and {excursion.to_GPa:.3g} "
            f"GPa by less than the {1000 * resolution_eV:g} meV/atom that the method resolves: left out"
        )
        joined = replace(before, to_GPa=after.to_GPa, to_open=after.to_open, to_error_GPa=after.to_error_GPa)
        intervals[intervals.index(before)] = joined
        intervals = [each for each in intervals if each not in (excursion, after)]
        transitions = [each for each in transitions if not _between(each, before.phase, excursion)]
    return replace(
        stability,
        intervals=tuple(intervals),
        transitions=tuple(transitions),
        notes=(*stability.notes, *notes),
    )


def _excursion(
    curves: Sequence[Curve], intervals: Sequence[StableInterval], resolution_eV: float
) -> tuple[StableInterval, StableInterval, StableInterval] | None:
    """Return the shallowest interval of a phase between two of one polymorph, with these; None where all are deep."""
    found = []
    for excursion in intervals:
        own = [each for each in intervals if each.formula == excursion.formula]
        before = [each for each in own if abs(each.to_GPa - excursion.from_GPa) <= SAME_GPa]
        after = [each for each in own if abs(each.from_GPa - excursion.to_GPa) <= SAME_GPa]
        if not before or not after or before[0].phase != after[0].phase:
            continue
        depth = _depth(curves, excursion, before[0].phase)
        if depth < resolution_eV:
            found.append((depth, (before[0], excursion, after[0])))
    return min(found, key=lambda each: each[0])[1] if found else None


def _depth(curves: Sequence[Curve], interval: StableInterval, other: str) -> float:
    """Return by how much (eV/atom) a phase is lower than another at most, within its interval."""
    by_phase = {curve.phase: curve for curve in curves}
    pressures = np.linspace(interval.from_GPa, interval.to_GPa, POINTS)
    below = by_phase[other].enthalpy(pressures) - by_phase[interval.phase].enthalpy(pressures)
    # Where the other is not known, nothing speaks for it.
    return float(np.max(np.where(np.isnan(below), np.inf, below)))


def _between(transition: Transition, phase: str, excursion: StableInterval) -> bool:
    ends = (excursion.from_GPa, excursion.to_GPa)
    return (
        transition.reaction.polymorphic
        and set(transition.reaction.phases) == {phase, excursion.phase}
        and min(abs(transition.pressure_GPa - end) for end in ends) <= SAME_GPa
    )
