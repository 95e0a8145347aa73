"""Exact sums of polynomials over consecutive integers, and interpolation: what compressed Matsubara sums stand on."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def sum_rule(count: ArrayLike, order: int) -> tuple[Array, Array]:
    """Return nodes and weights with Σ_{n=0}^{count−1} f(n) = Σ_k w_k f(x_k) for polynomials of degree < 2·order.

    count: how many integers, > order − 1, any shape; need not be an integer, the sum is then its polynomial
    continuation (Faulhaber). Returns two arrays of shape (*count.shape, order). The nodes are the zeros of the Gram
    polynomials, by the eigenvalues of their Jacobi matrix: Golub & Welsch, Math. Comp. 23, 221 (1969); recurrence in
    Abramowitz & Stegun 22.17. For count = order the nodes are the integers themselves and the weights 1.
    """
    number = np.asarray(count, float)[..., None]
    k, place = np.arange(1, order), np.arange(order)
    matrix = np.zeros((*number.shape[:-1], order, order))
    matrix[..., place, place] = (number - 1) / 2
    matrix[..., place[1:], place[:-1]] = np.sqrt(k**2 * (number**2 - k**2) / (4 * (4.0 * k**2 - 1)))
    nodes, vectors = np.linalg.eigh(matrix)
    return nodes, number * vectors[..., 0, :] ** 2


def lagrange(nodes: Array, x: ArrayLike) -> Array:
    """Return the values at x of the Lagrange polynomials of some nodes, shape (*x.shape, nodes.size)."""
    itself = np.eye(nodes.size, dtype=bool)
    below = np.prod(np.where(itself, 1.0, nodes[:, None] - nodes), axis=-1)
    above = np.where(itself, 1.0, (np.asarray(x, float)[..., None] - nodes)[..., None, :])
    values: Array = np.prod(above, axis=-1) / below
    return values


def chebyshev(low: float, high: float, order: int) -> Array:
    """Return the Chebyshev nodes of an interval, increasing, shape (order,)."""
    angle = np.pi * (np.arange(order) + 0.5) / order
    return (low + high) / 2 - (high - low) / 2 * np.cos(angle)
