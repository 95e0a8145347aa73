"""Anderson mixing: fixed points of smooth maps in few iterations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.inexact[Any])
DEPTH = 8
"""Earlier steps that a new one is built from."""


def fixed_point(
    function: Callable[[NDArray[Number]], NDArray[Number]],
    start: NDArray[Number],
    tolerance: float,
    *,
    weight: NDArray[np.float64] | None = None,
    limit: int = 300,
) -> tuple[NDArray[Number], int]:
    """Return x with function(x) = x, to a residual of tolerance·|x|, and how many evaluations it took.

    start: real or complex, of any precision, shape (n,). weight: of the elements in the norm, shape (n,);
    1 if not given.
    Raises ArithmeticError after `limit` evaluations, or for nan. Anderson, J. ACM 12, 547 (1965), in the form of
    Walker & Ni, SIAM J. Numer. Anal. 49, 1715 (2011).
    """
    scale: Any = 1.0 if weight is None else np.sqrt(weight)
    x: Any = start
    points: list[Any] = []
    residuals: list[Any] = []
    for count in range(1, limit + 1):
        residual: Any = function(x) - x
        error = np.linalg.norm(scale * residual)
        if not np.isfinite(error):
            raise ArithmeticError(f"the iteration ran away in step {count}")
        if error <= tolerance * np.linalg.norm(scale * x):
            return x + residual, count
        points, residuals = [*points[-DEPTH:], x], [*residuals[-DEPTH:], residual]
        x = x + residual
        if len(points) > 1:
            steps = np.diff(np.array(residuals), axis=0)
            # Shares need few digits: double precision will do for arrays of any.
            double = np.complex128 if np.iscomplexobj(steps) else np.float64
            left, right = (scale * steps).T.astype(double), (scale * residual).astype(double)
            share = np.linalg.lstsq(left, right, rcond=1e-13)[0]
            x = x - share @ (np.diff(np.array(points), axis=0) + steps)
    raise ArithmeticError(f"no fixed point after {limit} iterations")
