"""Points of H(P) with noise: how large it is, a smooth curve through it, and points that the others contradict.

H is a straight line in x plus a smooth remainder plus noise; x = (P + c)^q makes a solid nearly straight (see
`megabar.analysis.interpolation`). The remainder is an integrated Wiener process, so that its mean is a cubic smoothing
spline, and noise and amplitude are those of the largest restricted likelihood: Wahba, Ann. Statist. 13, 1378 (1985),
doi:10.1214/aos/1176349743; Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), section 6.3. What the
others say of a point follows from the same matrices (their eq. 5.12).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from megabar.analysis.curve import Array
from megabar.analysis.interpolation import interpolate, is_falling, straight_coordinate

LEAST_POINTS = 5
"""Below this many points noise and a bend of the curve are not told apart."""
SIGMAS, SUSPECTS = 6.0, 4
"""Standard errors by which a point is off, and how many points are looked at."""
_RATIOS = np.concatenate([[0.0], np.geomspace(1e-12, 1e6, 73)])
_FLOOR = 1e-14


@dataclass(frozen=True, eq=False)
class Fit:
    """A smoothing spline through n points.

    x: shape (n,). basis: the directions that no straight line has, times the eigenvectors of the remainder's covariance
    there, shape (n, n − 2). spread: its eigenvalues. ratio: noise variance over that of the remainder. amplitude2: the
    latter (eV²). gain: log-likelihood over that without noise.
    """

    x: Array
    basis: Array
    spread: Array
    ratio: float
    amplitude2: float
    gain: float

    @property
    def noise_eV(self) -> float:
        """Standard deviation of the noise (eV)."""
        return float(np.sqrt(self.ratio * self.amplitude2))

    def left(self, enthalpies: Array, ratio: float) -> Array:
        """Return what the smooth curve leaves of the enthalpies (eV) at a ratio of noise, shape (n,)."""
        weights = ratio / (self.spread + ratio + _FLOOR * self.spread[-1])
        residual: Array = self.basis @ (weights * (self.basis.T @ enthalpies))
        return residual

    def against_others(self, enthalpies: Array) -> tuple[Array, Array]:
        """Return each point less what the others predict for it, and the standard error of that (eV), shape (n,)."""
        scaled = self.basis / (self.spread + self.ratio + _FLOOR * self.spread[-1])
        diagonal = np.maximum((scaled * self.basis).sum(axis=1), 1e-300)
        # Variances from few degrees of freedom: Student's t is this much wider than a Gaussian.
        wider = np.sqrt(1 + 2 / max(len(self.spread) - 1, 1))
        return scaled @ (self.basis.T @ enthalpies) / diagonal, wider * np.sqrt(self.amplitude2 / diagonal)


def fit(pressures: Array, enthalpies: Array, leave_out: int | None = None) -> Fit:
    """Return the smoothing spline through at least five points; its noise and coordinate from all but one, if asked.

    pressures: increasing (GPa), shape (n,). enthalpies: eV/atom, shape (n,).
    """
    kept = np.arange(len(pressures)) != (-1 if leave_out is None else leave_out)
    x = straight_coordinate(pressures[kept], enthalpies[kept])(pressures)
    x = (x - x[0]) / (x[-1] - x[0])
    ratio, amplitude2, gain = _likeliest(*_directions(x[kept]), enthalpies[kept])
    return Fit(x, *_directions(x), ratio, amplitude2, gain)


def _directions(x: Array) -> tuple[Array, Array]:
    short, long = np.minimum.outer(x, x), np.maximum.outer(x, x)
    covariance = short**2 * (3 * long - short) / 6
    free = np.linalg.qr(np.column_stack([np.ones(len(x)), x]), mode="complete")[0][:, 2:]
    spread, vectors = np.linalg.eigh(free.T @ covariance @ free)
    return free @ vectors, np.maximum(spread, 0.0)


def _likeliest(basis: Array, spread: Array, enthalpies: Array) -> tuple[float, float, float]:
    """Return the ratio, the amplitude² and the gain of the largest restricted likelihood."""
    count, squares = len(spread), (basis.T @ enthalpies) ** 2
    ratios = _RATIOS * spread[-1]
    variances = spread + ratios[:, None] + _FLOOR * spread[-1]
    amplitude2 = (squares / variances).sum(axis=1) / count + 1e-300
    likelihood = -0.5 * count * np.log(amplitude2) - 0.5 * np.log(variances).sum(axis=1)
    best = int(likelihood.argmax())
    return float(ratios[best]), float(amplitude2[best]), float(likelihood[best] - likelihood[0])


def smoothed(pressures: Array, enthalpies: Array, found: Fit, falling: bool) -> Array:
    """Return the enthalpies (eV) of the smooth curve; `falling`: so smooth that the volume falls with pressure."""
    ratio = max(found.ratio, _RATIOS[1] * found.spread[-1])
    while True:
        values = enthalpies - found.left(enthalpies, ratio)
        if not falling or ratio > 1e7 * found.spread[-1] or is_falling(interpolate(pressures, values), pressures):
            return values
        ratio *= 3.0


def outlier(pressures: Array, enthalpies: Array, found: Fit, least_eV: Array) -> tuple[int, float] | None:
    """Return the point between others that these contradict most, and by how much (eV); None where none is.

    found: the fit to all. least_eV: deviations that are of no concern, shape (n,). Noise and coordinate of the
    judgement come from the others alone, or one point far off would hide itself. A point is contradicted where it is
    off by six standard errors, and by a quarter of what the curve bends between its neighbours: soft solids at long
    steps are not predicted better.
    The first and the last point are not judged so: nothing bounds how quickly a soft solid stiffens.
    """
    off, error = found.against_others(enthalpies)
    inside = np.arange(1, len(pressures) - 1)
    suspects = inside[np.abs(off[inside]) > least_eV[inside]]
    suspects = suspects[np.argsort(-np.abs(off / error)[suspects])][:SUSPECTS]
    judged = []
    for suspect in suspects.tolist():
        others = fit(pressures, enthalpies, leave_out=suspect)
        off, error = (each[suspect] for each in others.against_others(enthalpies))
        near = [suspect - 1, suspect + 1]
        bend = enthalpies[suspect] - off - np.interp(pressures[suspect], pressures[near], enthalpies[near])
        if abs(off) > max(SIGMAS * error, least_eV[suspect], abs(bend) / 4):
            judged.append((abs(off) / error, suspect, float(off)))
    return max(judged)[1:] if judged else None
