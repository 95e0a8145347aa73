"""Colour, line and marker of each phase: no two phases look the same, and the same phase does in every figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from megabar.analysis.curve import Curve
from megabar.analysis.figures.style import PALETTE

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

MARKERS = ("o", "s", "D", "v", "P", "X", "<", "p", ">", "*", "d")
"""``^`` is none of them: it stands for what lies beyond the upper edge. Their number shares no factor with that of the
colours and lines."""
LINES = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.4, 1.2, 1.4)), (0, (3, 1.2, 1.2, 1.2, 1.2, 1.2)))
DISTINCT = len(PALETTE) * len(MARKERS) * len(LINES)
"""So many phases can be told apart; further ones look like the first again, and no figure draws as many."""


@dataclass(frozen=True)
class Look:
    """Colour, marker and line of a phase, the same in every figure."""

    color: str
    marker: str
    line: str | tuple[int, tuple[float, ...]]


def looks(curves: Sequence[Curve], nearness: Mapping[str, float] | None = None) -> dict[str, Look]:
    """Return the look of each phase, by colour first where that is enough.

    nearness: how far each phase is from being stable (any unit); the nearest ones get colours of their own, and phases
    of one composition different colours as long as there are some.
    """
    nearest = nearness or {}
    order = sorted(range(len(curves)), key=lambda i: nearest.get(curves[i].phase, 0.0))
    of_formula: dict[str, Counter[int]] = {}
    used = np.zeros(len(PALETTE), dtype=int)
    found = {}
    for i in order:
        own = of_formula.setdefault(curves[i].formula, Counter())
        color = min(range(len(PALETTE)), key=lambda c: (own[c], int(used[c]), c))
        turn = int(used[color])
        marker, line = MARKERS[(color + turn) % len(MARKERS)], LINES[turn % len(LINES)]
        found[curves[i].phase] = Look(PALETTE[color], marker, line)
        own[color] += 1
        used[color] += 1
    return {curve.phase: found[curve.phase] for curve in curves}


def handle(look: Look, name: str) -> Line2D:
    """Return what a legend shows of a phase."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=look.color, ls=look.line, marker=look.marker, mew=0, label=name)
