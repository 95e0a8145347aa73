"""The hull against pressure: which phases are stable where, and the reaction at each end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from math import isfinite, sqrt

import numpy as np
from ase.units import GPa

from megabar.analysis.curve import Array, Curve
from megabar.analysis.hull import Compositions, compositions, hulls_at
from megabar.analysis.hull_events import Event, SAME_GPa, Sweep, follow, sweep
from megabar.analysis.reactions import Reaction, make_reaction
from megabar.structures.errors import InputError

INTERPOLATION = "interpolation"
"""The part of an error that a curve's own uncertainty makes: interpolation and numerical noise."""


@dataclass(frozen=True)
class StableInterval:
    """A phase is on the hull between two pressures (GPa).

    An open end is where data end, of this phase or of one that it competes with; the other ends are transitions.
    Errors are standard uncertainties of the pressures; None where not known.
    """

    phase: str
    formula: str
    from_GPa: float
    to_GPa: float
    from_open: bool
    to_open: bool
    from_error_GPa: float | None
    to_error_GPa: float | None


@dataclass(frozen=True)
class Transition:
    """What happens at a pressure on compression.

    delta_volume: products less reactants (Å³/atom). error_GPa: standard error, all of its known parts together; None
    where the uncertainty of a curve is not known. error_parts_GPa: these parts by name; from the curves σ(ΔH)/|ΔV|,
    the others by `megabar.analysis.error_budget`. appears, disappears: phases that become stable and that cease to be;
    both empty where only the coexisting phases change, as in A + B → C + D with all four stable on both sides.
    resolved: whether the error leaves each phase some pressure on its side; None where that is not known.
    """

    pressure_GPa: float
    error_GPa: float | None
    reaction: Reaction
    delta_volume: float
    appears: tuple[str, ...]
    disappears: tuple[str, ...]
    resolved: bool | None = None
    error_parts_GPa: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Stability:
    """The hull of some curves over all their pressures.

    intervals: by composition, then pressure. transitions: by pressure. grid_GPa: shape (p,). above_eV: height above
    the hull (eV/atom) of each curve on the grid, shape (p, n), nan where undefined. notes: what a reader must know.
    """

    intervals: tuple[StableInterval, ...]
    transitions: tuple[Transition, ...]
    curves: tuple[Curve, ...]
    grid_GPa: Array
    above_eV: Array
    notes: tuple[str, ...]

    @cached_property
    def compositions(self) -> Compositions:
        """Compositions of the curves."""
        return compositions([curve.formula for curve in self.curves])

    @property
    def elements(self) -> tuple[str, ...]:
        """Elements of the system."""
        return self.compositions.elements

    def above_hull(self, pressure_GPa: float) -> dict[str, float]:
        """Return the height above the hull (eV/atom) by phase; phases without one at this pressure are left out."""
        [hull] = hulls_at(self.curves, [pressure_GPa])
        heights = zip(self.curves, hull.above_eV.tolist(), strict=True)
        return {curve.phase: height for curve, height in heights if isfinite(height)}


def analyse(
    curves: Sequence[Curve],
    points: int = 257,
    units: Mapping[str, str] | None = None,
    error_name: str = INTERPOLATION,
) -> Stability:
    """Return the stability of phases against pressure.

    error_name: what the uncertainties of the curves are, as the name of that part of the transitions' errors.
    units: formulas that reactions count, by phase, where these are not the curves' own: H2 for molecular hydrogen.
    points: pressures of the grid on which the hull is followed; what happens between them is found by
    `hull_events.sweep`. Raises InputError where there are no curves or where two have the same name.
    """
    _check_names(curves)
    entries = compositions([curve.formula for curve in curves])
    spans = _spans(curves)
    length = sum(end - begin for begin, end in spans)
    sweeps, grids = [], []
    for begin, end in spans:
        grid = np.linspace(begin, end, max(17, round(points * (end - begin) / length)))
        enthalpies = np.array([_on(curve, grid) for curve in curves])
        sweeps.append(sweep(curves, entries, grid, enthalpies))
        grids.append(grid)
    ends, events = _ends(curves, entries, sweeps)
    transitions = [
        transition for event in events for transition in _transitions(curves, entries, event, units or {}, error_name)
    ]
    intervals = _intervals(curves, entries, ends, transitions)
    grid, above = _joined(curves, grids, sweeps)
    notes = (*_single_point_notes(curves), *_element_notes(curves, entries, spans), *_end_notes(curves, ends))
    return Stability(tuple(intervals), tuple(transitions), tuple(curves), grid, above, notes)


