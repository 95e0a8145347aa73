"""What a ladder of volumes asks for first."""

from __future__ import annotations

from fractions import Fraction

from megabar.workflows.calculation import Calculation
from megabar.workflows.kinds.stability.plan import StabilityPlan
from megabar.workflows.parts.volumes.ladder import Ladder, chain_parents


def first_calculations(plan: StabilityPlan, ladder: Ladder) -> list[Calculation]:
    """Return a ladder's first calculations in the order in which each can start from the one before."""
    done: dict[Fraction, str] = {}
    calculations = []
    root = min(ladder.first, key=abs)
    for index in sorted(ladder.first, key=lambda index: abs(index - root)):
        low, high = sorted((root, index))
        before = [other for other in done if low <= other <= high]
        calculation = ladder.calculation(plan.method, index, [done[other] for other in chain_parents(index, before)])
        done[index] = calculation.key
        calculations.append(calculation)
    return calculations
