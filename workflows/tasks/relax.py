"""Relaxation at fixed volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Arrays, Begin, Histories, Run

if TYPE_CHECKING:
    from megabar.workflows.calculation import Calculation
    from megabar.workflows.store import CalculationRecord

STEPS = 5
"""Ionic steps that a relaxation takes, about."""


@dataclass(frozen=True)
class RelaxedResult:
    """Energy (eV/atom, consistent with the forces), pressure (GPa) and structure after the last ionic step."""

    energy_eV_per_atom: float
    pressure_GPa: float | None
    structure: Structure


@dataclass(frozen=True)
class Relax:
    """What is relaxed at fixed volume, and how far.

    force_eV_A: largest force left (eV/Å); stress_GPa: largest deviation from hydrostatic stress left (GPa).
    shape: whether the cell's shape is free; max_steps: ionic steps after which the relaxation has failed.
    rattle_A: random displacements (Å) that the start is given, after which no symmetry is kept; 0: symmetry is kept.
    """

    name: ClassVar[str] = "relax"
    role: ClassVar[str] = "start"
    arrays: ClassVar[tuple[str, ...]] = ("energy_eV", "cell_A", "positions", "forces_eV_A", "stress_GPa")
    through_ase: ClassVar[bool] = True

    force_eV_A: float
    stress_GPa: float
    shape: bool
    max_steps: int = 100
    rattle_A: float = 0.0

    def stored(self) -> dict[str, Any]:
        """Return what of the calculation's key and record says what it does."""
        return {"relaxation": dict(vars(self))}

    def begin(self, calculation: Calculation, parents: Sequence[CalculationRecord], histories: Histories) -> Begin:
        """Return the relaxed cell of the inputs, continued to the volume asked for, or the structure itself."""
        from megabar.workflows.tasks.start import continued

        return continued(calculation, parents, self.rattle_A)

    def run(self, run: Run) -> dict[str, Any]:
        """Relax, from the last ionic step where it was stopped."""
        from megabar.workflows.tasks.relaxing import relax

        return relax(run, self)

    def work(self, calculation: Calculation) -> float:
        """Return about as many as there are ionic steps."""
        return float(STEPS)

    def steps_taken(self, ionic_steps: int | None) -> int:
        """Return the ionic steps."""
        return ionic_steps or 1

    def result(self, record: CalculationRecord, arrays: Arrays) -> RelaxedResult:
        """Return energy, pressure and structure."""
        assert record.energy_eV_per_atom is not None and record.structure is not None
        return RelaxedResult(record.energy_eV_per_atom, record.pressure_GPa, Structure.from_dict(record.structure))
