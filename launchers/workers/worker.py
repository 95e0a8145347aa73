"""A worker process: takes fireworks from the LaunchPad and runs them, one after the other, until it is told to stop."""

from __future__ import annotations

import fcntl
import json
import math
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from pymongo.errors import PyMongoError

from megabar.launchers.database.sharing import system_user
from megabar.structures.threads import limit as limit_threads
from megabar.workflows.config import Config
from megabar.workflows.driver import advance_all, advance_if_it_can, recover_lost
from megabar.workflows.outages import is_outage
from megabar.workflows.places import shorten_temporary_folder
from megabar.workflows.queue.submission import submit_again
from megabar.workflows.queue.taking import of_machine, of_study, run_next
from megabar.workflows.secrecy import hidden
from megabar.workflows.stopping import Control

if TYPE_CHECKING:
    from megabar.workflows.presence import Worker
    from megabar.workflows.runtime import Runtime

IDLE_SECONDS = 0.1
LONGEST_IDLE_SECONDS = 1.0
CARE_SECONDS = 10.0
LONGEST_TROUBLE_SECONDS = 60.0
PREPARED_SECONDS = 1.0
SAFETY = 1.5
"""Estimates are believed to within this factor."""
GONE_FILE = "workers"
STARTING_SECONDS = 60.0


def lock_path(config: Config, name: str) -> Path:
    """Return the file that a worker of a name keeps locked while it lives."""
    return config.data / GONE_FILE / f"{name}.lock"


def is_gone(config: Config, name: str) -> bool:
    """Return whether a worker of this host and data folder is known to live no more: its lock is free."""
    if not name.startswith(f"{platform.node()}-"):
        return False
    try:
        with lock_path(config, name).open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return False
    lock_path(config, name).unlink(missing_ok=True)
    return True


def sweep_locks(config: Config) -> None:
    """Remove the locks that workers of this host have left which were killed; of those that start now none is old."""
    for path in (config.data / GONE_FILE).glob(f"{platform.node()}-*.lock"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > STARTING_SECONDS:
                is_gone(config, path.stem)


@dataclass(frozen=True)
class Assignment:
    """What a worker process is to do.

    code: adapter to import beforehand. study: identifier of the one whose calculations it takes, else it takes those
    of a machine, with more than ``above`` and at most ``most`` core-seconds of the cost model; speed: how many of
    these a core does in a second here. job: the queue's job that it runs in; cores: of each calculation.
    ends: when its time is over (``time.monotonic()``, which is the same for all processes of a computer: however long a
    worker took to start, it ends in time); length_s: the wall time of a whole job. patience_s: how long a gentle stop
    may take. idle_s: it ends after so long without work.
    parent: the process that started it, with which it ends, None where it does not.
    """

    code: str
    study: str = ""
    machine: str = ""
    above: float = -1.0
    most: float = math.inf
    speed: float = 1.0
    job: str = ""
    cores: int = 1
    ends: float = math.inf
    length_s: float = math.inf
    patience_s: float = 5.0
    idle_s: float = math.inf
    parent: int | None = None

    def as_json(self) -> str:
        """Return the task as the argument of a worker process."""
        return json.dumps({name: value for name, value in asdict(self).items() if value != math.inf})


@contextmanager
def alive(config: Config, name: str) -> Iterator[None]:
    """Hold the lock that says that this worker lives; the kernel lets go of it however the worker ends."""
    path = lock_path(config, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def work(config: Config, assignment: Assignment) -> None:
    """Run fireworks until told to stop (SIGTERM, SIGUSR1, SIGUSR2, SIGINT), out of time, or out of work.

    A calculation that runs then is stopped gently, given back, and goes on elsewhere later.
    """
    from megabar.launchers.database.configured import wait_until_reachable
    from megabar.launchers.database.embedded import database_session
    from megabar.workflows.isolation import die_with_parent, fork_server, run_isolated
    from megabar.workflows.presence import Worker
    from megabar.workflows.queue.opening import launchpad
    from megabar.workflows.runtime import Runtime, use
    from megabar.workflows.store import ResultStore

    control = Control(ends=assignment.ends, patience_s=assignment.patience_s)

    def stop(number: int, frame: FrameType | None) -> None:
        control.interrupt()

    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM):
        signal.signal(number, stop)
    if not math.isinf(assignment.ends):  # the planning of a large study ends then too
        signal.setitimer(signal.ITIMER_REAL, max(0.1, assignment.ends - assignment.patience_s - time.monotonic()))
    signal.signal(signal.SIGINT, signal.SIG_IGN if assignment.parent else stop)
    if assignment.parent:
        die_with_parent(signal.SIGTERM, assignment.parent)
    name = f"{platform.node()}-{os.getpid()}-{int(time.time())}"
    shorten_temporary_folder()
    context = fork_server(assignment.code)
    if not wait_until_reachable(config.database.uri, config.database.name, lambda: control.stopping):
        return
    with alive(config, name), database_session(config) as address:
        os.chdir(config.data / GONE_FILE)
        runtime = Runtime(
            store=ResultStore.connect(address.uri, address.name),
            launchpad=launchpad(address.uri, address.name),
            config=config,
            run=lambda folder, _: run_isolated(context, folder, config, control),
            owner=name,
            control=control,
            cores=assignment.cores,
        )
        use(runtime)
        worker = Worker(
            name, platform.node(), os.getpid(), system_user(), assignment.machine, assignment.job, assignment.cores
        )
        with heard(worker, runtime):
            _loop(runtime, assignment)


def _loop(runtime: Runtime, assignment: Assignment) -> None:
    """Take one firework after the other; between them see to what others have left behind."""
    idle, outage, cared, worked = IDLE_SECONDS, False, time.monotonic(), time.monotonic()
    control = runtime.control
    while not control.stopping:
        try:
            if outage:
                give_back_own(runtime)
                outage = False
            if _take(runtime, assignment):
                idle, worked = IDLE_SECONDS, time.monotonic()
                continue
            if time.monotonic() - cared > CARE_SECONDS:
                cared = time.monotonic()
                care(runtime, assignment)
                if assignment.job and not runtime.store.unfinished(assignment.machine):
                    return
        except PyMongoError as error:
            outage = True
            if not is_outage(error):
                control.trouble = hidden(f"the database: {type(error).__name__}: {error}")
        if time.monotonic() - worked > assignment.idle_s:
            return
        _pause(idle, control)
        idle = min(LONGEST_TROUBLE_SECONDS if control.trouble or outage else LONGEST_IDLE_SECONDS, 1.5 * idle)


def _pause(seconds: float, control: Control) -> None:
    until = time.monotonic() + seconds
    while not control.stopping and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))


