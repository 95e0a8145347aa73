"""Hulls of tables of enthalpies, and of one or several studies together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from megabar.structures.errors import InputError
from megabar.workflows.kinds.registry import kind_of
from megabar.workflows.kinds.stability.view import HullView

if TYPE_CHECKING:
    from megabar.launchers.api.session import Session
    from megabar.launchers.api.study import Study

TABLES = (".csv", ".tsv", ".txt", ".dat")


def is_table(source: str | Path) -> bool:
    """Whether a table of enthalpies is named, rather than a study."""
    path = Path(source)
    return path.suffix.lower() in TABLES or (path.is_file() and path.suffix not in (".yaml", ".yml"))


def hull(session: Session, *sources: str | Path | Study) -> HullView:
    """Return the hull of a table of enthalpies, or of one or several studies that were computed in the same way.

    Raises InputError where studies must not be mixed, and for a table that cannot be right.
    """
    from megabar.workflows.kinds.stability.stored import joint_hull, stored_answer

    if not sources:
        raise InputError("a hull needs a table of enthalpies, or at least one study")
    named = [source for source in sources if isinstance(source, str | Path)]
    if any(is_table(source) for source in named):
        if len(sources) > 1:
            raise InputError(f"one file at a time: {', '.join(map(str, sources))}")
        return table_hull(Path(named[0]))
    studies = [session.open(source) if isinstance(source, str | Path) else source for source in sources]
    for study in studies:
        kind_of(study.record.kind)  # one that this version does not know has a sentence of its own
    return joint_hull([stored_answer(study.record, study.session.store) for study in studies])


def table_hull(path: Path) -> HullView:
    """Return the hull of a table of enthalpies that somebody else computed."""
    from megabar.analysis.tables import read_table
    from megabar.analysis.tables.answer import table_json, table_stability
    from megabar.workflows.kinds.stability.figures import StabilityFigures

    table = read_table(path)
    stability = table_stability(table)
    figures = StabilityFigures(stability.curves, stability, table.pressures_GPa, volumes=not table.differences)
    return HullView(
        curves={curve.phase: curve for curve in stability.curves},
        stability=stability,
        pressures_GPa=table.pressures_GPa,
        figures=figures,
        _document=lambda at: table_json(table, stability, at),
    )
