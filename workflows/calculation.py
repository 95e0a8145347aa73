"""A calculation: one call of a DFT code on one structure with one set of settings, and its key."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from megabar.workflows.codes.interface import AtomicData

KEY_FORMAT = 1
ENERGY = "energy"
DECIMALS = 8
STRUCTURE = frozenset({"symbols", "cell", "positions"})
CALCULATION = frozenset({"code", "version", "settings", "structure", "data", "relaxation", "starts", "task"})


def only_known(data: Mapping[str, Any], names: Collection[str]) -> None:
    """Raise TypeError where stored data have a field that this version does not know, and would lose."""
    unknown = [name for name in data if name not in names]
    if unknown:
        raise TypeError(f"unknown: {', '.join(unknown)}")


def canonical(value: Any) -> Any:
    """Return a value in the one form that is hashed: sorted keys, plain numbers, floats to ten significant digits."""
    # Plain types first: a study of thousands of calculations spends most of its planning here.
    kind = type(value)
    if kind is float:
        return float(f"{value:.10g}") + 0.0
    if kind is str or kind is int:
        return value
    if kind is tuple or kind is list:
        return [canonical(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): canonical(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [canonical(each) for each in value]
    if isinstance(value, np.ndarray | np.generic):
        return canonical(value.tolist())
    if isinstance(value, float):
        return float(f"{value:.10g}") + 0.0
    return value


def digest(value: Any) -> str:
    """Return the SHA-256 (hex) of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(canonical(value), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


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


@dataclass(frozen=True)
class Relaxation:
    """What is relaxed at fixed volume, and how far.

    force_eV_A: largest force left (eV/Å); stress_GPa: largest deviation from hydrostatic stress left (GPa).
    shape: whether the cell's shape is free; max_steps: ionic steps after which the relaxation has failed.
    rattle_A: random displacements (Å) that the start is given, after which no symmetry is kept; 0: symmetry is kept.
    """

    force_eV_A: float
    stress_GPa: float
    shape: bool
    max_steps: int = 100
    rattle_A: float = 0.0


@dataclass(frozen=True)
class Calculation:
    """All that determines the answer of one call of a DFT code.

    code, version: the code and its version; settings: concrete and complete (see ``Code.settings``).
    structure: the cell to compute; for a relaxation, the phase's reference cell scaled to the volume wanted.
    relaxation: None for a single point.
    starts: keys of the calculations (the nearest first, at most two) from whose relaxed structures this one starts,
    continued to its volume; none where it starts from ``structure``. As the keys are hashed in, equal keys have
    equal histories.
    data: atomic data of the elements; their content enters the key, their place does not.
    task: ``energy``: energies, forces and stresses; others are the code's own programs for something else on the same
    ``structure`` (``workflows.execution``), which may go on from what those in ``starts`` left.
    """

    code: str
    version: str
    settings: Mapping[str, Any]
    structure: Structure
    data: tuple[AtomicData, ...]
    relaxation: Relaxation | None = None
    starts: tuple[str, ...] = ()
    task: str = ENERGY

    @property
    def key(self) -> str:
        """Hash (40 hex digits) of all that determines the answer."""
        return digest(
            {
                "format": KEY_FORMAT,
                "code": self.code,
                "version": self.version,
                "settings": self.settings,
                "structure": self.structure.to_dict(),
                "data": {each.element: each.sha256 for each in self.data},
                "relaxation": vars(self.relaxation) if self.relaxation else None,
                "starts": list(self.starts),
                **self._task(),
            }
        )[:40]

    def _task(self) -> dict[str, str]:
        """Return the task where it is not the usual one: keys of the usual ones do not know of it."""
        return {} if self.task == ENERGY else {"task": self.task}

    def to_dict(self) -> dict[str, Any]:
        """Return the calculation as JSON-able data."""
        return {
            "code": self.code,
            "version": self.version,
            "settings": dict(self.settings),
            "structure": self.structure.to_dict(),
            "data": [dict(vars(each)) for each in self.data],
            "relaxation": dict(vars(self.relaxation)) if self.relaxation else None,
            "starts": list(self.starts),
            **self._task(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calculation:
        """Return the calculation stored by ``to_dict``; raises TypeError where that has what is not known here."""
        only_known(data, CALCULATION)
        return cls(
            code=data["code"],
            version=data["version"],
            settings=data["settings"],
            structure=Structure.from_dict(data["structure"]),
            data=tuple(AtomicData(**each) for each in data["data"]),
            relaxation=Relaxation(**data["relaxation"]) if data["relaxation"] else None,
            starts=tuple(data["starts"]),
            task=data.get("task", ENERGY),
        )


def started_from(calculation: Calculation, relaxed: Sequence[Structure]) -> Atoms:
    """Return the cell that a calculation starts with: that of a relaxed neighbour, scaled to its volume.

    With two neighbours, shape and fractional coordinates are continued linearly in ln V, which between them or
    one step beyond them saves about half of the ionic steps. All structures have their atoms in the same order.
    """
    near, weight = relaxed[0], 0.0
    if len(relaxed) > 1:
        here, one, other = (math.log(each.volume_per_atom) for each in (calculation.structure, *relaxed[:2]))
        weight = (here - one) / (other - one)
    shapes = [np.array(each.cell) / each.volume_per_atom ** (1 / 3) for each in relaxed]
    places = [np.array(each.positions) for each in relaxed]
    shape, place = (each[0] + weight * (each[-1] - each[0]) for each in (shapes, places))
    volume = calculation.structure.volume_per_atom * len(near.symbols)
    cell = shape * (volume / abs(np.linalg.det(shape))) ** (1 / 3)
    return Atoms(near.symbols, cell=cell, scaled_positions=place, pbc=True)
