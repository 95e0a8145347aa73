"""What a ladder of volumes wants next by itself: its first volumes, then those that cover its window."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fractions import Fraction

from megabar.analysis.refinement import Gap, coverage
from megabar.workflows.parts.volumes.ladder import Rung, chain_parents
from megabar.workflows.parts.volumes.phase_state import PhaseState
from megabar.workflows.parts.volumes.plan import VolumesPlan

MOST_RUNGS = 40
COVERED_WITHIN_GPA = 0.02
MOST_COVERING = 5
"""Volumes added at one end to cover a window: an unbound solid never reaches zero pressure."""


CLOSEST_END = Fraction(1, 2)


def ladders_wanted(plan: VolumesPlan, states: Sequence[PhaseState]) -> tuple[list[Rung], set[str]]:
    """Return what the ladders want by themselves, and the phases that wait for it: first volumes, then the window."""
    wanted = [rung for state in states for rung in _first(plan, state)]
    waiting = {rung.phase for rung in wanted} | {state.ladder.phase for state in states if _unfinished(state)}
    for state in states:
        if state.ladder.phase not in waiting:
            wanted += _covering(plan, state)
    return wanted, waiting | {rung.phase for rung in wanted}


def _unfinished(state: PhaseState) -> bool:
    return bool(state.open) or any(index not in state.asked for index in state.ladder.first)


def rung_at(
    plan: VolumesPlan, state: PhaseState, index: Fraction, purpose: str, done: Collection[Fraction] | None = None
) -> Rung:
    """Return a rung that starts from its neighbours among those done (all where none are named)."""
    parents = chain_parents(index, state.done if done is None else done) if state.ladder.relaxation else ()
    starts = tuple(state.done[parent].key for parent in parents)
    key = state.ladder.calculation(plan.method, index, starts).key
    return Rung(state.ladder.phase, index, key, starts, purpose)


def _first(plan: VolumesPlan, state: PhaseState) -> list[Rung]:
    """Return the first rungs that can start now: a relaxation waits for its neighbour on the side of the cell known."""
    first = state.ladder.first
    root = min(first, key=abs)
    wanted = []
    for place, index in enumerate(first):
        if index in state.asked:
            continue
        towards = root if index == root else first[place - 1] if index > root else first[place + 1]
        if state.ladder.relaxation is None or index == root or towards in state.ended:
            # Only those between the root and itself: what else is done by now is a matter of chance.
            before = [other for other in state.done if min(root, index) <= other <= max(root, index)]
            wanted.append(rung_at(plan, state, index, "ladder", before))
    return wanted


def beyond(plan: VolumesPlan, state: PhaseState, end: str, purpose: str) -> list[Rung]:
    """Return the next rung at an end of a ladder; none where the last one there failed or there are too many.

    Where the last one left its phase, the phase ends between it and its neighbour: a rung half-way follows it, unless
    that was tried and failed.
    """
    last = max(state.ended) if end == "high" else min(state.ended)
    if len(state.asked) >= MOST_RUNGS:
        return []
    if state.ended[last].done:
        index = Fraction(last.__floor__() + 1) if end == "high" else Fraction(last.__ceil__() - 1)
    elif state.done:
        inner = max(state.done) if end == "high" else min(state.done)
        outside = [index for index, record in state.ended.items() if record.state == "left"]
        outside = [index for index in outside if (index > inner if end == "high" else index < inner)]
        if not outside:
            return []
        index = (inner + min(outside, key=lambda index: abs(index - inner))) / 2
        if abs(index - inner) < CLOSEST_END or index in state.asked:
            return []
    else:
        return []
    return [rung_at(plan, state, index, purpose)]


def _covering(plan: VolumesPlan, state: PhaseState) -> list[Rung]:
    curve = state.curve()
    if curve is None:
        return []
    wanted = []
    low, high = state.ladder.known_GPa
    asked = (plan.pressures_GPa[0], plan.pressures_GPa[-1])
    # The margin around the pressures that a phase is known for is not insisted on.
    low, high = (min(max(end, asked[0]), asked[1]) for end in (low, high))
    for gap in coverage(curve, low, high):
        first = state.ladder.first
        added = [index for index in state.ended if (index > first[-1] if gap.end == "high" else index < first[0])]
        if abs(gap.known_to_GPa - gap.asked_GPa) > COVERED_WITHIN_GPA and len(added) < MOST_COVERING:
            wanted += _half_step(plan, state, gap) or beyond(plan, state, gap.end, "coverage")
    return wanted


def _half_step(plan: VolumesPlan, state: PhaseState, gap: Gap) -> list[Rung]:
    """Return the rung half a step beyond an end where that seems to cover a gap; none where a whole one is needed."""
    last = max(state.ended) if gap.end == "high" else min(state.ended)
    index = last + Fraction(1, 2) if gap.end == "high" else last - Fraction(1, 2)
    reached = state.ladder.volume(index)
    enough = reached < gap.volume_A3 if gap.end == "high" else reached > gap.volume_A3
    if not enough or not state.ended[last].done or last.denominator != 1:
        return []
    return [rung_at(plan, state, index, "coverage")]
