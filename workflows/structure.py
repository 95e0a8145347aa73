"""A periodic structure as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from megabar.workflows.hashing import only_known

DECIMALS = 8


STRUCTURE = frozenset({"symbols", "cell", "positions"})


@dataclass(frozen=True)
class Structure:
    """A periodic structure as plain data: cell (Å, three rows), fractional positions, element symbols."""

    symbols: tuple[str, ...]
    cell: tuple[tuple[float, ...], ...]
    positions: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, atoms: Atoms) -> Structure:
        """Return the structure of an ASE Atoms object, numbers to 1e-8."""
        fractions = np.round(atoms.get_scaled_positions(wrap=False), DECIMALS)
        return cls(
            tuple(atoms.get_chemical_symbols()),
            tuple(tuple(map(float, row)) for row in np.round(atoms.cell.array, DECIMALS)),
            tuple(tuple(map(float, row)) for row in fractions),
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Structure:
        """Return the structure stored as a dictionary; raises TypeError where that has what is not known here."""
        only_known(data, STRUCTURE)
        return cls(
            tuple(data["symbols"]),
            tuple(tuple(map(float, row)) for row in data["cell"]),
            tuple(tuple(map(float, row)) for row in data["positions"]),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the structure as JSON-able data."""
        return {"symbols": self.symbols, "cell": self.cell, "positions": self.positions}

    def atoms(self) -> Atoms:
        """Return the structure as ASE Atoms, periodic in all directions."""
        return Atoms(self.symbols, cell=self.cell, scaled_positions=self.positions, pbc=True)

    @property
    def volume_per_atom(self) -> float:
        """Volume (Å³/atom)."""
        return float(abs(np.linalg.det(np.array(self.cell))) / len(self.symbols))
