"""The answer of a stored study of superconductivity, also with other μ* than its own."""

from __future__ import annotations

from dataclasses import replace

from megabar.workflows.kinds.interface import check_kind, read_plan
from megabar.workflows.kinds.superconductivity.answer import TcAnswer, answer
from megabar.workflows.kinds.superconductivity.kind import SUPERCONDUCTIVITY
from megabar.workflows.kinds.superconductivity.plan import TcPlan
from megabar.workflows.store import ResultStore, StudyRecord


def stored_answer(
    study: StudyRecord, store: ResultStore, mu_star: float | None = None, mu_ref_meV: float | None = None
) -> TcAnswer:
    """Return the answer of a stored study, with other μ* than its own where they are given.

    Raises InputError for a study of another kind.
    """
    check_kind(study, SUPERCONDUCTIVITY, "Tc", "megabar report")
    plan = read_plan(study, SUPERCONDUCTIVITY.rungs, TcPlan.from_dict)
    plan = replace(
        plan,
        mu_star=plan.mu_star if mu_star is None else (mu_star,),
        mu_ref_meV=plan.mu_ref_meV if mu_ref_meV is None else mu_ref_meV,
    )
    return answer(plan, study.rungs, store.summaries(study.wanted), store.history)
