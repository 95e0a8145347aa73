"""The report of a table of enthalpies that somebody else computed: the hull of its points, and no calculation."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from megabar import __version__
from megabar.analysis.figures import draw_stability
from megabar.analysis.figures.drawing import Drawings
from megabar.analysis.hull_points import hull_points, single_pressures
from megabar.analysis.stability import Stability
from megabar.analysis.tables import Table
from megabar.analysis.tables.answer import GIVEN, table_json
from megabar.workflows.files import write_atomically
from megabar.workflows.kinds.stability.report.files import table_csv
from megabar.workflows.kinds.stability.report.page import template
from megabar.workflows.kinds.stability.report.words import sentences
from megabar.workflows.report.documents import document_json
from megabar.workflows.report.drawings import write_drawings
from megabar.workflows.report.page import style


def write_table_report(folder: Path, table: Table, stability: Stability) -> None:
    """Write ``index.html``, ``figures/``, ``answer.json`` and ``enthalpies.csv`` (as understood) to a folder.

    The folder is made where it is missing; each file is written atomically, the page last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "answer.json", document_json(table_json(table, stability)))
    write_atomically(folder / "enthalpies.csv", table_csv(table.curves))
    drawings = draw_stability(stability.curves, stability, table.pressures_GPa, volumes=not table.differences)
    inline = write_drawings(folder, drawings)
    page = template("table.html.j2").render(_context(table, stability, drawings, inline))
    write_atomically(folder / "index.html", page)


def _context(table: Table, stability: Stability, drawings: Drawings, svgs: dict[str, str]) -> dict[str, Any]:
    from markupsafe import Markup

    from megabar.analysis.figures.style import DARK_PALETTE, PALETTE

    formulas = {curve.phase: curve.formula for curve in table.curves}
    pressures = table.pressures_GPa
    return {
        "source": table.path.name,
        "system": "-".join(stability.elements),
        "formulas": formulas,
        "style": style(),
        "palettes": (PALETTE, DARK_PALETTE),
        "pressures": (pressures[0], pressures[-1]),
        "sentences": sentences(stability, list(dict.fromkeys(formulas.values())), pressures),
        "stability": stability,
        "alone": hull_points(stability.curves, single_pressures(stability.curves)),
        "curves": table.curves,
        "points": sum(len(curve.pressures_GPa) for curve in table.curves),
        "interpolation": table.interpolation,
        "given": GIVEN if table.given else "",
        "drawings": drawings,
        "svgs": {name: Markup(svg) for name, svg in svgs.items()},
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
    }
