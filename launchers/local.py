"""Runs a study here to its end: submits it, keeps local workers going, and sees to what they leave behind."""

from __future__ import annotations

import math
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from megabar.launchers.sharing import check_may_replan, current_user, may_change
from megabar.launchers.worker import Task, is_gone
from megabar.structures.errors import InputError, SetupError
from megabar.structures.threads import limited
from megabar.workflows.cancelling import withdraw
from megabar.workflows.config import Config
from megabar.workflows.driver import advance, recover_lost
from megabar.workflows.kinds import Plan, plan_of
from megabar.workflows.runtime import Runtime
from megabar.workflows.store import StudyRecord
from megabar.workflows.study import StudyFile

POLL_SECONDS = 0.25
CARE_SECONDS = 2.0
MOST_DEATHS, DEATHS_WITHIN_S = 20, 600.0
"""Workers that die more often than that will not live next time either; a few in weeks are nothing."""
WORKER = "from megabar.launchers.worker import main; main()"


def register(file: StudyFile, plan: Plan, runtime: Runtime, machine: str | None = "") -> str:
    """Store a study as it is asked for and planned, and return its identifier.

    machine: whose queue it is for, "" for workers started by hand, None for where it is already.
    A study that is there already goes on; where its plan has changed (another version of the code, other data)
    it starts anew, and results computed the old way are left alone; the user is told of that and of a move. Raises
    InputError where that would take another user's study away.
    """
    identifier, user = file.identifier, current_user(runtime.config, runtime.store.client)
    known = runtime.store.get_study(identifier)
    if known is not None and plan_of(known).fingerprint != plan.fingerprint:
        check_may_replan(known, user)
        withdraw(identifier, runtime)
        runtime.store.reset_wanted(identifier)
        _tell(f"{identifier} was planned otherwise (another version or other data of its code); it starts anew")
        known = None
    if machine is None:
        machine = known.machine if known is not None and not known.cancelled else ""
    elif known is not None and not known.complete and known.machine != machine:
        before, now = (f"the queue of {each}" if each else "workers here" for each in (known.machine, machine))
        _tell(f"{identifier} was for {before}, and is for {now} from now on")
    # Renewed also where it is known: its data may lie elsewhere now, as after an import, and what is wanted is worked
    # out anew, as the rules may have changed.
    runtime.store.put_study(
        StudyRecord(
            identifier=identifier,
            name=file.name,
            kind=file.study.kind,
            definition=file.study.model_dump(mode="json", by_alias=True),
            resolved=plan.to_dict(),
            owner=user,
            machine=machine,
        )
    )
    # What waits already, it may be for another machine, waits for this one from now on.
    runtime.launchpad.fireworks.update_many(
        {"spec.study": identifier, "state": "READY", "spec.machine": {"$ne": machine}},
        {"$set": {"spec.machine": machine}},
    )
    return identifier


def check_no_other(file: StudyFile, runtime: Runtime) -> None:
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
    task: Task
    count: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    deaths: list[float] = field(default_factory=list)

    @property
    def lasting(self) -> bool:
        """Whether a worker ends only when it is told to: its task has no end of its own."""
        return math.isinf(self.task.ends) and math.isinf(self.task.idle_s)

    def fill(self) -> None:
        """Start workers until there are as many as wanted, while there is time.

        Those that ended by themselves, out of time or work, stay away.
        Raises SetupError where they die again and again, with the end of their log.
        """
        ended = [each for each in self.processes if each.poll() is not None]
        dead = [each for each in ended if each.returncode != 0 or self.lasting]
        if time.monotonic() > self.task.ends:
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
                [sys.executable, "-c", WORKER, self.task.as_json()],
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
def worker_pool(config: Config, task: Task) -> Iterator[WorkerPool]:
    """Have local workers while the block runs."""
    pool = WorkerPool(config, task, config.workers or os.cpu_count() or 1)
    try:
        pool.fill()
        yield pool
    finally:
        pool.stop()


def run_to_end(identifier: str, plan: Plan, runtime: Runtime) -> Iterator[StudyRecord]:
    """Run a study until nothing more is wanted, yielding how it stands several times a second."""

    def care() -> bool:
        recover_lost(runtime, lambda name: is_gone(runtime.config, name))
        return advance(identifier, runtime)

    def check_machine() -> None:
        here = [each for each in runtime.presence.workers() if each["host"] == platform.node() and not each["machine"]]
        troubles = [each["trouble"] for each in here]
        if troubles and all(troubles):
            raise SetupError(f"{troubles[0]}; nothing is lost: mend that, and the same command goes on from here")

    complete = care()
    task = Task(code=plan.method.code, study=identifier, parent=os.getpid())
    if not complete:
        with worker_pool(runtime.config, task) as pool:
            cared = time.monotonic()
            while not complete:
                time.sleep(POLL_SECONDS)
                study = runtime.store.get_study(identifier)
                if study is None:
                    raise SetupError(f"the study {identifier} was removed from the database while it ran")
                complete = study.complete
                if not complete and time.monotonic() - cared > CARE_SECONDS:
                    pool.fill()
                    complete = care()
                    check_machine()
                    cared = time.monotonic()
                yield study
    study = runtime.store.get_study(identifier)
    assert study is not None
    if study.cancelled:
        raise InputError(f"{identifier} was cancelled; what is done is kept, and the same command takes it up again")
    yield study
