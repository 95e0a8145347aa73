"""What the commands that plan, run and answer studies do with the Python interface, apart from printing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from megabar.launchers.answering.figure_files import check_figure
from megabar.launchers.answering.hull_tables import report_of_table, write_hull_figures
from megabar.launchers.api.hulls import is_table
from megabar.launchers.api.running import WRITING, Outcome
from megabar.launchers.api.session import connect
from megabar.launchers.database.data_folder import check_data_folder
from megabar.workflows.cost import StudyEstimate
from megabar.workflows.kinds.registry import kind_of


def plan_study(path: Path) -> StudyEstimate:
    """Return what a study would compute and its estimated cost; results that are there count as free.

    Raises InputError where `run` and `submit` would refuse it.
    """
    with connect() as session:
        study = session.open(path)
        check_data_folder(session.config)
        return study.plan


def run_study(path: Path, workers: int | None, report: Path | None) -> Outcome:
    """Run a study to its end, showing how it goes on standard error, and write its report."""
    with connect() as session:
        study = session.open(path)
        return study.run_out(workers, report or Path(f"{study.name}-report"))


def hull_of(sources: Sequence[str], at: float | None, figure: Path | None = None) -> dict[str, Any]:
    """Return the hull analysis (as JSON-able data) of a table of enthalpies, or of one or more stored studies.

    figure: where figures are wanted, an image file or a folder. Raises InputError where studies were computed in ways
    that must not be mixed, and for a table that cannot be right.
    """
    check_figure(figure)
    with connect() as session:
        found = session.hull(*sources)
    document = found.json(at)
    return document if figure is None else document | write_hull_figures(found, figure)


def report_on(name: str, folder: Path | None) -> Path:
    """Write the report of a stored study, or of a table of enthalpies, and return its page."""
    if is_table(name):
        return report_of_table(Path(name), folder)
    with connect() as session:
        study = session.open(name)
        study.check_report(folder)
        kind_of(study.kind)  # refused before anything is promised
        print(WRITING, file=sys.stderr, flush=True)
        return study.report(folder)
