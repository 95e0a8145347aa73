"""Tries a machine out: a small job that says what it finds where calculations would run."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from megabar.launchers.machines.description import Machine, Machines, clock
from megabar.launchers.machines.jobs import job_environment, job_folder, worker_job
from megabar.launchers.schedulers.commands import in_one_sentence, run
from megabar.launchers.schedulers.interface import JobRequest, QueuedJob
from megabar.launchers.schedulers.queue import cancel, own_jobs, submit, write_script
from megabar.launchers.schedulers.registry import SCHEDULERS
from megabar.structures.errors import InputError, SetupError
from megabar.workflows.config import Config
from megabar.workflows.files import read_json
from megabar.workflows.secrecy import hidden

POLL_S = 0.5
ASK_S = 3.0
WALL_TIME_S = 600
MOST_OUTPUT = 2000
LATE_FILE_S = 5.0
"""Over a network file system a file is seen some time after it was written."""

Look = Callable[[], QueuedJob | None]


@dataclass(frozen=True)
class Trial:
    """What came of the small job.

    ok: it ran and found all that it looked for. sentence: the outcome. job: its number. waited_s: from submission to
    answer. answer: what it found. output: the end of what it wrote, where it failed.
    """

    ok: bool
    sentence: str
    job: str = ""
    waited_s: float = 0.0
    answer: dict[str, Any] | None = None
    output: str = ""


def try_out(machine: Machine, machines: Machines, config: Config, wait_s: float) -> Trial:
    """Have the scheduler judge a real job where it can, then run a small one and return what it says.

    The small job is cancelled where it has not run within wait_s, and leaves nothing behind where it succeeds.
    """
    request = small_job(machine, machines, config)
    answer = _answer_file(request)
    try:
        judged = judge(machine, machines, config)
        began = time.monotonic()
        with _running(request) as (job, look):
            last = _watch(answer, look, wait_s)
    except (SetupError, InputError) as error:
        return Trial(False, str(error))
    waited_s = time.monotonic() - began
    found = read_json(answer)
    if found is None:
        return _failed(request, job, last, waited_s)
    _clean_up(request, job)
    return Trial(not found["problems"], _report(machine, job, waited_s, found, judged), job, waited_s, found)


def _watch(answer: Path, look: Look, wait_s: float) -> QueuedJob | None:
    """Wait for the answer; return how the job was seen last, None where it has ended."""
    began = time.monotonic()
    last = look()
    asked = began
    while not answer.exists() and time.monotonic() - began < wait_s:
        if time.monotonic() - asked > ASK_S:
            last, asked = look(), time.monotonic()
        if last is None:
            wait_s = min(wait_s, asked + LATE_FILE_S - began)
        time.sleep(POLL_S)
    return last


def small_job(machine: Machine, machines: Machines, config: Config) -> JobRequest:
    """Return a job of one calculation's size and ten minutes that writes what it finds into a file."""
    name = f"megabar-check-{secrets.token_hex(3)}"
    logs = job_folder(machine, config)
    return JobRequest(
        name=name,
        machine=machine,
        command=(*machine.command, "machine", "probe", machine.name, str(logs / f"{name}.json")),
        logs=logs,
        nodes=1,
        cores=min(machine.cores, machine.cores_per_calculation),
        wall_time=min(machine.wall_time, max(WALL_TIME_S, 2 * machine.grace)),
        environment=job_environment(machines, config),
        folder=Path.cwd(),
    )


def judge(machine: Machine, machines: Machines, config: Config) -> str:
    """Have the scheduler judge a job of real size; return what it says, nothing where it cannot judge.

    Raises SetupError in its words where it would refuse the job.
    """
    scheduler = SCHEDULERS.get(machine.scheduler)
    if scheduler is None or not scheduler.CHECK:
        return ""
    script = write_script(worker_job(machine, machines, config))
    return in_one_sentence(run(scheduler, [*scheduler.CHECK, str(script)], with_errors=True))


def _answer_file(request: JobRequest) -> Path:
    return request.logs / f"{request.name}.json"


@contextmanager
def _running(request: JobRequest) -> Iterator[tuple[str, Look]]:
    """Submit the job and give its number and what looks at it; at the end it is gone."""
    if request.machine.scheduler == "none":
        with _process(request) as given:
            yield given
        return
    (job,) = submit(request).identifiers

    def look() -> QueuedJob | None:
        there = {each.identifier: each for each in own_jobs(request.machine) if each.state != "ended"}
        return there.get(job)

    try:
        yield job, look
    finally:
        cancel(request.machine, [job])


@contextmanager
def _process(request: JobRequest) -> Iterator[tuple[str, Look]]:
    script = write_script(request)
    with request.log("here").open("wb") as log:
        process = subprocess.Popen(["bash", str(script)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield "here", lambda: QueuedJob("here", request.name, "running") if process.poll() is None else None
    finally:
        process.kill()
        process.wait()


def _failed(request: JobRequest, job: str, last: QueuedJob | None, waited_s: float) -> Trial:
    log = request.log(job)
    output = log.read_text(encoding="utf-8", errors="replace")[-MOST_OUTPUT:].strip() if log.exists() else ""
    if last is None:
        said = f"; it wrote: {output.splitlines()[-1]}" if output else f"; it wrote nothing to {log}"
        sentence = f"the job {job} ended without an answer{said}"
    elif last.state == "pending":
        reason = f" ({last.reason})" if last.reason else ""
        sentence = (
            f"the job {job} still waited in the queue{reason} after {waited_s:.0f} s and was cancelled; "
            "where the queue is just full, `--wait 3600` has more patience"
        )
    else:
        sentence = f"the job {job} ran without an answer within {waited_s:.0f} s and was cancelled"
    return Trial(False, hidden(sentence), job, waited_s, output=hidden(output))


def _clean_up(request: JobRequest, job: str) -> None:
    for path in (_answer_file(request), request.log(job), request.logs / f"{request.name}.sh"):
        path.unlink(missing_ok=True)


def _report(machine: Machine, job: str, waited_s: float, found: dict[str, Any], judged: str) -> str:
    where = f"The job {job} ran" if machine.scheduler != "none" else "A job script ran"
    left = f", {clock(found['seconds_left'])} of its wall time left" if found["seconds_left"] is not None else ""
    codes = "".join(f"; {name} {version}" for name, version in found["codes"].items())
    told = f" Of a real one the scheduler says: {judged}." if judged else ""
    problems = "".join(f" But {problem}." for problem in found["problems"])
    return (
        f"{where} on {found['host']} after {waited_s:.0f} s: Python {found['python']}, megabar {found['megabar']}, "
        f"OMP_NUM_THREADS={found['threads']}{left}; {found['database']}{codes}.{told}{problems}"
    )
