"""Keeps a machine's queue fed: as many jobs as the calculations that wait there are worth, and no more.

Jobs are not bound to calculations: a job takes what fits into its time, so that one that starts late, or never,
holds nothing up. Small calculations share jobs; one too long for its share of a job gets all cores of one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from megabar.launchers.machines.description import Machine
from megabar.launchers.schedulers.interface import JobRequest, QueuedJob
from megabar.workflows.queue.board import Waiting
from megabar.workflows.runtime import Runtime

SHARED, WHOLE = "shared", "whole"
LONGEST_SHARE = 0.5
"""Share of a job's time above which a calculation on its share of the cores is given all of them."""
LEAST_BUSY_S = 1800.0
"""Work that a job should have, so that the queue is not full of jobs that end at once."""
SAFETY = 1.5


def threshold_core_seconds(machine: Machine, speed: float) -> float:
    """Return the core-seconds (of the cost model) above which a calculation gets a whole job; infinite where none does.

    speed: core-seconds of the cost model that a core of the machine does in a second.
    """
    if machine.calculations_at_once == 1 or not _parallel(machine):
        return math.inf
    return LONGEST_SHARE * usable_s(machine) * machine.cores_per_calculation * speed


def _parallel(machine: Machine) -> bool:
    return bool(machine.launch) or any(code.launch for code in machine.codes.values())


def usable_s(machine: Machine) -> float:
    """Return how long (s) a job of a machine computes."""
    return float(max(machine.wall_time - machine.grace, 1))


def waiting(machine: Machine, speed: float, runtime: Runtime) -> dict[str, Waiting]:
    """Return what waits for shared jobs and for whole ones."""
    most = threshold_core_seconds(machine, speed)
    some, longer = runtime.store.board.waiting_for(machine.name, most)
    return {SHARED: some, WHOLE: longer}


def jobs_wanted(machine: Machine, kind: str, work: Waiting, speed: float) -> int:
    """Return how many jobs of a kind the waiting work is worth, whatever is in the queue already.

    Each should have work for half an hour (or its whole time, where that is less), and none be without a calculation.
    """
    if work.count == 0:
        return 0
    slots = 1 if kind == WHOLE else machine.calculations_at_once
    cores = machine.nodes * machine.cores if kind == WHOLE else machine.cores_per_calculation
    seconds = work.core_seconds / (speed * cores)
    by_work = math.ceil(seconds / (slots * min(LEAST_BUSY_S, usable_s(machine))))
    return max(1, min(by_work, math.ceil(work.count / slots)))


@dataclass(frozen=True)
class Known:
    """A job that megabar submitted, as stored: ``identifier`` is the scheduler's."""

    machine: str
    identifier: str
    kind: str
    state: str
    reason: str = ""


def known_jobs(machine: str, runtime: Runtime, user: str) -> list[Known]:
    """Return the jobs of a machine that a user submitted and that had not ended when last looked at."""
    query = {"machine": machine, "user": user, "state": {"$in": ["pending", "running"]}}
    return [
        Known(each["machine"], each["identifier"], each["kind"], each["state"], each.get("reason", ""))
        for each in runtime.store.database.jobs.find(query)
    ]


def note_submitted(
    machine: Machine, kind: str, identifiers: Sequence[str], logs: Sequence[Path], user: str, runtime: Runtime
) -> None:
    """Store jobs that were submitted."""
    for identifier, log in zip(identifiers, logs, strict=True):
        content: dict[str, Any] = {
            "machine": machine.name,
            "identifier": identifier,
            "user": user,
            "kind": kind,
            "state": "pending",
            "reason": "",
            "log": str(log),
        }
        runtime.store.database.jobs.update_one(
            {"_id": f"{machine.name}:{identifier}"},
            {"$set": content, "$currentDate": {"submitted": True, "changed": True}},
            upsert=True,
        )


def note_states(machine: Machine, queued: Sequence[QueuedJob], runtime: Runtime, user: str) -> list[Known]:
    """Store the states that the scheduler tells, and return the jobs that have not ended.

    The workers of jobs that have ended are no more, whatever they said last.
    """
    runtime.store.note_look(machine.name)
    there = {job.identifier: job for job in queued}
    alive, ended = [], []
    for job in known_jobs(machine.name, runtime, user):
        now = there.get(job.identifier)
        state, reason = (now.state, now.reason) if now else ("ended", "")
        if (state, reason) != (job.state, job.reason):
            runtime.store.database.jobs.update_one(
                {"_id": f"{machine.name}:{job.identifier}"},
                {"$set": {"state": state, "reason": reason}, "$currentDate": {"changed": True}},
            )
        if state == "ended":
            ended.append(job.identifier)
        else:
            alive.append(Known(job.machine, job.identifier, job.kind, state, reason))
    workers = runtime.store.database.workers.find({"machine": machine.name, "job": {"$in": ended}}, {"_id": 1})
    runtime.presence.forget(each["_id"] for each in workers)
    return alive


def note_cancelled(machine: Machine, identifiers: Sequence[str], runtime: Runtime) -> None:
    """Store that jobs were cancelled."""
    query = {"_id": {"$in": [f"{machine.name}:{identifier}" for identifier in identifiers]}}
    change = {"$set": {"state": "ended", "reason": "cancelled"}, "$currentDate": {"changed": True}}
    runtime.store.database.jobs.update_many(query, change)


def requests(
    machine: Machine, kind: str, count: int, logs: Path, folder: Path, environment: dict[str, str]
) -> list[JobRequest]:
    """Return the requests for so many jobs of a kind, in arrays as large as the machine takes."""
    made = []
    while count > 0:
        array = min(count, machine.jobs_per_array)
        made.append(
            JobRequest(
                name=f"megabar-{kind}",
                machine=machine,
                command=(*machine.command, "worker", "--machine", machine.name, "--kind", kind),
                logs=logs,
                array=array,
                environment=environment,
                folder=folder,
            )
        )
        count -= array
    return made
