"""Force constants at one volume of a phase by density-functional perturbation theory, and Born charges of insulators.

A ground state, then every q-point of a grid that symmetry leaves, all in the primitive cell. Of an insulator the
q-point Γ comes with dielectric tensor and Born charges, in a calculation that needs no ground state before it; without
a grid that one alone is wanted, for force constants by displacements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from megabar.structures.errors import InputError
from megabar.structures.symmetry import symmetrised
from megabar.workflows.calculation import Calculation, inputs_of
from megabar.workflows.kpoints import irreducible_kpoints
from megabar.workflows.parts.force_sets import Records
from megabar.workflows.parts.lattice.sites import SiteRung
from megabar.workflows.parts.method import Method
from megabar.workflows.parts.rung import rungs_of
from megabar.workflows.structure import Structure
from megabar.workflows.tasks.electrons import GroundState
from megabar.workflows.tasks.interface import Histories, Task
from megabar.workflows.tasks.response import GAMMA, Dielectric, DielectricResult, DynamicalMatrix, MatrixResult
from megabar.workflows.yaml_input import plain, read_yaml

if TYPE_CHECKING:
    from megabar.analysis.phonons.harmonic import Harmonic
    from megabar.analysis.phonons.polar import Charges

FILE = Path(__file__).with_name("dfpt.yaml")
GROUND_STATE, MATRIX, DIELECTRIC = "dfpt-ground-state", "dynamical-matrix", "dielectric"
"""Kinds of the rungs."""
FUNCTIONALS = ("LDA", "PBE", "PBEsol")
"""Of ph.x; what GPAW knows of Born charges goes for all of its functionals."""
GAMMA_NUMBER = 1
"""The code's first q-point is Γ."""
MOST_POINTS = 24
Grid = tuple[int, int, int]


@dataclass(frozen=True)
class PerturbedSite:
    """A relaxed structure whose response is wanted.

    name: what its rungs go by. structure_of: the calculation that relaxed it. primitive: rows of the matrix whose
    columns are the primitive cell's vectors in those of the structure, as ``Supercell`` has it.
    settings: of the ground state in the primitive cell (see ``dfpt_settings``). q_grid: along the primitive cell's
    reciprocal vectors; None: the dielectric tensor and Born charges alone. insulating: whether there is a gap.
    """

    name: str
    structure: Structure
    structure_of: str
    primitive: tuple[tuple[float, ...], ...]
    method: Method
    settings: Mapping[str, Any]
    q_grid: Grid | None
    insulating: bool

    @cached_property
    def cell(self) -> Atoms:
        """The primitive cell, exactly symmetric, its atoms in phonopy's order: all is computed in it."""
        from megabar.analysis.phonons.harmonic import atoms_of, phonopy_of

        cell = symmetrised(self.structure.atoms())
        return atoms_of(phonopy_of(cell, np.eye(3, dtype=int), self.primitive).primitive)

    def ground_state(self) -> Calculation:
        """Return the ground state that the q-points go on from."""
        return self._calculation(self._ground_settings, GroundState(coupling=False), ())

    def matrix(self, number: int, ground_state: str) -> Calculation:
        """Return the calculation of a q-point (from 1), from the ground state with that key."""
        settings = {**self._response_settings, "q_grid": list(self.q_grid or GAMMA), "q_number": number}
        return self._calculation(settings, DynamicalMatrix(), (ground_state,))

    def dielectric(self) -> Calculation:
        """Return the calculation of dielectric tensor, Born charges and the q-point Γ."""
        return self._calculation(self._response_settings, Dielectric(), ())

    def calculation(self, rung: Mapping[str, Any]) -> Calculation:
        """Return the calculation of a stored rung of this site."""
        if rung["kind"] == DIELECTRIC:
            return self.dielectric()
        if rung["kind"] == GROUND_STATE:
            return self.ground_state()
        return self.matrix(int(rung["index"]), rung["starts"][0])

    def state(self, rungs: Sequence[Mapping[str, Any]], records: Records) -> PerturbedState:
        """Return how it stands; rungs as stored with the study, records by key."""
        keys = {kind: rungs_of(rungs, self.name, kind) for kind in (GROUND_STATE, MATRIX, DIELECTRIC)}
        return PerturbedState(self, keys, records)

    @property
    def _ground_settings(self) -> dict[str, Any]:
        fixed = {"occupations": "fixed"} if self.insulating else {}
        return {**self.settings, **fixed}

    @property
    def _response_settings(self) -> dict[str, Any]:
        return {**self._ground_settings, **accuracies()[self.method.protocol][self.method.code]}

    def _calculation(self, settings: Mapping[str, Any], task: Task, starts: tuple[str, ...]) -> Calculation:
        structure = Structure.of(self.cell)
        return Calculation(
            code=self.method.code,
            version=self.method.version,
            settings=settings,
            structure=structure,
            data=tuple(each for each in self.method.data if each.element in structure.symbols),
            task=task,
            inputs=inputs_of(task, starts),
        )


