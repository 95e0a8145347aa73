"""H(P) through given points: smooth, with a volume that falls with pressure wherever the points allow it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from megabar.analysis.curve import Array


@dataclass(frozen=True, eq=False)
class Interpolant:
    """A function of pressure (GPa) and its slope; both take arrays of any shape inside the points."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]


def interpolate(pressures: Array, enthalpies: Array) -> Interpolant:
    """Return the interpolant through at least two points with increasing pressures.

    A cubic spline (not-a-knot) in x = (P + c)^q rather than in P. Murnaghan's equation of state (PNAS 30, 244 (1944),
    doi:10.1073/pnas.30.9.244) gives exactly H = a + b (P + c)^q with c = K0/K0', q = 1 - 1/K0', so with the c and q
    that make the points straightest a compressible solid is nearly linear in x and even three points serve; this
    leaves a quarter to a tenth of the error of a spline in P on Vinet and Birch-Murnaghan solids from 0 to 500 GPa.
    Where the points are concave but the spline is not, a quadratic spline that keeps the shape takes its place. Two
    points give a straight line: nothing says more.
    """
    x, dx = _straightening(pressures, enthalpies)
    from scipy.interpolate import CubicSpline

    spline = CubicSpline(x(pressures), enthalpies)
    smooth = Interpolant(lambda p: spline(x(p)), lambda p: spline(x(p), 1) * dx(p))
    secants = np.diff(enthalpies) / np.diff(pressures)
    if not np.all(np.diff(secants) < 0) or is_falling(smooth, pressures, bool(secants[-1] > 0)):
        return smooth
    return _keeping_shape(pressures, enthalpies, secants, smooth.slope(pressures))


def _straightening(pressures: Array, enthalpies: Array) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """Return x(P) and dx/dP of the (P + c)^q in which the points are straightest; P itself where nothing is gained."""
    start, span = pressures[0], pressures[-1] - pressures[0]

    def reduced_pressure(p: Array) -> Array:
        t: Array = (p - start) / span
        return t

    plain = reduced_pressure, lambda p: np.full(np.shape(p), 1 / span)
    if len(pressures) < 3:
        return plain
    found = _straightest(reduced_pressure(pressures), enthalpies)
    if found is None:
        return plain
    c, q = found
    return lambda p: (reduced_pressure(p) + c) ** q, lambda p: q * (reduced_pressure(p) + c) ** (q - 1) / span


# Shifts c in units of the range of pressure, powers q; three and four points cannot tell K0', 4 is the typical one.
_SHIFTS = np.geomspace(1e-4, 1e2, 31)
_POWERS = np.linspace(0.5, 0.9, 9)
_TYPICAL = np.array([0.75])


@lru_cache(maxsize=64)
def _candidates(points: bytes) -> tuple[Array, Array]:
    """Return (t + c)^q for all c and q, centred, each of length one, and its c and q; shared by curves of one table."""
    t = np.frombuffer(points)
    powers = _POWERS if len(t) > 4 else _TYPICAL
    shifts, exponents = (grid.ravel() for grid in np.meshgrid(_SHIFTS, powers, indexing="ij"))
    x = (t + shifts[:, None]) ** exponents[:, None]
    x -= x.mean(axis=1, keepdims=True)
    return x / np.linalg.norm(x, axis=1, keepdims=True), np.stack([shifts, exponents], axis=1)


def _straightest(t: Array, enthalpies: Array) -> tuple[float, float] | None:
    """Return the c and q that leave the least squares of a straight line in (t + c)^q; None where t itself does."""
    h = enthalpies - enthalpies.mean()
    x, parameters = _candidates(t.tobytes())
    squares = (x @ h) ** 2
    best = int(squares.argmax())
    c, q = (float(number) for number in parameters[best])
    straight = t - t.mean()
    if c == _SHIFTS[-1] or squares[best] <= (straight @ h) ** 2 / (straight @ straight):
        return None
    return _refine(t, h, c, q, fixed_power=len(t) <= 4)


