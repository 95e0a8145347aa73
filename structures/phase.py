"""A phase: a crystal structure with a name, a source and the pressures it is known for."""

from __future__ import annotations

from dataclasses import dataclass

from ase import Atoms

from megabar.structures.composition import formula_text, reduced


@dataclass(frozen=True, eq=False)
class Phase:
    """A crystal structure with a name, where it comes from, and where it is known.

    name: e.g. ``Na-hP4``, unique in a study.
    atoms: primitive cell (Å) as given at ``pressure_GPa``; never modified.
    pressure_GPa: pressure at which the cell is roughly right (GPa).
    known_GPa: pressures (from, to) between which the phase is known or predicted to exist (GPa).
    source: citation of the structure, or the file it was read from.
    doi: identifier of the citation, empty where there is none.
    note: what a user should know of it (approximate cell, disorder left out, …).
    insulating: True where it has a band gap at all pressures that it is known for (coarser k-points serve).
    bulk_modulus_GPa: rough bulk modulus at ``pressure_GPa`` to guess the volumes with; None: guessed.
    """

    name: str
    atoms: Atoms
    pressure_GPa: float
    known_GPa: tuple[float, float]
    source: str
    doi: str = ""
    note: str = ""
    insulating: bool = False
    bulk_modulus_GPa: float | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Atoms of the reduced formula, element by count, in the order of the cell."""
        counts: dict[str, int] = {}
        for symbol in self.atoms.get_chemical_symbols():
            counts[symbol] = counts.get(symbol, 0) + 1
        return reduced(counts)

    @property
    def formula(self) -> str:
        """Reduced formula, e.g. ``Na2He``."""
        return formula_text(self.counts)

    @property
    def volume_per_atom(self) -> float:
        """Volume of the cell as given (Å³/atom)."""
        return float(self.atoms.get_volume() / len(self.atoms))
