"""Moduli of a polycrystal, between the bounds of Voigt and Reuss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from megabar.analysis.elasticity.tensors import IDENTITY


@dataclass(frozen=True)
class Moduli:
    """Bulk and shear modulus (GPa) of a polycrystal: uniform strain (Voigt), uniform stress (Reuss), their mean (Hill).

    Hill, Proc. Phys. Soc. A 65, 349 (1952), doi:10.1088/0370-1298/65/5/307.
    """

    bulk_voigt_GPa: float
    bulk_reuss_GPa: float
    shear_voigt_GPa: float
    shear_reuss_GPa: float

    @property
    def bulk_GPa(self) -> float:
        """Bulk modulus after Hill."""
        return (self.bulk_voigt_GPa + self.bulk_reuss_GPa) / 2

    @property
    def shear_GPa(self) -> float:
        """Shear modulus after Hill."""
        return (self.shear_voigt_GPa + self.shear_reuss_GPa) / 2

    @property
    def young_GPa(self) -> float:
        """Young's modulus of Hill's bulk and shear modulus."""
        return 9 * self.bulk_GPa * self.shear_GPa / (3 * self.bulk_GPa + self.shear_GPa)

    @property
    def poisson(self) -> float:
        """Poisson's ratio of Hill's bulk and shear modulus."""
        return (3 * self.bulk_GPa - 2 * self.shear_GPa) / (2 * (3 * self.bulk_GPa + self.shear_GPa))

    @property
    def pugh(self) -> float:
        """Shear over bulk modulus: below about 0.57 metals are ductile (Pugh, Philos. Mag. 45, 823 (1954))."""
        return self.shear_GPa / self.bulk_GPa

    @property
    def anisotropy(self) -> float:
        """Universal anisotropy, 0 where isotropic: Ranganathan & Ostoja-Starzewski, Phys. Rev. Lett. 101, 055504."""
        return 5 * self.shear_voigt_GPa / self.shear_reuss_GPa + self.bulk_voigt_GPa / self.bulk_reuss_GPa - 6


def moduli(stress_strain: ArrayLike) -> Moduli:
    """Return the moduli of stress-strain coefficients (Kelvin, GPa); of an unstable crystal they mean nothing.

    Invariants of the tensor and of its inverse. Under pressure these are moduli for further small strains.
    """
    stiffness = np.asarray(stress_strain, float)
    compliance = np.linalg.inv(stiffness)
    pressed, trace = IDENTITY @ stiffness @ IDENTITY, np.trace(stiffness)
    soft_pressed, soft_trace = IDENTITY @ compliance @ IDENTITY, np.trace(compliance)
    return Moduli(
        bulk_voigt_GPa=float(pressed / 9),
        bulk_reuss_GPa=float(1 / soft_pressed),
        shear_voigt_GPa=float((3 * trace - pressed) / 30),
        shear_reuss_GPa=float(15 / (6 * soft_trace - 2 * soft_pressed)),
    )
