"""Interpolation of energies and slopes together, with the uncertainty that follows from the data themselves.

E(x), x = ln V, is a sum of powers of V^(−1/3), as an equation of state is, plus a smooth remainder. The remainder is a
Gaussian process (kriging; Matérn kernel, ν = 7/2, long length: in effect a spline through energies *and* slopes,
smoother than the cubic Hermite spline). The slopes may all be off by one constant c (the Pulay stress, see
`megabar.analysis.enthalpy`), which is solved for along with the coefficients of the powers.
Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), sections 2.7 (explicit basis functions, eq. 2.42
–2.45), 4.2.1 (Matérn) and 9.4 (derivative observations).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Length in ln V. Long against the ladder's steps, so that only the amplitude says how wiggly E is; calibrated on
# synthetic equations of state with electronic features (tests/test_enthalpy.py): 1 to 2 serve equally.
LENGTH = 1.5
# Amplitudes of the remainder (eV): from a pure equation of state to features of 50 meV and 0.1 in ln V.
_AMPLITUDES = np.geomspace(1e-3, 300.0, 12)
# Their prior is lognormal, so that two or three points do not claim what they cannot know.
_AMPLITUDE_CENTRE, _AMPLITUDE_SPREAD = 0.3, 3.0
# Noise beyond the one given: of energies (eV) and of slopes (eV per unit of ln V; 20 meV is 0.2 GPa at 16 Å³).
_ENERGY_NOISE = (0.0, 1e-4, 2.5e-4, 6e-4)
_SLOPE_NOISE = (0.0, 3e-3, 2e-2)
_GRID = np.array([(a, e, s) for a in _AMPLITUDES for e in _ENERGY_NOISE for s in _SLOPE_NOISE])
# A prior of c where energies cannot tell it (fewer than three points): ± 1.5 GPa at 16 Å³.
_UNRESOLVED_C = 0.15
# E = Σ c_k V^(−k/3): Birch–Murnaghan has k = 0, 2, 4, 6, stabilised jellium k = 0, 1, 2, 3 (A. B. Alchagirov et al.,
# Phys. Rev. B 63, 224115 (2001), doi:10.1103/PhysRevB.63.224115). These four left the smallest remainder on Vinet,
# Birch–Murnaghan and Holzapfel curves with features: a third of what Birch–Murnaghan's left at five-fold compression.
_POWERS = np.array([0.0, 2.0, 3.0, 4.0]) / 3.0


@dataclass(frozen=True)
class _Member:
    """One set of hyperparameters with what predictions need of it."""

    weight: float
    amplitude2: float
    inverse_factor: Array
    basis_white: Array
    r_inverse: Array
    beta: Array
    residual: Array


@dataclass(frozen=True)
class Kriging:
    """A fitted interpolation of E(x).

    offset, offset_error: the constant c of dE/dx = slope + c and its standard uncertainty (eV); 0 and nan where the
    points cannot tell. energy_noise, slope_noise: root mean square noise found beyond the one given (eV).
    """

    x: Array
    centre: float
    scale: Array
    inflation: float
    members: tuple[_Member, ...]
    offset: float
    offset_error: float
    energy_noise: float
    slope_noise: float

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Return E (eV) and dE/dx (eV) at x (shape (k,))."""
        rows, basis, _ = self._rows(x)
        beta = sum((m.weight * m.beta for m in self.members), np.zeros(len(self.scale)))
        alpha = sum((m.weight * m.amplitude2 * (m.residual @ m.inverse_factor) for m in self.members), np.zeros(1))
        mean = basis @ beta + rows @ alpha
        return mean[: len(x)], mean[len(x) :]

    def uncertainty(self, x: Array) -> tuple[Array, Array]:
        """Return the standard uncertainties of E (eV) and dE/dx (eV) at x (shape (k,))."""
        rows, basis, prior = self._rows(x)
        weights = np.array([m.weight for m in self.members])
        means, variances = np.empty((2, len(weights), 2 * len(x)))
        for i, m in enumerate(self.members):
            v = rows @ (m.amplitude2 * m.inverse_factor.T)
            means[i] = basis @ m.beta + v @ m.residual
            q = (basis - v @ m.basis_white) @ m.r_inverse
            variances[i] = m.amplitude2 * prior - (v**2).sum(1) + (q**2).sum(1)
        sigma = self.inflation * np.sqrt(weights @ (np.maximum(variances, 0.0) + (means - weights @ means) ** 2))
        return sigma[: len(x)], sigma[len(x) :]

    def _rows(self, x: Array) -> tuple[Array, Array, Array]:
        """Covariances of E(x), then of dE/dx(x), with the data; basis functions; prior variances (unit amplitude)."""
        value, slope, curvature = _matern(x[:, None] - self.x)
        rows = np.concatenate([np.concatenate([value, -slope], 1), np.concatenate([slope, curvature], 1)])
        basis = np.zeros((2 * len(x), len(self.scale)))
        basis[:, : len(_POWERS)] = np.concatenate(_basis(x - self.centre))
        return rows, basis / self.scale, np.repeat([1.0, 1.4 / LENGTH**2], len(x))


