"""The hull of stored studies of stability, of one or of several that were computed in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from megabar.analysis.stability import analyse
from megabar.analysis.stability_output import stability_json
from megabar.workflows.kinds.interface import check_kind, read_plan
from megabar.workflows.kinds.stability.answer import StabilityAnswer, answer
from megabar.workflows.kinds.stability.budget import Background, budgeted, error_sources, not_included
from megabar.workflows.kinds.stability.figures import StabilityFigures, figures_of
from megabar.workflows.kinds.stability.kind import STABILITY
from megabar.workflows.kinds.stability.plan import StabilityPlan, check_same_method
from megabar.workflows.kinds.stability.view import HullView, view_of
from megabar.workflows.store import ResultStore, StudyRecord


def stored_answer(study: StudyRecord, store: ResultStore) -> StabilityAnswer:
    """Return the answer of a stored study from the results that are there; raises InputError for another kind."""
    check_kind(study, STABILITY, "hull", "megabar report")
    plan = read_plan(study, STABILITY.rungs, StabilityPlan.from_dict)
    return answer(plan, study.rungs, store.summaries(study.wanted), store.history)


def joint_hull(answers: Sequence[StabilityAnswer]) -> HullView:
    """Return the hull of one or several studies.

    Raises InputError where studies were computed in ways that must not be mixed.
    """
    if len(answers) == 1:
        return view_of(answers[0])
    plans = [each.plan for each in answers]
    check_same_method(plans)
    curves = {curve.phase: curve for each in answers for curve in each.curves}
    found = analyse(list(curves.values()))
    background = Background(plans[0].method, plans[0].toy, any(plan.by_hand for plan in plans))
    stability = budgeted(found, background)

    def document(at_GPa: float | None) -> dict[str, Any]:
        content = stability_json(stability, at_GPa)
        content["error_sources"] = error_sources(stability, background)
        content["error_not_included"] = [] if plans[0].toy else not_included(stability)
        return content

    asked = sorted({pressure for plan in plans for pressure in plan.pressures_GPa})
    figures = StabilityFigures(found.curves, stability, asked, figures_of(answers[0]).warning)
    return HullView(curves, stability, asked, figures, document)
