"""Runs a study here to its end: submits it, keeps local workers going, and sees to what they leave behind."""

from __future__ import annotations

import math
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from megabar.launchers.database.patience import patiently
from megabar.launchers.database.sharing import check_may_replan, current_user, may_change
from megabar.launchers.seeing.status import status_in
from megabar.launchers.workers.worker import Assignment, is_gone, sweep_locks
from megabar.structures.errors import InputError, SetupError
from megabar.structures.threads import limited
from megabar.workflows.cancelling import withdraw
from megabar.workflows.config import Config
from megabar.workflows.driver import advance, recover_lost
from megabar.workflows.kinds.interface import Plan
from megabar.workflows.kinds.registry import plan_of
from megabar.workflows.question import StudyFile
from megabar.workflows.runtime import Runtime
from megabar.workflows.size import check_size
from megabar.workflows.store import StudyRecord
from megabar.workflows.sweeping import sweep_pieces

POLL_SECONDS = 0.25
CARE_SECONDS = 2.0
LOOK_SECONDS = 15.0
MOST_DEATHS, DEATHS_WITHIN_S = 20, 600.0
"""Workers that die more often than that will not live next time either; a few in weeks are nothing."""
T = TypeVar("T")
WORKER = "from megabar.launchers.workers.worker import main; main()"


def register(file: StudyFile[Any], plan: Plan, runtime: Runtime, machine: str | None = "") -> str:
    """Store a study as it is asked for and planned, and return its identifier.

    machine: whose queue it is for, "" for workers started by hand, None for where it is already.
    A study that is there already goes on; where its plan has changed (another version of the code, other data)
    it starts anew, and results computed the old way are left alone; the user is told of that and of a move. Raises
    InputError where that would take another user's study away.
    """
    identifier, user = file.identifier, current_user(runtime.config, runtime.store.client)
    known = runtime.store.get_study(identifier)
    anew = known is not None and plan_of(known).fingerprint != plan.fingerprint
    if known is not None and anew:
        check_may_replan(known, user)
        _tell(f"{identifier} was planned otherwise (another version of us or its code, or other data); it begins anew")
        known = None
    if machine is None:
        machine = known.machine if known is not None and not known.cancelled else ""
    elif known is not None and not known.complete and known.machine != machine:
        before, now = (f"the queue of {each}" if each else "workers here" for each in (known.machine, machine))
        _tell(f"{identifier} was for {before}, and is for {now} from now on")
    # Renewed also where it is known: its data may lie elsewhere now, as after an import, and what is wanted is worked
    # out anew, as the rules may have changed.
    record = record_of(file, plan, user, machine)
    check_size(record, file.path)
    runtime.store.put_study(record, anew)
    if anew:
        withdraw(identifier, runtime)
    # What waits already, it may be for another machine, waits for this one from now on.
    runtime.store.board.assign(identifier, machine)
    return identifier


def record_of(file: StudyFile[Any], plan: Plan, owner: str = "", machine: str = "") -> StudyRecord:
    """Return a study as it is stored before anything is wanted; the arguments are those of ``register``."""
    return StudyRecord(
        identifier=file.identifier,
        name=file.name,
        kind=file.study.kind,
        definition=file.study.model_dump(mode="json", by_alias=True),
        resolved=plan.to_dict(),
        owner=owner,
        machine=machine,
    )


def check_no_other(file: StudyFile[Any], runtime: Runtime) -> None:
    """Raise InputError where a study of one's own that has the same name and other content is not complete.

    An edited file is another study; both in a queue would be a mistake that costs weeks.
    """
    user = current_user(runtime.config, runtime.store.client)
    for other in runtime.store.unfinished_named(file.name):
        if other.identifier != file.identifier and may_change(other, user):
            raise InputError(
                f"{file.path}: a study of this name that asks for something else is not complete, {other.identifier}; "
                f"end it with `megabar cancel {other.identifier}` (its results stay), or give this file another name"
            )


def _tell(sentence: str) -> None:
    print(f"megabar: {sentence}", file=sys.stderr)


