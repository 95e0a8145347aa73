"""H(P) through given points: smooth, with a volume that falls with pressure wherever the points allow it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
    leaves a tenth of the error of a spline in P on Vinet and Birch-Murnaghan solids from 0 to 500 GPa. Where the
    points are concave but the spline is not, a quadratic spline that keeps the shape takes its place. Two points give
    a straight line: nothing says more.
    """
    x, dx = _straightening(pressures, enthalpies)
    from scipy.interpolate import CubicSpline

    spline = CubicSpline(x(pressures), enthalpies)
    derivative = spline.derivative()
    smooth = Interpolant(lambda p: spline(x(p)), lambda p: derivative(x(p)) * dx(p))
    secants = np.diff(enthalpies) / np.diff(pressures)
    if not np.all(np.diff(secants) < 0) or _falls(smooth, pressures, bool(secants[-1] > 0)):
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
    t = reduced_pressure(pressures)
    # Three and four points cannot tell K0'; 4 is the typical one.
    powers = np.linspace(0.5, 0.9, 9) if len(pressures) > 4 else np.array([0.75])
    shifts = np.geomspace(1e-4, 1e2, 31)
    misfit = _misfit(t, enthalpies, shifts, powers)
    best, chosen = np.unravel_index(int(misfit.argmin()), misfit.shape)
    if best == len(shifts) - 1 or misfit.min() >= _misfit(t, enthalpies, np.zeros(1), np.ones(1))[0, 0]:
        return plain
    c, q = _refine(t, enthalpies, float(shifts[best]), float(powers[chosen]), fixed_power=len(powers) == 1)
    return lambda p: (reduced_pressure(p) + c) ** q, lambda p: q * (reduced_pressure(p) + c) ** (q - 1) / span


def _refine(t: Array, enthalpies: Array, c: float, q: float, fixed_power: bool) -> tuple[float, float]:
    """Return c and q after some Gauss-Newton steps in (ln c, q), each halved until it lowers the misfit."""

    def misfit(c: float, q: float) -> float:
        return float(_misfit(t, enthalpies, np.array([c]), np.array([q]))[0, 0])

    lowest = misfit(c, q)
    for _ in range(8):
        x = (t + c) ** q
        b = np.polyfit(x, enthalpies, 1)
        columns = [np.ones_like(t), x, b[0] * q * c * x / (t + c)]
        if not fixed_power:
            columns.append(b[0] * x * np.log(t + c))
        step = np.linalg.lstsq(np.stack(columns, axis=1), enthalpies - np.polyval(b, x), rcond=None)[0][2:]
        for scale in (1.0, 0.5, 0.25, 0.1):
            new_c = float(np.clip(c * np.exp(np.clip(scale * step[0], -2, 2)), 1e-4, 1e2))
            new_q = q if fixed_power else float(np.clip(q + scale * step[1], 0.3, 0.95))
            if (value := misfit(new_c, new_q)) < lowest:
                break
        else:
            break
        gain, c, q, lowest = lowest - value, new_c, new_q, value
        if gain < 1e-3 * lowest:
            break
    return c, q


def _misfit(t: Array, enthalpies: Array, shifts: Array, powers: Array) -> Array:
    """Return the sum of squares left by a straight line in (t + c)^q, for all c and q: shape (len(c), len(q))."""
    x = (t[:, None, None] + shifts[:, None]) ** powers
    x = x - x.mean(axis=0)
    h = (enthalpies - enthalpies.mean())[:, None, None]
    slope = (x * h).sum(axis=0) / (x * x).sum(axis=0)
    left: Array = ((h - slope * x) ** 2).sum(axis=0)
    return left


def _falls(curve: Interpolant, pressures: Array, positive: bool) -> bool:
    """Tell whether the slope falls everywhere (and stays positive where the points rise)."""
    inside = (pressures[:-1, None] + np.diff(pressures)[:, None] * np.linspace(0, 1, 9)[:-1]).ravel()
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
