"""What a task is: what a calculation does with its structure, how that is run, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    from megabar.workflows.calculation import Calculation
    from megabar.workflows.config import Config
    from megabar.workflows.store import CalculationRecord

Arrays = Mapping[str, "NDArray[Any]"]
Histories = Callable[[str], Arrays]
"""Returns the arrays of a calculation, by its key."""


class Input(NamedTuple):
    """A calculation that another one goes on from: what it is to it, and its key."""

    role: str
    key: str


@dataclass(frozen=True)
class Begin:
    """What a calculation begins with, as its inputs left it.

    atoms: the cell; stiffness_eV_A2: curvature that a neighbour's relaxation found. arrays: what else of the inputs'
    arrays is needed, by a name of the task's own.
    """

    atoms: Atoms
    stiffness_eV_A2: float | None = None
    arrays: Arrays = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A calculation that runs in its folder. spent: returns its wall and CPU time so far (s)."""

    calculation: Calculation
    begin: Begin
    folder: Path
    config: Config
    spent: Callable[[], dict[str, float]]


class Task(Protocol):
    """What a calculation does. A task is a frozen dataclass: all its fields enter the calculation's key.

    name: in the database. role: what its inputs are to it.
    arrays: names of the arrays that it returns; empty where they are files of a code.
    through_ase: whether it runs by the calculator of any code; else the code's adapter has a program of its name.
    """

    name: ClassVar[str]
    role: ClassVar[str]
    arrays: ClassVar[tuple[str, ...]]
    through_ase: ClassVar[bool]

    def stored(self) -> dict[str, Any]:
        """Return what of the calculation's key and record says what it does."""

    def begin(self, calculation: Calculation, parents: Sequence[CalculationRecord], histories: Histories) -> Begin:
        """Return what a calculation begins with; parents: the results of its inputs, in their order."""

    def run(self, run: Run) -> dict[str, Any]:
        """Run to the end and return the result; raises CalculationFailed, and Stopped where told to stop."""

    def work(self, calculation: Calculation) -> float:
        """Return the work of a calculation, in that of one self-consistency (``workflows.cost.size_of``)."""

    def steps_taken(self, ionic_steps: int | None) -> int:
        """Return how many such self-consistencies a result took, 0 where that cannot be said; ionic_steps: as stored.

        Of a task that runs by the calculator of any code this is never 0: other costs are estimated from its results.
        """

    def result(self, record: CalculationRecord, arrays: Arrays) -> Any:
        """Return the result of a finished calculation as what this task calls one."""


def stored_with_parameters(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is stored of a task that came after keys were first stored."""
    return {"task": name, "parameters": dict(parameters)}
