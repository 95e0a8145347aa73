"""Roots of a function that falls with ln T, by few evaluations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

ROUGH = 2e-3
"""Step in ln T at which the search hands over to polishing."""
STEP = 2.5
"""Largest step in ln T."""


def falling_root(
    function: Callable[[float], float], start: float, slope: float, lowest: float
) -> tuple[float, float] | None:
    """Return x near the zero of a falling function, and the slope there; None where the zero lies below `lowest`.

    Secant steps, the first with the slope given; halving where they leave the bracket found so far.
    """
    x, before = start, None
    low, high = -np.inf, np.inf
    for _ in range(100):
        value = function(x)
        low, high = (x, high) if value > 0 else (low, x)
        if before is not None and (value - before[1]) * (x - before[0]) < 0:
            slope = (value - before[1]) / (x - before[0])
        step = float(np.clip(-value / slope, -STEP, STEP))
        if abs(step) < ROUGH:
            return x + step, slope
        if x <= lowest and value <= 0:
            return None
        before, x = (x, value), max(x + step, lowest)
        if not low < x < high:
            x = (low + high) / 2
    raise ArithmeticError("the largest eigenvalue does not fall with temperature")


def polished_root(function: Callable[[float], float], x: float, slope: float) -> float:
    """Return the zero of a function from a close guess and the slope there, to about 1e-8, by secant steps."""
    step = np.inf
    value = function(x)
    for _ in range(20):
        step = -value / slope
        x += step
        if abs(step) < 1e-6:
            break
        following = function(x)
        slope, value = (following - value) / step, following
    return x
