"""Hulls of tables of enthalpies, and of one or several studies together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from megabar.analysis.frames import table_of_entries
from megabar.structures.errors import InputError
from megabar.workflows.kinds.registry import kind_of
from megabar.workflows.kinds.stability.view import HullView

if TYPE_CHECKING:
    from pymatgen.analysis.phase_diagram import PDEntry

    from megabar.analysis.tables import Table
    from megabar.launchers.api.session import Session
    from megabar.launchers.api.study import Study

TABLES = (".csv", ".tsv", ".txt", ".dat")


def is_table(source: str | Path) -> bool:
    """Whether a table of enthalpies is named, rather than a study."""
    path = Path(source)
    return path.suffix.lower() in TABLES or (path.is_file() and path.suffix not in (".yaml", ".yml"))


def hull(session: Session, *sources: str | Path | Study | Sequence[PDEntry]) -> HullView:
    """Return the hull of a table of enthalpies, of pymatgen's entries, or of studies computed in the same way.

    Raises InputError where studies must not be mixed, and for a table that cannot be right.
    """
    from megabar.workflows.kinds.stability.stored import joint_hull, stored_answer

    if not sources:
        raise InputError("a hull needs a table of enthalpies, or at least one study")
    if isinstance(sources[0], Sequence) and not isinstance(sources[0], str):
        if len(sources) > 1:
            raise InputError(f"one list of entries at a time, and nothing beside it; {len(sources)} things were given")
        return _hull_of(table_of_entries(sources[0]))
    named = [source for source in sources if isinstance(source, str | Path)]
    if any(is_table(source) for source in named):
        if len(sources) > 1:
            raise InputError(f"one file at a time: {', '.join(map(str, sources))}")
        return table_hull(Path(named[0]))
    studies: list[Study] = []
    for source in sources:
        if isinstance(source, str | Path):
            studies.append(session.open(source))
        elif isinstance(source, Sequence) or not hasattr(source, "record"):
            raise InputError("a hull takes a table, a list of pymatgen's entries, or studies and their names")
        else:
            studies.append(source)
    for study in studies:
        kind_of(study.record.kind)  # one that this version does not know has a sentence of its own
    return joint_hull([stored_answer(study.record, study.session.store) for study in studies])


def table_hull(path: Path) -> HullView:
    """Return the hull of a table of enthalpies that somebody else computed."""
    from megabar.analysis.tables import read_table

    return _hull_of(read_table(path))


def _hull_of(table: Table) -> HullView:
    from megabar.analysis.tables.answer import table_json, table_stability
    from megabar.workflows.kinds.stability.figures import StabilityFigures

    stability = table_stability(table)
    figures = StabilityFigures(stability.curves, stability, table.pressures_GPa, volumes=not table.differences)
    return HullView(
        curves={curve.phase: curve for curve in stability.curves},
        stability=stability,
        pressures_GPa=table.pressures_GPa,
        figures=figures,
        _document=lambda at: table_json(table, stability, at),
    )
