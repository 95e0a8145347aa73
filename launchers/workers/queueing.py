"""What `megabar submit`, `megabar queue` and `megabar worker` do."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from pymongo.errors import PyMongoError

from megabar.launchers.cli import interrupts
from megabar.launchers.database.configured import check_reachable, wait_until_reachable
from megabar.launchers.database.data_folder import check_data_folder
from megabar.launchers.database.embedded import explain_outage
from megabar.launchers.database.open_runtime import open_runtime
from megabar.launchers.database.sharing import system_user
from megabar.launchers.machines.description import Machine, Machines, config_on, load_machines
from megabar.launchers.machines.jobs import job_environment
from megabar.launchers.machines.remarks import check_limits
from megabar.launchers.schedulers.allocation import Allocation, allocation
from megabar.launchers.schedulers.interface import SchedulerBusy
from megabar.launchers.schedulers.queue import own_jobs, submit
from megabar.launchers.workers.feeding import (
    WHOLE,
    jobs_wanted,
    note_states,
    note_submitted,
    requests,
    threshold_core_seconds,
    usable_s,
    waiting,
)
from megabar.launchers.workers.local import WorkerPool, check_no_other, register
from megabar.launchers.workers.worker import Assignment, is_gone
from megabar.structures.errors import InputError
from megabar.workflows.config import Config, load_config
from megabar.workflows.cost import speed
from megabar.workflows.driver import advance, advance_if_it_can, recover_lost, retry_crashed
from megabar.workflows.kinds.registry import load_study, resolve
from megabar.workflows.outages import is_outage
from megabar.workflows.runtime import Runtime

IDLE_IN_JOB_S = 120.0
LOGS = "jobs"


@dataclass(frozen=True)
class Submitted:
    """What putting a study into the database came to: calculations asked for so far, and those that are there."""

    identifier: str
    machine: str
    calculations: int
    stored: int
    complete: bool


def submit_study(path: Path, machine_name: str) -> Submitted:
    """Put a study into the database, for workers of a machine ("" for those started by hand)."""
    file = load_study(path)
    config = load_config()
    if machine_name:
        config = config_on(load_machines().named(machine_name), config)
    check_data_folder(config)
    plan = resolve(file, config)
    with open_runtime(config) as runtime:
        check_no_other(file, runtime)
        identifier = register(file, plan, runtime, machine_name)
        retry_crashed(identifier, runtime)
        advance(identifier, runtime)
        study = runtime.store.get_study(identifier)
        assert study is not None
        wanted = set(study.wanted)
        return Submitted(identifier, machine_name, len(wanted), len(runtime.store.ended(list(wanted))), study.complete)


@dataclass(frozen=True)
class Fed:
    """How a machine's queue stands after it was looked at: calculations and jobs; what the scheduler said, if busy."""

    machine: str
    waiting: int
    running: int
    jobs_pending: int
    jobs_running: int
    submitted: int
    unfinished_studies: int
    said: str = ""


def feed_queue(name: str, once: bool, every_s: float) -> Iterator[Fed]:
    """Keep the queue of a machine fed, and yield how it stands each time; ends when nothing more is wanted, or once."""
    machines = load_machines()
    machine = machines.named(name)
    config = load_config()
    check_data_folder(config)
    _check_address(config)
    check_limits(machine)
    with open_runtime(config) as runtime:
        while True:
            try:
                fed = _feed(machine, machines, runtime)
            except PyMongoError as error:
                if once or not is_outage(error):
                    raise
                # Nothing depends on it: jobs run on, and it feeds again when the database is back.
                print(f"megabar queue: {explain_outage(config)}; it waits", file=sys.stderr, flush=True)
                time.sleep(every_s)
                continue
            yield fed
            if once or (fed.unfinished_studies == 0 and fed.jobs_pending + fed.jobs_running == 0):
                return
            time.sleep(every_s)


def _feed(machine: Machine, machines: Machines, runtime: Runtime) -> Fed:
    """Take back what is lost, let the studies of a machine go on, and submit the jobs that are worth it."""
    user = system_user()
    try:
        jobs = note_states(machine, own_jobs(machine), runtime, user)
    except SchedulerBusy as busy:
        return _standing(machine, runtime, [], 0, str(busy))
    recover_lost(runtime, lambda worker: is_gone(runtime.config, worker))
    for identifier in runtime.store.unfinished(machine.name):
        advance_if_it_can(identifier, runtime)
    rate = speed_on(machine, runtime)
    submitted, said = 0, ""
    for kind, work in waiting(machine, rate, runtime).items():
        wanted = jobs_wanted(machine, kind, work, rate) - sum(job.kind == kind for job in jobs)
        wanted = min(wanted, machine.most_jobs - len(jobs) - submitted)
        for request in requests(
            machine, kind, wanted, _logs(runtime, machine), Path.cwd(), job_environment(machines, runtime.config)
        ):
            try:
                made = submit(request)
            except SchedulerBusy as busy:
                said = str(busy)
                break
            note_submitted(machine, kind, made.identifiers, made.logs, user, runtime)
            submitted += request.array
    return _standing(machine, runtime, [job.state for job in jobs] + ["pending"] * submitted, submitted, said)


