"""Energy, stress and, where they are asked for, forces of a structure as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from megabar.workflows.tasks.interface import Arrays, Begin, Histories, Run, stored_with_parameters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from megabar.workflows.calculation import Calculation
    from megabar.workflows.store import CalculationRecord


@dataclass(frozen=True, eq=False)
class PointResult:
    """Energy (eV/atom, as the forces are), pressure (GPa) and forces (eV/Å, shape atoms × 3; None: not kept)."""

    energy_eV_per_atom: float
    pressure_GPa: float | None
    forces_eV_A: NDArray[np.float64] | None


@dataclass(frozen=True)
class SinglePoint:
    """A structure as it is, or as the calculation of the input left it.

    forces: whether they are wanted.
    """

    name: ClassVar[str] = "single-point"
    role: ClassVar[str] = "structure"
    arrays: ClassVar[tuple[str, ...]] = ("energy_eV", "cell_A", "positions")
    through_ase: ClassVar[bool] = True

    forces: bool = False

    def stored(self) -> dict[str, Any]:
        """Return what of the calculation's key and record says what it does: without forces as it always was."""
        return stored_with_parameters(self.name, {"forces": True}) if self.forces else {"relaxation": None}

    def begin(self, calculation: Calculation, parents: Sequence[CalculationRecord], histories: Histories) -> Begin:
        """Return the structure itself, or that of the input, scaled to the volume asked for."""
        from megabar.workflows.tasks.start import continued

        return continued(calculation, parents)

    def run(self, run: Run) -> dict[str, Any]:
        """Run one self-consistency."""
        from megabar.workflows.tasks.through_ase import compute

        return compute(run, self.forces)

    def work(self, calculation: Calculation) -> float:
        """Return one."""
        return 1.0

    def steps_taken(self, ionic_steps: int | None) -> int:
        """Return one."""
        return 1

    def result(self, record: CalculationRecord, arrays: Arrays) -> PointResult:
        """Return energy, pressure and forces."""
        assert record.energy_eV_per_atom is not None
        forces = np.asarray(arrays["forces_eV_A"])[-1] if "forces_eV_A" in arrays else None
        return PointResult(record.energy_eV_per_atom, record.pressure_GPa, forces)
