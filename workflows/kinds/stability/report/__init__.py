"""The report of a study: one self-contained page, its figures and its tables as files."""

from __future__ import annotations

from pathlib import Path

from megabar.workflows.files import write_atomically
from megabar.workflows.kinds.stability.answer import StabilityAnswer
from megabar.workflows.report.drawings import write_drawings
from megabar.workflows.store import ResultStore, StudyRecord


def write_report(folder: Path, study: StudyRecord, answer: StabilityAnswer, store: ResultStore) -> None:
    """Write ``index.html``, ``figures/``, ``answer.json``, ``enthalpies.csv`` and ``calculations.csv`` to a folder.

    The folder is made where it is missing; each file is written atomically, the page last.
    """
    from megabar.analysis.figures.drawing import Options
    from megabar.workflows.kinds.stability.figures import figures_of
    from megabar.workflows.kinds.stability.report.files import answer_json, calculations_csv, enthalpies_csv
    from megabar.workflows.kinds.stability.report.page import render
    from megabar.workflows.kinds.stability.report.tables import calculation_rows

    rows = calculation_rows(answer.plan, study.rungs, store.summaries(study.wanted))
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "answer.json", answer_json(answer))
    write_atomically(folder / "enthalpies.csv", enthalpies_csv(answer))
    write_atomically(folder / "calculations.csv", calculations_csv(rows))
    drawings = figures_of(answer).draw(Options())
    inline = write_drawings(folder, drawings)
    write_atomically(folder / "index.html", render(study, answer, rows, drawings, inline))
