"""Whether a crystal under pressure withstands small strains: the conditions of Born, with the pressure in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from megabar.analysis.elasticity.crystal import Crystal
from megabar.analysis.elasticity.tensors import Array, kelvin, tensor, voigt

Condition = tuple[str, Callable[[Array], float]]
"""What must be positive: in words, with B by Voigt's indices, and as a function of Voigt's matrix."""

SHEAR: tuple[Condition, ...] = (("B44 > 0", lambda b: b[3, 3]),)
ROUND: tuple[Condition, ...] = (("B11 > |B12|", lambda b: b[0, 0] - abs(b[0, 1])),)
AXIAL: tuple[Condition, ...] = (
    ("(B11 + B12) B33 > 2 B13²", lambda b: (b[0, 0] + b[0, 1]) * b[2, 2] - 2 * b[0, 2] ** 2),
)
CUBIC: tuple[Condition, ...] = (
    ("B11 + 2 B12 > 0", lambda b: b[0, 0] + 2 * b[0, 1]),
    ("B11 − B12 > 0", lambda b: b[0, 0] - b[0, 1]),
    *SHEAR,
)
CONDITIONS: Mapping[str, tuple[Condition, ...]] = {
    "m-3m": CUBIC,
    "m-3": CUBIC,
    "6/mmm": (*ROUND, *AXIAL, *SHEAR),
    "6/m": (*ROUND, *AXIAL, *SHEAR),
    "4/mmm": (*ROUND, *AXIAL, *SHEAR, ("B66 > 0", lambda b: b[5, 5])),
    "4/m": (
        *ROUND,
        *AXIAL,
        *SHEAR,
        ("(B11 − B12) B66 > 2 B16²", lambda b: (b[0, 0] - b[0, 1]) * b[5, 5] - 2 * b[0, 5] ** 2),
    ),
    "-3m": (
        *ROUND,
        *AXIAL,
        *SHEAR,
        ("(B11 − B12) B44 > 2 B14²", lambda b: (b[0, 0] - b[0, 1]) * b[3, 3] - 2 * b[0, 3] ** 2),
    ),
    "-3": (
        *ROUND,
        *AXIAL,
        *SHEAR,
        (
            "(B11 − B12) B44 > 2 (B14² + B15²)",
            lambda b: (b[0, 0] - b[0, 1]) * b[3, 3] - 2 * (b[0, 3] ** 2 + b[0, 4] ** 2),
        ),
    ),
    "mmm": (
        ("B11 > 0", lambda b: b[0, 0]),
        ("B11 B22 > B12²", lambda b: b[0, 0] * b[1, 1] - b[0, 1] ** 2),
        ("det(B of 1 to 3) > 0", lambda b: float(np.linalg.det(b[:3, :3]))),
        *SHEAR,
        ("B55 > 0", lambda b: b[4, 4]),
        ("B66 > 0", lambda b: b[5, 5]),
    ),
}
"""Necessary and sufficient conditions by Laue class: Mouhat & Coudert, Phys. Rev. B 90, 224104 (2014),
doi:10.1103/PhysRevB.90.224104. Of the others the leading minors of the matrix must be positive."""


@dataclass(frozen=True, eq=False)
class Stability:
    """Whether the enthalpy at constant pressure grows with every small strain.

    smallest_GPa: the smallest eigenvalue of B (of the tensor, which Kelvin's matrix has and Voigt's has not), which
    decides. strain: the unit strain that it belongs to, in the crystal's axes. violated: conditions that do not hold.
    """

    smallest_GPa: float
    strain: Array
    violated: tuple[str, ...]

    @property
    def stable(self) -> bool:
        """Whether the smallest eigenvalue is positive."""
        return self.smallest_GPa > 0


def stability(crystal: Crystal, stress_strain: ArrayLike) -> Stability:
    """Return whether a crystal with some stress-strain coefficients (Kelvin, GPa, the cell's axes) is stable.

    At a hydrostatic pressure it is B, and not the second derivatives of the energy, that must be positive definite:
    Wang, Li, Yip, Phillpot & Wolf, Phys. Rev. B 52, 12627 (1995), doi:10.1103/PhysRevB.52.12627.
    """
    own = crystal.in_frame(np.asarray(stress_strain, float))
    values, vectors = np.linalg.eigh(own)
    conditions = CONDITIONS.get(crystal.laue, MINORS)
    violated = tuple(words for words, positive in conditions if positive(voigt(own)) <= 0)
    lowest = vectors[:, 0]
    sign = np.sign(lowest[np.argmax(np.abs(lowest))])
    return Stability(float(values[0]), tensor(sign * lowest), violated)


def _minor(size: int) -> Condition:
    return f"leading minor of B, {size} × {size} > 0", lambda b: float(np.linalg.det(b[:size, :size]))


MINORS: tuple[Condition, ...] = tuple(_minor(size) for size in range(1, 7))


def in_words(strain: ArrayLike) -> str:
    """Return the components of a unit strain in words, the largest first."""
    names = ("xx", "yy", "zz", "yz", "xz", "xy")
    found = kelvin(strain)
    order = [place for place in np.argsort(-np.abs(found), kind="stable") if abs(found[place]) > 0.05]
    return ", ".join(f"{found[place]:+.2f} {names[place]}" for place in order)