@dataclass(frozen=True, eq=False)
class PerturbedState:
    """How the response at a site stands. keys: by kind, and by the q-point's number (0: there is one alone)."""

    site: PerturbedSite
    keys: Mapping[str, Mapping[int, str]]
    records: Records

    @property
    def ground_state(self) -> str | None:
        """Key of the ground state, None before it was asked for."""
        return self.keys[GROUND_STATE].get(0)

    @property
    def numbers(self) -> range:
        """The numbers of the q-points that need a calculation of their own: as many as the code says, or symmetry."""
        if self.site.q_grid is None:
            return range(0)
        done = [key for key in self.keys[MATRIX].values() if self.is_done(key)]
        told = [self.records[key].observables["q_points"] for key in done]
        count = int(told[0]) if told else irreducible_kpoints(Structure.of(self.site.cell), self.site.q_grid)
        return range(GAMMA_NUMBER + int(self.site.insulating), count + 1)

    @property
    def failed(self) -> list[str]:
        """The keys of what has failed for good."""
        return [key for key in self._all if key in self.records and not self.records[key].done]

    @property
    def complete(self) -> bool:
        """Whether all that is wanted is there."""
        wanted = [self.keys[MATRIX].get(number) for number in self.numbers]
        if self.site.insulating:
            wanted.append(self.keys[DIELECTRIC].get(0))
        return bool(wanted) and all(key is not None and self.is_done(key) for key in wanted)

    def is_done(self, key: str | None) -> bool:
        """Whether a calculation has its result."""
        return key is not None and key in self.records and self.records[key].done

    @property
    def _all(self) -> list[str]:
        return [key for keys in self.keys.values() for key in keys.values()]


def wanted(state: PerturbedState) -> list[SiteRung]:
    """Return the calculations of a site that were not asked for yet: of the q-points all at once, once they can be.

    Without a grid and without a gap there is nothing to compute.
    """
    site, found = state.site, []
    if site.insulating and not state.keys[DIELECTRIC]:
        found.append(_rung(site, 0, site.dielectric().key, DIELECTRIC, "Born charges"))
    if not state.numbers:
        return found
    ground = state.ground_state
    if ground is None:
        return [*found, _rung(site, 0, site.ground_state().key, GROUND_STATE, "electrons")]
    if not state.is_done(ground):
        return found
    there = state.keys[MATRIX]
    return found + [
        _rung(site, number, site.matrix(number, ground).key, MATRIX, "q-point", (ground,))
        for number in state.numbers
        if number not in there
    ]


def charges_of(state: PerturbedState, histories: Histories) -> Charges | None:
    """Return Born charges and dielectric tensor of a site, None where they are not there."""
    found = _dielectric(state, histories)
    return None if found is None else found.charges


