"""The quasi-harmonic approximation: G(P,T) = min over V of F(V,T) + PV, and all that follows from F.

α, K_T, K_S, C_P and γ are derivatives of F at V(P,T), not differences of tables:
α = S_V/K_T, K_S = K_T (1 + αγT), C_P = C_V (1 + αγT), γ = α K_T V/C_V.
D. C. Wallace, Thermodynamics of Crystals (1972), chapter 1.
"""

from __future__ import annotations

import numpy as np
from ase.units import GPa
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.thermo.gibbs import GibbsTable
from megabar.analysis.thermo.isotherms import Isotherms, fit_isotherms
from megabar.analysis.thermo.table import HelmholtzTable
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
_GRID = 240
"""Points of ln V among which the lowest F + PV is looked for before it is polished."""
_POLISH = 6
_AT_ONCE = 2_000_000
"""Numbers of a grid of volumes that are held at once."""


def quasiharmonic(
    table: HelmholtzTable, pressures_GPa: ArrayLike, temperatures_K: ArrayLike | None = None, kind: str = "vinet"
) -> GibbsTable:
    """Return G(P,T) of a table with static energies, by an equation of state at each temperature.

    pressures_GPa: shape (p,). temperatures_K: shape (m,), without: those of the table.
    kind: ``vinet``, ``birch_murnaghan`` (``bm3``) or ``bm4``.
    Raises InputError for too few volumes, temperatures beyond the table, or a table without static energies.
    """
    if table.static_eV is None:
        raise InputError("the table has no static energies; give them, or a curve of enthalpies")
    if temperatures_K is not None:
        table = table.at_temperatures(temperatures_K)
    whole, without = fit_isotherms(table, kind)
    return minimise(whole, without, pressures_GPa, table.temperatures_K, table.atoms)


