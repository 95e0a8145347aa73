"""G(P,T) of a phase on a grid, with V, S, α, K, C and γ, and between the points of the grid."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from ase.units import GPa
from numpy.typing import ArrayLike, NDArray

from megabar.structures.errors import InputError

Array = NDArray[np.float64]
PER_CELL = (
    "volume_A3", "gibbs_eV", "entropy_eV_per_K", "heat_capacity_p_eV_per_K", "heat_capacity_v_eV_per_K",
    "volume_error_A3", "gibbs_error_eV",
)  # fmt: skip
PARTS = ("g", "g_P", "g_T", "g_PT")
"""Of a `Surface`."""


@dataclass(frozen=True, eq=False)
class GibbsTable:
    """G(P,T) of a phase, per cell, and what follows from it; nan where the volumes do not bracket (P,T).

    pressures_GPa, temperatures_K: shapes (p,) and (m,), ascending. All others have shape (p, m).
    thermal_expansion_per_K: of the volume, (∂V/∂T)/V. bulk_modulus_GPa: isothermal; adiabatic_bulk_modulus_GPa: K_S.
    heat_capacity_p_eV_per_K, heat_capacity_v_eV_per_K: C_P and C_V. gruneisen: α K_T V/C_V, nan where C_V is zero.
    gibbs_error_eV, volume_error_A3: how far G and V move as single volumes are left out; nan where that cannot be told.
    beyond: +1 where larger volumes are needed, −1 where smaller ones are, 2 where no fit was found, 0 where there is a
    number.
    atoms: of the cell, None where not known.
    """

    pressures_GPa: Array
    temperatures_K: Array
    volume_A3: Array
    gibbs_eV: Array
    entropy_eV_per_K: Array
    thermal_expansion_per_K: Array
    bulk_modulus_GPa: Array
    adiabatic_bulk_modulus_GPa: Array
    heat_capacity_p_eV_per_K: Array
    heat_capacity_v_eV_per_K: Array
    gruneisen: Array
    volume_error_A3: Array
    gibbs_error_eV: Array
    beyond: NDArray[np.int8]
    atoms: int | None = None

    def scaled(self, factor: float, atoms: int | None = None) -> GibbsTable:
        """Return the table of a cell that is larger by a factor; atoms: those of that cell."""
        return replace(self, atoms=atoms, **{name: getattr(self, name) * factor for name in PER_CELL})

    def per_atom(self) -> GibbsTable:
        """Return the table per atom; raises InputError where the number of atoms is not known."""
        if self.atoms is None:
            raise InputError("how many atoms the cell has is not known, so nothing can be said per atom")
        return self.scaled(1.0 / self.atoms, 1)

    def with_error(self, more_eV: ArrayLike) -> GibbsTable:
        """Return the table with another independent error of G (eV, per cell; a number or shape (p, m)) added to it."""
        known = np.nan_to_num(self.gibbs_error_eV, nan=0.0)
        return replace(self, gibbs_error_eV=np.where(np.isnan(self.gibbs_eV), np.nan, np.hypot(known, more_eV)))

    def within(self, temperatures_K: ArrayLike) -> GibbsTable:
        """Return the table at those of its temperatures alone."""
        chosen = np.isin(self.temperatures_K, temperatures_K)
        arrays = {f.name: getattr(self, f.name)[:, chosen] for f in fields(self) if np.ndim(getattr(self, f.name)) == 2}
        return replace(self, temperatures_K=self.temperatures_K[chosen], **arrays)

    def surface(self) -> Surface:
        """Return G and its derivatives between the points of the grid."""
        mixed = self.thermal_expansion_per_K * self.volume_A3
        return Surface(
            self.pressures_GPa, self.temperatures_K, self.gibbs_eV, self.volume_A3 * GPa, -self.entropy_eV_per_K,
            mixed * GPa, self.gibbs_error_eV,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Surface:
    """A function g(P,T) on a grid with its slopes: bicubic between the points, from the exact derivatives at them.

    g (eV), g_P (eV/GPa), g_T (eV/K), g_PT (eV/GPa/K), error (eV): shape (p, m).
    """

    pressures_GPa: Array
    temperatures_K: Array
    g: Array
    g_P: Array
    g_T: Array
    g_PT: Array
    error: Array

    def __add__(self, other: Surface) -> Surface:
        """Return the sum of two on the same grid; their errors are independent."""
        return self._with(other, 1.0)

    def __sub__(self, other: Surface) -> Surface:
        """Return the difference of two on the same grid; their errors are independent."""
        return self._with(other, -1.0)

    def __mul__(self, factor: float) -> Surface:
        """Return it times a number, e.g. the coefficient of a phase in a reaction."""
        g, g_P, g_T, g_PT = (getattr(self, name) * factor for name in PARTS)
        return Surface(self.pressures_GPa, self.temperatures_K, g, g_P, g_T, g_PT, self.error * abs(factor))

    def _with(self, other: Surface, sign: float) -> Surface:
        if not (
            np.array_equal(self.pressures_GPa, other.pressures_GPa)
            and np.array_equal(self.temperatures_K, other.temperatures_K)
        ):
            raise InputError("two phases are compared at the same pressures and temperatures only")
        g, g_P, g_T, g_PT = (getattr(self, name) + sign * getattr(other, name) for name in PARTS)
        error = np.hypot(self.error, other.error)
        return Surface(self.pressures_GPa, self.temperatures_K, g, g_P, g_T, g_PT, error)

    def at(self, pressure_GPa: ArrayLike, temperature_K: ArrayLike) -> tuple[Array, Array, Array, Array]:
        """Return g, g_P, g_T and the error at points, shape (k,); nan off the grid and beside unknown points."""
        p, t = np.broadcast_arrays(np.asarray(pressure_GPa, dtype=float), np.asarray(temperature_K, dtype=float))
        i, u, dp = _place(self.pressures_GPa, p)
        j, w, dt = _place(self.temperatures_K, t)
        hp, hp_slope = _cubics(u)
        ht, ht_slope = _cubics(w)
        corners = np.zeros((3, *p.shape))
        error = np.zeros(p.shape)
        for a in (0, 1):
            for b in (0, 1):
                k, m = np.minimum(i + a, len(self.pressures_GPa) - 1), np.minimum(j + b, len(self.temperatures_K) - 1)
                parts = (
                    (self.g[k, m], 0, 0), (self.g_P[k, m] * dp, 1, 0), (self.g_T[k, m] * dt, 0, 1),
                    (self.g_PT[k, m] * dp * dt, 1, 1),
                )  # fmt: skip
                for value, along_p, along_t in parts:
                    x, y = 2 * along_p + a, 2 * along_t + b
                    factors = (hp[x] * ht[y], hp_slope[x] * ht[y] / dp, hp[x] * ht_slope[y] / dt)
                    corners += np.stack([_product(value, factor) for factor in factors])
                weight = (u if a else 1.0 - u) * (w if b else 1.0 - w)
                error += _product(self.error[k, m], weight)
        outside = np.isnan(u) | np.isnan(w)
        return tuple(np.where(outside, np.nan, each) for each in (*corners, error))  # type: ignore[return-value]


def _product(value: Array, weight: Array) -> Array:
    """Return value · weight where a point that is not known matters only if it has a weight."""
    return np.where(weight == 0.0, 0.0, value * weight)


def _place(axis: Array, at: Array) -> tuple[NDArray[np.intp], Array, Array]:
    """Return the place before each point, how far it is to the next (0 to 1, nan outside) and the step."""
    if len(axis) == 1:
        inside = np.isclose(at, axis[0], rtol=0.0, atol=1e-9)
        return np.zeros(at.shape, dtype=np.intp), np.where(inside, 0.0, np.nan), np.ones(at.shape)
    i = np.clip(np.searchsorted(axis, at, side="right") - 1, 0, len(axis) - 2)
    step = axis[i + 1] - axis[i]
    u = (at - axis[i]) / step
    u = np.where(np.abs(u) < 1e-12, 0.0, np.where(np.abs(u - 1.0) < 1e-12, 1.0, u))
    return i, np.where((u < 0.0) | (u > 1.0), np.nan, u), step


def _cubics(u: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Return the four cubics of Hermite (values at 0 and 1, slopes at 0 and 1) and their derivatives."""
    s = 1.0 - u
    values = (s**2 * (1.0 + 2.0 * u), u**2 * (3.0 - 2.0 * u), u * s**2, -(u**2) * s)
    slopes = (-6.0 * u * s, 6.0 * u * s, s * (1.0 - 3.0 * u), u * (3.0 * u - 2.0))
    return values, slopes
