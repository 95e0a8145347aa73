"""Continuation to the real axis by Padé approximants, in extended precision."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from megabar.analysis.superconductivity.eliashberg.anderson import fixed_point
from megabar.analysis.superconductivity.eliashberg.blocks import ORDER, edges
from megabar.analysis.superconductivity.eliashberg.kernel import Modes, kernel
from megabar.analysis.superconductivity.eliashberg.nonlinear import Gap
from megabar.analysis.superconductivity.eliashberg.quadrature import lagrange

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
Long = NDArray[np.longdouble]
BLOCKS = 4
"""Blocks whose frequencies, 64, the approximant goes through."""
PI = np.longdouble("3.14159265358979323846264338327950288")


def pade_coefficients(points: NDArray[np.clongdouble], values: NDArray[np.clongdouble]) -> NDArray[np.clongdouble]:
    """Return the coefficients of the continued fraction through some values, shape (n,).

    Vidberg & Serene, J. Low Temp. Phys. 29, 179 (1977), appendix: Thiele's reciprocal differences.
    """
    rest, coefficients = values.copy(), np.empty_like(values)
    for k in range(values.size):
        coefficients[k] = rest[k]
        rest[k + 1 :] = (rest[k] - rest[k + 1 :]) / ((points[k + 1 :] - points[k]) * rest[k + 1 :])
    return coefficients


def pade(points: NDArray[np.clongdouble], values: NDArray[np.clongdouble], z: NDArray[np.clongdouble]) -> Complex:
    """Return the Padé approximant through values at some points, evaluated at z, shape of z."""
    coefficients, at = pade_coefficients(points, values), z
    fraction = np.zeros_like(at)
    for k in range(points.size - 1, 0, -1):
        fraction = coefficients[k] * (at - points[k - 1]) / (1 + fraction)
    values_there: Complex = (coefficients[0] / (1 + fraction)).astype(np.complex128)
    return values_there


def continue_by_pade(modes: Modes, gap: Gap, omega_meV: Array) -> tuple[Complex, Complex]:
    """Return Δ(ω) and Z(ω) on the real axis (meV) from 64 Matsubara frequencies, each of shape (n,)."""
    frequency, values, renormalisation = extended_gap(modes, gap)
    points = 1j * frequency.astype(np.clongdouble)
    z = omega_meV.astype(np.clongdouble) + 1e-9j * gap.temperature_meV
    return pade(points, values.astype(np.clongdouble), z), pade(points, renormalisation.astype(np.clongdouble), z)


def extended_gap(modes: Modes, gap: Gap) -> tuple[Long, Long, Long]:
    """Return ω_n, Δ_n, Z_n of the 64 lowest frequencies to the precision of long double, each of shape (64,).

    A Padé approximant magnifies rounding errors by many orders. So the equations of `nonlinear.solve_gap` are solved
    again for these frequencies, what the higher ones contribute being kept.
    """
    count = edges(BLOCKS - 1)[1]
    n = np.arange(count)
    step = PI * np.longdouble(gap.temperature_meV)
    frequency: Long = step * (2 * n + 1)
    table = _long_kernel(modes, gap.temperature_meV, np.arange(2 * edges(BLOCKS)[1]))
    others = table.copy()
    others[0] = 0
    minus, plus = others[np.abs(n[:, None] - n)], table[n[:, None] + n + 1]
    even, odd = step * (minus + plus), step * (minus - plus)
    pairing_above, mass_above = _from_above(modes, gap, others, table, n)
    mass = 2 * np.concatenate([[np.longdouble(0)], np.cumsum(table[1:count])])
    mass = 1 + step * (mass + mass_above) / frequency

    def renormalised(now: Long) -> Long:
        factor: Long = mass + odd @ (frequency / np.sqrt(frequency**2 + now**2) - 1) / frequency
        return factor

    def following(now: Long) -> Long:
        pairing = even @ (now / np.sqrt(frequency**2 + now**2)) + step * pairing_above
        new: Long = (pairing - gap.coulomb_meV) / renormalised(now)
        return new

    start = np.interp(n, gap.points.index, gap.gap).astype(np.longdouble)
    found, _ = fixed_point(following, start, 100 * float(np.finfo(np.longdouble).eps))
    itself: Long = step * table[0] / np.sqrt(frequency**2 + found**2)
    return frequency, found, renormalised(found) + itself


def _from_above(modes: Modes, gap: Gap, others: Long, table: Long, n: NDArray[np.intp]) -> tuple[Long, Long]:
    """Return what higher frequencies give to Σ_m λ Δ_m/R_m and Σ_m λ (ω_m/R_m − 1) at each n, of shape (n,).

    In the next block the solution is interpolated to integers, as λ(n−m) may be narrow; further up nodes will do.
    """
    root = np.hypot(gap.frequency_meV, gap.gap)
    sources = np.stack([gap.gap / root, gap.frequency_meV / root - 1], axis=1)
    first, last = edges(BLOCKS)
    m = np.arange(first, last)
    nodes = slice(ORDER * BLOCKS, ORDER * (BLOCKS + 1))
    near = (lagrange(gap.points.index[nodes], m) @ sources[nodes]).astype(np.longdouble)
    minus, plus = others[m - n[:, None]], table[m + n[:, None] + 1]
    far = slice(ORDER * (BLOCKS + 1), None)
    index = gap.points.index[far]
    distant = gap.points.weight[far, None] * sources[far]
    far_minus = kernel(modes, gap.temperature_meV, index - n[:, None])
    far_plus = kernel(modes, gap.temperature_meV, index + n[:, None] + 1)
    pairing = (minus + plus) @ near[:, 0] + (far_minus + far_plus) @ distant[:, 0]
    mass = (minus - plus) @ near[:, 1] + (far_minus - far_plus) @ distant[:, 1]
    return pairing, mass


def _long_kernel(modes: Modes, temperature_meV: float, difference: NDArray[np.intp]) -> Long:
    """Return λ(l) of integers l in extended precision, shape of l."""
    scaled = 2 * PI * np.longdouble(temperature_meV) / modes.omega_meV.astype(np.longdouble)
    shapes: Long = 1 / (np.longdouble(1) + (difference[:, None] * scaled) ** 2)
    return np.asarray(shapes @ modes.coupling.astype(np.longdouble), np.longdouble)