def _take(runtime: Runtime, assignment: Assignment) -> bool:
    """Run the next firework that fits into the time left, and return whether there was one that could be run."""
    control = runtime.control
    control.reset()
    # The job and cores are kept with each attempt, for those who ask later where it ran and what it cost.
    query, env = _fitting(assignment, control.to_avoid()), {"job": assignment.job, "cores": assignment.cores}
    found = run_next(runtime.launchpad, runtime.owner, query, env)
    control.idle = not found
    if control.claimed:
        # FireWorks keeps the exceptions of a task to itself: one of an outage may have left a claim that nobody uses.
        runtime.presence.release_all(runtime.owner)
        control.claimed = False
    given_back = control.unfinished or control.left
    if given_back is not None and given_back != control.unwanted:
        submit_again(given_back, runtime)  # what was stopped or left here is for another worker at once
    elif given_back is not None:
        advance_all(given_back, runtime)  # another study may want it
    return bool(found) and not control.trouble


def give_back_own(runtime: Runtime) -> None:
    """Give back what this worker holds without running it: an outage of the database may have left it so."""
    runtime.presence.release_all(runtime.owner)
    runtime.store.board.give_back_of(runtime.owner)


def _fitting(assignment: Assignment, avoided: Sequence[str] = ()) -> dict[str, Any]:
    """Return the query of the fireworks that this worker may take now, without calculations that it leaves to others.

    A calculation longer than what is left of a job is begun in the first half of one only: it goes on in the next.
    """
    if assignment.study:
        return of_study(assignment.study, avoided)
    left, most = assignment.ends - assignment.patience_s - time.monotonic(), assignment.most
    if left < assignment.length_s / 2 and not math.isinf(assignment.ends):
        most = min(most, left * assignment.cores * assignment.speed / SAFETY)
    return of_machine(assignment.machine, assignment.above, most, avoided)


def care(runtime: Runtime, assignment: Assignment) -> None:
    """Take back what lost workers held, and let the unfinished studies that this worker works for go on."""
    recover_lost(runtime, lambda name: is_gone(runtime.config, name))
    for identifier in [assignment.study] if assignment.study else runtime.store.unfinished(assignment.machine):
        advance_if_it_can(identifier, runtime)


@contextmanager
def heard(worker: Worker, runtime: Runtime) -> Iterator[None]:
    """Let the database hear of this worker every few seconds while the block runs."""
    from megabar.workflows.presence import BEAT_SECONDS

    presence, control, ended = runtime.presence, runtime.control, threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_SECONDS):
            with suppress(PyMongoError):
                presence.beat(worker, control.running, control.complaint)
                key = control.running
                if key is not None and runtime.store.unwanted(key):
                    control.unwanted = key

    presence.announce(worker)
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        with suppress(PyMongoError):
            give_back_own(runtime)
            presence.leave(worker.name)


def main() -> None:
    """Start a worker process: configuration (JSON) on standard input, what it is to do as JSON argument."""
    limit_threads()
    assignment = Assignment(**json.loads(sys.argv[1]))
    work(
        Config.model_validate_json(sys.stdin.buffer.read()),
        replace(assignment, ends=assignment.ends - PREPARED_SECONDS),
    )
