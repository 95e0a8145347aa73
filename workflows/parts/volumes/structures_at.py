"""The structures that a study has relaxed, at any pressure within its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from megabar.analysis.enthalpy import EnthalpyCurve
from megabar.structures.errors import InputError
from megabar.structures.series import CellParameters, CellSeries, StructureSeries, cell_parameters
from megabar.workflows.parts.volumes.phase_state import PhaseState
from megabar.workflows.structure import Structure


@dataclass(frozen=True, eq=False)
class StructureAt:
    """A phase's structure at a pressure.

    interpolated: whether it lies between computed volumes, or is one of them. computed_GPa: the pressures of the
    computed ones next to it. parameters: of its conventional cell. space_group: as found.
    """

    phase: str
    formula: str
    pressure_GPa: float
    volume_A3: float
    atoms: Atoms
    interpolated: bool
    computed_GPa: tuple[float, ...]
    parameters: CellParameters
    space_group: str

    @property
    def origin(self) -> str:
        """Where the structure comes from, in words."""
        near = " and ".join(f"{pressure:.1f}" for pressure in self.computed_GPa)
        if not self.interpolated:
            return f"as computed at {near} GPa"
        return f"interpolated to {self.pressure_GPa:g} GPa between the structures computed at {near} GPa"

    def labelled(self) -> Atoms:
        """Return the structure as computed with phase, pressure and origin in its ``info``."""
        atoms = self.atoms.copy()
        atoms.info |= {
            "phase": self.phase,
            "pressure_GPa": self.pressure_GPa,
            "interpolated": self.interpolated,
            "origin": self.origin,
        }
        return atoms


def structures_at(state: PhaseState, pressures_GPa: Sequence[float]) -> list[StructureAt]:
    """Return a phase's structures at those of some pressures (GPa) at which its enthalpy is known, ascending.

    Raises InputError where the phase has no converged calculation.
    """
    from megabar.structures.symmetry import space_group

    curve = state.curve()
    cells = [Structure.from_dict(each.structure).atoms() for each in state.done.values() if each.structure]
    if curve is None or not cells:
        raise InputError(f"{state.ladder.phase} has no converged calculation, so it has no structure yet")
    series = StructureSeries.of(cells)
    found: list[StructureAt] = []
    for pressure in sorted(pressures_GPa):
        if not curve.from_GPa <= pressure <= curve.to_GPa:
            continue
        volume = float(curve.volume(pressure))
        computed = series.nearest(volume)
        atoms = series.at(volume) if computed is None else computed
        parameters = cell_parameters(atoms, found[-1].parameters if found else None)
        near = _neighbours(curve, pressure, computed is not None)
        group = str(space_group(atoms))
        found.append(
            StructureAt(
                phase=state.ladder.phase,
                formula=state.ladder.formula,
                pressure_GPa=pressure,
                volume_A3=volume,
                atoms=atoms,
                interpolated=computed is None,
                computed_GPa=near,
                parameters=parameters,
                space_group=group,
            )
        )
    return found


def _neighbours(curve: EnthalpyCurve, pressure_GPa: float, itself: bool) -> tuple[float, ...]:
    """Return the pressures (GPa) of the computed volumes beside a pressure, or of the nearest one."""
    pressures = [float(each) for each in curve.pressures_GPa]
    if itself:
        return (min(pressures, key=lambda each: abs(each - pressure_GPa)),)
    below = [each for each in pressures if each <= pressure_GPa]
    above = [each for each in pressures if each > pressure_GPa]
    return (*([max(below)] if below else []), *([min(above)] if above else []))


def cell_series(state: PhaseState, points: int = 41) -> CellSeries:
    """Return the cell of a phase against pressure over all that is known of it, and where it was computed."""
    curve = state.curve()
    assert curve is not None
    fine = structures_at(state, [float(p) for p in np.linspace(curve.from_GPa, curve.to_GPa, points)])
    inside = [float(p) for p in curve.pressures_GPa if curve.from_GPa <= p <= curve.to_GPa]
    computed = structures_at(state, inside)
    return CellSeries(
        phase=state.ladder.phase,
        formula=state.ladder.formula,
        pressures_GPa=tuple(each.pressure_GPa for each in fine),
        parameters=tuple(each.parameters for each in fine),
        computed_GPa=tuple(each.pressure_GPa for each in computed),
        computed=tuple(each.parameters for each in computed),
    )
