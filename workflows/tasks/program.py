"""A task that is a program of the code's own, on the structure itself; it goes on from what its inputs left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from megabar.workflows.tasks.interface import Begin, Histories, Run

if TYPE_CHECKING:
    from megabar.workflows.calculation import Calculation
    from megabar.workflows.store import CalculationRecord


class ByProgram:
    """What tasks have in common that the code's program of their name runs."""

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
