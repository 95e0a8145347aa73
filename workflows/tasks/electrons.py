"""The ground state that phonons start from, and phonons with their electron-phonon coupling at one q-point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from megabar.workflows.tasks.interface import Arrays, stored_with_parameters
from megabar.workflows.tasks.program import ByProgram

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from megabar.workflows.calculation import Calculation
    from megabar.workflows.store import CalculationRecord

RESPONSE_SHARE = 0.25
"""Cost of the response at one k-point to one displacement, of that of a self-consistency at one k-point (measured: Al
0.1 to 0.17, H3S 0.25, Li 0.4; the coupling included)."""


ENERGY, STATES = "dos_energy_eV", "dos_per_eV_spin_cell"
"""Names of the arrays of N(ε): energy from E_F (eV, at the middle of a bin), states/eV/spin/cell; shape (n,)."""
AT_FERMI, MISSING = "dos_at_fermi_per_eV_spin_cell", "dos_missing"
"""What is said of N(ε): its value at E_F, or why there is none."""


@dataclass(frozen=True, eq=False)
class GroundStateResult:
    """A ground state.

    observables: what the code says of it, by name (``fermi_eV`` …). dos_at_fermi: states/eV/spin/cell; dos_missing: why
    there is no N(ε); both empty: it was not looked for. dos_energy_eV (from E_F), dos: N(ε) in states/eV/spin/cell,
    shape (n,); None where the arrays are not there.
    """

    observables: Mapping[str, Any]
    dos_at_fermi: float | None = None
    dos_missing: str = ""
    dos_energy_eV: NDArray[np.float64] | None = None
    dos: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class QPointResult:
    """Phonons at one q-point: the point (fractions of reciprocal vectors), how many there are, frequencies (meV)."""

    q: tuple[float, float, float]
    q_points: int
    frequencies_meV: tuple[float, ...]


@dataclass(frozen=True)
class GroundState(ByProgram):
    """The ground state on the k-grids of the settings ``kpoints`` and ``kpoints_dense``, for all q-points.

    coupling: without it the settings have no ``kpoints_dense``, and ``occupations`` may be ``fixed``, for an insulator.
    """

    name: ClassVar[str] = "ground-state"
    role: ClassVar[str] = "none"

    coupling: bool = True

    def stored(self) -> dict[str, Any]:
        """Return what of the calculation's key and record says what it does: with coupling as it always was."""
        return super().stored() if self.coupling else stored_with_parameters(self.name, {"coupling": False})

    def work(self, calculation: Calculation) -> float:
        """Return one for each of the grids, by their k-points, and one where occupations are fixed afterwards."""
        from megabar.workflows.kpoints import irreducible_kpoints

        structure, settings = calculation.structure, calculation.settings
        if not self.coupling:
            return 2.0 if settings.get("occupations") == "fixed" else 1.0
        counts = [irreducible_kpoints(structure, settings[name]) for name in ("kpoints", "kpoints_dense")]
        return 1.0 + counts[1] / counts[0]

    def result(self, record: CalculationRecord, arrays: Arrays) -> GroundStateResult:
        """Return what the code says of it, with N(ε) as far as it is there."""
        said, known = record.observables, {ENERGY, STATES} <= arrays.keys()
        return GroundStateResult(
            observables=said,
            dos_at_fermi=said.get(AT_FERMI),
            dos_missing=said.get(MISSING, ""),
            dos_energy_eV=arrays[ENERGY] if known else None,
            dos=arrays[STATES] if known else None,
        )


@dataclass(frozen=True)
class PhononQ(ByProgram):
    """Phonons and electron-phonon coupling at the q-point of the setting ``q_number``, from a ground state."""

    name: ClassVar[str] = "phonon"
    role: ClassVar[str] = "ground-state"

    def work(self, calculation: Calculation) -> float:
        """Return that of an average q-point: of the response at all its k-points to all displacements."""
        from megabar.workflows.kpoints import irreducible_kpoints, response_kpoints

        structure, settings = calculation.structure, calculation.settings
        counts = response_kpoints(structure, settings["kpoints"], settings["q_grid"])
        points = sum(counts) / len(counts) / irreducible_kpoints(structure, settings["kpoints"])
        return points * 3 * len(structure.symbols) * RESPONSE_SHARE

    def result(self, record: CalculationRecord, arrays: Arrays) -> QPointResult:
        """Return the q-point and its frequencies."""
        found = record.observables
        q1, q2, q3 = map(float, found["q_fractions"])
        return QPointResult((q1, q2, q3), int(found["q_points"]), tuple(map(float, found.get("frequencies_meV", ()))))
