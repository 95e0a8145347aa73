"""Transitions in a panel over pressure: lines with their numbers above, errors as bars, unresolved ones set apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.analysis.curve import Array
from megabar.analysis.figures.labels import spread
from megabar.analysis.figures.style import INK
from megabar.analysis.stability import Transition

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UNRESOLVED = "#7a818c"
ROOM_IN = 0.34
"""Room above a panel for the numbers."""
_NUMBER_pt, _LANE_pt, _FIRST_pt = 8.5, 4.5, 4.5
_LANES = 4
_VISIBLE_pt = 1.5
"""Errors that are shorter than this on paper are hidden by the line and not drawn."""


@dataclass(frozen=True)
class Mark:
    """A transition at a pressure (GPa), with its standard error; resolved: whether that leaves it a place."""

    pressure_GPa: float
    error_GPa: float | None = None
    resolved: bool = True

    @classmethod
    def of(cls, transition: Transition) -> Mark:
        """Return the mark of a transition."""
        return cls(transition.pressure_GPa, transition.error_GPa, transition.resolved is not False)

    @property
    def text(self) -> str:
        """The number: in parentheses where the transition is not resolved."""
        number = f"{self.pressure_GPa:.0f}" if self.pressure_GPa >= 20 else f"{self.pressure_GPa:.1f}"
        return number if self.resolved else f"({number})"


def inside(marks: Sequence[Mark], limits_GPa: tuple[float, float]) -> list[Mark]:
    """Return the marks between limits, by pressure."""
    found = [each for each in marks if limits_GPa[0] < each.pressure_GPa < limits_GPa[1]]
    return sorted(found, key=lambda each: each.pressure_GPa)


def draw_marks(ax: Axes, marks: Sequence[Mark]) -> list[Array]:
    """Draw transitions within the limits of a panel; return what of it labels should keep clear of (data coordinates).

    Where there are more than numbers fit side by side, those close to the one before have none.
    """
    shown = inside(marks, ax.get_xlim())
    if not shown:
        return []
    low, high = ax.get_xlim()
    bottom, top = ax.get_ylim()
    width_pt, height_pt = _size_pt(ax)
    per_pt = (high - low) / width_pt
    for each in shown:
        style: dict[str, Any] = {"color": INK if each.resolved else UNRESOLVED}
        ax.axvline(each.pressure_GPa, lw=0.6, ls=(0, (4, 2)) if each.resolved else (0, (1, 1.5)), zorder=1, **style)
    numbered = _numbered(shown, int(width_pt / _NUMBER_pt), _NUMBER_pt * per_pt)
    places = spread([each.pressure_GPa for each in numbered], _NUMBER_pt * per_pt, low, high)
    for each, place in zip(numbered, places, strict=True):
        _number(ax, each, place)
    busy = [np.array([[each.pressure_GPa, bottom], [each.pressure_GPa, top]]) for each in shown]
    ends = [-np.inf] * _LANES
    for each in shown:
        error = each.error_GPa or 0.0
        if error < _VISIBLE_pt * per_pt:
            continue
        lane = min(range(_LANES), key=lambda i: (ends[i] > each.pressure_GPa - error - 3 * per_pt, i))
        ends[lane] = max(ends[lane], each.pressure_GPa + error)
        height = top - (_FIRST_pt + _LANE_pt * lane) / height_pt * (top - bottom)
        busy.append(_error_bar(ax, each, error, height))
    return busy


def _numbered(shown: Sequence[Mark], room: int, gap: float) -> list[Mark]:
    """Return those whose numbers fit: all or, of a crowd, the first of each group."""
    if len(shown) <= room:
        return list(shown)
    found: list[Mark] = []
    for each in shown:
        if not found or each.pressure_GPa - found[-1].pressure_GPa >= gap:
            found.append(each)
    return found


def _number(ax: Axes, mark: Mark, place: float) -> None:
    color = INK if mark.resolved else UNRESOLVED
    ax.annotate(
        mark.text, (mark.pressure_GPa, 1.0), xycoords=ax.get_xaxis_transform(), xytext=(place, 1.035),
        textcoords=ax.get_xaxis_transform(), rotation=90, ha="center", va="bottom", fontsize=6.5, color=color,
        annotation_clip=False, arrowprops={"arrowstyle": "-", "lw": 0.5, "color": color, "shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip


def _error_bar(ax: Axes, mark: Mark, error: float, height: float) -> Array:
    color = INK if mark.resolved else UNRESOLVED
    [_, _, [bar]] = ax.errorbar(
        mark.pressure_GPa, height, xerr=error, fmt="none", ecolor=color, elinewidth=0.8, capsize=1.8, capthick=0.8,
        zorder=4,
    )  # fmt: skip
    bar.set_label("_transition-error")
    if not mark.resolved:
        bar.set_linestyle((0, (1.5, 1)))
    ends: Array = np.array([[mark.pressure_GPa - error, height], [mark.pressure_GPa + error, height]])
    return ends


def _size_pt(ax: Axes) -> tuple[float, float]:
    figure = ax.figure
    assert figure is not None
    return ax.bbox.width / figure.dpi * 72, ax.bbox.height / figure.dpi * 72