def _refine(t: Array, h: Array, c: float, q: float, fixed_power: bool) -> tuple[float, float]:
    """Return c and q after some Gauss-Newton steps in (ln c, q), each shortened until it lowers the misfit."""

    def line(c: float, q: float) -> tuple[Array, float, Array]:
        x = (t + c) ** q
        centred = x - x.sum() / len(x)
        slope = float(centred @ h / (centred @ centred))
        return x, slope, h - slope * centred

    x, slope, left = line(c, q)
    misfit = left @ left
    for _ in range(6):
        moved = [q * c * x / (t + c), x] if fixed_power else [q * c * x / (t + c), x * np.log(t + c), x]
        columns = slope * np.stack(moved, axis=1)
        columns -= columns.sum(axis=0) / len(t)
        step = np.linalg.lstsq(columns, left, rcond=None)[0]
        before = misfit
        for scale in (1.0, 0.5, 0.25, 0.1):
            new_c = float(min(max(c * np.exp(min(max(scale * step[0], -2), 2)), 1e-4), 1e2))
            new_q = q if fixed_power else float(min(max(q + scale * step[1], 0.3), 0.95))
            new = line(new_c, new_q)
            if (value := new[2] @ new[2]) < misfit:
                (x, slope, left), c, q, misfit = new, new_c, new_q, value
                break
        if before - misfit <= 0.05 * before or misfit <= 1e-26 * (h @ h):
            break
    return c, q


def straight_coordinate(pressures: Array, enthalpies: Array) -> Callable[[Array], Array]:
    """Return the x(P) in which the points are straightest (see `interpolate`), for any pressure."""
    x = _straightening(pressures, enthalpies)[0]
    # Left of the first point (P + c) may be negative; there x goes on as it is at that point.
    return lambda p: x(np.maximum(p, pressures[0])) + np.minimum(p - pressures[0], 0.0) * _first_slope(x, pressures)


def _first_slope(x: Callable[[Array], Array], pressures: Array) -> float:
    step = 1e-3 * (pressures[1] - pressures[0])
    ends = x(np.array([pressures[0], pressures[0] + step]))
    return float((ends[1] - ends[0]) / step)


def is_falling(curve: Interpolant, pressures: Array, positive: bool = False) -> bool:
    """Tell whether the slope falls everywhere (and stays positive where the points rise)."""
    inside = (pressures[:-1, None] + np.diff(pressures)[:, None] * np.arange(4) / 4).ravel()
    slope = curve.slope(np.append(inside, pressures[-1]))
    return bool(np.all(np.diff(slope) <= 1e-9 * np.abs(slope).max()) and (slope[-1] > 0 or not positive))


def _keeping_shape(pressures: Array, enthalpies: Array, secants: Array, slopes: Array) -> Interpolant:
    """Return the concave quadratic spline of Schumaker, SIAM J. Numer. Anal. 20, 853 (1983), doi:10.1137/0720057.

    The slopes at the points are held between the neighbouring secants; one more knot in each interval does the rest.
    """
    from scipy.interpolate import PPoly

    upper = np.append(2 * secants[0] - secants[1], secants)
    lower = np.append(secants, max(2 * secants[-1] - secants[-2], min(secants[-1], 0.5 * secants[-1])))
    m = np.clip(slopes, lower + 0.05 * (upper - lower), upper - 0.05 * (upper - lower))
    width = np.diff(pressures)
    left, right = m[:-1], m[1:]
    # The added knot lies where the tangents of both ends meet; there the slope is that of the secant.
    share = (secants - right) / (left - right)
    knots = np.empty(2 * len(width) + 1)
    knots[::2] = pressures
    knots[1::2] = pressures[:-1] + share * width
    first = np.stack([(secants - left) / (2 * share * width), left, enthalpies[:-1]])
    at_knot = enthalpies[:-1] + share * width * (left + secants) / 2
    second = np.stack([(right - secants) / (2 * (1 - share) * width), secants, at_knot])
    coefficients = np.empty((3, 2 * len(width)))
    coefficients[:, ::2], coefficients[:, 1::2] = first, second
    spline = PPoly(coefficients, knots)
    return Interpolant(spline, spline.derivative())
