"""The answer of a stability study in words, and its numbers with their errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from megabar.analysis.figures.style import short_name
from megabar.analysis.stability import Stability, StableInterval
from megabar.structures.composition import parse_formula
from megabar.workflows.report.values import measured

if TYPE_CHECKING:
    from megabar.workflows.kinds.stability.answer import StabilityAnswer

_SAME_GPA = 1e-3


@dataclass(frozen=True)
class Sentence:
    """A statement, and the reaction behind it (empty where there is none)."""

    text: str
    reaction: str = ""
    note: str = ""


def headline(answer: StabilityAnswer) -> list[Sentence]:
    """Return the answer in sentences: compounds first, then the transitions of the elements."""
    stability = answer.stability
    if stability is None:
        return [Sentence("There is no hull yet: an element has no converged calculation.")]
    formulas = list(dict.fromkeys(ladder.formula for ladder in answer.plan.ladders))
    return sentences(stability, formulas, answer.plan.pressures_GPa)


def sentences(stability: Stability, formulas: Sequence[str], pressures_GPa: Sequence[float]) -> list[Sentence]:
    """Return what a stability says of formulas: compounds first, then the transitions of the elements.

    pressures_GPa: where the hull is told if no phase is stable over a range.
    """
    if not stability.intervals:
        return _at_single_pressures(stability, pressures_GPa)
    compounds = [formula for formula in formulas if len(parse_formula(formula)) > 1]
    elements = [formula for formula in formulas if len(parse_formula(formula)) == 1]
    said = [sentence for formula in compounds for sentence in _compound(stability, formula)]
    said.sort(key=lambda sentence: "not stable" in sentence.text)
    said += [sentence for formula in elements if (sentence := _sequence(stability, formula))]
    return said or [Sentence("Nothing is known to be stable yet.")]


def _at_single_pressures(stability: Stability, pressures: Sequence[float]) -> list[Sentence]:
    said = []
    for pressure in pressures:
        stable = [phase for phase, height in stability.above_hull(pressure).items() if height <= 1e-9]
        if stable:
            said.append(Sentence(f"At {pressure:g} GPa these phases are stable: {', '.join(stable)}."))
    return said or [Sentence("No phase of every element is known at any pressure asked for: there is no hull.")]


@dataclass(frozen=True)
class _Span:
    """A stretch of pressure in which one composition is stable, in one phase or several in turn."""

    first: StableInterval
    last: StableInterval


def _spans(stability: Stability, formula: str) -> list[_Span]:
    own = sorted((i for i in stability.intervals if i.formula == formula), key=lambda each: each.from_GPa)
    spans: list[_Span] = []
    for interval in own:
        if spans and abs(spans[-1].last.to_GPa - interval.from_GPa) < _SAME_GPA:
            spans[-1] = _Span(spans[-1].first, interval)
        else:
            spans.append(_Span(interval, interval))
    return spans


def _compound(stability: Stability, formula: str) -> list[Sentence]:
    spans = _spans(stability, formula)
    if not spans:
        return [_closest(stability, formula)]
    said = []
    for span in spans:
        begin, end = span.first, span.last
        low, high = measured(begin.from_GPa, begin.from_error_GPa), measured(end.to_GPa, end.to_error_GPa)
        reactions = [
            _reaction(stability, pressure, interval.phase)
            for pressure, interval, is_open in (
                (begin.from_GPa, begin, begin.from_open),
                (end.to_GPa, end, end.to_open),
            )
            if not is_open
        ]
        if begin.from_open and end.to_open:
            text = f"{formula} is stable at all pressures where it is known, {begin.from_GPa:g} to {end.to_GPa:g} GPa"
            note = ""
        elif end.to_open:
            text, note = f"{formula} is stable above {low} GPa", f"up to at least {end.to_GPa:.0f} GPa"
        elif begin.from_open:
            text, note = f"{formula} is stable up to {high} GPa", f"from {begin.from_GPa:.0f} GPa or less"
        else:
            text, note = f"{formula} is stable between {low} and {high} GPa", ""
        said.append(Sentence(text, "; ".join(each for each in reactions if each), note))
    return said


def _reaction(stability: Stability, pressure: float, phase: str) -> str:
    """Return the reaction by which a phase comes or goes at a pressure."""
    at = [t for t in stability.transitions if abs(t.pressure_GPa - pressure) < _SAME_GPA]
    own = [t for t in at if phase in (*t.appears, *t.disappears)] or [t for t in at if phase in t.reaction.phases]
    return own[0].reaction.text if own else ""


def _closest(stability: Stability, formula: str) -> Sentence:
    """Say where a composition that is never stable comes closest to the hull."""
    import numpy as np

    own = [i for i, curve in enumerate(stability.curves) if curve.formula == formula]
    above = stability.above_eV[:, own] if own else np.empty((0, 0))
    if not above.size or not np.isfinite(above).any():
        return Sentence(f"Of {formula} nothing is known: not stable or not computed", note="see what failed")
    row, column = np.unravel_index(int(np.nanargmin(above)), above.shape)
    height, phase = 1000 * float(above[row, column]), stability.curves[own[int(column)]].phase
    return Sentence(
        f"{formula} is not stable at any pressure",
        note=f"closest to the hull at {stability.grid_GPa[row]:.0f} GPa: {phase}, {height:.1f} meV/atom above it",
    )


def _sequence(stability: Stability, formula: str) -> Sentence | None:
    """Say in which order the phases of an element follow each other: ``Na: bcc → fcc at 65 GPa → …``."""
    own = sorted((i for i in stability.intervals if i.formula == formula), key=lambda each: each.from_GPa)
    if not own:
        return None
    names = [short_name(interval.phase, interval.formula) for interval in own]
    if len(own) == 1:
        return Sentence(f"{formula}: {names[0]} from {own[0].from_GPa:.0f} to {own[0].to_GPa:.0f} GPa")
    text = names[0]
    for (before, after), name in zip(pairwise(own), names[1:], strict=True):
        joined = abs(before.to_GPa - after.from_GPa) < _SAME_GPA and not after.from_open
        where = f"{measured(after.from_GPa, after.from_error_GPa)} GPa" if joined else "between their data"
        text += f" → {name} ({where})"
    return Sentence(f"{formula}: {text}")
