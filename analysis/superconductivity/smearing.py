"""Which smearing of the double delta over the Fermi surface to quote, and what that choice is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

AROUND = sqrt(2)
"""λ is judged over the smearings between σ/√2 and √2σ."""
FLAT = 0.05
"""Relative spread of λ over them below which it counts as being on a plateau."""
_LEAST = 3


@dataclass(frozen=True)
class Choice:
    """The smearing to quote. place: its number; around: the numbers it is judged by; spread: (max−min)/λ over them."""

    place: int
    around: tuple[int, ...]
    spread: float | None
    why: str
    notes: tuple[str, ...]


def choose(smearings: Sequence[float], lambdas: Sequence[float]) -> Choice:
    """Return the smearing around which λ varies least, over an octave of smearings.

    Small smearings see single k-points, large ones wash the Fermi surface out; between them lies a plateau, if the
    k-grid is dense enough. smearings: increasing, above 0. Where there are too few to judge, the middle one is
    taken, and all of them are its spread.
    """
    sigma, values = np.asarray(smearings, float), np.asarray(lambdas, float)
    windows = [(i, np.flatnonzero((sigma >= s / AROUND) & (sigma <= s * AROUND))) for i, s in enumerate(sigma)]
    whole = [
        (i, around)
        for i, around in windows
        if len(around) >= _LEAST and sigma[i] / AROUND >= sigma[0] and sigma[i] * AROUND <= sigma[-1]
    ]
    if not whole:
        return _too_few(values)
    spreads = [float(np.ptp(values[around]) / values[i]) for i, around in whole]
    best = int(np.argmin(spreads))
    (place, around), spread = whole[best], spreads[best]
    why = f"λ varies least there: by {spread:.1%} between {sigma[around[0]]:g} and {sigma[around[-1]]:g} Ry"
    notes: tuple[str, ...] = ()
    if spread > FLAT:
        notes = (
            f"λ has no plateau over the smearings: where it is flattest it still varies from "
            f"{values[around].min():.3g} to {values[around].max():.3g} between {sigma[around[0]]:g} and "
            f"{sigma[around[-1]]:g} Ry; a denser k-grid is needed",
        )
    return Choice(place, tuple(int(i) for i in around), spread, why, notes)


def _too_few(values: np.ndarray) -> Choice:
    count = len(values)
    if count == 1:
        return Choice(0, (0,), None, "the only one", ("with one smearing nothing tells how λ depends on it",))
    place = count // 2
    spread = float(np.ptp(values) / values[place])
    note = f"too few smearings to see a plateau; λ varies by {spread:.0%} over all of them"
    return Choice(place, tuple(range(count)), spread, "the middle one", (note,))
