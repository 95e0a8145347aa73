"""G(P,T) of a phase whose static curve is interpolated: E and P at many volumes, vibrations at some of them.

F(V,T) = E(V) + F_th(V,T): E is the curve of `megabar.analysis.enthalpy`, which no single equation of state replaces to
better than 10 meV/atom in soft metals; F_th is smooth, a polynomial in ln V of low order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from ase.units import GPa
from numpy.typing import ArrayLike, NDArray

from megabar.analysis.enthalpy import EnthalpyCurve
from megabar.analysis.thermo.gibbs import GibbsTable
from megabar.analysis.thermo.isotherms import (
    LinearIsotherms,
    leave_one_out,
    linear_fit,
    polynomials,
    smooth_polynomial,
)
from megabar.analysis.thermo.quasiharmonic import minimise
from megabar.analysis.thermo.splines import pieces, spline_slopes
from megabar.analysis.thermo.table import HelmholtzTable
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
HIGHEST_DEGREE = 3
"""Of F_th in ln V: three left 0.01 meV/atom of a Debye solid with γ ∝ V at two-fold compression."""

USUAL_BEND = 1.5
"""|F_xx/F_x| of the thermal part, x = ln V: about q = ∂ln γ/∂ln V when hot and γ when cold."""


@dataclass(frozen=True, eq=False)
class StaticCurve:
    """E(ln V) of a phase as a spline of its slope −PV, integrated, so that E, P and K belong together exactly.

    knots: ln V, ascending, shape (n,). slope, energy: coefficients of E_x and of E between them, highest power first,
    shapes (4, n − 1) and (5, n − 1). sigma: standard uncertainty of E at the knots (eV).
    """

    knots: Array
    slope: Array
    energy: Array
    sigma: Array

    def __call__(self, x: Array) -> tuple[Array, Array, Array]:
        """Return E (eV), E_x and E_xx at x = ln V; beyond the knots as the last piece goes on."""
        i = np.clip(np.searchsorted(self.knots, x, side="right") - 1, 0, len(self.knots) - 2)
        t = x - self.knots[i]
        a, b, c, d = (self.slope[k][i] for k in range(4))
        e = [self.energy[k][i] for k in range(5)]
        energy = (((e[0] * t + e[1]) * t + e[2]) * t + e[3]) * t + e[4]
        return energy, ((a * t + b) * t + c) * t + d, (3.0 * a * t + 2.0 * b) * t + c


def static_curve(
    volumes_A3: ArrayLike, pressures_GPa: ArrayLike, energies_eV: ArrayLike, sigma_eV: ArrayLike = 0.0
) -> StaticCurve:
    """Return the curve through pressures at many volumes (per cell or per atom); the mean of E is that given.

    All of shape (n,), in any order; made for the dense table of an interpolated curve, not for a few raw points.
    sigma_eV: standard uncertainty of E, one number or shape (n,). Raises InputError for fewer than four volumes.
    """
    order = np.argsort(volumes_A3)
    given = (volumes_A3, pressures_GPa, energies_eV, np.broadcast_to(sigma_eV, np.shape(volumes_A3)))
    volumes, pressures, energies, sigma = (np.asarray(each, dtype=float)[order] for each in given)
    if len(volumes) < 4:
        raise InputError(f"a static curve needs four volumes or more, found {len(volumes)}")
    x = np.log(volumes)
    push = -pressures * GPa * volumes
    slope = pieces(x, push, spline_slopes(x, push))
    energy = np.concatenate([slope / np.array([4.0, 3.0, 2.0, 1.0])[:, None], np.zeros((1, len(x) - 1))])
    h = np.diff(x)
    rise = (((energy[0] * h + energy[1]) * h + energy[2]) * h + energy[3]) * h
    integral = np.concatenate([[0.0], np.cumsum(rise)])
    energy[-1] = integral[:-1] + (energies - integral).mean()
    return StaticCurve(x, slope, energy, sigma)


def curve_of(curve: EnthalpyCurve, from_A3: float = 0.0, to_A3: float = np.inf) -> StaticCurve:
    """Return E(ln V), per atom, of the stable branch of a curve that has most of the volumes between two.

    Raises InputError where no branch has any of them.
    """

    def common(volumes: Array) -> float:
        return float(np.log(min(volumes.max(), to_A3) / max(volumes.min(), from_A3)))

    branches = [branch for branch in curve.branches if np.ptp(branch.volume) > 0.0 and common(branch.volume) > 0.0]
    if not branches:
        raise InputError(
            f"{curve.phase}: the static curve has no stable volumes between {from_A3:.3f} and {to_A3:.3f} Å³/atom, "
            "where the vibrations are known"
        )
    branch = max(branches, key=lambda each: common(each.volume))
    energy = branch.enthalpy - branch.pressure * GPa * branch.volume
    return static_curve(branch.volume, branch.pressure, energy, branch.sigma)


def ladder_gibbs(
    curve: EnthalpyCurve,
    table: HelmholtzTable,
    pressures_GPa: ArrayLike,
    temperatures_K: ArrayLike | None = None,
    degree: int | None = None,
) -> GibbsTable:
    """Return G(P,T) per atom of a phase: its static curve, and the thermal part of a table at some volumes.

    table: per cell or per atom, with ``atoms``; static energies in it are not used. degree: of F_th in ln V (default:
    one less than there are volumes, at most 3). pressures_GPa: shape (p,); temperatures_K: (m,), without: the table's.
    The error is that of the static curve, and what leaving out single volumes of the thermal part does; of two volumes,
    what the bend of usual solids does between them.
    Known where both are: between the volumes of the curve and those of the table.
    Raises InputError for a table of one volume, or where curve and table have no volume in common.
    """
    table = table.per_atom()
    if temperatures_K is not None:
        table = table.at_temperatures(temperatures_K)
    if len(table.volumes_A3) < 2:
        raise InputError(f"{curve.phase}: vibrations are known at one volume, and G(P,T) needs them at two at least")
    static = curve_of(curve, float(table.volumes_A3[0]), float(table.volumes_A3[-1]))
    whole, without = ladder_isotherms(static, table, degree)
    found = minimise(whole, without, pressures_GPa, table.temperatures_K, 1)
    sigma = np.interp(np.log(found.volume_A3), static.knots, static.sigma)
    return found.with_error(sigma)


def _bent(straight: LinearIsotherms, half: float) -> LinearIsotherms:
    """Return isotherms through the same two volumes that bend as much as those of solids do, up and down."""
    sides = np.array([1.0, -1.0])[:, None, None]

    def bent(coefficients: Array) -> Array:
        bend = 0.5 * USUAL_BEND * np.abs(coefficients[:, 1:2])
        return np.asarray(np.concatenate([coefficients - sides * [1.0, 0.0] * half**2 * bend, sides * bend], -1))

    basis = polynomials(straight.middle, 2)
    return replace(straight, basis=basis, coefficients=bent(straight.coefficients), rates=bent(straight.rates))


def ladder_isotherms(
    static: StaticCurve, table: HelmholtzTable, degree: int | None = None
) -> tuple[LinearIsotherms, LinearIsotherms | None]:
    """Return isotherms of a static curve and the thermal part of a table, and those with single volumes left out of it.

    Both per atom, or both per the same cell; degree as in `ladder_gibbs`.
    """
    x, thermal = np.log(table.volumes_A3), table.thermal
    ends = (max(float(x[0]), float(static.knots[0])), min(float(x[-1]), float(static.knots[-1])))
    if ends[1] <= ends[0]:
        raise InputError("the volumes of the vibrations are not among those of the static curve")
    most = min(HIGHEST_DEGREE, len(x) - 1)
    degree = most if degree is None else degree
    if not 1 <= degree <= len(x) - 1:
        raise InputError(
            f"the degree of the thermal part is {degree}; with {len(x)} volumes it can be 1 to {len(x) - 1}"
        )
    middle = float(x.mean())
    capacity = smooth_polynomial(x, thermal.heat_capacity_eV_per_K)

    def isotherms(order: int, weights: Array | None) -> LinearIsotherms:
        basis = polynomials(middle, order)
        fit = linear_fit(basis(x)[0], thermal.free_energy_eV, -thermal.entropy_eV_per_K, weights)
        return LinearIsotherms(ends, basis, *fit, capacity, middle, static)

    if len(x) < 3:
        straight = isotherms(1, None)
        return straight, _bent(straight, 0.5 * float(x[1] - x[0]))
    # One volume fewer bears one order fewer: what that order does is then part of the error.
    return isotherms(degree, None), isotherms(min(degree, len(x) - 2), leave_one_out(len(x)))
