"""What `megabar cancel` and `megabar retry` do, apart from printing."""

from __future__ import annotations

from dataclasses import dataclass

from megabar.launchers.database.open_runtime import open_runtime
from megabar.launchers.database.sharing import check_may_change, current_user, system_user
from megabar.launchers.database.stored import check_phase, check_there, find_study
from megabar.launchers.machines.description import load_machines
from megabar.launchers.schedulers.queue import cancel as cancel_jobs
from megabar.launchers.workers.feeding import known_jobs, note_cancelled, waiting
from megabar.launchers.workers.queueing import speed_on
from megabar.launchers.workers.worker import is_gone
from megabar.structures.errors import InputError, SetupError
from megabar.workflows.cancelling import cancel
from megabar.workflows.config import load_config
from megabar.workflows.driver import advance, recover_lost
from megabar.workflows.retrying import failed_of, forget_failures
from megabar.workflows.runtime import Runtime
from megabar.workflows.standing import running_now, workers_of


@dataclass(frozen=True)
class Cancelled:
    """What cancelling a study came to.

    complete: it was complete, and nothing was done. waiting: calculations that wait no more. stopping: those that run
    and were told to stop; shared: those that run on, for other studies. jobs: cancelled in the queue. said: what kept
    more from being cancelled there.
    """

    study: str
    complete: bool = False
    waiting: int = 0
    stopping: int = 0
    shared: int = 0
    jobs: int = 0
    said: str = ""


def cancel_study(name: str, force: bool) -> Cancelled:
    """Run nothing more for a study (its file, name or identifier); raises InputError where it is somebody else's."""
    config = load_config()
    check_there(config)
    with open_runtime(config) as runtime:
        study = find_study(name, runtime.store)
        check_may_change(study, current_user(config, runtime.store.client), force)
        if study.complete:
            return Cancelled(study.identifier, complete=True)
        recover_lost(runtime, lambda worker: is_gone(config, worker))
        done = cancel(study.identifier, runtime)
        jobs, said = _cancel_jobs(study.machine, runtime) if study.machine else (0, "")
        return Cancelled(study.identifier, False, done.waiting, len(done.stopping), done.shared, jobs, said)


def _cancel_jobs(name: str, runtime: Runtime) -> tuple[int, str]:
    """Cancel this user's jobs on a machine that have nothing left to do; return how many, and what hindered it.

    A job whose calculations were just told to stop ends by itself, once these have kept what they need.
    """
    known = known_jobs(name, runtime, system_user())
    if not known:
        return 0, ""
    try:
        machine = load_machines().named(name)
        work = waiting(machine, speed_on(machine, runtime), runtime)
        busy = {each.job for each in running_now(runtime.store, workers_of(runtime.store)) if not each.lost}
        idle = [job.identifier for job in known if work[job.kind].count == 0 and job.identifier not in busy]
        gone = cancel_jobs(machine, idle) if idle else []
    except (InputError, SetupError) as error:
        return 0, f"its jobs stay in the queue, and end when they find nothing to do: {error}"
    note_cancelled(machine, gone, runtime)
    return len(gone), ""


@dataclass(frozen=True)
class Retried:
    """Calculations of a study that had failed and are tried again, and the machine whose workers do it."""

    study: str
    calculations: int
    machine: str


def retry_study(name: str, phase: str | None, force: bool) -> Retried:
    """Have the failed calculations of a study, or of one of its phases, tried again.

    Raises InputError where the study is somebody else's or cancelled, or has no such phase.
    """
    config = load_config()
    check_there(config)
    with open_runtime(config) as runtime:
        study = find_study(name, runtime.store)
        check_may_change(study, current_user(config, runtime.store.client), force)
        check_phase(study, phase)
        if study.cancelled:
            raise InputError(
                f"{study.identifier} is cancelled; take it up again with `megabar submit` or `megabar run`"
            )
        failed = failed_of(study.identifier, phase, runtime.store)
        forget_failures(failed, study.identifier, runtime)
        if failed:
            advance(study.identifier, runtime)
        return Retried(study.identifier, len(failed), study.machine)
