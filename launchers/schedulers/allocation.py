"""The job that a process runs in: which it is, what it has, and how long it lasts.

Time is counted from the start of the job by the node's uptime, which no change of its clock moves.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from megabar.launchers.schedulers.commands import run
from megabar.launchers.schedulers.interface import Scheduler, whole
from megabar.launchers.schedulers.registry import SCHEDULERS
from megabar.structures.errors import SetupError

ASK_TIMEOUT_S = 15.0
UPTIME = Path("/proc/uptime")


@dataclass(frozen=True)
class Allocation:
    """The job that this process runs in.

    scheduler: its name. job: identifier as in ``own_jobs``. machine: as described, empty where the job is not ours.
    cores: on its first node, None where unknown. ends: uptime (s) at its end, None without a known one.
    length_s: all of its wall time (s). grace_s: how long before the end it should stop (s), None where not ours.
    """

    scheduler: str
    job: str
    machine: str = ""
    cores: int | None = None
    ends: float | None = None
    length_s: float | None = None
    grace_s: float | None = None

    def seconds_left(self) -> float | None:
        """Return how long the job still lasts (s), None without a known end."""
        return None if self.ends is None else self.ends - uptime()


def allocation(environment: Mapping[str, str] | None = None) -> Allocation | None:
    """Return the job that this process runs in, None outside a job.

    In a job that megabar did not submit the scheduler is asked how long it lasts.
    """
    environment = os.environ if environment is None else environment
    for name, scheduler in SCHEDULERS.items():
        job = scheduler.own_id(environment)
        if job is None:
            continue
        cores = scheduler.own_cores(environment)
        if environment.get("MEGABAR_JOB_ID") == job:
            return _ours(name, job, cores, environment)
        left = _ask(scheduler, job)
        return Allocation(name, job, cores=cores, ends=None if left is None else uptime() + left, length_s=left)
    if environment.get("MEGABAR_JOB_ID") == str(os.getpid()):  # started by a machine without scheduler, by exec
        return _ours("none", str(os.getpid()), None, environment)
    return None


def _ours(name: str, job: str, cores: int | None, environment: Mapping[str, str]) -> Allocation:
    length = float(environment["MEGABAR_JOB_SECONDS"])
    return Allocation(
        scheduler=name,
        job=job,
        machine=environment["MEGABAR_JOB_MACHINE"],
        cores=cores or whole(environment.get("MEGABAR_JOB_CORES")),
        ends=float(environment["MEGABAR_JOB_BEGAN"]) + length,
        length_s=length,
        grace_s=float(environment["MEGABAR_JOB_GRACE"]),
    )


def _ask(scheduler: Scheduler, job: str) -> int | None:
    words = scheduler.time_left(job)
    if not words:
        return None
    try:
        return scheduler.seconds_left(run(scheduler, words, ASK_TIMEOUT_S))
    except SetupError:
        return None


def uptime() -> float:
    """Return how long this computer runs (s), as the job script reads it."""
    try:
        return float(UPTIME.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return time.monotonic()
