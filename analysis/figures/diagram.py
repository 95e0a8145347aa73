"""P–T diagrams of a system: transitions over temperature with their errors, and what is stable between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from megabar.analysis.curve import Array
from megabar.analysis.stability import Stability, Transition

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT_IN = 2.7
STATIC, EDGE = 0.14, 0.07
"""Places of the static lattice and of the left edge beyond it, left of 0 K, and the room on the right; of the axis."""
ROOM = 0.3
"""Of the pressures between the transitions, below and above them."""
LEAST_NAMED = 0.07
"""Share of the panel's height that a region needs to be named."""
FINE = 33
SMALL = 7.0


@dataclass(frozen=True, eq=False)
class WarmHull:
    """The hull at a temperature.

    temperature_K: 0 with zero-point motion alone; None: of the static lattice. isotopes: what atoms are of another
    mass, in words; empty: natural. slopes_GPa_K: dP/dT of the transitions, in their order; None where not known.
    """

    temperature_K: float | None
    isotopes: str
    stability: Stability
    slopes_GPa_K: Sequence[float | None] = ()


@dataclass(frozen=True)
class LinePoint:
    """A transition at a temperature (K): pressure and its standard error (GPa), and dP/dT (GPa/K) where it is known."""

    temperature_K: float
    pressure_GPa: float
    error_GPa: float | None
    slope_GPa_K: float | None


@dataclass(frozen=True, eq=False)
class DiagramLine:
    """A transition over temperature.

    parts: its points, in stretches of neighbouring temperatures. static: of the static lattice, None where that has it
    not, or of other isotopes, for which it is the same.
    """

    name: str
    isotopes: str
    parts: tuple[tuple[LinePoint, ...], ...]
    static: tuple[float, float | None] | None


