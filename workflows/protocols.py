"""`fast`, `moderate` and `precise`: named accuracies, read from protocols.yaml."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from ase import Atoms

from megabar.structures.errors import InputError
from megabar.workflows.yaml_input import nearest, plain, read_yaml

FILE = Path(__file__).with_name("protocols.yaml")
SMALL_METAL_ATOMS, SMALL_METAL_POWER = 4, 0.25
SMEARING_KINDS = ("fermi-dirac", "methfessel-paxton", "cold")


@dataclass(frozen=True)
class Protocol:
    """What a named accuracy means for one code.

    metal_density, insulator_density: k-points per Å⁻¹ along each reciprocal vector, 2π included.
    smearing_kind: one of ``SMEARING_KINDS``; smearing_eV: its width, as each code defines it for that kind.
    force_eV_per_A: largest force of a relaxed structure.
    stress_GPa: largest deviation of a relaxed cell's stress from what was asked for.
    accuracy_meV: uncertainty of an enthalpy (meV/atom) above which a stability study adds volumes.
    resolution_meV: differences between polymorphs (meV/atom) that settings this coarse do not resolve.
    code_settings: what only this code needs: cutoff and SCF thresholds (keys with their units).
    """

    name: str
    code: str
    summary: str
    metal_density: float
    insulator_density: float
    smearing_kind: str
    smearing_eV: float
    force_eV_per_A: float
    stress_GPa: float
    accuracy_meV: float
    resolution_meV: float
    code_settings: Mapping[str, Any]

    @property
    def smearing(self) -> dict[str, Any]:
        """The smearing as settings have it: ``{"kind": …, "width_eV": …}``."""
        return {"kind": self.smearing_kind, "width_eV": self.smearing_eV}

    def kpoints(self, atoms: Atoms, insulating: bool) -> list[int]:
        """Return the Γ-centred k-point grid of a cell, three whole numbers.

        Metals in cells of one or two atoms get denser grids: bcc and fcc sodium (48 GPa, Methfessel-Paxton 0.4 eV) are
        6 to 12 meV/atom apart with 9 to 11 points along an axis, and within 3 of the limit from 14 on, where
        they still cost little.
        """
        if insulating:
            return kpoint_grid(atoms, self.insulator_density)
        return kpoint_grid(atoms, self.metal_density * metal_factor(atoms))


def metal_factor(atoms: Atoms) -> float:
    """Return by how much the k-points of a metal in a cell of few atoms are denser."""
    return float(max(1.0, SMALL_METAL_ATOMS / len(atoms)) ** SMALL_METAL_POWER)


def kpoint_grid(atoms: Atoms, density: float) -> list[int]:
    """Return the smallest grid with at least a density of k-points (per Å⁻¹, 2π included) along each axis."""
    lengths = 2 * math.pi * np.linalg.norm(atoms.cell.reciprocal(), axis=1)
    # The tolerance keeps axes that symmetry makes equal from getting different numbers by rounding.
    return [max(1, math.ceil(density * float(length) - 1e-4)) for length in lengths]


def protocol(code: str, name: str) -> Protocol:
    """Return the protocol of a name for a code; codes without a section of their own get no ``code_settings``.

    Raises InputError with the nearest names where there is no such protocol.
    """
    data = _data()
    if name not in data:
        raise InputError(f"there is no protocol {name!r}{nearest(name, list(data))} (known: {', '.join(data)})")
    entry = data[name]
    section = dict(entry["codes"].get(code, {}))
    return Protocol(
        name=name,
        code=code,
        summary=entry["summary"],
        metal_density=float(entry["kpoints"]["metal"]),
        insulator_density=float(entry["kpoints"]["insulator"]),
        smearing_kind=entry["smearing"]["kind"],
        smearing_eV=float(entry["smearing"]["width_eV"]),
        force_eV_per_A=float(entry["relaxation"]["force_eV_per_A"]),
        stress_GPa=float(entry["relaxation"]["stress_GPa"]),
        accuracy_meV=float(entry["accuracy_meV"]),
        resolution_meV=float(entry["resolution_meV"]),
        code_settings=MappingProxyType(section),
    )


def protocol_names() -> tuple[str, ...]:
    """Return the names of the protocols, the coarsest first."""
    return tuple(_data())


@cache
def _data() -> dict[str, Any]:
    content: dict[str, Any] = plain(read_yaml(FILE))
    return content
