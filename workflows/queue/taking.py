"""A worker takes what waits, one firework at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from megabar.workflows.queue.submission import FORMAT

if TYPE_CHECKING:
    from fireworks import LaunchPad


def of_study(study: str, avoided: Sequence[str] = ()) -> dict[str, Any]:
    """Return the query for what waits for a study, without calculations that are left to other workers."""
    return {"spec.study": study, **_ours(avoided)}


def of_machine(machine: str, above: float, most: float, avoided: Sequence[str] = ()) -> dict[str, Any]:
    """Return the query for what waits for a machine and takes more core-seconds than one number, and up to another."""
    sizes = {"$gt": above, **({} if math.isinf(most) else {"$lte": most})}
    return {"spec.machine": machine, "spec.core_seconds": sizes, **_ours(avoided)}


def _ours(avoided: Sequence[str]) -> dict[str, Any]:
    """Return what leaves out calculations that are avoided, and all of newer versions."""
    ours: dict[str, Any] = {"spec.format": {"$not": {"$gt": FORMAT}}}
    return {**ours, "spec.key": {"$nin": list(avoided)}} if avoided else ours


def run_next(pad: LaunchPad, worker: str, query: Mapping[str, Any], env: Mapping[str, Any]) -> bool:
    """Run the next firework of those in a query, and return whether there was one.

    env: what is kept with the attempt, for those who ask later where it ran and what it cost.
    """
    from fireworks import FWorker
    from fireworks.core.rocket import Rocket

    return bool(Rocket(pad, FWorker(name=worker, query=dict(query), env=dict(env)), None).run())
