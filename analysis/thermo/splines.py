"""Cubic splines by their slopes at the knots: what is needed of them, without loading a library for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def spline_slopes(x: Array, y: Array, *, flat_start: bool = False) -> Array:
    """Return the slopes at the knots of the cubic spline through y, shape (n, …); x: shape (n,), ascending, n ≥ 4.

    Its ends are those of "not a knot"; flat_start: its slope at the first knot is zero.
    C. de Boor, A Practical Guide to Splines (1978), chapter IV.
    """
    h = np.diff(x)
    chord = np.diff(y, axis=0) / h.reshape(-1, *([1] * (y.ndim - 1)))
    n = len(x)
    matrix, right = np.zeros((n, n)), np.zeros(y.shape)
    inner = np.arange(1, n - 1)
    matrix[inner, inner - 1], matrix[inner, inner + 1] = h[1:], h[:-1]
    matrix[inner, inner] = 2.0 * (h[:-1] + h[1:])
    wide = h.reshape(-1, *([1] * (y.ndim - 1)))
    right[1:-1] = 3.0 * (wide[1:] * chord[:-1] + wide[:-1] * chord[1:])
    if flat_start:
        matrix[0, 0] = 1.0
    else:
        matrix[0, :2], right[0] = _end(h[0], h[1], chord[0], chord[1])
    last, right[-1] = _end(h[-1], h[-2], chord[-1], chord[-2])
    matrix[-1, -2:] = last[::-1]
    return np.asarray(np.linalg.solve(matrix, right.reshape(n, -1)).reshape(y.shape))


def _end(h0: float, h1: float, d0: Array, d1: Array) -> tuple[Array, Array]:
    """Return the row of the first knot, that the third derivative does not jump at the second one."""
    both = h0 + h1
    return np.array([h1, both]), ((h0 + 2.0 * both) * h1 * d0 + h0**2 * d1) / both


def pieces(x: Array, y: Array, slopes: Array) -> Array:
    """Return the coefficients of the cubics between knots, highest power first, shape (4, n − 1); y: shape (n,)."""
    h = np.diff(x)
    chord = np.diff(y) / h
    bend = (slopes[:-1] + slopes[1:] - 2.0 * chord) / h
    return np.stack([bend / h, (chord - slopes[:-1]) / h - bend, slopes[:-1], y[:-1]])
