"""The library of known phases, by system."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from megabar.launchers.api.listing import Listing
from megabar.structures.composition import parse_system
from megabar.structures.library import library, phases_of
from megabar.structures.phase import Phase

if TYPE_CHECKING:
    from pandas import DataFrame


def phases(system: str | None = None) -> Listing[Phase]:
    """Return known phases; see `megabar.phases`."""
    found = list(library().values()) if system is None else phases_of(parse_system(system))
    return Listing({phase.name: phase for phase in found}, lambda: phases_frame(found))


def phases_frame(phases: Sequence[Phase]) -> DataFrame:
    """Return formula, atoms, pressures (GPa) and source, a row a phase."""
    from pandas import DataFrame

    rows = [
        (phase.name, phase.formula, len(phase.atoms), *phase.known_GPa, phase.source, phase.doi, phase.note)
        for phase in phases
    ]
    columns = ["phase", "formula", "atoms", "known_from_GPa", "known_to_GPa", "source", "doi", "note"]
    return DataFrame(rows, columns=columns).set_index("phase")
