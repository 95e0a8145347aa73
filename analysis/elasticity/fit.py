"""Stress-strain coefficients of a crystal under pressure, from the stresses of its strained cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from megabar.analysis.elasticity.crystal import Crystal
from megabar.analysis.elasticity.strains import reversing
from megabar.analysis.elasticity.tensors import IDENTITY, Array, kelvin, rotation, tensor, voigt
from megabar.structures.errors import InputError

LEAST_SINGULAR = 1e-3
SAME = 1e-3
"""Strains are opposite where they differ by less than this part."""
THIRD = 2.0
"""Third order over the square of the second: 1.9 in copper by EMT (56 GPa, C11), less in others that were tried."""
ONE_SIDED = 0.1
"""Part of the coefficients that may be wrong where no strain has its opposite, so that nothing tells it."""


@dataclass(frozen=True, eq=False)
class Stiffness:
    """Stress-strain coefficients B (GPa) of a crystal under hydrostatic pressure.

    σ(ε) = −P + B ε for the Cauchy stress and a small strain from the compressed cell: Barron & Klein, Proc. Phys. Soc.
    85, 523 (1965), doi:10.1088/0370-1328/85/3/313; Wallace, Thermodynamics of Crystals (1972).
    constants_GPa: independent ones, named by ``crystal.names`` (Voigt's indices, the crystal's axes).
    covariance_GPa2: of them, from noise and non-linearity. pressure_GPa, deviator_GPa: mean of the stress of the
    unstrained cell and what else it has at most. residual_GPa: root mean square of what the fit leaves of the stresses.
    nonlinear: part by which terms of third order in the strain may change the coefficients.
    """

    crystal: Crystal
    constants_GPa: Array
    covariance_GPa2: Array
    pressure_GPa: float
    deviator_GPa: float
    residual_GPa: float
    nonlinear: float

    @cached_property
    def kelvin_GPa(self) -> Array:
        """B as a matrix in Kelvin's notation, in the axes of the cell."""
        return self.crystal.stiffness(self.constants_GPa)

    @property
    def voigt_GPa(self) -> Array:
        """B as Voigt's matrix in the crystal's axes."""
        return voigt(self.crystal.in_frame(self.kelvin_GPa))

    @property
    def thermodynamic_GPa(self) -> Array:
        """C, the second derivatives of the energy in the Lagrangian strain, as Voigt's matrix in the crystal's axes."""
        return voigt(thermodynamic(self.crystal.in_frame(self.kelvin_GPa), self.pressure_GPa))

    @property
    def errors_GPa(self) -> Array:
        """Standard errors of the independent constants."""
        return np.sqrt(np.diag(self.covariance_GPa2))


def pressure_term(pressure_GPa: float) -> Array:
    """Return B − C = P (δ_ij δ_kl − δ_ik δ_jl − δ_il δ_jk), GPa, in Kelvin's notation.

    Barron & Klein (1965), eq. 5.12; C11 − P, C12 + P, C44 − P of a cubic crystal.
    """
    return pressure_GPa * (np.outer(IDENTITY, IDENTITY) - 2 * np.eye(6))


def thermodynamic(stress_strain: ArrayLike, pressure_GPa: float) -> Array:
    """Return C = (1/V) ∂²E/∂η∂η of stress-strain coefficients B (Kelvin, GPa) at a hydrostatic pressure."""
    return np.asarray(stress_strain, float) - pressure_term(pressure_GPa)


def stress_strain(second_derivatives: ArrayLike, pressure_GPa: float) -> Array:
    """Return the stress-strain coefficients B of second derivatives C of the energy (Kelvin, GPa) at a pressure."""
    return np.asarray(second_derivatives, float) + pressure_term(pressure_GPa)


@dataclass(frozen=True, eq=False)
class _Difference:
    """What a strain adds to the stress. odd: the part that changes its sign with it; even: that which does not.

    weight: how often the same noise counts: a pair of stresses has the noise of their mean.
    even is None where the stress under the opposite strain is not known.
    """

    strain: Array
    odd: Array
    even: Array | None
    weight: float


