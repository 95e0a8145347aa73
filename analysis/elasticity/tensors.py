"""Symmetric tensors as six numbers, in Kelvin's notation, in which rotations are orthogonal matrices.

A symmetric tensor is (xx, yy, zz, √2 yz, √2 xz, √2 xy), a stiffness a 6 × 6 matrix between such vectors. The matrix of
Voigt, which papers print, has no factors √2: Helnwein, Comput. Methods Appl. Mech. Eng. 190, 2753 (2001).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
WEIGHTS: Array = np.sqrt([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])


def _basis() -> Array:
    found = np.zeros((6, 3, 3))
    for place, (one, other) in enumerate(PAIRS):
        found[place, one, other] = found[place, other, one] = 1 / WEIGHTS[place]
    return found


BASIS: Array = _basis()
"""Six orthonormal symmetric tensors, shape (6, 3, 3)."""
IDENTITY: Array = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
"""The unit tensor."""


def kelvin(tensors: ArrayLike) -> Array:
    """Return symmetric tensors, shape (…, 3, 3), as vectors, shape (…, 6)."""
    return np.asarray(np.einsum("aij,...ij->...a", BASIS, np.asarray(tensors, float)))


def tensor(vectors: ArrayLike) -> Array:
    """Return vectors, shape (…, 6), as symmetric tensors, shape (…, 3, 3)."""
    return np.asarray(np.einsum("...a,aij->...ij", np.asarray(vectors, float), BASIS))


def rotation(matrix: ArrayLike) -> Array:
    """Return the orthogonal 6 × 6 matrix that turns such vectors as a 3 × 3 one turns directions."""
    turn = np.asarray(matrix, float)
    return np.asarray(np.einsum("aij,ik,jl,bkl->ab", BASIS, turn, turn, BASIS))


def turned(stiffness: ArrayLike, matrix: ArrayLike) -> Array:
    """Return a stiffness (Kelvin, 6 × 6) turned by a 3 × 3 matrix."""
    turn = rotation(matrix)
    return np.asarray(turn @ np.asarray(stiffness, float) @ turn.T)


def voigt(stiffness: ArrayLike) -> Array:
    """Return a stiffness in Voigt's notation, of one in Kelvin's."""
    return np.asarray(stiffness, float) / np.outer(WEIGHTS, WEIGHTS)


def from_voigt(stiffness: ArrayLike) -> Array:
    """Return a stiffness in Kelvin's notation, of one in Voigt's."""
    return np.asarray(stiffness, float) * np.outer(WEIGHTS, WEIGHTS)


def fourth_rank(stiffness: ArrayLike) -> Array:
    """Return a stiffness (Kelvin, 6 × 6) as the tensor with four indices, shape (3, 3, 3, 3)."""
    return np.asarray(np.einsum("ab,aij,bkl->ijkl", np.asarray(stiffness, float), BASIS, BASIS))