def fit(x: Array, energies: Array, slopes: Array, energy_errors: Array, slope_errors: Array) -> Kriging:
    """Fit to two or more distinct x (ascending): energies (eV), slopes dE/dx (eV) and their known standard errors.

    Amplitude and unknown noise are averaged over a grid with their marginal likelihood; all of it is batched linear
    algebra on matrices of twice the number of points.
    """
    n = len(x)
    centre, y = float(x.mean()), np.concatenate([energies, slopes])
    basis = np.concatenate(_basis(x - centre))
    resolved = n > 2
    if resolved:
        basis = np.column_stack([basis, np.repeat([0.0, -1.0], n)])
    scale = np.linalg.norm(basis, axis=0)
    factors = np.linalg.cholesky(_covariances(x, energy_errors, slope_errors, resolved))
    whitened = np.linalg.solve(factors, np.column_stack([basis / scale, y])[None])
    white, target = whitened[:, :, :-1], whitened[:, :, -1]
    q, r = np.linalg.qr(white)
    projected = np.einsum("hij,hi->hj", q, target)
    residual = target - np.einsum("hij,hj->hi", q, projected)
    log_weight = (
        -0.5 * (residual**2).sum(1)
        - np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(1)
        - np.log(np.abs(np.diagonal(r, axis1=1, axis2=2))).sum(1)
        - 0.5 * (np.log(_GRID[:, 0] / _AMPLITUDE_CENTRE) / _AMPLITUDE_SPREAD) ** 2
    )
    chosen, weights = _likely(log_weight)
    r_inverse = np.linalg.inv(r[chosen])
    beta = np.einsum("hij,hj->hi", r_inverse, projected[chosen])
    inverses = np.linalg.inv(factors[chosen])
    members = tuple(
        _Member(float(w), float(_GRID[i, 0] ** 2), inverses[j], white[i], r_inverse[j], beta[j], residual[i])
        for j, (i, w) in enumerate(zip(chosen, weights, strict=True))
    )
    # Variances estimated from few degrees of freedom: Student's t has this much more spread than a Gaussian.
    inflation = float(np.sqrt(1.0 + 2.0 / max(2 * n - basis.shape[1], 1)))
    offset, offset_error = 0.0, float("nan")
    if resolved:
        c, c_sigma = beta[:, -1] / scale[-1], np.linalg.norm(r_inverse[:, -1], axis=1) / scale[-1]
        offset = float(weights @ c)
        offset_error = inflation * float(np.sqrt(weights @ (c_sigma**2 + (c - offset) ** 2)))
    noise = np.sqrt(weights @ _GRID[chosen, 1:] ** 2)
    return Kriging(x, centre, scale, inflation, members, offset, offset_error, float(noise[0]), float(noise[1]))


def _likely(log_weight: Array) -> tuple[NDArray[np.intp], Array]:
    """Indices and normalised weights of the hyperparameters that carry nearly all of the probability."""
    weight = np.exp(log_weight - log_weight.max())
    order = np.argsort(-weight)
    count = int(np.searchsorted(np.cumsum(weight[order]), 0.97 * weight.sum())) + 1
    chosen = order[: min(count, 12)]
    return chosen, weight[chosen] / weight[chosen].sum()


def _covariances(x: Array, energy_errors: Array, slope_errors: Array, resolved: bool) -> Array:
    """Covariance matrices of the data, one for each row of the grid; shape (grid, 2n, 2n)."""
    n = len(x)
    value, slope, curvature = _matern(x[:, None] - x)
    kernel = np.block([[value, -slope], [slope, curvature]])
    a2 = _GRID[:, :1] ** 2
    matrices: Array = a2[:, :, None] * kernel
    if not resolved:
        matrices[:, n:, n:] += _UNRESOLVED_C**2
    # The floor (1 µeV, or 1e-6 of the amplitude) keeps the factorisation stable.
    known = np.concatenate([energy_errors, slope_errors]) ** 2
    diagonal = known + np.repeat(_GRID[:, 1:] ** 2, n, axis=1) + 1e-12 * np.maximum(a2, 1.0)
    i = np.arange(2 * n)
    matrices[:, i, i] += diagonal
    return matrices


def _matern(d: Array) -> tuple[Array, Array, Array]:
    """k, dk/dx and d²k/dx dx' of the Matérn kernel (ν = 7/2, unit amplitude) at d = x − x'."""
    q = np.sqrt(7.0) / LENGTH
    s = q * np.abs(d)
    decay = np.exp(-s)
    value = (1.0 + s + 0.4 * s**2 + s**3 / 15.0) * decay
    slope = -q * np.sign(d) * (s + s**2 + s**3 / 3.0) / 5.0 * decay
    curvature = q**2 * (0.2 + 0.2 * s - s**3 / 15.0) * decay
    return value, slope, curvature


def _basis(u: Array) -> tuple[Array, Array]:
    """The powers of V and their d/d ln V; shape (n, 4) each."""
    value: Array = np.exp(-np.outer(u, _POWERS))
    return value, -_POWERS * value
