"""What `megabar figures` does: figures of a study or of a table, chosen, sized and named by the user, as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from megabar.analysis.figures.drawing import Drawing, Options
from megabar.launchers.answering.figure_files import write_as
from megabar.launchers.api.hulls import is_table, table_hull
from megabar.launchers.api.session import connect
from megabar.structures.errors import InputError
from megabar.workflows.kinds.interface import Figures

FORMATS = ("pdf", "svg", "png")
NARROWEST_MM, WIDEST_MM, MM_PER_INCH = 50.0, 400.0, 25.4


@dataclass(frozen=True)
class Wishes:
    """What the user wants of the figures; width_mm: None where each is as wide as it is made for."""

    options: Options = field(default_factory=Options)
    formats: tuple[str, ...] = ("pdf",)
    width_mm: float | None = None


def wishes(
    panels: Sequence[str], formats: str, width_mm: float | None, labels: Sequence[str], pressures: Sequence[str]
) -> Wishes:
    """Return what the options mean; raises InputError for whatever cannot be meant."""
    kinds = tuple(dict.fromkeys(each.strip().lower() for each in formats.split(",") if each.strip()))
    for kind in kinds:
        if kind not in FORMATS:
            raise InputError(f"--format is {formats}; it can be any of {', '.join(FORMATS)}, joined by commas")
    if not kinds:
        raise InputError(f"--format names no kind of file; it can be any of {', '.join(FORMATS)}")
    if width_mm is not None and not NARROWEST_MM <= width_mm <= WIDEST_MM:
        raise InputError(f"--width is {width_mm:g} mm; it must lie between {NARROWEST_MM:g} and {WIDEST_MM:g} mm")
    named = {}
    for each in labels:
        phase, equals, text = each.partition("=")
        if not equals or not phase.strip() or not text.strip():
            raise InputError(f"--label is {each!r}; it must be PHASE=TEXT, as in H3S-Im-3m=cubic")
        named[phase.strip()] = text.strip()
    wanted = tuple(dict.fromkeys(name.strip() for each in panels for name in each.split(",") if name.strip()))
    at = tuple(sorted({_pressure(part) for each in pressures for part in each.split(",") if part.strip()}))
    return Wishes(Options(wanted, named, at), kinds, width_mm)


def _pressure(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise InputError(f"--pressure is {text!r}; it must be a number (GPa), or several joined by commas")
    return value


def list_panels(source: str, asked: Wishes) -> dict[str, str]:
    """Return the names of the figures and panels of a study or a table, with what they show."""
    return _source(source)[1].panels(asked.options)


def draw_figures(source: str, asked: Wishes, folder: Path | None) -> dict[str, Any]:
    """Draw and write figures; return the JSON document of the command: the files, and what figures leave out."""
    from megabar.analysis.figures.style import figures_of_width

    name, figures = _source(source)
    target = folder or Path(f"{name}-figures")
    width_in = None if asked.width_mm is None else asked.width_mm / MM_PER_INCH
    with figures_of_width(width_in):
        drawings = figures.draw(asked.options)
        files = [str(path) for each in drawings.drawings for path in write_as(each, target, asked.formats)]
    return {
        "files": files,
        "figures": [
            {"name": each.name, "caption": f"{each.title}. {each.caption}", "width_mm": _width_mm(each)}
            for each in drawings.drawings
        ],
        "remarks": list(drawings.remarks),
    }


def _width_mm(drawing: Drawing) -> float:
    return round(float(drawing.figure.get_figwidth()) * MM_PER_INCH, 1)


def _source(source: str) -> tuple[str, Figures]:
    """Return the name of a study or a table, and its figures."""
    if is_table(source):
        return Path(source).stem, table_hull(Path(source)).figures
    with connect() as session:
        study = session.open(source)
        return study.name, study.figures()