def _check_names(curves: Sequence[Curve]) -> None:
    if not curves:
        raise InputError("there are no enthalpy curves; a hull needs at least one phase of each element")
    for name, count in Counter(curve.phase for curve in curves).items():
        if count > 1:
            raise InputError(f"{count} phases have the name {name}; names of phases must differ")


def _spans(curves: Sequence[Curve]) -> list[tuple[float, float]]:
    """Return the ranges of pressure (GPa) in which no curve begins or ends and at least one is known."""
    known = [(curve.from_GPa, curve.to_GPa) for curve in curves if curve.to_GPa > curve.from_GPa]
    marks: list[float] = []
    for mark in sorted({mark for span in known for mark in span}):
        # Ends that differ by rounding are one.
        if not marks or mark - marks[-1] > 4 * SAME_GPa:
            marks.append(mark)
    pairs = pairwise(marks)
    return [(low, high) for low, high in pairs if any(_covers(span, low, high) for span in known)]


def _covers(span: tuple[float, float], low: float, high: float) -> bool:
    return span[0] <= low + 4 * SAME_GPa and span[1] >= high - 4 * SAME_GPa


def _on(curve: Curve, grid: Array) -> Array:
    """Return the enthalpies of a curve on the grid of a span; nan where it is not known over all of it."""
    if not _covers((curve.from_GPa, curve.to_GPa), float(grid[0]), float(grid[-1])):
        return np.full(len(grid), np.nan)
    return curve.enthalpy(np.clip(grid, curve.from_GPa, curve.to_GPa))


@dataclass(frozen=True)
class _End:
    """A phase enters or leaves the hull at a pressure: in an event, or else where data begin or end."""

    pressure_GPa: float
    entry: int
    enters: bool
    in_event: bool


def _ends(curves: Sequence[Curve], entries: Compositions, sweeps: list[Sweep]) -> tuple[list[_End], list[Event]]:
    """Return all ends of stable intervals, by pressure, and the events among them."""
    ends: list[_End] = []
    events: list[Event] = []
    stable: frozenset[int] = frozenset()
    last = -np.inf

    def change(pressure: float, after: frozenset[int], in_event: bool) -> None:
        nonlocal stable
        ends.extend(_End(pressure, entry, False, in_event) for entry in sorted(stable - after))
        ends.extend(_End(pressure, entry, True, in_event) for entry in sorted(after - stable))
        stable = after

    for part in sweeps:
        begin = part.stages[0][0]
        if begin > last:
            change(last, frozenset(), False)
        elif stable != part.stages[0][2]:
            for event, after in _at_joint(curves, entries, begin, stable, part.stages[0][2]):
                change(begin, after, True)
                events.append(event)
        change(begin, part.stages[0][2], False)
        for low, _, after in part.stages[1:]:
            change(low, after, True)
        events.extend(part.events)
        last = part.stages[-1][1]
    change(last, frozenset(), False)
    return ends, events


def _at_joint(
    curves: Sequence[Curve], entries: Compositions, pressure: float, before: frozenset[int], after: frozenset[int]
) -> list[tuple[Event, frozenset[int]]]:
    """Return the events that happen to lie at the very pressure at which some curve begins or ends.

    They are real where every phase that enters or leaves the hull is known on both sides.
    """
    width = 3 * SAME_GPa
    both = [i for i, c in enumerate(curves) if c.from_GPa <= pressure - width and c.to_GPa >= pressure + width]
    if not (before ^ after) <= set(both):
        return []
    chosen = sorted((before | after) & set(both))
    found = follow(curves, entries, chosen, pressure - width, pressure + width)
    return found if found and found[-1][1] == after else []


def _transitions(
    curves: Sequence[Curve], entries: Compositions, event: Event, units: Mapping[str, str], error_name: str
) -> list[Transition]:
    """Return the reactions of an event with their volumes and errors."""
    found = []
    for before, after in event.reactions:
        sides = [
            [(curves[i].phase, units.get(curves[i].phase, curves[i].formula)) for i in side] for side in (before, after)
        ]
        try:
            reaction = make_reaction(sides[0], sides[1], entries.elements)
        except ValueError:
            # Several things at one pressure: a mixture of reactions says nothing that the intervals do not.
            continue
        shares = reaction.atom_fractions
        taking_part = [(curves[i], shares[curves[i].phase]) for i in (*before, *after)]
        volume = sum(share * float(curve.volume(event.pressure_GPa)) for curve, share in taking_part)
        error = sqrt(sum((share * float(curve.uncertainty(event.pressure_GPa))) ** 2 for curve, share in taking_part))
        known = isfinite(error) and isfinite(volume) and volume != 0
        error_GPa = error / abs(volume * GPa) if known else None
        found.append(
            Transition(
                event.pressure_GPa,
                error_GPa,
                reaction,
                volume,
                tuple(curves[i].phase for i in event.appears if i in after),
                tuple(curves[i].phase for i in event.disappears if i in before),
                error_parts_GPa={} if error_GPa is None else {error_name: error_GPa},
            )
        )
    return found


