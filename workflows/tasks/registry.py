"""All tasks. A new one is a class and a line below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from megabar.workflows.tasks.electrons import GroundState, PhononQ
from megabar.workflows.tasks.interface import Task
from megabar.workflows.tasks.relax import Relax
from megabar.workflows.tasks.relax_atoms import RelaxAtoms
from megabar.workflows.tasks.response import Dielectric, DynamicalMatrix
from megabar.workflows.tasks.single_point import SinglePoint
from megabar.workflows.tasks.stretch import Stretch

TASKS: Mapping[str, type[Any]] = {
    each.name: each
    for each in (
        SinglePoint,
        Relax,
        RelaxAtoms,
        GroundState,
        PhononQ,
        DynamicalMatrix,
        Dielectric,
        Stretch,
    )
}


def read_task(content: Mapping[str, Any]) -> Task:
    """Return the task of a stored calculation; raises TypeError where it is one that is not known here.

    Calculations of before there were names of tasks have their limits of relaxation, or none.
    """
    relaxation = content.get("relaxation")
    name = content.get("task", Relax.name if relaxation else SinglePoint.name)
    if name not in TASKS:
        raise TypeError(f"unknown: the task {name!r}")
    found: Task = TASKS[name](**(relaxation or content.get("parameters", {})))
    return found
