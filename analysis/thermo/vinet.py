"""Vinet's equation of state over ln V for many isotherms at once, and how its fitted parameters move with temperature.

With u = (V/V0)^⅓, w = η(1 − u), η = 3(K0' − 1)/2: E = E0 + 9 K0 V0/η² [1 − (1 − w) e^w].
P. Vinet et al., J. Phys.: Condens. Matter 1, 1941 (1989), doi:10.1088/0953-8984/1/11/002.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_STEPS = 80
_NEWTON = 2


def vinet(x: Array, parameters: Array) -> tuple[Array, Array, Array]:
    """Return E (eV), dE/dx and d²E/dx² at x = ln V.

    x: shape (…, k), V in Å³. parameters: shape (…, 4), (E0 in eV, ln V0, K0 in eV/Å³, η).
    """
    e0, x0, k0, eta = (parameters[..., i, None] for i in range(4))
    u, scale = np.exp((x - x0) / 3.0), k0 * np.exp(x0)
    w = eta * (1.0 - u)
    rise = np.exp(w)
    energy = e0 + 9.0 * scale / eta**2 * (1.0 - (1.0 - w) * rise)
    slope = -3.0 * scale * u * (1.0 - u) * rise
    return energy, slope, -scale * u * rise * (1.0 - 2.0 * u - w * u)


def vinet_gradients(x: Array, parameters: Array) -> tuple[Array, Array]:
    """Return the derivatives of E and of dE/dx with (E0, ln V0, K0, η), shape (…, k, 4)."""
    _, x0, k0, eta = (parameters[..., i, None] for i in range(4))
    u, volume = np.exp((x - x0) / 3.0), np.exp(x0)
    w = eta * (1.0 - u)
    rise = np.exp(w)
    g, wide = 1.0 - (1.0 - w) * rise, 9.0 * k0 * volume
    value = [
        np.ones(np.broadcast_shapes(x.shape, k0.shape)),
        wide * (g / eta**2 + w * u * rise / (3.0 * eta)),
        9.0 * volume * g / eta**2,
        wide * (w * rise * (1.0 - u) / eta**2 - 2.0 * g / eta**3),
    ]
    h = u * (1.0 - u) * rise
    h_u = (1.0 - 2.0 * u - w * u) * rise
    slope = [
        np.zeros(value[0].shape),
        -3.0 * k0 * volume * (h - u * h_u / 3.0),
        -3.0 * volume * h,
        -3.0 * k0 * volume * h * (1.0 - u),
    ]
    return np.stack(np.broadcast_arrays(*value), -1), np.stack(np.broadcast_arrays(*slope), -1)


def fit_vinet(
    x: Array, free: Array, entropy: Array, weights: Array | None = None, start: Array | None = None
) -> tuple[Array, Array]:
    """Return parameters (…, m, 4), and their derivatives with temperature, of least-squares fits to F(x).

    x: shape (n,), ln V. free (eV), entropy (eV/K): shape (m, n). weights: shape (b, 1, n), 0 or 1, b fits at once.
    start: parameters of shape (m, 4), near the solution; without them a coarse search for those of the first isotherm.
    nan where there is no minimum to be found.
    """
    w = np.ones((1, len(x))) if weights is None else weights
    if start is None:
        start = np.broadcast_to(_coarse(x, free[0]), (len(free), 4)).copy()
        start[:, 0] += (free - free[0]).mean(1)
    parameters = _levenberg_marquardt(x, free, w, start)
    for _ in range(_NEWTON):
        matrix, right, _ = _curvature(x, free, w, parameters)
        parameters = parameters + _solve(matrix, right)
    matrix, _, gradients = _curvature(x, free, w, parameters)
    # The gradient of the misfit stays zero as F changes by −S dT: (JᵀJ − r·∂²E) dθ = −JᵀS dT.
    rates = _solve(matrix, -((w * entropy)[..., None, :] @ gradients)[..., 0, :])
    good = np.isfinite(parameters).all(-1) & (parameters[..., 2] > 0.0)
    return np.where(good[..., None], parameters, np.nan), np.where(good[..., None], rates, np.nan)


def _coarse(x: Array, free: Array) -> Array:
    """Return the best of a grid of (V0, K0'), with E0 and K0 solved for at each: no library is loaded to begin with.

    V0 may lie far above the data, where only compressed volumes are given.
    """
    x0 = np.linspace(x[0] - 0.2, x[-1] + 2.0, 90)[:, None]
    eta = np.linspace(1.0, 12.0, 34)[None, :]
    zero = np.zeros((x0 + eta).shape)
    shape = vinet(x, np.stack([zero, zero + x0, zero + 1.0, zero + eta], -1))[0]
    centred = shape - shape.mean(-1, keepdims=True)
    k0 = (centred @ (free - free.mean())) / (centred**2).sum(-1)
    misfit = ((k0[..., None] * centred - (free - free.mean())) ** 2).sum(-1)
    i, j = np.unravel_index(int(np.argmin(np.where(k0 > 0.0, misfit, np.inf))), misfit.shape)
    return np.array([free.mean() - k0[i, j] * shape[i, j].mean(), x0[i, 0], k0[i, j], eta[0, j]])


def _misfit(x: Array, free: Array, w: Array, parameters: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(w * (free - vinet(x, parameters)[0]))


def _levenberg_marquardt(x: Array, free: Array, w: Array, start: Array) -> Array:
    """Go down to where steps no longer matter; what has come there is left alone. The last digits are Newton's."""
    shape = np.broadcast_shapes(w.shape[:-1], free.shape[:-1])
    every = np.broadcast_to(start, (*shape, 4)).reshape(-1, 4).copy()
    free, w = (np.broadcast_to(each, (*shape, len(x))).reshape(-1, len(x)) for each in (free, w))
    going = np.arange(len(every))
    q, damping = every.copy(), np.full(len(every), 1e-3)
    residual = _misfit(x, free, w, q)
    cost = (residual**2).sum(-1)
    for _ in range(_STEPS):
        gradients = w[going, :, None] * vinet_gradients(x, q)[0]
        matrix = np.swapaxes(gradients, -1, -2) @ gradients
        matrix += (damping[:, None] * np.einsum("nkk->nk", matrix))[..., None] * np.eye(4)
        step = _solve(matrix, (residual[:, None, :] @ gradients)[:, 0])
        trial = q + step
        trial[:, 3] = np.maximum(trial[:, 3], 0.05)  # K' = 1 is where the formula has no value
        tried = _misfit(x, free[going], w[going], trial)
        new = (tried**2).sum(-1)
        better = new <= cost * (1.0 + 1e-12)
        q = np.where(better[:, None], trial, q)
        residual, cost = np.where(better[:, None], tried, residual), np.where(better, new, cost)
        damping = np.clip(np.where(better, damping * 0.1, damping * 10.0), 1e-15, 1e8)
        every[going] = q
        left = (np.abs(step / (np.abs(q) + 1e-3)).max(-1) >= 1e-6) & (damping < 1e8)
        if not left.any():
            break
        going, q, residual, cost, damping = (each[left] for each in (going, q, residual, cost, damping))
    return every.reshape(*shape, 4)


def _curvature(x: Array, free: Array, w: Array, q: Array) -> tuple[Array, Array, Array]:
    """Return JᵀJ − r·∂²E, from differences of the gradients, Jᵀr, and J."""
    residual, gradients = _misfit(x, free, w, q), vinet_gradients(x, q)[0]
    matrix = np.swapaxes(gradients, -1, -2) @ (w[..., None] * gradients)
    row = residual[..., None, :]
    for i in range(1, 4):
        step = np.zeros(4)
        step[i] = 1.0
        width = 1e-5 * np.maximum(np.abs(q[..., i, None]), 1e-2)
        change = vinet_gradients(x, q + width * step)[0] - vinet_gradients(x, q - width * step)[0]
        matrix[..., i, :] -= (row @ change)[..., 0, :] / (2.0 * width)
    return 0.5 * (matrix + np.swapaxes(matrix, -1, -2)), (row @ gradients)[..., 0, :], gradients


def _solve(matrix: Array, right: Array) -> Array:
    """Solve with the columns scaled: parameters differ by orders of magnitude."""
    scale = np.sqrt(np.maximum(np.abs(np.einsum("...kk->...k", matrix)), 1e-300))
    scaled = matrix / scale[..., None, :] / scale[..., :, None]
    scaled = np.where(np.isfinite(scaled).all((-1, -2))[..., None, None], scaled, np.eye(4))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.linalg.solve(scaled + 1e-14 * np.eye(4), (right / scale)[..., None])[..., 0] / scale)
