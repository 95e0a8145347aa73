"""Figures of a hull as files, and the report of a table of enthalpies that somebody else computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from megabar.analysis.figures.drawing import Options
from megabar.launchers.answering.figure_files import is_image, write_figures
from megabar.launchers.api.folders import check_report_folder
from megabar.structures.errors import InputError
from megabar.workflows.kinds.stability.view import HullView


def write_hull_figures(found: HullView, target: Path) -> dict[str, Any]:
    """Write the figures of a hull, the hull first; return what the document says of them."""
    if found.stability is None:
        raise InputError("--figure: there is no hull yet to draw: an element has no converged calculation")
    drawn = replace(found.figures, curves=found.stability.curves).draw(Options())
    if not drawn.drawings:
        raise InputError(f"--figure: nothing can be drawn: {' '.join(drawn.remarks)}")
    order = sorted(drawn.drawings, key=lambda drawing: drawing.name != "hull")
    if is_image(target):
        return write_figures(order[:1], target)
    return write_figures(order, target)


def report_of_table(path: Path, folder: Path | None) -> Path:
    """Write the report of a table of enthalpies and return its page."""
    from megabar.analysis.tables import read_table
    from megabar.analysis.tables.answer import table_stability
    from megabar.workflows.kinds.stability.report.table_report import write_table_report

    table = read_table(path)
    target = folder or Path(f"{path.stem}-report")
    check_report_folder(target)
    write_table_report(target, table, table_stability(table))
    return target / "index.html"
