"""What perturbation theory gives at a pressure: force constants instead of displacements, and Born charges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from megabar.structures.errors import InputError
from megabar.workflows.parts.lattice import dfpt
from megabar.workflows.parts.lattice.dfpt import PerturbedSite, dfpt_settings, q_grid_for
from megabar.workflows.parts.lattice.supercell import LatticeAsked, Supercell, accuracies
from megabar.workflows.parts.method import Method
from megabar.workflows.parts.volumes.plan import by_hand, settings_of
from megabar.workflows.structure import Structure

if TYPE_CHECKING:
    from ase import Atoms

    from megabar.structures.phase import Phase
    from megabar.workflows.question import MethodChoice
    from megabar.workflows.store import CalculationRecord

KINDS = (dfpt.GROUND_STATE, dfpt.MATRIX, dfpt.DIELECTRIC)
LEAST_GAP_eV = 0.1
"""Smaller gaps are taken for none: perturbation by a field needs one, and what is left of it is not to be trusted."""
WITH_CHARGES = ("espresso", "gpaw")


@dataclass(frozen=True)
class Response:
    """How a phase's response is computed at any of its volumes.

    primitive: as ``Supercell`` has it. settings: of the ground state in the primitive cell. q_grid: of the phonons;
    None: Born charges alone.
    """

    phase: str
    primitive: tuple[tuple[float, ...], ...]
    settings: Mapping[str, Any]
    q_grid: tuple[int, int, int] | None

    def site(
        self, name: str, structure: Structure, structure_of: str, method: Method, insulating: bool
    ) -> PerturbedSite:
        """Return where it is wanted; name: what its rungs go by. structure_of: the calculation that relaxed it."""
        return PerturbedSite(
            name, structure, structure_of, self.primitive, method, self.settings, self.q_grid, insulating
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the same as JSON-able data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Response:
        """Return what ``to_dict`` stored."""
        return cls(
            phase=content["phase"],
            primitive=tuple(tuple(row) for row in content["primitive"]),
            settings=content["settings"],
            q_grid=tuple(content["q_grid"]) if content["q_grid"] else None,
        )


def response_for(
    phase: Phase, smallest: Atoms, supercell: Supercell, asked: LatticeAsked, choice: MethodChoice, method: Method,
    phonons: bool,
) -> Response:  # fmt: skip
    """Return how a phase's response is computed; smallest: its cell at about its smallest volume.

    phonons: whether the force constants are wanted by it, else Born charges alone.
    Raises InputError where the grid of q would be too large.
    """
    from megabar.analysis.phonons.harmonic import atoms_of, phonopy_of

    primitive = atoms_of(phonopy_of(smallest, np.eye(3, dtype=int), supercell.primitive).primitive)
    accuracy = accuracies()[method.protocol]
    own = {**settings_of(phase, primitive, method), **by_hand(phase, primitive, choice)}
    threshold = accuracy["scf"].get(method.code, {}).get("scf_energy_eV", 1e-9)
    settings = dfpt_settings(own, own["kpoints"], threshold) if method.code == "espresso" else own
    try:
        grid = q_grid_for(primitive, asked.length_A or accuracy["length_A"]) if phonons else None
    except InputError as error:
        raise InputError(f"{phase.name}: {error}") from None
    return Response(phase.name, supercell.primitive, settings, grid)


def has_gap(record: CalculationRecord) -> bool:
    """Return whether a structure has a band gap by the calculation that relaxed it, on its k-points."""
    gap = record.observables.get("band_gap_eV")
    return gap is not None and float(gap) > LEAST_GAP_eV


def wants_charges(record: CalculationRecord, symbols: Sequence[str], code: str) -> bool:
    """Return whether Born charges are wanted: of insulators of several elements, where the code has them."""
    return code in WITH_CHARGES and len(set(symbols)) > 1 and has_gap(record)