def perturbed_constants(state: PerturbedState, histories: Histories) -> Harmonic | None:
    """Return the force constants of a site, with Born charges of an insulator; None while something is missing.

    Raises InputError where the q-points make no whole grid.
    """
    from megabar.analysis.phonons.dynamical_matrices import QMatrices, from_matrices

    if not state.complete or state.site.q_grid is None:
        return None
    results = [_matrix(state, number, histories) for number in state.numbers]
    dielectric, polar = _dielectric(state, histories), None
    if dielectric is not None and dielectric.gamma is not None:
        results.insert(0, dielectric.gamma)
        polar = dielectric.charges.of(state.site.cell)
    whole = QMatrices(
        np.concatenate([each.matrices.q for each in results]),
        np.concatenate([each.matrices.values for each in results]),
    )
    return from_matrices(state.site.cell, whole, polar, source=state.site.name)


@cache
def accuracies() -> dict[str, Any]:
    """Return what the protocols mean for perturbation theory."""
    content: dict[str, Any] = plain(read_yaml(FILE))
    return content


def dfpt_settings(settings: Mapping[str, Any], kpoints: Sequence[int], scf_energy_eV: float) -> dict[str, Any]:
    """Return the settings of a ground state for perturbation theory from those of a phase at its volumes.

    kpoints: for the primitive cell. scf_energy_eV: threshold (eV/atom), tighter than for energies. The constant-cutoff
    functional is left out, as ph.x does not know of it.
    """
    kept = {name: value for name, value in settings.items() if name != "constant_cutoff"}
    return {**kept, "kpoints": list(kpoints), "scf_energy_eV": scf_energy_eV}


def check_method(code: str, functional: str, file: Path, phonons: bool = True) -> None:
    """Raise InputError where a code or a functional has no perturbation theory here; phonons: or no Born charges."""
    if phonons and code != "espresso":
        raise InputError(
            f"{file}: the key `method.code` is `{code}`, for which perturbation theory is not set up: displacements "
            "serve with every code; `espresso` has it (ph.x)"
        )
    if code not in ("espresso", "gpaw"):
        raise InputError(
            f"{file}: the key `method.code` is `{code}`, with which Born charges are not computed here: give a BORN "
            "file, or use `espresso` or `gpaw`"
        )
    if code == "espresso" and functional not in FUNCTIONALS:
        raise InputError(
            f"{file}: the key `method.functional` is {functional!r}: ph.x has no response of it; it has "
            f"{', '.join(FUNCTIONALS)}"
        )


def q_grid_for(cell: Atoms, length_A: float) -> Grid:
    """Return the smallest grid of q whose supercell keeps atoms at least a length (Å) from their images.

    cell: primitive. Along each axis in proportion to the reciprocal vector. Raises InputError where it would be larger
    than MOST_POINTS along one.
    """
    from megabar.analysis.phonons.supercells import shortest_vector

    heights = 1 / np.linalg.norm(cell.cell.reciprocal()[:], axis=1)
    for target in np.arange(0.2, 2.0, 0.02) * length_A:
        first, second, third = (max(1, int(np.ceil(target / height - 1e-6))) for height in heights)
        if max(first, second, third) > MOST_POINTS:
            break
        if shortest_vector(np.diag([first, second, third]) @ cell.cell.array) >= length_A - 1e-6:
            return first, second, third
    raise InputError(f"a q-grid for {length_A:g} Å would need more than {MOST_POINTS} points along an axis")


def _rung(
    site: PerturbedSite, number: int, key: str, kind: str, purpose: str, starts: tuple[str, ...] = ()
) -> SiteRung:
    return SiteRung(site.name, number, key, kind, purpose, starts, structure_of=site.structure_of)


def _matrix(state: PerturbedState, number: int, histories: Histories) -> MatrixResult:
    key = state.keys[MATRIX][number]
    return DynamicalMatrix().result(state.records[key], histories(key))


def _dielectric(state: PerturbedState, histories: Histories) -> DielectricResult | None:
    key = state.keys[DIELECTRIC].get(0)
    if key is None or not state.is_done(key):
        return None
    return Dielectric().result(state.records[key], histories(key))
