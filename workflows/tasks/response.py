"""Density-functional perturbation theory: the response to displacements at one q-point, and to electric fields.

S. Baroni, S. de Gironcoli, A. Dal Corso & P. Giannozzi, Rev. Mod. Phys. 73, 515 (2001),
doi:10.1103/RevModPhys.73.515.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from megabar.workflows.tasks.electrons import RESPONSE_SHARE
from megabar.workflows.tasks.interface import Arrays, stored_with_parameters
from megabar.workflows.tasks.program import ByProgram

if TYPE_CHECKING:
    from megabar.analysis.phonons.dynamical_matrices import QMatrices
    from megabar.analysis.phonons.polar import Charges
    from megabar.workflows.calculation import Calculation
    from megabar.workflows.store import CalculationRecord

FIELDS = 3
GAMMA: tuple[int, int, int] = (1, 1, 1)


@dataclass(frozen=True, eq=False)
class MatrixResult:
    """Phonons at one q-point.

    number: of the q-point; q_points: how many there are, as the code says. matrices: of the whole star.
    frequencies_THz: at the first of it, ascending, negative where imaginary, shape (3 × atoms,).
    """

    number: int
    q_points: int
    matrices: QMatrices
    frequencies_THz: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class DielectricResult:
    """The response of an insulator to electric fields, and its phonons at Γ without the macroscopic field.

    charges: dielectric tensor and Born charges (the field first), symmetric and with the sum rule, and by how much it
    was violated. gamma: None where the code gives charges without phonons. gap_eV: on the k-points of the calculation.
    """

    charges: Charges
    gamma: MatrixResult | None
    gap_eV: float | None


@dataclass(frozen=True)
class DynamicalMatrix(ByProgram):
    """Dynamical matrices at a q-point (settings ``q_number``, ``q_grid``) and its star, from a ground state.

    Settings: those of a ground state without a dense k-grid, ``phonon_threshold`` (Ry²); ``occupations`` ``fixed`` for
    an insulator.
    """

    name: ClassVar[str] = "dynamical-matrix"
    role: ClassVar[str] = "ground-state"
    arrays: ClassVar[tuple[str, ...]] = ("q", "force_constants_eV_A2")

    def stored(self) -> dict[str, Any]:
        """Return what of the calculation's key and record says what it does."""
        return stored_with_parameters(self.name, {})

    def work(self, calculation: Calculation) -> float:
        """Return that of an average q-point: of the response at all its k-points to all displacements."""
        settings = calculation.settings
        return _response(calculation, settings["q_grid"]) * 3 * len(calculation.structure.symbols)

    def result(self, record: CalculationRecord, arrays: Arrays) -> MatrixResult:
        """Return the matrices of the q-point's star."""
        return _matrix_result(record.observables, arrays)


@dataclass(frozen=True)
class Dielectric(ByProgram):
    """Ground state, dielectric tensor, Born charges and phonons at Γ of an insulator, in one calculation.

    Settings: those of a single point, ``occupations`` ``fixed``, and of Quantum ESPRESSO ``phonon_threshold`` (Ry²), of
    GPAW, which gives no phonons, ``response`` (see ``codes/gpaw/response.py``).
    """

    name: ClassVar[str] = "dielectric"
    role: ClassVar[str] = "none"
    arrays: ClassVar[tuple[str, ...]] = ("born_e", "dielectric")

    def stored(self) -> dict[str, Any]:
        """Return what of the calculation's key and record says what it does."""
        return stored_with_parameters(self.name, {})

    def work(self, calculation: Calculation) -> float:
        """Return two self-consistencies and the response to all displacements and to three fields.

        Of GPAW the self-consistencies with displaced atoms, on all k-points, those for three of an atom.
        """
        if "response" in calculation.settings:
            return _displaced(calculation)
        return 2.0 + _response(calculation, GAMMA) * (3 * len(calculation.structure.symbols) + FIELDS)

    def result(self, record: CalculationRecord, arrays: Arrays) -> DielectricResult:
        """Return dielectric tensor, Born charges and the matrix at Γ."""
        from megabar.analysis.phonons.polar import charges
        from megabar.workflows.structure import Structure

        cell = Structure.from_dict(record.structure or {}).atoms()
        found = charges(cell, np.asarray(arrays["born_e"]), np.asarray(arrays["dielectric"]))
        gap = record.observables.get("band_gap_eV")
        gamma = _matrix_result(record.observables, arrays) if "q" in arrays else None
        return DielectricResult(found, gamma, None if gap is None else float(gap))


def _response(calculation: Calculation, q_grid: Any) -> float:
    """Return the cost of the response to one perturbation at an average q, in that of one self-consistency."""
    from megabar.workflows.kpoints import irreducible_kpoints, response_kpoints

    structure, kpoints = calculation.structure, calculation.settings["kpoints"]
    counts = response_kpoints(structure, kpoints, q_grid)
    return RESPONSE_SHARE * sum(counts) / len(counts) / irreducible_kpoints(structure, kpoints)


def _displaced(calculation: Calculation) -> float:
    from megabar.workflows.kpoints import irreducible_kpoints

    structure, kpoints = calculation.structure, calculation.settings["kpoints"]
    share: float = kpoints[0] * kpoints[1] * kpoints[2] / irreducible_kpoints(structure, kpoints)
    return 2 * len(structure.symbols) * share + float(calculation.settings["response"]["bands_per_occupied"])


def _matrix_result(found: Mapping[str, Any], arrays: Arrays) -> MatrixResult:
    from megabar.analysis.phonons.dynamical_matrices import QMatrices

    return MatrixResult(
        int(found["q_number"]),
        int(found["q_points"]),
        QMatrices(np.asarray(arrays["q"]), np.asarray(arrays["force_constants_eV_A2"])),
        tuple(map(float, found["frequencies_THz"])),
    )
