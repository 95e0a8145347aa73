"""The ground state that phonons start from, and phonons with their electron-phonon coupling at one q-point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from megabar.workflows.tasks.interface import Arrays, Begin, Histories, Run

if TYPE_CHECKING:
    from megabar.workflows.calculation import Calculation
    from megabar.workflows.store import CalculationRecord

RESPONSE_SHARE = 0.25
"""Cost of the response at one k-point to one displacement, of that of a self-consistency at one k-point (measured: Al
0.1 to 0.17, H3S 0.25, Li 0.4; the coupling included)."""


@dataclass(frozen=True)
class GroundStateResult:
    """What the code says of a ground state, by name (``fermi_eV`` …)."""

    observables: Mapping[str, Any]


@dataclass(frozen=True)
class QPointResult:
    """Phonons at one q-point: the point (fractions of reciprocal vectors), how many there are, frequencies (meV)."""

    q: tuple[float, float, float]
    q_points: int
    frequencies_meV: tuple[float, ...]


class _Program:
    """A program of the code's own, on the structure itself; it goes on from what its inputs left in their folders."""

    name: ClassVar[str]
    arrays: ClassVar[tuple[str, ...]] = ()
    through_ase: ClassVar[bool] = False

    def stored(self) -> dict[str, Any]:
        """Return what of the calculation's key and record says what it does."""
        return {"relaxation": None, "task": self.name}

    def begin(self, calculation: Calculation, parents: Sequence[CalculationRecord], histories: Histories) -> Begin:
        """Return the structure itself."""
        return Begin(calculation.structure.atoms())

    def steps_taken(self, ionic_steps: int | None) -> int:
        """Return none: programs of a code do more than one self-consistency."""
        return 0

    def run(self, run: Run) -> dict[str, Any]:
        """Run the program of that name of the calculation's code."""
        from megabar.workflows.codes.finite import check_finite
        from megabar.workflows.codes.registry import code

        result = code(run.calculation.code).programs[self.name](run.calculation, run.folder, run.config)
        check_finite(result, run.calculation.code)
        return result


@dataclass(frozen=True)
class GroundState(_Program):
    """The ground state on the k-grids of the setting ``kpoints`` and ``kpoints_dense``, for all q-points."""

    name: ClassVar[str] = "ground-state"
    role: ClassVar[str] = "none"

    def work(self, calculation: Calculation) -> float:
        """Return one for each of the two grids, by their k-points."""
        from megabar.workflows.kpoints import irreducible_kpoints

        structure, settings = calculation.structure, calculation.settings
        counts = [irreducible_kpoints(structure, settings[name]) for name in ("kpoints", "kpoints_dense")]
        return 1.0 + counts[1] / counts[0]

    def result(self, record: CalculationRecord, arrays: Arrays) -> GroundStateResult:
        """Return what the code says of it."""
        return GroundStateResult(record.observables)


@dataclass(frozen=True)
class PhononQ(_Program):
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
        return QPointResult((q1, q2, q3), int(found["q_points"]), tuple(map(float, found["frequencies_meV"])))
