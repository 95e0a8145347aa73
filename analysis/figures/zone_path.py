"""Branches along a path through the Brillouin zone, with the names of its corners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
CROWDED = 0.06
"""Share of the axis below which two labels would touch; the first is then written to the left of its place."""


@dataclass(frozen=True, eq=False)
class PathPart:
    """A straight part of a path. along: place on the axis, shape (k,); values: of the branches, (k, branches)."""

    start: str
    end: str
    along: Array
    values: Array


def draw_path(axes: Axes, parts: Sequence[PathPart], below: str | None = None) -> None:
    """Draw branches along a path and name its corners; below: the colour of what is below zero."""
    from megabar.analysis.figures.style import FAINT, INK

    ticks: list[float] = []
    labels: list[str] = []
    for part in parts:
        axes.plot(part.along, part.values, color=INK, linewidth=0.8, zorder=2)
        if below is not None and float(part.values.min()) < 0:
            axes.plot(part.along, np.where(part.values < 0, part.values, np.nan), color=below, linewidth=1.1, zorder=3)
        start = float(part.along[0])
        if ticks and abs(start - ticks[-1]) < 1e-9:
            if labels[-1] != part.start:
                labels[-1] = f"{labels[-1]}|{part.start}"
        else:
            ticks.append(start)
            labels.append(part.start)
        ticks.append(float(part.along[-1]))
        labels.append(part.end)
    for tick in ticks:
        axes.axvline(tick, color=FAINT, linewidth=0.5, zorder=0)
    axes.set_xticks(ticks, labels)
    for label, here, after in zip(axes.get_xticklabels(), ticks, ticks[1:], strict=False):
        if after - here < CROWDED * ticks[-1]:
            label.set_horizontalalignment("right")
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(ticks[0], ticks[-1])
