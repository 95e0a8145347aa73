"""What a calculation does: single point, relaxation, ground state, q-point, stretch of dynamics."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """Return the FireTask: stored workflows name it as ``megabar.workflows.tasks.CalculationTask``."""
    if name == "CalculationTask":
        from megabar.workflows.queue.firetask import CalculationTask

        return CalculationTask
    raise AttributeError(name)
