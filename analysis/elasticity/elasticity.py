"""Elastic constants of a crystal under pressure and all that follows from them, with errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase import Atoms

from megabar.analysis.elasticity.crystal import Crystal
from megabar.analysis.elasticity.fit import Stiffness
from megabar.analysis.elasticity.moduli import Moduli, moduli
from megabar.analysis.elasticity.sound import Sound, density_g_cm3, polycrystal, sound, velocities
from megabar.analysis.elasticity.stability import Stability, in_words, stability
from megabar.analysis.elasticity.tensors import Array, voigt
from megabar.analysis.elasticity.thermal import adiabatic

DIRECTIONS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 1, 1))
STEP = 1e-3
"""Derivatives of what follows from the constants: change of each over the largest of them."""


@dataclass(frozen=True, eq=False)
class Elasticity:
    """Elastic constants B of a crystal at a pressure, and what follows from them.

    density in g/cm³. moduli is None where the crystal is unstable. errors: standard errors of numbers of ``json``.
    temperature_K: of adiabatic constants; None for those of the static lattice, which have no temperature.
    """

    stiffness: Stiffness
    density: float
    volume_A3_per_atom: float
    stability: Stability
    moduli: Moduli | None
    sound: Sound
    errors: dict[str, float]
    temperature_K: float | None = None

    @property
    def crystal(self) -> Crystal:
        """The point symmetry, with the axes that all components refer to."""
        return self.stiffness.crystal

    def velocities_km_s(self, directions: Array) -> Array:
        """Return the velocities S2, S1 and P (km/s, shape (n, 3)) along directions in the crystal's axes."""
        own = self.crystal.in_frame(self.stiffness.kelvin_GPa)
        return velocities(own, self.density, directions)

    def adiabatic(self, expansion_per_K: Array | float, heat_capacity_eV_K: float, temperature_K: float) -> Elasticity:
        """Return the same of adiabatic constants, these being isothermal; see ``thermal.adiabatic``.

        expansion_per_K in the axes of the cell; heat_capacity_eV_K of an atom.
        """
        changed = adiabatic(
            self.stiffness.kelvin_GPa, expansion_per_K, heat_capacity_eV_K, self.volume_A3_per_atom, temperature_K
        )
        constants = _constants(self.crystal, changed)
        stiff = replace(self.stiffness, constants_GPa=constants)
        return replace(elasticity_of(stiff, self.density, self.volume_A3_per_atom), temperature_K=temperature_K)

    def json(self) -> dict[str, Any]:
        """Return everything as JSON-able data, units in the keys."""
        stiff = self.stiffness
        names = self.crystal.names
        return {
            "pressure_GPa": stiff.pressure_GPa,
            "deviatoric_stress_GPa": stiff.deviator_GPa,
            "temperature_K": self.temperature_K,
            "density_g_cm3": self.density,
            "volume_A3_per_atom": self.volume_A3_per_atom,
            "laue_class": self.crystal.laue,
            "crystal_axes": _rounded(self.crystal.frame),
            "stress_strain_GPa": {
                f"B{name}": float(value) for name, value in zip(names, stiff.constants_GPa, strict=True)
            },
            "stress_strain_error_GPa": {
                f"B{name}": float(error) for name, error in zip(names, stiff.errors_GPa, strict=True)
            },
            "stress_strain_matrix_GPa": _rounded(stiff.voigt_GPa),
            "energy_derivatives_matrix_GPa": _rounded(stiff.thermodynamic_GPa),
            "fit": {"residual_GPa": stiff.residual_GPa, "nonlinear_part": stiff.nonlinear},
            "stable": self.stability.stable,
            "smallest_eigenvalue_GPa": self.stability.smallest_GPa,
            "smallest_eigenvalue_strain": in_words(self.stability.strain),
            "violated_conditions": list(self.stability.violated),
            **self._moduli_json(),
            **self._sound_json(),
            "errors": self.errors,
        }

    def _moduli_json(self) -> dict[str, Any]:
        found = self.moduli
        if found is None:
            return dict.fromkeys(MODULI) | {"sound_polycrystal_km_s": None}
        p, s, b = polycrystal(found.bulk_GPa, found.shear_GPa, self.density)
        return {name: float(value(found)) for name, value in MODULI.items()} | {
            "sound_polycrystal_km_s": {"P": p, "S": s, "bulk": b}
        }

    def _sound_json(self) -> dict[str, Any]:
        waves = ("S2", "S1", "P")
        along = self.velocities_km_s(np.array(DIRECTIONS))
        return {
            "sound_km_s": {
                "mean": dict(zip(waves, self.sound.mean_km_s, strict=True)),
                "lowest": dict(zip(waves, self.sound.lowest_km_s, strict=True)),
                "highest": dict(zip(waves, self.sound.highest_km_s, strict=True)),
            },
            "sound_by_direction_km_s": [
                {"direction": list(direction), **dict(zip(waves, (float(v) for v in values), strict=True))}
                for direction, values in zip(DIRECTIONS, along, strict=True)
            ],
            "sound_debye_km_s": self.sound.debye_km_s,
            "debye_temperature_K": self.sound.debye_K,
        }


