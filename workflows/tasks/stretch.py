"""A stretch of molecular dynamics: so many steps, from where the stretch before it ended."""

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
class StretchResult:
    """What is kept of a stretch, every ``every``-th step, the last one always.

    energy_eV: potential, of the cell, consistent with the forces; kinetic_eV; temperature_K; stress_GPa (steps × 6,
    Voigt, with the kinetic part; None where the code gives none); positions (Å, not wrapped) and momenta (ASE's unit):
    steps × atoms × 3.
    """

    energy_eV: NDArray[np.float64]
    kinetic_eV: NDArray[np.float64]
    temperature_K: NDArray[np.float64]
    stress_GPa: NDArray[np.float64] | None
    positions_A: NDArray[np.float64]
    momenta: NDArray[np.float64]


@dataclass(frozen=True)
class Stretch:
    """Dynamics at fixed cell.

    steps: of timestep_fs (fs). temperature_K: of the thermostat, and of the velocities that the first stretch of a
    chain begins with. friction_per_fs: of the Langevin thermostat; 0: none, the energy is conserved.
    seed: of the random numbers, its own for every stretch. every: which steps are kept.
    """

    name: ClassVar[str] = "stretch"
    role: ClassVar[str] = "before"
    arrays: ClassVar[tuple[str, ...]] = ("energy_eV", "kinetic_eV", "temperature_K", "positions_A", "momenta")
    through_ase: ClassVar[bool] = True

    steps: int
    timestep_fs: float
    temperature_K: float
    seed: int
    friction_per_fs: float = 0.0
    every: int = 1

    def stored(self) -> dict[str, Any]:
        """Return what of the calculation's key and record says what it does."""
        return stored_with_parameters(self.name, vars(self))

    def begin(self, calculation: Calculation, parents: Sequence[CalculationRecord], histories: Histories) -> Begin:
        """Return the structure, with the positions and momenta that the stretch before it ended with."""
        if not calculation.inputs:
            return Begin(calculation.structure.atoms())
        before = histories(calculation.inputs[0].key)
        if "momenta" not in before:
            raise RuntimeError(f"{calculation.inputs[0].key}, to go on from, has no result")
        return Begin(
            calculation.structure.atoms(), arrays={name: before[name][-1] for name in ("positions_A", "momenta")}
        )

    def run(self, run: Run) -> dict[str, Any]:
        """Run the steps, from the last one kept where it was stopped."""
        from megabar.workflows.tasks.dynamics import run_stretch

        return run_stretch(run, self)

    def work(self, calculation: Calculation) -> float:
        """Return one for each step."""
        return float(self.steps)

    def steps_taken(self, ionic_steps: int | None) -> int:
        """Return the steps, and one for the forces that the first of them begins with."""
        return self.steps + 1

    def result(self, record: CalculationRecord, arrays: Arrays) -> StretchResult:
        """Return the steps that were kept."""
        stress = np.asarray(arrays["stress_GPa"]) if "stress_GPa" in arrays else None
        return StretchResult(stress_GPa=stress, **{name: np.asarray(arrays[name]) for name in self.arrays})
