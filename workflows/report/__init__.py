"""The report of a study: one self-contained page, its figures and its tables as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from megabar.workflows.answer import StabilityAnswer
from megabar.workflows.files import write_atomically
from megabar.workflows.plan import StabilityPlan
from megabar.workflows.store import ResultStore, StudyRecord

if TYPE_CHECKING:
    from megabar.analysis.figures import Drawings

MOST_SVG_BYTES = 800_000
"""A larger figure stands on the page as its PNG."""


def write_report(folder: Path, study: StudyRecord, answer: StabilityAnswer, store: ResultStore) -> None:
    """Write ``index.html``, ``figures/``, ``answer.json``, ``enthalpies.csv`` and ``calculations.csv`` to a folder.

    The folder is made where it is missing; each file is written atomically, the page last.
    """
    from megabar.analysis.figures import draw_stability
    from megabar.workflows.report.files import answer_json, calculations_csv, enthalpies_csv
    from megabar.workflows.report.page import render
    from megabar.workflows.report.tables import calculation_rows

    plan = answer.plan
    rows = calculation_rows(plan, study.rungs, store.get_many(study.wanted))
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "answer.json", answer_json(answer))
    write_atomically(folder / "enthalpies.csv", enthalpies_csv(answer))
    write_atomically(folder / "calculations.csv", calculations_csv(rows))
    drawings = draw_stability(answer.curves, answer.stability, plan.pressures_GPa, toy_warning(plan))
    inline = write_drawings(folder, drawings)
    write_atomically(folder / "index.html", render(study, answer, rows, drawings, inline))


def toy_warning(plan: StabilityPlan) -> str:
    """Return what stands across the figures of a toy, empty for what has a meaning."""
    return f"{plan.method.code}: a toy, no physical meaning" if plan.toy else ""


def write_drawings(folder: Path, drawings: Drawings) -> dict[str, str]:
    """Write figures as PNG, SVG and PDF to ``figures/`` of a report; return each as an element for the page, by name.

    An SVG that would make the page large is there as its PNG.
    """
    from megabar.analysis.figures.style import inline_png, inline_svg, pdf, png, svg

    (folder / "figures").mkdir(parents=True, exist_ok=True)
    inline = {}
    for drawing in drawings.drawings:
        text, picture = svg(drawing.figure), png(drawing.figure)
        write_atomically(folder / "figures" / f"{drawing.name}.svg", text)
        write_atomically(folder / "figures" / f"{drawing.name}.png", picture)
        write_atomically(folder / "figures" / f"{drawing.name}.pdf", pdf(drawing.figure))
        small = len(text) <= MOST_SVG_BYTES
        inline[drawing.name] = inline_svg(text, drawing.name) if small else inline_png(picture, drawing.title)
    return inline


__all__ = ["toy_warning", "write_drawings", "write_report"]
