"""What a stability study will cost, estimated before it runs."""

from __future__ import annotations

from dataclasses import replace

from megabar.workflows.cost import StudyEstimate
from megabar.workflows.kinds.stability.plan import StabilityPlan
from megabar.workflows.parts.volumes.cost import volumes_estimate
from megabar.workflows.store import ResultStore


def estimate(name: str, plan: StabilityPlan, store: ResultStore | None) -> StudyEstimate:
    """Return what a study would compute and cost; calculations in the store cost nothing."""
    volumes = volumes_estimate(name, plan, store, len(plan.functionals))
    return replace(volumes, notes=(*plan.remarks, *volumes.notes))
