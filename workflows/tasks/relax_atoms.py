"""Relaxation of the atoms in a cell that stays exactly as it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Arrays, Begin, Histories, Run, stored_with_parameters
from megabar.workflows.tasks.relax import STEPS, Relax, RelaxedResult

if TYPE_CHECKING:
    from megabar.workflows.calculation import Calculation
    from megabar.workflows.store import CalculationRecord

SYMPREC_A = 1e-4
"""A strained cell has less symmetry than its crystal: at the tolerance of ``relax`` (0.01 Å) small strains would not be
seen, and the cell made symmetric again."""
STIFFNESS_eV_A2 = 20.0
"""Curvature that it begins with: atoms move by hundredths of an Å here, and the soft guess of other relaxations took
those of silicon eight times too far at first."""


@dataclass(frozen=True)
class RelaxAtoms:
    """The atoms of a cell relaxed with the symmetry that the cell has, its strain included.

    force_eV_A: largest force left (eV/Å). max_steps: ionic steps after which the relaxation has failed.
    """

    name: ClassVar[str] = "relax-atoms"
    role: ClassVar[str] = "structure"
    arrays: ClassVar[tuple[str, ...]] = Relax.arrays
    through_ase: ClassVar[bool] = True

    force_eV_A: float
    max_steps: int = 100

    def stored(self) -> dict[str, Any]:
        """Return what of the calculation's key and record says what it does."""
        return stored_with_parameters(self.name, vars(self))

    def begin(self, calculation: Calculation, parents: Sequence[CalculationRecord], histories: Histories) -> Begin:
        """Return the structure itself: a cell of other calculations is not strained."""
        return Begin(calculation.structure.atoms(), STIFFNESS_eV_A2)

    def run(self, run: Run) -> dict[str, Any]:
        """Relax, from the last ionic step where it was stopped."""
        from megabar.workflows.tasks.relaxing import relax

        limits = Relax(self.force_eV_A, stress_GPa=math.inf, shape=False, max_steps=self.max_steps)
        return relax(run, limits, SYMPREC_A)

    def work(self, calculation: Calculation) -> float:
        """Return about as many as there are ionic steps."""
        return float(STEPS)

    def steps_taken(self, ionic_steps: int | None) -> int:
        """Return the ionic steps."""
        return ionic_steps or 1

    def result(self, record: CalculationRecord, arrays: Arrays) -> RelaxedResult:
        """Return energy, pressure and structure; the stress is the last one of the array."""
        assert record.energy_eV_per_atom is not None and record.structure is not None
        return RelaxedResult(record.energy_eV_per_atom, record.pressure_GPa, Structure.from_dict(record.structure))
