"""What was tried to get a calculation done: by whom, where, when, and how each attempt ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from megabar.workflows.presence import STALE_SECONDS
from megabar.workflows.queue.board import moment
from megabar.workflows.store import ResultStore

ENDED = ("done", "failed", "left")
SAME_S = 1.0
"""An attempt that began so long after the run whose result is stored found that result."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at a calculation.

    job: the queue's, "" outside of one. began: the worker's clock (ISO). wall_s: None where its end is not known.
    end: ``done``, ``failed``, ``left``; ``stopped``: gently, to go on; ``trouble`` with the machine; ``crashed``: the
    task around the calculation; ``lost``: its worker was heard of no more; ``running``.
    estimate_s: core-seconds of the cost model. folder: on its host, with its files.
    """

    key: str
    worker: str
    host: str
    job: str
    cores: int
    began: str
    wall_s: float | None
    end: str
    estimate_s: float
    folder: str


def attempts_at(
    store: ResultStore, keys: Iterable[str], workers: Sequence[Mapping[str, Any]]
) -> dict[str, list[Attempt]]:
    """Return the attempts at some calculations, the first ones first; workers: all known (``Presence.workers``).

    Those that found that another worker had it, or that its result was there, are none.
    """
    keys = list(keys)
    launches, ran = store.board.launches(keys), _when_run(store, keys)
    living = {each["_id"] for each in workers if each["silent_s"] <= STALE_SECONDS}
    found: dict[str, list[Attempt]] = defaultdict(list)
    for launch in launches:
        end = launch.state or ("running" if launch.last and launch.worker in living else "lost")
        late = launch.key in ran and _seconds_after(launch.began, ran[launch.key]) > SAME_S
        if end == "taken" or (end in ENDED and late):
            continue
        found[launch.key].append(
            Attempt(
                key=launch.key,
                worker=launch.worker,
                host=launch.host,
                job=launch.job,
                cores=launch.cores,
                began=launch.began,
                wall_s=launch.wall_s,
                end=end,
                estimate_s=launch.core_seconds,
                # Workers run beside the folders of their calculations.
                folder=str(Path(launch.folder).parent / "calculations" / launch.key[:2] / launch.key),
            )
        )
    return found


def _when_run(store: ResultStore, keys: Iterable[str]) -> dict[str, str]:
    """Return when the runs began whose results are stored."""
    query = {"_id": {"$in": list(keys)}, "provenance.started": {"$exists": True}}
    found = store.database.calculations.find(query, {"provenance.started": 1})
    return {each["_id"]: each["provenance"]["started"] for each in found}


def _seconds_after(one: str, other: str) -> float:
    one_moment, other_moment = moment(one), moment(other)
    assert one_moment is not None and other_moment is not None
    return (one_moment - other_moment).total_seconds()


def last_lines(store: ResultStore, keys: Sequence[str]) -> dict[str, str]:
    """Return the last line of the last crash of the task around each calculation."""
    return {key: crashes[-1].strip().splitlines()[-1] for key, crashes in store.crashes(keys).items() if crashes}
