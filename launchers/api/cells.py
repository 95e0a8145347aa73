"""The structures of a study at some pressures, by phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from megabar.structures.errors import InputError
from megabar.workflows.parts.volumes.phase_state import PhaseState
from megabar.workflows.parts.volumes.structures_at import StructureAt
from megabar.workflows.parts.volumes.structures_at import structures_at as of_phase
from megabar.workflows.yaml_input import nearest

if TYPE_CHECKING:
    from pandas import DataFrame


def structures_at(
    states: Sequence[PhaseState], pressures_GPa: Sequence[float], usual_GPa: Sequence[float] = ()
) -> tuple[list[StructureAt], list[str]]:
    """Return structures of phases at pressures (GPa), and a sentence for each phase, or pressure named, without one.

    usual_GPa: the pressures where none is named; that a phase is known at some of these only is no news.
    """
    at = list(pressures_GPa) or list(usual_GPa)
    found: list[StructureAt] = []
    notes = []
    for state in states:
        curve = state.curve()
        if curve is None:
            notes.append(f"{state.ladder.phase} has no converged calculation")
            continue
        own = of_phase(state, at)
        missing = sorted(set(at) - {each.pressure_GPa for each in own})
        if missing and (pressures_GPa or not own):
            listed = ", ".join(f"{pressure:g}" for pressure in missing)
            known = f"{curve.from_GPa:.1f} to {curve.to_GPa:.1f} GPa"
            notes.append(f"{state.ladder.phase} was computed from {known}, not at {listed} GPa")
        found += own
    return found, notes


def chosen(known: Mapping[str, PhaseState], phases: Sequence[str]) -> list[PhaseState]:
    """Return the states of some phases, of all where none is named; raises InputError for an unknown one."""
    for phase in phases:
        if phase not in known:
            names = list(known)
            raise InputError(f"there is no phase {phase!r}{nearest(phase, names)} (its phases: {', '.join(names)})")
    return list({state.ladder.phase: state for name, state in known.items() if not phases or name in phases}.values())


def structures_frame(structures: Sequence[StructureAt]) -> DataFrame:
    """Return cells and independent sites, a row a structure."""
    from pandas import DataFrame

    from megabar.workflows.parts.volumes.structure_files import TABLE_COLUMNS, row

    return DataFrame([row(each) for each in structures], columns=list(TABLE_COLUMNS)).set_index("phase")