def fitted(
    crystal: Crystal,
    strains: ArrayLike,
    stresses_GPa: ArrayLike,
    rest_GPa: ArrayLike,
    noise_GPa: float = 0.0,
) -> Stiffness:
    """Return the stress-strain coefficients that fit the stresses of strained cells best, in the crystal's symmetry.

    strains, stresses_GPa: shape (n, 3, 3), in the cell's axes, the Cauchy stress positive under tension. rest_GPa: that
    of the unstrained cell. noise_GPa: standard error of a component of a stress (Kelvin's). Strains of either
    sign, or of one where symmetry makes the other, leave no terms of second order; of a strain with no opposite the
    stress at rest is taken off. Raises InputError where the strains do not determine all constants.
    """
    middle = kelvin(rest_GPa)
    found = _differences(crystal, kelvin(strains), kelvin(stresses_GPa), middle)
    weights = np.repeat([each.weight for each in found], 6)
    stresses = weights * np.concatenate([each.odd for each in found])
    applied = np.array([each.strain for each in found])
    rows = np.einsum("aij,nj->nia", crystal.basis, applied).reshape(-1, len(crystal.names)) * weights[:, None]
    _check_determined(crystal, rows, len(np.asarray(strains)))
    constants, *_ = np.linalg.lstsq(rows, stresses, rcond=None)
    # Components that symmetry makes zero say nothing, as codes make them so.
    telling = np.abs(rows).max(axis=1) > SAME * np.abs(rows).max()
    left = (stresses - rows @ constants)[telling]
    free = max(1, int(telling.sum()) - len(constants))
    spread = max(noise_GPa**2, float(left @ left) / free)
    nonlinear = _nonlinear(found)
    pressure = -float(middle[:3].mean())
    return Stiffness(
        crystal=crystal,
        constants_GPa=constants,
        covariance_GPa2=spread * np.linalg.inv(rows.T @ rows) + np.diag((nonlinear * constants) ** 2),
        pressure_GPa=pressure,
        deviator_GPa=float(np.abs(middle + pressure * IDENTITY).max()),
        residual_GPa=float(np.sqrt(left @ left / free)),
        nonlinear=nonlinear,
    )


def _check_determined(crystal: Crystal, rows: Array, strains: int) -> None:
    scale = np.linalg.norm(rows, axis=0)
    if (scale < SAME * scale.max()).any() or np.linalg.svd(rows / scale, compute_uv=False)[-1] < LEAST_SINGULAR:
        wanted = ", ".join(f"C{name}" for name in crystal.names)
        raise InputError(
            f"{strains} strains do not determine the {len(crystal.names)} elastic constants of the class "
            f"{crystal.laue}: {wanted}"
        )


def _differences(crystal: Crystal, applied: Array, stresses: Array, middle: Array) -> list[_Difference]:
    """Return what each strain adds to the stress; a strain and its opposite are one."""
    found: list[_Difference] = []
    paired: set[int] = set()
    for place, (strain, stress) in enumerate(zip(applied, stresses, strict=True)):
        if place in paired:
            continue
        size = float(np.linalg.norm(strain))
        near = np.flatnonzero(np.abs(applied + strain).max(axis=1) < SAME * size)
        operation = None if len(near) else reversing(crystal, tensor(strain / size))
        if len(near):
            paired.add(int(near[0]))
            opposite, weight = stresses[near[0]], float(np.sqrt(2))
        elif operation is not None:
            opposite, weight = rotation(operation) @ stress, 1.0
        else:
            found.append(_Difference(strain, stress - middle, None, 1.0))
            continue
        found.append(_Difference(strain, (stress - opposite) / 2, (stress + opposite) / 2 - middle, weight))
    return found


def _nonlinear(found: Sequence[_Difference]) -> float:
    """Return the part of the coefficients that terms of third order in the strain make, about.

    Of a series whose terms fall by one ratio the third is to the first as the square of the second to the first; THIRD
    times that is what crystals have shown. Where no opposite is known it is the second that is left in them.
    """
    ratios = [float(np.linalg.norm(each.even) / np.linalg.norm(each.odd)) for each in found if each.even is not None]
    if len(ratios) < len(found):
        return max(ratios, default=ONE_SIDED)
    return THIRD * max(ratios) ** 2