MODULI: dict[str, Callable[[Moduli], float]] = {
    "bulk_voigt_GPa": lambda found: found.bulk_voigt_GPa,
    "bulk_reuss_GPa": lambda found: found.bulk_reuss_GPa,
    "bulk_modulus_GPa": lambda found: found.bulk_GPa,
    "shear_voigt_GPa": lambda found: found.shear_voigt_GPa,
    "shear_reuss_GPa": lambda found: found.shear_reuss_GPa,
    "shear_modulus_GPa": lambda found: found.shear_GPa,
    "young_modulus_GPa": lambda found: found.young_GPa,
    "poisson_ratio": lambda found: found.poisson,
    "pugh_ratio": lambda found: found.pugh,
    "universal_anisotropy": lambda found: found.anisotropy,
}


def elasticity(stiffness: Stiffness, atoms: Atoms) -> Elasticity:
    """Return what follows from the stress-strain coefficients of a cell, its masses being those of its atoms."""
    return elasticity_of(stiffness, density_g_cm3(atoms), float(atoms.get_volume()) / len(atoms))


def elasticity_of(stiffness: Stiffness, density: float, volume: float) -> Elasticity:
    """Return what follows from stress-strain coefficients; density in g/cm³, volume in Å³/atom."""
    matrix = stiffness.kelvin_GPa
    judged = stability(stiffness.crystal, matrix)
    return Elasticity(
        stiffness=stiffness,
        density=density,
        volume_A3_per_atom=volume,
        stability=judged,
        moduli=moduli(matrix) if judged.stable else None,
        sound=sound(matrix, density, volume),
        errors=_errors(stiffness, density, volume) if judged.stable else {},
    )


def _errors(stiffness: Stiffness, density: float, volume: float) -> dict[str, float]:
    """Return the standard errors that those of the constants make, to first order in them."""
    step = STEP * float(np.abs(stiffness.constants_GPa).max())
    columns = []
    for place in range(len(stiffness.constants_GPa)):
        change = np.zeros(len(stiffness.constants_GPa))
        change[place] = step
        ends = [
            _followed(stiffness.crystal.stiffness(stiffness.constants_GPa + sign * change), density, volume)
            for sign in (1, -1)
        ]
        columns.append({name: (ends[0][name] - ends[1][name]) / (2 * step) for name in ends[0]})
    slopes = {name: np.array([each[name] for each in columns]) for name in columns[0]}
    return {name: float(np.sqrt(slope @ stiffness.covariance_GPa2 @ slope)) for name, slope in slopes.items()}


def _followed(matrix: Array, density: float, volume: float) -> dict[str, float]:
    """Return the numbers whose errors are given."""
    found = moduli(matrix)
    p, s, b = polycrystal(found.bulk_GPa, found.shear_GPa, density)
    debye = sound(matrix, density, volume).debye_K
    return {
        **{name: float(value(found)) for name, value in MODULI.items()},
        "smallest_eigenvalue_GPa": float(np.linalg.eigvalsh(matrix)[0]),
        "sound_polycrystal_P_km_s": p,
        "sound_polycrystal_S_km_s": s,
        "sound_polycrystal_bulk_km_s": b,
        "debye_temperature_K": np.nan if debye is None else debye,
    }


def _constants(crystal: Crystal, matrix: Array) -> Array:
    """Return the independent constants of a stiffness (Kelvin, the cell's axes)."""
    own = voigt(crystal.in_frame(matrix))
    return np.array([own[int(name[0]) - 1, int(name[1]) - 1] for name in crystal.names])


def _rounded(matrix: Array) -> list[list[float]]:
    """Return a matrix without the noise of its zeros."""
    return [[float(value) for value in row] for row in np.round(matrix, 6) + 0.0]
