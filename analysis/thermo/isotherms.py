"""Isotherms F(ln V) of a phase: equations of state fitted at each temperature, or a basis whose coefficients they have.

x = ln V. P = −F_x/V, K_T = (F_xx − F_x)/V, (∂P/∂T)_V = S_x/V, so that α = S_x/(V K_T) and γ = S_x/C_V need no
difference between temperatures. The entropy is the derivative of the fitted F, parameters and all: V(P,T) and α, G and
S belong together exactly. All arrays may have a leading axis, one entry a volume that was left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from megabar.analysis import eos
from megabar.analysis.thermo.table import HelmholtzTable
from megabar.analysis.thermo.vinet import fit_vinet, vinet, vinet_gradients
from megabar.structures.errors import InputError

Array = NDArray[np.float64]
Basis = Callable[[Array], tuple[Array, Array, Array]]
"""Functions of x (…, k), one a last entry, with their first and second derivatives."""
ENERGY_DEGREES: dict[eos.Kind, int] = {"bm3": 3, "bm4": 4}
NAMES = {"birch_murnaghan": "bm3", "birch-murnaghan": "bm3"}
"""What other programs call them."""


class Isotherms(Protocol):
    """F and S at x = ln V of shape (…, m, k), a row a temperature (shape (m,)); known for ln V between ``ends``."""

    @property
    def ends(self) -> tuple[float, float]:
        """Least and largest ln V."""

    def helmholtz(self, x: Array) -> tuple[Array, Array, Array]:
        """F (eV), F_x and F_xx."""

    def entropy(self, x: Array) -> tuple[Array, Array]:
        """S (eV/K) and S_x."""

    def heat_capacity(self, x: Array) -> Array:
        """C_V (eV/K)."""


@dataclass(frozen=True, eq=False)
class VinetIsotherms:
    """Vinet's equation of state at each temperature.

    parameters, rates: shape (…, m, 4), (E0, ln V0, K0, η) of `vinet` and their derivatives with temperature.
    capacity: coefficients of C_V over powers of x, shape (m, d), about ``middle``.
    """

    ends: tuple[float, float]
    parameters: Array
    rates: Array
    capacity: Array
    middle: float

    def helmholtz(self, x: Array) -> tuple[Array, Array, Array]:
        """F (eV), F_x and F_xx."""
        return vinet(x, self.parameters)

    def entropy(self, x: Array) -> tuple[Array, Array]:
        """S (eV/K) and S_x."""
        value, slope = vinet_gradients(x, self.parameters)
        rates = self.rates[..., None, :]
        return -(value * rates).sum(-1), -(slope * rates).sum(-1)

    def heat_capacity(self, x: Array) -> Array:
        """C_V (eV/K)."""
        return _powers(x - self.middle, self.capacity)


@dataclass(frozen=True, eq=False)
class LinearIsotherms:
    """A static curve, or none, and functions of x whose coefficients depend on temperature.

    coefficients, rates: shape (…, m, d), of F and their derivatives with temperature; capacity as in `VinetIsotherms`.
    """

    ends: tuple[float, float]
    basis: Basis
    coefficients: Array
    rates: Array
    capacity: Array
    middle: float
    static: Callable[[Array], tuple[Array, Array, Array]] | None = None

    def helmholtz(self, x: Array) -> tuple[Array, Array, Array]:
        """F (eV), F_x and F_xx."""
        parts = [(b * self.coefficients[..., None, :]).sum(-1) for b in self.basis(x)]
        if self.static is not None:
            parts = [part + known for part, known in zip(parts, self.static(x), strict=True)]
        return parts[0], parts[1], parts[2]

    def entropy(self, x: Array) -> tuple[Array, Array]:
        """S (eV/K) and S_x."""
        value, slope, _ = self.basis(x)
        rates = self.rates[..., None, :]
        return -(value * rates).sum(-1), -(slope * rates).sum(-1)

    def heat_capacity(self, x: Array) -> Array:
        """C_V (eV/K)."""
        return _powers(x - self.middle, self.capacity)


def fit_isotherms(
    table: HelmholtzTable, kind: str = "vinet", *, errors: bool = True
) -> tuple[Isotherms, Isotherms | None]:
    """Fit an equation of state to F(V,T) at each temperature; again with each volume left out, for errors.

    kind: ``vinet``, ``bm3`` (also ``birch_murnaghan``) or ``bm4``. Energies count equally, as in phonopy-qha and qha.
    errors: whether the second is wanted; it is None too where there are no more volumes than parameters.
    Raises InputError for too few volumes.
    """
    name = equation(kind)
    x, free, entropy = np.log(table.volumes_A3), table.free_energy_eV, table.thermal.entropy_eV_per_K
    needed = 5 if name == "bm4" else 4
    if len(x) < needed:
        raise InputError(
            f"the equation of state {name} has {needed} parameters, but there are free energies at {len(x)} volumes"
        )
    ends, middle, capacity = (float(x[0]), float(x[-1])), float(x.mean()), _capacities(table)
    weights = leave_one_out(len(x)) if errors and len(x) > needed else None
    if name == "vinet":
        found = fit_vinet(x, free, entropy)
        whole = VinetIsotherms(ends, *found, capacity, middle)
        if weights is None:
            return whole, None
        return whole, VinetIsotherms(ends, *fit_vinet(x, free, entropy, weights, found[0]), capacity, middle)
    basis = _strains(middle, ENERGY_DEGREES[name])
    fits = [linear_fit(basis(x)[0], free, -entropy)]
    fits += [] if weights is None else [linear_fit(basis(x)[0], free, -entropy, weights)]
    both = [LinearIsotherms(ends, basis, *fit, capacity, middle) for fit in fits]
    return both[0], both[1] if len(both) > 1 else None


def equation(kind: str) -> eos.Kind:
    """Return the equation of state that a name means; raises InputError for others."""
    name = NAMES.get(kind.lower(), kind.lower())
    for known in eos.KINDS:
        if name == known:
            return known
    raise InputError(f"{kind!r} is not an equation of state known here; use vinet, birch_murnaghan (bm3) or bm4")


def leave_one_out(count: int) -> Array:
    """Return weights, shape (n, 1, n): of each fit, none for one volume."""
    return np.asarray(1.0 - np.eye(count))[:, None, :]


def linear_fit(basis: Array, free: Array, slopes: Array, weights: Array | None = None) -> tuple[Array, Array]:
    """Return least-squares coefficients of F and ∂F/∂T, shape (…, m, d); basis (n, d), values (m, n)."""
    if weights is None:
        inverse = np.linalg.pinv(basis)
        return free @ inverse.T, slopes @ inverse.T
    kept = weights[:, 0, :, None] * basis
    inverse = np.swapaxes(np.linalg.pinv(kept), -1, -2)
    return (weights * free) @ inverse, (weights * slopes) @ inverse


def polynomials(middle: float, degree: int) -> Basis:
    """Return the powers of ln V − middle."""

    def functions(x: Array) -> tuple[Array, Array, Array]:
        powers = np.arange(degree + 1.0)
        t = (x - middle)[..., None]
        with np.errstate(divide="ignore", invalid="ignore"):
            first = np.where(powers > 0.0, powers * t ** np.maximum(powers - 1.0, 0.0), 0.0)
            second = np.where(powers > 1.0, powers * (powers - 1.0) * t ** np.maximum(powers - 2.0, 0.0), 0.0)
        return t**powers, first, second

    return functions


def _strains(middle: float, degree: int) -> Basis:
    """Return the powers of V^(−2/3): Birch–Murnaghan's energy is one polynomial in it, whatever V0 is."""

    def functions(x: Array) -> tuple[Array, Array, Array]:
        z = np.exp(-2.0 / 3.0 * (x - middle))
        values, first, second = polynomials(0.0, degree)(z - 1.0)
        dz = (-2.0 / 3.0 * z)[..., None]
        return values, first * dz, second * dz**2 - 2.0 / 3.0 * first * dz

    return functions


def _capacities(table: HelmholtzTable) -> Array:
    """Coefficients of C_V over powers of ln V − its mean, shape (m, d)."""
    return smooth_polynomial(np.log(table.volumes_A3), table.thermal.heat_capacity_eV_per_K)


def smooth_polynomial(x: Array, values: Array) -> Array:
    """Return coefficients over powers of x − its mean, shape (m, d), of values (m, n): at most of fourth order."""
    degree = max(min(len(x) - 2, 4), min(len(x) - 1, 1))
    return np.asarray(values @ np.linalg.pinv(polynomials(float(x.mean()), degree)(x)[0]).T)


def _powers(t: Array, coefficients: Array) -> Array:
    found = np.zeros(t.shape)
    for column in range(coefficients.shape[-1] - 1, -1, -1):
        found = found * t + coefficients[..., column, None]
    return found
