"""Force constants at one volume of a phase: what is wanted for them, how that stands, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.workflows.hashing import digest
from megabar.workflows.parts.force_sets import (
    KIND,
    ForceSet,
    ForceSetState,
    Records,
    collect,
    force_set_state,
    forces_wanted,
)
from megabar.workflows.parts.lattice.free_energy import Vibrations
from megabar.workflows.parts.lattice.supercell import Supercell
from megabar.workflows.parts.method import Method
from megabar.workflows.parts.rung import NumberedRung
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.interface import Histories

if TYPE_CHECKING:
    from megabar.analysis.phonons.harmonic import Harmonic

FORCES = KIND
MOST_SETS, MOST_CONSTANTS = 16, 128


@dataclass(frozen=True)
class Site:
    """A relaxed structure whose force constants are wanted.

    name: what its rungs go by. structure_of: the calculation that relaxed it. times: how much further than usual atoms
    are displaced.
    """

    name: str
    structure: Structure
    structure_of: str
    supercell: Supercell
    method: Method
    times: float = 1.0

    def state(self, rungs: Sequence[Mapping[str, Any]], records: Records) -> ForceSetState:
        """Return how its force set stands."""
        plan = displaced(self.supercell, self.name, self.structure, self.method, self.times)
        return force_set_state(plan, rungs, records)


_constants: dict[tuple[str, ...], ForceConstants] = {}
_displaced: dict[tuple[str, str, Structure, float], ForceSet] = {}


def displaced(supercell: Supercell, name: str, structure: Structure, method: Method, times: float = 1.0) -> ForceSet:
    """Return the displaced supercells of a structure, kept for the next of thousands of them."""
    known = (digest([supercell.to_dict(), method.code, method.version]), name, structure, times)
    if known not in _displaced:
        if len(_displaced) >= MOST_SETS:
            _displaced.clear()
        _displaced[known] = supercell.force_set(name, structure, method, times)
    return _displaced[known]


@dataclass(frozen=True)
class SiteRung(NumberedRung):
    """A displaced supercell.

    structure_of: the calculation whose structure it is made of. crystal: the phase. times: how much further than usual
    atoms are displaced.
    """

    structure_of: str = ""
    crystal: str = ""
    times: float = 1.0


@dataclass(frozen=True, eq=False)
class ForceConstants:
    """The force constants of a site, with what tells how good they are.

    crystal: as computed. drift_eV_A: the largest sum of the forces of a supercell over its atoms, which was taken out.
    misfit: root mean square of what the fit leaves of the forces, over that of the forces; None for finite differences.
    """

    crystal: Harmonic
    drift_eV_A: float
    misfit: float | None

    @cached_property
    def vibrations(self) -> Vibrations:
        """The spectrum of the crystal with its errors."""
        return Vibrations(self.crystal)

    @cached_property
    def _of_isotopes(self) -> dict[tuple[tuple[str, float], ...], ForceConstants]:
        return {}

    def with_masses(self, masses_u: Mapping[str, float]) -> ForceConstants:
        """Return the same of isotopes (u); of elements that are not there nothing is said."""
        symbols = self.crystal.cell.get_chemical_symbols()
        present = tuple(sorted((element, mass) for element, mass in masses_u.items() if element in symbols))
        if not present:
            return self
        if present not in self._of_isotopes:
            self._of_isotopes[present] = replace(self, crystal=self.crystal.with_masses(dict(present)))
        return self._of_isotopes[present]


def wanted(site: Site, rungs: Sequence[Mapping[str, Any]], records: Records) -> list[SiteRung]:
    """Return the supercells of a site that were not asked for yet."""
    asked = sum(each["phase"] == site.name and each.get("kind") == FORCES for each in rungs)
    if asked >= site.supercell.count + site.supercell.rest:
        return []  # most often, and the supercells need not be made
    return [
        SiteRung(
            each.phase,
            each.index,
            each.key,
            each.kind,
            each.purpose,
            structure_of=site.structure_of,
            crystal=site.supercell.phase,
            times=site.times,
        )
        for each in forces_wanted(site.state(rungs, records))
    ]


def force_constants(site: Site, state: ForceSetState, histories: Histories) -> ForceConstants | None:
    """Return the force constants of a site; None while forces are missing, or where some have failed for good.

    Of random displacements those that are there serve, as long as they determine the force constants.
    Kept in this process for the next time. Raises InputError where the forces do not make force constants.
    """
    known = (site.name, site.structure_of, *(state.keys[number] for number in state.done))
    if known not in _constants:
        found = _force_constants(site, state, histories)
        if found is None:
            return None
        if len(_constants) >= MOST_CONSTANTS:
            del _constants[next(iter(_constants))]
        _constants[known] = found
    return _constants[known]


def _force_constants(site: Site, state: ForceSetState, histories: Histories) -> ForceConstants | None:
    from megabar.analysis.phonons.harmonic import harmonic

    enough = state.complete or (site.supercell.random and not _open(state) and len(state.done) > 1)
    if not enough:
        return None
    forces = collect(state, histories)
    if not forces.numbers:
        return None
    cell, _ = site.supercell.of(site.structure)
    crystal = harmonic(
        cell,
        np.array(site.supercell.matrix),
        np.array(site.supercell.primitive),
        forces.displacements_A,
        forces.forces_eV_A,
    )
    left = misfit(crystal, forces.displacements_A, forces.forces_eV_A) if site.supercell.random else None
    return ForceConstants(crystal, forces.drift_eV_A, left)


def misfit(crystal: Harmonic, displacements_A: Any, forces_eV_A: Any) -> float:
    """Return what force constants leave of forces, root mean square, as a share of the forces themselves."""
    from phonopy.harmonic.force_constants import compact_fc_to_full_fc

    found = crystal.force_constants
    if found.shape[0] != found.shape[1]:
        found = compact_fc_to_full_fc(crystal.phonopy.primitive, found)
    expected = -np.einsum("iajb,njb->nia", found.transpose(0, 2, 1, 3), displacements_A)
    return float(np.sqrt(np.mean((forces_eV_A - expected) ** 2) / np.mean(forces_eV_A**2)))


def _open(state: ForceSetState) -> bool:
    return any(key not in state.records for key in state.keys.values()) or len(state.keys) < len(state.plan.numbers)