@dataclass(frozen=True)
class Region:
    """What is stable of a composition: at temperatures (K), from and to which pressures (GPa); inf: to the edge."""

    name: str
    spans: Mapping[float, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class DiagramPanel:
    """One composition: its lines, and the regions between those of the natural isotopes."""

    formula: str
    lines: tuple[DiagramLine, ...]
    regions: tuple[Region, ...]


def diagram_panels(hulls: Sequence[WarmHull], labels: Mapping[str, str] | None = None) -> list[DiagramPanel]:
    """Return a panel for each composition whose stability changes with pressure; labels: what phases are called."""
    warm = [each for each in hulls if each.temperature_K is not None]
    formulas = dict.fromkeys(curve.formula for each in warm for curve in each.stability.curves)
    found = []
    for formula in formulas:
        lines = _lines(formula, hulls, labels or {})
        if lines:
            natural = [each for each in warm if not each.isotopes]
            found.append(DiagramPanel(formula, tuple(lines), tuple(_regions(formula, natural, labels or {}))))
    return found


Key = tuple[tuple[str, ...], tuple[str, ...], int]


def _lines(formula: str, hulls: Sequence[WarmHull], labels: Mapping[str, str]) -> list[DiagramLine]:
    static: dict[Key, tuple[float, float | None]] = {}
    names: dict[Key, str] = {}
    points: dict[tuple[Key, str], dict[float, LinePoint]] = {}
    for hull in hulls:
        for key, transition, slope in _own(formula, hull):
            names.setdefault(key, _name(formula, key, transition, labels))
            if hull.temperature_K is None:
                static[key] = (transition.pressure_GPa, transition.error_GPa)
                continue
            point = LinePoint(hull.temperature_K, transition.pressure_GPa, transition.error_GPa, slope)
            points.setdefault((key, hull.isotopes), {})[hull.temperature_K] = point
    found = []
    for (key, isotopes), own in points.items():
        told = sorted({h.temperature_K for h in hulls if h.temperature_K is not None and h.isotopes == isotopes})
        at = None if isotopes else static.get(key)
        found.append(DiagramLine(names[key], isotopes, tuple(_stretches(own, told)), at))
    without = [key for key in static if (key, "") not in points]
    return [*found, *(DiagramLine(names[key], "", (), static[key]) for key in without)]


def _own(formula: str, hull: WarmHull) -> Iterator[tuple[Key, Transition, float | None]]:
    """Yield the transitions that a composition has part in, each with what it is the same transition by."""
    formulas = {curve.phase: curve.formula for curve in hull.stability.curves}
    seen: Counter[tuple[tuple[str, ...], tuple[str, ...]]] = Counter()
    slopes = hull.slopes_GPa_K or [None] * len(hull.stability.transitions)
    for transition, slope in zip(hull.stability.transitions, slopes, strict=True):
        before, after = (
            tuple(sorted(phase for phase in phases if formulas[phase] == formula))
            for phases in (transition.disappears, transition.appears)
        )
        if before or after:
            yield (before, after, seen[before, after]), transition, slope
            seen[before, after] += 1


def _name(formula: str, key: Key, transition: Transition, labels: Mapping[str, str]) -> str:
    from megabar.analysis.figures.style import named

    before, after = ([named(phase, formula, labels, short=True) for phase in phases] for phases in key[:2])
    return f"{', '.join(before)} → {', '.join(after)}" if before and after else transition.reaction.text


def _stretches(points: Mapping[float, LinePoint], told_K: Sequence[float]) -> Iterator[tuple[LinePoint, ...]]:
    """Yield points at neighbouring temperatures that a line joins; where one is missing between two, none does."""
    stretch: list[LinePoint] = []
    for temperature in told_K:
        point = points.get(temperature)
        if stretch and (point is None or not _joined(stretch[-1], point)):
            yield tuple(stretch)
            stretch = []
        if point is not None:
            stretch.append(point)
    if stretch:
        yield tuple(stretch)


def _joined(one: LinePoint, other: LinePoint) -> bool:
    """Whether the slopes at two points lead from one to the other: else something has happened between them."""
    if one.slope_GPa_K is None or other.slope_GPa_K is None:
        return True
    step = other.temperature_K - one.temperature_K
    miss = abs(other.pressure_GPa - one.pressure_GPa - step * (one.slope_GPa_K + other.slope_GPa_K) / 2)
    steepest = max(abs(one.slope_GPa_K), abs(other.slope_GPa_K))
    return miss <= steepest * step + (one.error_GPa or 0.0) + (other.error_GPa or 0.0)


def _regions(formula: str, hulls: Sequence[WarmHull], labels: Mapping[str, str]) -> list[Region]:
    from megabar.analysis.figures.style import named

    spans: dict[tuple[str, int], dict[float, tuple[float, float]]] = {}
    for hull in hulls:
        assert hull.temperature_K is not None
        own = sorted((i for i in hull.stability.intervals if i.formula == formula), key=lambda each: each.from_GPa)
        seen: Counter[str] = Counter()
        for each in own:
            name = named(each.phase, formula, labels, short=True)
            low, high = (-np.inf if each.from_open else each.from_GPa), (np.inf if each.to_open else each.to_GPa)
            spans.setdefault((name, seen[name]), {})[hull.temperature_K] = (low, high)
            seen[name] += 1
        for name, low, high in _decomposed(formula, hull):
            spans.setdefault((name, seen[name]), {})[hull.temperature_K] = (low, high)
            seen[name] += 1
    return [Region(name, known) for (name, _), known in spans.items()]


def _decomposed(formula: str, hull: WarmHull) -> Iterator[tuple[str, float, float]]:
    """Yield the pressures at which a composition is not stable, with what it decomposes into."""
    from megabar.analysis.figures.style import pretty_formula

    own = [(key, each) for key, each, _ in _own(formula, hull) if not (key[0] and key[1])]
    begin, name = -np.inf, ""
    for (before, _, _), transition in own:
        terms = transition.reaction.products if before else transition.reaction.reactants
        others = " + ".join(pretty_formula(term.formula) for term in terms if term.formula != formula)
        if before:
            begin, name = transition.pressure_GPa, others
        else:
            yield others, begin, transition.pressure_GPa
            begin, name = -np.inf, ""
    if name:
        yield name, begin, np.inf


def diagram_figure(panels: Sequence[DiagramPanel], limits_GPa: tuple[float, float]) -> Figure:
    """Return the figure of some panels; limits_GPa: pressures that were asked for."""
    from megabar.analysis.figures.style import Margins, journal_style, page_panels, pretty_formula

    with journal_style():
        figure, axes = page_panels(len(panels), HEIGHT_IN, Margins(left=0.52, right=0.14))
        for each, panel in zip(axes, panels, strict=True):
            _panel(each, panel, limits_GPa)
            each.set_title(pretty_formula(panel.formula), loc="left")
    return figure


def _panel(axes: Axes, panel: DiagramPanel, limits_GPa: tuple[float, float]) -> None:
    from megabar.analysis.figures.looks import LINES
    from megabar.analysis.figures.style import FAINT, INK, PALETTE

    hottest = max((p.temperature_K for line in panel.lines for part in line.parts for p in part), default=0.0)
    hottest = max([hottest, *(t for region in panel.regions for t in region.spans)])
    span = hottest or 1.0
    axes.set_xlim(-(STATIC + EDGE) * span, (1 + EDGE) * span if hottest else STATIC * span)
    axes.set_ylim(*_limits(panel, limits_GPa))
    axes.axvline(-STATIC / 2 * span, color=FAINT, linewidth=0.6, zorder=0)
    names = list(dict.fromkeys(line.name for line in panel.lines))
    isotopes = list(dict.fromkeys(["", *(line.isotopes for line in panel.lines)]))
    busy = []
    for line in panel.lines:
        color = PALETTE[names.index(line.name) % len(PALETTE)]
        busy += _draw(axes, line, color, LINES[isotopes.index(line.isotopes) % len(LINES)], -STATIC * span)
    _name_regions(axes, panel.regions, span if hottest else 0.0)
    _tell_slopes(axes, panel.lines, names, busy)
    ticks = [each for each in _ticks(hottest) if each <= hottest]
    axes.set_xticks([-STATIC * span, *ticks], ["static", *(f"{each:g}" for each in ticks)])
    axes.set_xlabel("Temperature (K)")
    axes.set_ylabel("Pressure (GPa)")
    if len(isotopes) > 1:
        for number, name in enumerate(isotopes):
            axes.plot([], [], color=INK, linestyle=LINES[number % len(LINES)], label=name or "natural isotopes")
        axes.legend(loc="best")


def _limits(panel: DiagramPanel, limits_GPa: tuple[float, float]) -> tuple[float, float]:
    reach = [
        (point.pressure_GPa, point.error_GPa or 0.0) for line in panel.lines for part in line.parts for point in part
    ]
    reach += [(line.static[0], line.static[1] or 0.0) for line in panel.lines if line.static is not None]
    lowest, highest = min(p - e for p, e in reach), max(p + e for p, e in reach)
    room = ROOM * max(highest - lowest, 0.2 * (limits_GPa[1] - limits_GPa[0]))
    low, high = max(lowest - room, limits_GPa[0]), min(highest + room, limits_GPa[1])
    return (low, high) if high > low else (low - 1.0, high + 1.0)


def _ticks(hottest_K: float) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    return [0.0] if hottest_K == 0 else [float(each) for each in MaxNLocator(5).tick_values(0.0, hottest_K)]


def _draw(axes: Axes, line: DiagramLine, color: str, style: object, static_x: float) -> list[Array]:
    """Draw a transition; return what of it names should keep clear of."""
    busy = []
    for part in line.parts:
        at, pressure, error = _through(part)
        axes.plot(at, pressure, color=color, linestyle=style, marker="" if len(part) > 1 else "o")
        if not line.isotopes:  # that of the others is the same, and would only cover it
            axes.fill_between(at, pressure - error, pressure + error, color=color, alpha=0.18, linewidth=0)
        told = [(point.temperature_K, point.pressure_GPa, point.error_GPa or 0.0) for point in part]
        x, y, e = (list(values) for values in zip(*told, strict=True))
        axes.errorbar(x, y, e if len(part) == 1 else None, fmt="o", markersize=3.0, color=color, elinewidth=0.8)
        busy.append(np.column_stack([at, pressure]))
    if line.static is not None:
        pressure_GPa, error_GPa = line.static
        axes.errorbar(
            static_x, pressure_GPa, error_GPa, fmt="D", mfc="none", markersize=4.0, color=color, elinewidth=0.8,
            capsize=1.8,
        )  # fmt: skip
        first = line.parts[0][0] if line.parts else None
        if first is not None and first.temperature_K == 0:
            ends = np.array([[static_x, pressure_GPa], [0.0, first.pressure_GPa]])
            axes.plot(*ends.T, color=color, linestyle=(0, (1, 2)), linewidth=0.8)
            busy.append(ends)
    return busy


def _through(part: Sequence[LinePoint]) -> tuple[Array, Array, Array]:
    """Return temperatures, pressures and errors along a line: cubic by the slopes that are known, else straight."""
    if len(part) == 1:
        only = part[0]
        return np.array([only.temperature_K]), np.array([only.pressure_GPa]), np.array([0.0])
    at, pressure = [], []
    for one, other in pairwise(part):
        step = other.temperature_K - one.temperature_K
        rise = (other.pressure_GPa - one.pressure_GPa) / step
        first, last = (rise if each.slope_GPa_K is None else each.slope_GPa_K for each in (one, other))
        u = np.linspace(0.0, 1.0, FINE)
        at.append(one.temperature_K + u * step)
        bend = u * (1 - u) * step * ((first - rise) * (1 - u) - (last - rise) * u)
        pressure.append(one.pressure_GPa + u * step * rise + bend)
    told = [point.temperature_K for point in part]
    along = np.concatenate(at)
    return along, np.concatenate(pressure), np.interp(along, told, [point.error_GPa or 0.0 for point in part])


def _name_regions(axes: Axes, regions: Sequence[Region], hottest_K: float) -> None:
    """Write what is stable where it has the most room: between temperatures at both of which it is."""
    low, high = axes.get_ylim()
    for region in regions:
        best = max(_places(region, (low, high), hottest_K), default=None)
        if best is not None and best[0] > LEAST_NAMED * (high - low):
            x, y = best[2:]
            axes.text(x, y, region.name, ha="center", va="center", size=8, color="#5b626d", zorder=1)


def _places(
    region: Region, limits: tuple[float, float], hottest_K: float
) -> Iterator[tuple[float, float, float, float]]:
    """Yield room (GPa), nearness to the middle, temperature and pressure of the middle of a region."""
    known = sorted(region.spans)
    middle = hottest_K / 2
    for t in np.linspace(0.12, 0.88, FINE) * hottest_K if hottest_K else [0.0]:
        around = [each for each in known if each <= t][-1:] + [each for each in known if each >= t][:1]
        if len(around) < 2:
            continue
        share = 0.0 if around[1] == around[0] else (t - around[0]) / (around[1] - around[0])
        ends = [np.clip(region.spans[each], *limits) for each in around]
        bottom, top = (float((1 - share) * one + share * other) for one, other in zip(*ends, strict=True))
        x = t if hottest_K else STATIC / 2
        yield round(top - bottom, 3), -abs(t - middle), float(x), (bottom + top) / 2


def _tell_slopes(axes: Axes, lines: Sequence[DiagramLine], names: Sequence[str], busy: Sequence[Array]) -> None:
    """Write dP/dT beside the hottest point of each line of the natural isotopes."""
    from megabar.analysis.figures.labels import Label, place_labels
    from megabar.analysis.figures.style import PALETTE

    labels = []
    for line in lines:
        last = line.parts[-1][-1] if line.parts and not line.isotopes else None
        if last is None or not last.slope_GPa_K or not isfinite(last.slope_GPa_K):
            continue
        at, pressure, _ = _through(line.parts[-1])
        text = f"{1000 * last.slope_GPa_K:+.2g} MPa/K".replace("-", "−")
        end = np.column_stack([at, pressure])[::-1][: max(1, len(at) // 3)]
        labels.append(Label(text, PALETTE[names.index(line.name) % len(PALETTE)], end, most=200.0))
    place_labels(axes, labels, busy, SMALL)


def diagram_caption(panels: Sequence[DiagramPanel]) -> str:
    """Return the sentences that belong below the figure."""
    text = (
        "Transitions over temperature by the quasi-harmonic approximation, and what is stable between them. Points: "
        "computed, at 0 K with zero-point motion; lines through them by their slopes dP/dT = ΔS/ΔV, which stand beside "
        "them for the highest temperature; bands and bars: standard error; diamonds: the static lattice."
    )
    if any(line.isotopes for panel in panels for line in panel.lines):
        text += " Broken lines: other isotopes, whose errors are the same."
    if any(len(line.parts) > 1 for panel in panels for line in panel.lines):
        text += (
            " A line is broken where the transition is missing at a temperature, or where the slopes at two do not "
            "lead from one to the other: ask for temperatures between them."
        )
    lost = [line.name for panel in panels for line in panel.lines if not line.parts]
    if lost:
        text += f" Of the static lattice alone: {', '.join(lost)}."
    return text
