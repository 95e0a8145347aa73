"""What `megabar figures` does: figures of a study or of a table, chosen, sized and named by the user, as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from megabar.analysis.figures import Drawing, Drawings, Options, draw_stability, panels_of
from megabar.launchers.answering.figure_files import write_as
from megabar.launchers.answering.hull_tables import is_table
from megabar.launchers.database.stored import existing_store, find_study
from megabar.structures.errors import InputError
from megabar.workflows.config import load_config

if TYPE_CHECKING:
    from megabar.analysis.curve import Curve
    from megabar.analysis.stability import Stability
    from megabar.workflows.kinds.superconductivity.answer import TcAnswer

FORMATS = ("pdf", "svg", "png")
NARROWEST_MM, WIDEST_MM, MM_PER_INCH = 50.0, 400.0, 25.4


@dataclass(frozen=True)
class Wishes:
    """What the user wants of the figures; width_mm: None where each is as wide as it is made for."""

    options: Options = field(default_factory=Options)
    formats: tuple[str, ...] = ("pdf",)
    width_mm: float | None = None


@dataclass(frozen=True, eq=False)
class Source:
    """What figures are drawn of: curves and hull, or an answer on Tc; volumes: whether slopes of curves are volumes."""

    name: str
    curves: Sequence[Curve] = ()
    stability: Stability | None = None
    pressures_GPa: Sequence[float] = ()
    warning: str = ""
    volumes: bool = True
    tc: TcAnswer | None = None


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
    found = _source(source)
    if found.tc is None:
        return panels_of(found.curves, found.stability, found.pressures_GPa, found.volumes)
    return {each.name: each.title for each in _of_tc(found.tc, asked.options.hull_GPa).drawings}


def draw_figures(source: str, asked: Wishes, folder: Path | None) -> dict[str, Any]:
    """Draw and write figures; return the JSON document of the command: the files, and what figures leave out."""
    from megabar.analysis.figures.style import figures_of_width

    found = _source(source)
    target = folder or Path(f"{found.name}-figures")
    width_in = None if asked.width_mm is None else asked.width_mm / MM_PER_INCH
    with figures_of_width(width_in):
        drawings = _drawings(found, asked.options)
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


def _drawings(found: Source, options: Options) -> Drawings:
    if found.tc is None:
        _check_pressures(found, options)
        return draw_stability(found.curves, found.stability, found.pressures_GPa, found.warning, found.volumes, options)
    if options.labels:
        raise InputError("--label names phases of a hull; figures of Tc have none")
    drawings = _of_tc(found.tc, options.hull_GPa)
    names = [each.name for each in drawings.drawings]
    for wanted in options.panels:
        if wanted not in names:
            raise InputError(f"there is no panel {wanted!r}{_nearest(wanted, names)} (there are: {', '.join(names)})")
    if not options.panels:
        return drawings
    return Drawings(tuple(each for each in drawings.drawings if each.name in options.panels), ())


def _nearest(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, 1, 0.6)
    return f"; is {near[0]!r} meant?" if near else ""


def _check_pressures(found: Source, options: Options) -> None:
    """Raise InputError for a pressure at which an element has no phase."""
    if not options.hull_GPa or found.stability is None:
        return
    from megabar.analysis.hull import hulls_at

    for hull in hulls_at(found.stability.curves, options.hull_GPa):
        if hull.undefined:
            raise InputError(
                f"--pressure is {hull.pressure_GPa:g} GPa, where no phase of {', '.join(hull.undefined)} is known"
            )


def _of_tc(answer: TcAnswer, pressures_GPa: Sequence[float]) -> Drawings:
    from dataclasses import replace

    from megabar.workflows.kinds.superconductivity.drawings import draw
    from megabar.workflows.kinds.superconductivity.report import states_below_tc

    known = [each.pressure_GPa for each in answer.pressures]
    for pressure in pressures_GPa:
        if not any(abs(pressure - each) < 1e-6 for each in known):
            raise InputError(
                f"--pressure is {pressure:g} GPa, which the study has not (it has {', '.join(f'{p:g}' for p in known)})"
            )
    drawings = draw(answer, states_below_tc(answer))
    if not pressures_GPa:
        return drawings
    chosen = [each for each in answer.pressures if any(abs(each.pressure_GPa - p) < 1e-6 for p in pressures_GPa)]
    some = draw(replace(answer, pressures=type(answer.pressures)(chosen)), states_below_tc(answer))
    whole = [each for each in drawings.drawings if each.name == "tc-pressure"]
    return Drawings((*whole, *(each for each in some.drawings if each.name != "tc-pressure")), some.remarks)


def _source(name: str) -> Source:
    if is_table(name):
        return _table(Path(name))
    from megabar.workflows.kinds.registry import answer_of
    from megabar.workflows.kinds.stability.answer import StabilityAnswer
    from megabar.workflows.kinds.stability.report import toy_warning

    with existing_store(load_config()) as store:
        study = find_study(name, store)
        answer = answer_of(study, store)
    if not isinstance(answer, StabilityAnswer):
        return Source(study.name, tc=answer)
    plan = answer.plan
    return Source(study.name, answer.curves, answer.stability, plan.pressures_GPa, toy_warning(plan))


def _table(path: Path) -> Source:
    from megabar.analysis.tables import read_table
    from megabar.analysis.tables.answer import table_stability

    table = read_table(path)
    stability = table_stability(table)
    return Source(path.stem, stability.curves, stability, table.pressures_GPa, volumes=not table.differences)