def _standing(machine: Machine, runtime: Runtime, states: list[str], submitted: int, said: str) -> Fed:
    count = Counter(states)
    waits, runs = runtime.store.board.counts(machine.name)
    return Fed(
        machine=machine.name,
        waiting=waits,
        running=runs,
        jobs_pending=count["pending"],
        jobs_running=count["running"],
        submitted=submitted,
        unfinished_studies=len(runtime.store.unfinished(machine.name)),
        said=said,
    )


def speed_on(machine: Machine, runtime: Runtime) -> float:
    """Return the speed (``cost.speed``) with the code of most of what waits for a machine."""
    code = runtime.store.board.next_code(machine.name)
    return speed(runtime.store, code) if code else 1.0


def _logs(runtime: Runtime, machine: Machine) -> Path:
    return runtime.config.data / LOGS / machine.name


def _check_address(config: Config) -> None:
    """Raise InputError where jobs would not find the database, as its address is in a variable of this shell."""
    if os.environ.get("MEGABAR_DATABASE_URI") and config.database.uri_file is None:
        raise InputError(
            "MEGABAR_DATABASE_URI holds the database's address, and a job's script may not, as others can read it; put "
            "the address into a file that only you can read and name that in MEGABAR_DATABASE_URI_FILE"
        )


def work_here(name: str, kind: str, count: int | None, seconds: float | None) -> None:
    """Work for a machine, or for studies submitted to none, in the job or on the computer that this runs on.

    count: calculations at once, by default as many as the machine's description or this computer has room for.
    Ends when the job does, when told to, or, in a job, when there is nothing to do.
    """
    machine = load_machines().named(name) if name else None
    job = allocation()
    config = load_config()
    if machine is not None:
        wide = machine.model_copy(update={"cores_per_calculation": machine.nodes * machine.cores})
        config = config_on(wide if kind == WHOLE else machine, config)
    check_data_folder(config)
    if config.database.uri and job is None:
        check_reachable(config.database.uri, config.database.name)
    elif not wait_until_reachable(config.database.uri, config.database.name, lambda: _is_over(job)):
        return
    assignment = _assignment(machine, kind, job, config, seconds)
    slots = count or (config.workers if machine is not None else None) or os.cpu_count() or 1
    _supervise(WorkerPool(config, assignment, slots), job)


def _is_over(job: Allocation | None) -> bool:
    """Return whether a job has no time left to compute in."""
    left = job.seconds_left() if job else None
    return job is not None and left is not None and left < (job.grace_s or 0.0)


def _assignment(
    machine: Machine | None, kind: str, job: Allocation | None, config: Config, seconds: float | None
) -> Assignment:
    now, left = time.monotonic(), job.seconds_left() if job else None
    ends = now + min((each for each in (seconds, left) if each is not None), default=math.inf)
    if machine is None:
        idle = IDLE_IN_JOB_S if job else math.inf
        return Assignment(code="emt", ends=ends, idle_s=idle, job=job.job if job else "", parent=os.getpid())
    with open_runtime(config) as runtime:
        rate = speed_on(machine, runtime)
    most = threshold_core_seconds(machine, rate)
    whole = kind == WHOLE
    return Assignment(
        code=_code(machine),
        machine=machine.name,
        above=most if whole else -1.0,
        most=math.inf if whole else most,
        speed=rate,
        job=job.job if job else "",
        cores=machine.nodes * machine.cores if whole else machine.cores_per_calculation,
        ends=ends,
        length_s=usable_s(machine),
        patience_s=max(5.0, 0.6 * machine.grace),
        idle_s=IDLE_IN_JOB_S if job else math.inf,
        parent=os.getpid(),
    )


def _code(machine: Machine) -> str:
    return next(iter(machine.codes), "gpaw")


def _supervise(pool: WorkerPool, job: Allocation | None) -> None:
    """Keep workers going until they end by themselves or this process is told to stop; then see that they do.

    Raises KeyboardInterrupt where it was told by Ctrl-C.
    """
    told = 0
    patience_s = pool.assignment.patience_s + 10.0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal told
        told = number
        if number == signal.SIGINT:
            interrupts.answer()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU):
        signal.signal(number, stop)
    with interrupts.waiting_for(f"the calculations that run are stopped, to go on later, within {patience_s:.0f} s"):
        pool.fill()
        while not told:
            time.sleep(0.5)
            pool.fill()  # those that died are replaced, those that ended by themselves are not
            if all(process.poll() is not None for process in pool.processes):
                break
        pool.stop(patience_s)
    if told == signal.SIGINT:
        raise KeyboardInterrupt
    print(f"megabar worker: {'told to stop' if told else 'nothing more to do'}", file=sys.stderr)