def _intervals(
    curves: Sequence[Curve], entries: Compositions, ends: list[_End], transitions: list[Transition]
) -> list[StableInterval]:
    """Return the intervals between the ends, by composition (richest in the first element first) and pressure."""
    errors: dict[tuple[float, str], float | None] = {}
    for transition in transitions:
        for phase in transition.reaction.phases:
            errors.setdefault((transition.pressure_GPa, phase), transition.error_GPa)
    begun: dict[int, _End] = {}
    found: list[tuple[tuple[float, ...], StableInterval]] = []
    for end in ends:
        if end.enters:
            begun[end.entry] = end
            continue
        begin, curve = begun.pop(end.entry), curves[end.entry]
        if end.pressure_GPa - begin.pressure_GPa <= SAME_GPa:
            continue
        interval = StableInterval(
            curve.phase,
            curve.formula,
            begin.pressure_GPa,
            end.pressure_GPa,
            not begin.in_event,
            not end.in_event,
            errors.get((begin.pressure_GPa, curve.phase)) if begin.in_event else None,
            errors.get((end.pressure_GPa, curve.phase)) if end.in_event else None,
        )
        found.append(((*(-entries.fractions[end.entry]).tolist(), begin.pressure_GPa), interval))
    return [interval for _, interval in sorted(found, key=lambda pair: pair[0])]


def _joined(curves: Sequence[Curve], grids: list[Array], sweeps: list[Sweep]) -> tuple[Array, Array]:
    """Return one grid and the heights on it; where two ranges meet, all curves that are known there take part."""
    if not grids:
        return np.empty(0), np.empty((0, len(curves)))
    grid, above = grids[0], sweeps[0].above_eV
    for more, part in zip(grids[1:], sweeps[1:], strict=True):
        skip = int(more[0] == grid[-1])
        if skip:
            above[-1] = hulls_at(curves, grid[-1:])[0].above_eV
        grid, above = np.concatenate([grid, more[skip:]]), np.concatenate([above, part.above_eV[skip:]])
    return grid, above


def _single_point_notes(curves: Sequence[Curve]) -> list[str]:
    if len({end for curve in curves for end in (curve.from_GPa, curve.to_GPa)}) == 1:
        return []  # there are no other pressures
    return [
        f"{curve.phase} is known at {curve.from_GPa:g} GPa only and takes no part at other pressures"
        for curve in curves
        if curve.from_GPa == curve.to_GPa
    ]


def _element_notes(curves: Sequence[Curve], entries: Compositions, spans: list[tuple[float, float]]) -> list[str]:
    """Say where an element has no phase, so that nothing can be told of its compounds."""
    missing: list[tuple[str, float, float]] = []
    for column, element in enumerate(entries.elements):
        pure = [(c.from_GPa, c.to_GPa) for i, c in enumerate(curves) if entries.fractions[i, column] == 1]
        for low, high in spans:
            if any(_covers(span, low, high) for span in pure):
                continue
            if missing and missing[-1][0] == element and missing[-1][2] == low:
                low = missing.pop()[1]
            missing.append((element, low, high))
    return [
        f"no phase of pure {element} is known between {low:g} and {high:g} GPa: "
        f"nothing is said there of {element} and its compounds"
        for element, low, high in missing
    ]


def _end_notes(curves: Sequence[Curve], ends: list[_End]) -> list[str]:
    """Say where a phase is stable at an end of its data while others are known beyond."""
    if not ends:
        return []
    lowest, highest = ends[0].pressure_GPa, ends[-1].pressure_GPa
    notes = []
    for end in ends:
        curve = curves[end.entry]
        if end.in_event or end.pressure_GPa in (lowest, highest):
            continue
        if end.enters and abs(curve.from_GPa - end.pressure_GPa) <= 4 * SAME_GPa:
            notes.append(f"{curve.phase} is stable where its data begin ({curve.from_GPa:g} GPa); below, it may be too")
        if not end.enters and abs(curve.to_GPa - end.pressure_GPa) <= 4 * SAME_GPa:
            notes.append(f"{curve.phase} is stable where its data end ({curve.to_GPa:g} GPa); beyond, it may be too")
    return notes