def minimise(
    isotherms: Isotherms,
    left_out: Isotherms | None,
    pressures_GPa: ArrayLike,
    temperatures_K: Array,
    atoms: int | None = None,
) -> GibbsTable:
    """Return G(P,T) by minimising F + PV over the volumes that are known.

    left_out: the same isotherms with a leading axis, each without one of the volumes: what they are off by is the error
    (jackknife). Nothing is extrapolated: where F + PV is lowest at the first or the last volume, there is no number.
    """
    pressures = np.unique(np.atleast_1d(np.asarray(pressures_GPa, dtype=float)))
    if not np.isfinite(pressures).all():
        raise InputError("pressures must be finite numbers (GPa)")
    chunk = max(1, _AT_ONCE // (_GRID * len(temperatures_K)))
    parts = [_lowest(isotherms, pressures[i : i + chunk]) for i in range(0, len(pressures), chunk)]
    x, beyond = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    x = np.where(beyond == 0, x, np.nan).T  # rows are temperatures from here on
    free, slope, curvature = isotherms.helmholtz(x)
    entropy, entropy_slope = isotherms.entropy(x)
    c_v = isotherms.heat_capacity(x)
    volume, pv = np.exp(x), pressures * GPa * np.exp(x)
    bulk = (curvature - slope) / volume
    alpha = entropy_slope / (volume * bulk)
    warm = c_v > 1e-12
    gamma = np.where(warm, entropy_slope / np.where(warm, c_v, 1.0), np.nan)
    ratio = 1.0 + np.where(warm, alpha * gamma, 0.0) * temperatures_K[:, None]
    gibbs_error, x_error = _errors(left_out, x, pv, free, curvature + pv)
    return GibbsTable(
        pressures,
        temperatures_K,
        volume_A3=volume.T,
        gibbs_eV=(free + pv).T,
        entropy_eV_per_K=entropy.T,
        thermal_expansion_per_K=alpha.T,
        bulk_modulus_GPa=bulk.T / GPa,
        adiabatic_bulk_modulus_GPa=(bulk * ratio).T / GPa,
        heat_capacity_p_eV_per_K=(c_v * ratio).T,
        heat_capacity_v_eV_per_K=c_v.T,
        gruneisen=gamma.T,
        volume_error_A3=(volume * x_error).T,
        gibbs_error_eV=gibbs_error.T,
        beyond=beyond,
        atoms=atoms,
    )


def doubtful_above(temperatures_K: Array, thermal_expansion_per_K: Array) -> float:
    """Return the temperature (K) from which α(T) bends upwards for good, nan where it does not: both of shape (m,).

    Beyond it anharmonicity cannot be left out. Needs ten temperatures that α is known at, evenly apart.
    P. Carrier, R. Wentzcovitch & J. Tsuchiya, Phys. Rev. B 76, 064116 (2007), doi:10.1103/PhysRevB.76.064116.
    """
    known = np.isfinite(thermal_expansion_per_K)
    t, alpha = temperatures_K[known], thermal_expansion_per_K[known]
    if len(t) < 10:
        return float("nan")
    bend = np.gradient(np.gradient(alpha, t), t)[2:-2]
    down = np.flatnonzero(bend < 0.0)
    if not down.size or down[-1] >= len(bend) - 3:
        return float("nan")
    return float(t[2:-2][down[-1] + 1])


def lowest_energy(isotherms: Isotherms, below: float, above: float) -> float | None:
    """Return ln V where the first isotherm is lowest, so far (ln V) below and above its volumes; None where nowhere."""
    grid = np.linspace(isotherms.ends[0] - below, isotherms.ends[1] + above, _GRID)
    slope = isotherms.helmholtz(grid[None, :])[1][0]
    rises = np.flatnonzero((slope[:-1] < 0.0) & (slope[1:] >= 0.0))
    if not rises.size:
        return None
    i = int(rises[0])
    x, low, high = grid[i], grid[i], grid[i + 1]
    for _ in range(4 * _POLISH):
        _, first, second = (float(part[0, 0]) for part in isotherms.helmholtz(np.array([[x]])))
        low, high = (x, high) if first < 0.0 else (low, x)
        x = x - first / second if second > 0.0 and low < x - first / second < high else 0.5 * (low + high)
    return float(x)


def _lowest(isotherms: Isotherms, pressures: Array) -> tuple[Array, NDArray[np.int8]]:
    """Return ln V where F + PV has its lowest minimum between the ends, and where it has none, shape (p, m)."""
    low, high = isotherms.ends
    grid = np.linspace(low, high, _GRID)
    free = isotherms.helmholtz(grid[None, :])[0]
    total = free[None] + (pressures * GPa)[:, None, None] * np.exp(grid)
    inner = (total[..., 1:-1] <= total[..., :-2]) & (total[..., 1:-1] <= total[..., 2:])
    there = inner.any(-1)
    best = 1 + np.argmin(np.where(inner, total[..., 1:-1], np.inf), -1)
    x = grid[best]
    step = grid[1] - grid[0]
    ends = np.stack([grid[best - 1], grid[best + 1]])
    # A minimum in the first or the last interval touches no point of the grid from both sides.
    edges = _edges(isotherms, pressures, total, grid)
    x = np.where(there, x, edges[0])
    ends = np.where(there, ends, np.stack([edges[0] - step, edges[0] + step]))
    for _ in range(_POLISH):
        _, slope, curvature = isotherms.helmholtz(x.T)
        pv = (pressures * GPa) * np.exp(x.T)
        move = -(slope + pv) / np.where(curvature + pv > 0.0, curvature + pv, np.nan)
        x = np.clip(x + np.nan_to_num(move.T), ends[0], ends[1])
    beyond = np.where(there, 0, edges[1]).astype(np.int8)
    return x, np.where(np.isnan(total).any(-1), np.int8(2), beyond)


def _edges(isotherms: Isotherms, pressures: Array, total: Array, grid: Array) -> tuple[Array, Array]:
    """Where no minimum touches the grid: the end that F + PV falls towards, and 0 where it turns before it."""
    pv = (pressures * GPa)[:, None] * np.exp(grid[[0, -1]])
    slope = isotherms.helmholtz(grid[None, [0, -1]])[1][None] + pv[:, None, :]
    low_end = total[..., 0] < total[..., -1]
    turns = np.where(low_end, slope[..., 0] <= 1e-12, slope[..., 1] >= -1e-12)
    return np.where(low_end, grid[0], grid[-1]), np.where(turns, 0, np.where(low_end, -1, 1))


def _errors(left_out: Isotherms | None, x: Array, pv: Array, free: Array, stiffness: Array) -> tuple[Array, Array]:
    """Return the errors of G (eV) and of ln V, shape (m, p): jackknife over the volumes.

    G is stationary in V: what F is off by at the same V is what G is off by. ln V moves by −δF_x/(F + PV)_xx.
    B. Efron & C. Stein, Ann. Stat. 9, 586 (1981), doi:10.1214/aos/1176345462.
    """
    if left_out is None:
        return np.full(x.shape, np.nan), np.full(x.shape, np.nan)
    other, slope, _ = left_out.helmholtz(x)
    moved = -(slope + pv) / stiffness
    count = len(other)
    factor = (count - 1.0) / count
    return (
        np.sqrt(factor * ((other - free) ** 2).sum(0)),
        np.sqrt(factor * (moved**2).sum(0)),
    )