@dataclass
class WorkerPool:
    """Worker processes on this computer, all with one task; those that die are replaced, while there is time."""

    config: Config
    assignment: Assignment
    count: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    deaths: list[float] = field(default_factory=list)

    @property
    def lasting(self) -> bool:
        """Whether a worker ends only when it is told to: its task has no end of its own."""
        return math.isinf(self.assignment.ends) and math.isinf(self.assignment.idle_s)

    def fill(self) -> None:
        """Start workers until there are as many as wanted, while there is time.

        Those that ended by themselves, out of time or work, stay away.
        Raises SetupError where they die again and again, with the end of their log.
        """
        ended = [each for each in self.processes if each.poll() is not None]
        dead = [each for each in ended if each.returncode != 0 or self.lasting]
        if time.monotonic() > self.assignment.ends:
            return
        self.processes = [each for each in self.processes if each not in dead]
        now = time.monotonic()
        self.deaths = [each for each in self.deaths if now - each < DEATHS_WITHIN_S] + [now] * len(dead)
        if len(self.deaths) > MOST_DEATHS:
            raise SetupError(f"the workers die again and again; their log is {self.log}:\n{self._end_of_log()}")
        while len(self.processes) < self.count:
            self.processes.append(self._start())

    @property
    def log(self) -> Path:
        """File that the workers write what they say to."""
        return self.config.data / "workers" / "workers.log"

    def _start(self) -> subprocess.Popen[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        environment = limited(os.environ)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", WORKER, self.assignment.as_json()],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        assert process.stdin is not None
        process.stdin.write(self.config.model_dump_json().encode())
        process.stdin.close()
        return process

    def stop(self, patience_s: float = 10.0) -> None:
        """Stop all workers; the calculations that run are stopped with them and go on next time."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        until = time.monotonic() + patience_s
        for process in self.processes:
            try:
                process.wait(timeout=max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()

    def _end_of_log(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])


@contextmanager
def worker_pool(config: Config, assignment: Assignment) -> Iterator[WorkerPool]:
    """Have local workers while the block runs."""
    pool = WorkerPool(config, assignment, config.workers or os.cpu_count() or 1)
    try:
        pool.fill()
        yield pool
    finally:
        pool.stop()


@dataclass
class LocalRun:
    """A study run here until nothing more is wanted; iterated over, it says several times a second how that stands.

    A database that is away is waited for. pids: of the workers that it has started. waits: what it waits for while
    nothing of it runs, "" where something does.
    """

    identifier: str
    plan: Plan
    runtime: Runtime
    pids: set[int] = field(default_factory=set)
    began: float = field(default_factory=time.time)
    waits: str = ""

    def __iter__(self) -> Iterator[StudyRecord]:
        """Run it, yielding its outline; raises InputError where it is cancelled, SetupError where nothing can run."""
        assignment = Assignment(code=self.plan.method.code, study=self.identifier, parent=os.getpid())
        complete = self._wait(self._care)
        sweep_locks(self.runtime.config)  # now that the free ones have told which workers are no more
        self._wait(lambda: sweep_pieces(self.runtime.store.database))
        if not complete:
            with worker_pool(self.runtime.config, assignment) as pool:
                yield from self._until_complete(pool)
        study = self._wait(self._study)
        if study.cancelled:
            raise InputError(
                f"{self.identifier} was cancelled; what is done is kept, and the same command takes it up again"
            )
        yield study

    def computed(self, study: StudyRecord) -> int:
        """Return how many of the results of a study are from the workers of this run."""
        return sum(self._is_own(worker) for worker in self.runtime.store.workers_of(study.wanted).values())

    def _is_own(self, worker: str) -> bool:
        """Return whether a worker of a name (``worker.work``) was started by this run; numbers of processes recur."""
        host, pid, began = [*worker.rsplit("-", 2), "", ""][:3]
        known = host == platform.node() and pid.isdigit() and int(pid) in self.pids
        return known and began.isdigit() and int(began) >= int(self.began)

    def _until_complete(self, pool: WorkerPool) -> Iterator[StudyRecord]:
        complete, before, cared = False, "", time.monotonic()
        looked = cared
        while not complete:
            self.pids |= {process.pid for process in pool.processes}
            time.sleep(POLL_SECONDS)
            study = self._wait(self._study)
            complete = study.complete
            if not complete and time.monotonic() - cared > CARE_SECONDS:
                pool.fill()
                complete = self._wait(self._care)
                self._wait(self._check_machine)
                cared = time.monotonic()
            if not complete and time.monotonic() - looked > LOOK_SECONDS:
                now, looked = self._wait(self._what_it_waits_for), time.monotonic()
                self.waits, before = now if before else "", now  # between two calculations nothing runs either
            yield study

    def _wait(self, action: Callable[[], T]) -> T:
        return patiently(action, self.runtime.config)

    def _study(self) -> StudyRecord:
        study = self.runtime.store.outline(self.identifier)
        if study is None:
            raise SetupError(f"the study {self.identifier} was removed from the database while it ran")
        return study

    def _care(self) -> bool:
        """Take back what is lost and let the study go on; one with work at hand rests as long as its planning wants."""
        lost = recover_lost(self.runtime, lambda name: is_gone(self.runtime.config, name))
        patient = not lost and self.runtime.store.board.at_hand(self.identifier)
        return advance(self.identifier, self.runtime, patient)

    def _what_it_waits_for(self) -> str:
        state, said = status_in(self.runtime.store, self.identifier, None, True).situations[self.identifier]
        return "" if state == "running" else f"{state}: {said}" if said else state

    def _check_machine(self) -> None:
        """Raise SetupError where no worker of this run can work."""
        known = self.runtime.presence.workers()
        own = [each for each in known if each["host"] == platform.node() and each["pid"] in self.pids]
        troubles = [each["trouble"] for each in own]
        if troubles and all(troubles):
            raise SetupError(f"{troubles[0]}; nothing is lost: mend that, and the same command goes on from here")
