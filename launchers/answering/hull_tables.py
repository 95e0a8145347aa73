"""What `megabar hull` and `megabar report` do with a table of enthalpies that somebody else computed."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from megabar.analysis.stability import Stability
from megabar.launchers.answering.figure_files import is_image, write_figures
from megabar.structures.errors import InputError, SetupError

TABLES = (".csv", ".tsv", ".txt", ".dat")


def is_table(source: str) -> bool:
    """Whether a table of enthalpies is named, rather than a study."""
    path = Path(source)
    return path.suffix.lower() in TABLES or (path.is_file() and path.suffix not in (".yaml", ".yml"))


def hull_of_table(path: Path, at: float | None, figure: Path | None) -> dict[str, Any]:
    """Return the JSON document of ``megabar hull FILE.csv``; draw the hull into a figure, or all into a folder."""
    from megabar.analysis.tables import read_table
    from megabar.analysis.tables.answer import table_json, table_stability

    table = read_table(path)
    stability = table_stability(table)
    document = table_json(table, stability, at)
    if figure is not None:
        document |= write_hull_figures(stability, table.pressures_GPa, figure, volumes=not table.differences)
    return document


def write_hull_figures(
    stability: Stability | None, pressures_GPa: Sequence[float], target: Path, warning: str = "", volumes: bool = True
) -> dict[str, Any]:
    """Write the figures of a stability, the hull first; return what the document says of them."""
    from megabar.analysis.figures import draw_stability

    if stability is None:
        raise InputError("--figure: there is no hull yet to draw: an element has no converged calculation")
    drawn = draw_stability(stability.curves, stability, pressures_GPa, warning, volumes=volumes)
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


def check_report_folder(folder: Path) -> None:
    """Raise InputError or SetupError where a report cannot be written to a folder."""
    parent = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not parent.is_dir():
        raise InputError(f"{folder} cannot be the report's folder: {parent} is a file")
    try:
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise SetupError(
            f"the report cannot be written to {folder} ({error.strerror}); choose another folder"
        ) from None
