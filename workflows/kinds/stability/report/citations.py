"""What the report of a stability study cites."""

from __future__ import annotations

from collections.abc import Sequence

from megabar.workflows.kinds.stability.plan import StabilityPlan
from megabar.workflows.report.citations import CODES, FUNCTIONALS, METHODS, Citation


def citations(plan: StabilityPlan) -> list[Citation]:
    """Return what a study cites: its code, functional, verifying code and the methods."""
    codes = [plan.method.code] + ([plan.judge.code] if plan.judge else [])
    found = [each for code in codes for each in CODES.get(code, (Citation(code, code, ""),))]
    if not plan.toy:
        found += [FUNCTIONALS[part] for part in plan.method.functional.split("+") if part in FUNCTIONALS]
    return [*found, *METHODS]


def phase_sources(plan: StabilityPlan) -> Sequence[Citation]:
    """Return the source of each phase."""
    return [Citation(ladder.phase, ladder.source or "no source given", ladder.doi) for ladder in plan.ladders]
