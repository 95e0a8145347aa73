"""Equations of state: Vinet and Birch–Murnaghan, energy and pressure, fitted to energies and pressures together.

Equations of state serve to report K0 and K0', to extrapolate and to guess volumes; phases are ranked with
`megabar.analysis.enthalpy`, because one global fit misses the electronic features of soft metals by 10 meV/atom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from ase.units import GPa
from numpy.typing import ArrayLike, NDArray

from megabar.structures.errors import InputError

Array = NDArray[np.float64]
Kind = Literal["vinet", "bm3", "bm4"]
KINDS: tuple[Kind, ...] = ("vinet", "bm3", "bm4")
# K0' of the elements (all-electron values of the Delta test, ase.collections.dcdft): median 4.5, two thirds between 3.5
# and 5.7. A prior twice as wide, weighted by the misfit of the data, keeps V0 and K0 sensible where only compressed,
# noisy data are given; good data do not feel it.
_USUAL_K_PRIME, _K_PRIME_SPREAD = 4.5, 2.0


def vinet_shapes(volume_A3: ArrayLike, v0: ArrayLike, k0_prime: ArrayLike) -> tuple[Array, Array]:
    """Return the Vinet energy (Å³) and pressure (dimensionless) per unit of bulk modulus.

    P. Vinet et al., J. Phys.: Condens. Matter 1, 1941 (1989), doi:10.1088/0953-8984/1/11/002.
    """
    v0, x = np.asarray(v0), np.cbrt(np.asarray(volume_A3) / v0)
    eta = 1.5 * (np.asarray(k0_prime) - 1.0)
    # The limit η → 0 (K' = 1) is finite; a tiny η avoids 0/0 there and errs by less than rounding elsewhere.
    eta = np.where(np.abs(eta) < 1e-4, 1e-4, eta)
    rise = np.exp(eta * (1.0 - x))
    energy = 9.0 * v0 / eta**2 * (1.0 - (1.0 - eta * (1.0 - x)) * rise)
    return energy, 3.0 * (1.0 - x) / x**2 * rise


def birch_murnaghan_shapes(
    volume_A3: ArrayLike, v0: ArrayLike, k0_prime: ArrayLike, k0_k0_double_prime: ArrayLike | None = None
) -> tuple[Array, Array]:
    """Return the Birch–Murnaghan energy (Å³) and pressure (dimensionless) per unit of bulk modulus.

    Third order without, fourth order with the product K0·K0'' (dimensionless).
    F. Birch, J. Geophys. Res. 83, 1257 (1978), doi:10.1029/JB083iB03p01257.
    """
    v0, kp = np.asarray(v0), np.asarray(k0_prime)
    f = 0.5 * ((v0 / np.asarray(volume_A3)) ** (2.0 / 3.0) - 1.0)
    third = 1.5 * (kp - 4.0)
    product = -((kp - 4.0) * (kp - 3.0) + 35.0 / 9.0) if k0_k0_double_prime is None else np.asarray(k0_k0_double_prime)
    fourth = 1.5 * (product + (kp - 4.0) * (kp - 3.0) + 35.0 / 9.0)
    energy = 9.0 * v0 * f**2 * (0.5 + third * f / 3.0 + fourth * f**2 / 4.0)
    return energy, 3.0 * f * (1.0 + 2.0 * f) ** 2.5 * (1.0 + third * f + fourth * f**2)


def _shapes(kind: Kind, volume: ArrayLike, parameters: Sequence[ArrayLike]) -> tuple[Array, Array]:
    """Shapes of the kind for (v0, k0_prime[, k0·k0_double_prime])."""
    return vinet_shapes(volume, *parameters) if kind == "vinet" else birch_murnaghan_shapes(volume, *parameters)


@dataclass(frozen=True, eq=False)
class EosFit:
    """A fitted equation of state, per atom.

    e0: energy at zero pressure (eV/atom); nan where only pressures were given.
    v0, k0, k0_prime, k0_double_prime: Å³/atom, GPa, 1, 1/GPa; None: implied by the kind.
    covariance: of (e0, v0, k0, k0_prime[, k0_double_prime]) in these units, scaled by the misfit; nan where the
        data are no more than the parameters.
    rms_eV, rms_GPa: root mean square misfit of the energies and of the pressures; nan without them.
    from_A3, to_A3: volumes (Å³/atom) between which it was fitted.
    """

    kind: Kind
    e0: float
    v0: float
    k0: float
    k0_prime: float
    k0_double_prime: float | None
    covariance: Array
    rms_eV: float
    rms_GPa: float
    from_A3: float
    to_A3: float

    def _evaluate(self, volume_A3: ArrayLike) -> tuple[Array, Array]:
        parameters = [self.v0, self.k0_prime]
        if self.k0_double_prime is not None:
            parameters.append(self.k0 * self.k0_double_prime)
        return _shapes(self.kind, volume_A3, parameters)

    def energy(self, volume_A3: ArrayLike) -> Array:
        """Energy (eV/atom) at volumes (Å³/atom)."""
        return np.asarray(self.e0 + self.k0 * GPa * self._evaluate(volume_A3)[0])

    def pressure(self, volume_A3: ArrayLike) -> Array:
        """Pressure (GPa) at volumes (Å³/atom)."""
        return np.asarray(self.k0 * self._evaluate(volume_A3)[1])

    def volume(self, pressure_GPa: float) -> float:
        """Volume (Å³/atom) nearest to the fitted ones that has the pressure; nan where there is none.

        It is looked for between half of the smallest and twice the largest fitted volume and V0.
        """
        from scipy.optimize import brentq

        grid = np.geomspace(0.3 * self.from_A3, 2.0 * max(self.to_A3, self.v0), 400)
        excess = self.pressure(grid) - pressure_GPa
        falls = np.flatnonzero((excess[:-1] >= 0.0) & (excess[1:] < 0.0))
        if falls.size == 0:
            return float("nan")
        middle = np.sqrt(self.from_A3 * self.to_A3)
        i = min(falls, key=lambda j: abs(np.log(grid[j] / middle)))
        return float(brentq(lambda v: float(self.pressure(v)) - pressure_GPa, grid[i], grid[i + 1], rtol=1e-12))


def fit(
    volumes: ArrayLike,
    energies: ArrayLike | None = None,
    pressures: ArrayLike | None = None,
    kind: Kind = "vinet",
    energy_error_eV: float | None = None,
    pressure_error_GPa: float | None = None,
) -> EosFit:
    """Fit an equation of state by least squares to energies (eV/atom), pressures (GPa) or both together.

    volumes: shape (n,), Å³/atom. The errors set the weights of energies against pressures and may be left out:
    then an error of the pressures counts as much as the error of the energies, times V·Δ ln V of neighbours.
    Raises InputError for an unknown kind, unusable numbers, or fewer values than parameters.
    """
    v, e, p = _checked(volumes, energies, pressures, kind)
    spacing = np.log(v.max() / v.min()) / (len(v) - 1)
    sigma_e = energy_error_eV or 1e-3
    sigma_p = np.full(len(v), pressure_error_GPa) if pressure_error_GPa else sigma_e / (v * spacing * GPa)
    start = _start("vinet" if kind == "vinet" else "bm3", v, e, p, sigma_e, sigma_p)
    if kind == "bm4":
        kp = start[1]
        start = np.append(start, -((kp - 4.0) * (kp - 3.0) + 35.0 / 9.0))
    return _polish(kind, start, v, e, p, sigma_e, sigma_p)


def _checked(
    volumes: ArrayLike, energies: ArrayLike | None, pressures: ArrayLike | None, kind: Kind
) -> tuple[Array, Array | None, Array | None]:
    if kind not in KINDS:
        raise InputError(f"{kind!r} is not an equation of state known here; use one of {', '.join(KINDS)}")
    v = np.asarray(volumes, dtype=float)
    e = None if energies is None else np.asarray(energies, dtype=float)
    p = None if pressures is None else np.asarray(pressures, dtype=float)
    given = [a for a in (e, p) if a is not None]
    if v.ndim != 1 or any(a.shape != v.shape for a in given) or not all(np.isfinite(a).all() for a in (v, *given)):
        raise InputError("an equation of state needs finite volumes, energies and pressures in lists of equal length")
    if v.size and v.min() <= 0.0:
        raise InputError(f"an equation of state needs volumes above zero, found {v.min():g} Å³/atom")
    wanted = (3 if kind == "bm4" else 2) + 1 + (e is not None)
    found = len(v) * len(given)
    if found < wanted or len(np.unique(v)) < 2:
        raise InputError(f"a {kind} fit has {wanted} parameters, but only {found} values at {len(v)} volumes are given")
    if p is not None and p[np.argmin(v)] <= p[np.argmax(v)]:
        raise InputError("no equation of state fits: the pressure does not rise on compression in these data")
    return v, e, p


def _design(
    kind: Kind,
    nonlinear: Sequence[ArrayLike],
    v: Array,
    e: Array | None,
    p: Array | None,
    sigma_e: float,
    sigma_p: Array,
) -> tuple[Array, Array, Array]:
    """Return weighted columns of k0 (eV/Å³) and e0, and weighted data; data along the last axis."""
    energy, pressure = _shapes(kind, v, nonlinear)
    slope, constant, data = [], [], []
    if e is not None:
        slope.append(energy / sigma_e)
        constant.append(np.broadcast_to(1.0 / sigma_e, energy.shape))
        data.append(e / sigma_e)
    if p is not None:
        slope.append(pressure / (sigma_p * GPa))
        constant.append(np.zeros(pressure.shape))
        data.append(p / sigma_p)
    return np.concatenate(slope, -1), np.concatenate(constant, -1), np.concatenate(data)


def _start(kind: Kind, v: Array, e: Array | None, p: Array | None, sigma_e: float, sigma_p: Array) -> Array:
    """Best (v0, k0_prime) of a coarse grid, e0 and k0 solved exactly at each node: no guess is needed.

    V0 may lie far above the data (only compressed volumes), so the grid reaches to 15 times the largest volume.
    """
    v0 = np.geomspace(0.8 * v.min(), 15.0 * v.max(), 120)[:, None, None]
    kp = np.linspace(1.5, 9.0, 31)[None, :, None]
    a, _, y = _design(kind, (v0, kp), v, e, p, sigma_e, sigma_p)
    if e is not None:  # the best e0 takes the mean of the energies out, of the model and of the data
        n = len(v)
        a[..., :n] -= a[..., :n].mean(-1, keepdims=True)
        y[:n] -= y[:n].mean()
    k0 = np.maximum((a @ y) / np.einsum("ijk,ijk->ij", a, a), 0.0)
    misfit = ((k0[..., None] * a - y) ** 2).sum(-1)
    # far outside of the data many (V0, K') serve about equally: the prior decides, as in the fit itself
    freedom = max(len(y) - 4, 1)
    misfit = misfit * (1.0 + ((kp[..., 0] - _USUAL_K_PRIME) / _K_PRIME_SPREAD) ** 2 / freedom)
    i, j = np.unravel_index(int(np.argmin(misfit)), misfit.shape)
    if i in (0, len(v0) - 1):
        raise InputError("no equation of state fits: the energies or pressures do not follow those of a solid")
    return np.array([v0[i, 0, 0], kp[0, j, 0]])


def _polish(
    kind: Kind, start: Array, v: Array, e: Array | None, p: Array | None, sigma_e: float, sigma_p: Array
) -> EosFit:
    """Least squares in (ln v0, k0_prime[, k0·k0_double_prime]) with e0 and k0 solved exactly inside."""
    from scipy.optimize import least_squares

    def solve(q: Array) -> tuple[Array, Array]:
        a, b, y = _design(kind, (np.exp(q[0]), *q[1:]), v, e, p, sigma_e, sigma_p)
        columns = a[:, None] if e is None else np.stack([a, b], -1)
        scale = np.linalg.norm(columns, axis=0)
        solution = np.linalg.lstsq(columns / scale, y, rcond=None)[0] / scale
        return solution, columns @ solution - y

    def improve(q: Array, weight: float) -> Array:
        bounds = ([q0[0] - 1.5, 0.2, -200.0][: len(q0)], [q0[0] + 1.5, 15.0, 50.0][: len(q0)])
        scales, tight = [0.1, 1.0, 5.0][: len(q0)], {"xtol": 1e-14, "ftol": 1e-14, "gtol": 1e-14}
        found = least_squares(
            lambda q: np.append(solve(q)[1], weight * (q[1] - _USUAL_K_PRIME)),
            q,
            bounds=bounds,
            x_scale=scales,
            **tight,
        )
        return np.asarray(found.x)

    q0 = np.array([np.log(start[0]), *start[1:]])
    q = improve(q0, 0.0)
    residual = solve(q)[1]
    freedom = len(residual) - len(q) - (1 if e is None else 2)
    noise = float(np.sqrt(residual @ residual / freedom)) if freedom > 0 else 0.0
    if noise > 1e-6:
        q = improve(q, noise / _K_PRIME_SPREAD)
    linear, residual = solve(q)
    k0 = float(linear[0] / GPa)
    result = EosFit(
        kind=kind,
        e0=float("nan") if e is None else float(linear[1]),
        v0=float(np.exp(q[0])),
        k0=k0,
        k0_prime=float(q[1]),
        k0_double_prime=float(q[2] / k0) if kind == "bm4" else None,
        covariance=np.full((0, 0), np.nan),
        rms_eV=float("nan") if e is None else float(np.sqrt(np.mean((residual[: len(v)] * sigma_e) ** 2))),
        rms_GPa=float("nan") if p is None else float(np.sqrt(np.mean((residual[-len(v) :] * sigma_p) ** 2))),
        from_A3=float(v.min()),
        to_A3=float(v.max()),
    )
    if not (k0 > 0.0 and result.pressure(v.min()) > result.pressure(v.max())):
        raise InputError("no equation of state fits: the energies or pressures do not follow those of a solid")
    return replace(result, covariance=_covariance(result, v, e, p, sigma_e, sigma_p, noise if freedom > 0 else None))


def _covariance(
    result: EosFit, v: Array, e: Array | None, p: Array | None, sigma_e: float, sigma_p: Array, noise: float | None
) -> Array:
    """Covariance of (e0, v0, k0, k0_prime[, k0_double_prime]) from numerical derivatives of the model."""
    names = ["e0", "v0", "k0", "k0_prime"] + (["k0_double_prime"] if result.kind == "bm4" else [])
    used = names if e is not None else names[1:]
    covariance = np.full((len(names), len(names)), np.nan)
    if noise is None:
        return covariance
    base = result if e is not None else replace(result, e0=0.0)
    columns = []
    for name in used:
        value = getattr(base, name)
        step = 1e-5 * max(abs(value), 1e-3)
        up, down = replace(base, **{name: value + step}), replace(base, **{name: value - step})
        parts = [] if e is None else [(up.energy(v) - down.energy(v)) / sigma_e]
        parts += [] if p is None else [(up.pressure(v) - down.pressure(v)) / sigma_p]
        columns.append(np.append(np.concatenate(parts) / (2.0 * step), 0.0))
    jacobian = np.stack(columns, -1)
    jacobian[-1, used.index("k0_prime")] = noise / _K_PRIME_SPREAD
    scale = np.linalg.norm(jacobian, axis=0)
    inverse = np.linalg.pinv((jacobian / scale).T @ (jacobian / scale)) / np.outer(scale, scale)
    covariance[-len(used) :, -len(used) :] = inverse * noise**2
    return covariance
