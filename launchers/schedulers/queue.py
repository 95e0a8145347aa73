"""Submits, lists and cancels jobs on a machine, whatever its scheduler is."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from megabar.launchers.machines.description import Machine
from megabar.launchers.schedulers.commands import in_one_sentence, run
from megabar.launchers.schedulers.interface import JobRequest, QueuedJob, Scheduler
from megabar.launchers.schedulers.registry import scheduler_of
from megabar.launchers.schedulers.script import job_script
from megabar.structures.errors import SetupError
from megabar.workflows.files import write_atomically

CANCELLED_AT_ONCE = 200


@dataclass(frozen=True)
class Submission:
    """What was submitted.

    identifiers: of the jobs, those of an array's elements one by one, as ``own_jobs`` has them. logs: their outputs.
    """

    identifiers: tuple[str, ...]
    script: Path
    logs: tuple[Path, ...]


def write_script(request: JobRequest) -> Path:
    """Write the script of a request where its output goes, and return it; raises InputError as ``job_script``."""
    text = job_script(request)
    path = request.logs / f"{request.name}.sh"
    try:
        request.logs.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_atomically(path, text)
    except OSError as error:
        raise SetupError(f"the script {path} cannot be written ({error.strerror})") from None
    return path


def submit(request: JobRequest) -> Submission:
    """Submit a request; raises InputError where it is none, SetupError in the scheduler's words where that refuses it.

    After SchedulerBusy the job may be there nevertheless: ``own_jobs`` tells, by its name.
    """
    scheduler = scheduler_of(request.machine)
    script = write_script(request)
    words = scheduler.submission(script, request)
    said = run(scheduler, words)
    identifier = scheduler.job_id(said)
    if identifier is None:
        raise SetupError(
            f"{scheduler.TITLE} does not tell the new job's number: {in_one_sentence(said) or 'no answer'}"
        )
    identifiers = scheduler.elements(identifier, request.array) if request.array > 1 else [identifier]
    return Submission(tuple(identifiers), script, tuple(request.log(each) for each in identifiers))


def own_jobs(machine: Machine) -> list[QueuedJob]:
    """Return all of the user's jobs that the scheduler has, in one call; one that is not there any more has ended.

    Raises SetupError where the scheduler does not answer: nothing is known then, and no job may be taken for ended.
    """
    scheduler = scheduler_of(machine)
    said = run(scheduler, scheduler.listing(_user()))
    try:
        return scheduler.jobs(said)
    except (ValueError, KeyError) as error:
        raise SetupError(f"{scheduler.TITLE}'s list of jobs cannot be read: {error}") from None


def cancel(machine: Machine, identifiers: Iterable[str]) -> list[str]:
    """Cancel jobs, and return those that had not ended before; raises SetupError where the scheduler refuses."""
    wanted = set(identifiers)
    there = [job.identifier for job in own_jobs(machine) if job.identifier in wanted and job.state != "ended"]
    scheduler = scheduler_of(machine)
    for start in range(0, len(there), CANCELLED_AT_ONCE):
        _cancel_some(machine, scheduler, there[start : start + CANCELLED_AT_ONCE])
    return there


def _cancel_some(machine: Machine, scheduler: Scheduler, identifiers: list[str]) -> None:
    try:
        run(scheduler, scheduler.cancellation(identifiers))
    except SetupError:
        # One that ended meanwhile makes the whole command fail.
        left = {job.identifier for job in own_jobs(machine) if job.state == "pending"} & set(identifiers)
        if left:
            raise


def _user() -> str:
    """Return the user's name, from where schedulers have it too."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
