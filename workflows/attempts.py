"""What was tried to get a calculation done: by whom, where, when, and how each attempt ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from megabar.workflows.presence import STALE_SECONDS
from megabar.workflows.store import ResultStore

ENDED = ("done", "failed", "left")
UNFINISHED = ("stopped", "trouble", "crashed")
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
    fields = {"_id": 0, "fw_id": 1, "state": 1, "launches": 1, "spec.key": 1, "spec.core_seconds": 1}
    fireworks = {
        each["fw_id"]: each for each in store.launchpad.fireworks.find({"spec.key": {"$in": list(keys)}}, fields)
    }
    launches = list(store.launchpad.launches.find({"fw_id": {"$in": list(fireworks)}}).sort("launch_id", 1))
    ran = _when_run(store, {each["spec"]["key"] for each in fireworks.values()})
    living = {each["_id"] for each in workers if each["silent_s"] <= STALE_SECONDS}
    found: dict[str, list[Attempt]] = defaultdict(list)
    for launch in launches:
        firework = fireworks[launch["fw_id"]]
        key = firework["spec"]["key"]
        end = _end(launch, firework, living)
        began = str(launch["time_start"])
        if end == "taken" or (end in ENDED and key in ran and _seconds_after(began, ran[key]) > SAME_S):
            continue
        found[key].append(_attempt(key, launch, end, float(firework["spec"].get("core_seconds", 0.0))))
    return found


def _attempt(key: str, launch: Mapping[str, Any], end: str, estimate_s: float) -> Attempt:
    around = launch["fworker"].get("env") or {}
    return Attempt(
        key=key,
        worker=launch["fworker"]["name"],
        host=launch["host"],
        job=around.get("job", ""),
        cores=around.get("cores", 1),
        began=str(launch["time_start"]),
        wall_s=launch.get("runtime_secs"),
        end=end,
        estimate_s=estimate_s,
        folder=str(Path(launch["launch_dir"]).parent / "calculations" / key[:2] / key),  # workers run beside them
    )


def _when_run(store: ResultStore, keys: Iterable[str]) -> dict[str, str]:
    """Return when the runs began whose results are stored."""
    query = {"_id": {"$in": list(keys)}, "provenance.started": {"$exists": True}}
    found = store.database.calculations.find(query, {"provenance.started": 1})
    return {each["_id"]: each["provenance"]["started"] for each in found}


def _seconds_after(one: str, other: str) -> float:
    return (_moment(one) - _moment(other)).total_seconds()


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _end(launch: Mapping[str, Any], firework: Mapping[str, Any], living: set[str]) -> str:
    said = ((launch.get("action") or {}).get("stored_data") or {}).get("state")
    if said is not None:
        return str(said)
    last = firework["launches"][-1:] == [launch["launch_id"]]
    if last and firework["state"] in ("RESERVED", "RUNNING") and launch["fworker"]["name"] in living:
        return "running"
    return "lost"


def last_lines(store: ResultStore, keys: Sequence[str]) -> dict[str, str]:
    """Return the last line of the last crash of the task around each calculation."""
    return {key: crashes[-1].strip().splitlines()[-1] for key, crashes in store.crashes(keys).items() if crashes}
