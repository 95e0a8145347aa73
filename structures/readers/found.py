"""What a reader returns: the cell as the file has it, its pressure where the file tells it, and what to be wary of."""

from __future__ import annotations

from dataclasses import dataclass

from ase import Atoms


@dataclass(frozen=True, eq=False)
class Found:
    """A structure in a file.

    atoms: the whole cell (Å). pressure_GPa: what the file says, None where it says nothing.
    notes: sentences about what was assumed, merged or left out.
    """

    atoms: Atoms
    pressure_GPa: float | None = None
    notes: tuple[str, ...] = ()
