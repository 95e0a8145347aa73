"""Fujitsu's PJM (Technical Computing Suite; Fugaku, FX1000, PRIMERGY): pjsub(1), pjstat(1), pjdel(1).

Job Operation Software End-user's Guide (Fujitsu, J2UL-2452); Supercomputer Fugaku Users Guide 1.49 (RIKEN R-CCS), 5.2,
5.4 Bulk Job, 5.9 options, 5.12 Displaying a job status. An array is a bulk job. At the end of the elapse time SIGXCPU
and, 10 s later, SIGKILL come and no option makes that earlier, so jobs go by their clock.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from megabar.launchers.machines.description import clock
from megabar.launchers.schedulers import silent
from megabar.launchers.schedulers.interface import JobRequest, QueuedJob, State, whole

TITLE = "PJM"
COMMANDS = ("pjsub", "pjstat", "pjdel")
VERSION = ("pjsub", "--version")
CHECK: tuple[str, ...] = ()
BUSY = (
    "communication",
    "timeout",
    "timed out",
    "temporarily",
    "upper limit of the number of jobs",
    "upper limit of acceptance",
)
PREFIX = "#PJM"
WARNING = "by the job's clock"

STATES: dict[str, State] = {
    **dict.fromkeys(("ACC", "QUE", "RNA", "HLD"), "pending"),
    **dict.fromkeys(("RNP", "RUN", "RNE", "RNO", "SPP", "SPD", "RSM"), "running"),
    **dict.fromkeys(("EXT", "CCL", "RJT", "ERR"), "ended"),
}
_SUBMITTED = re.compile(r"PJM 0000 pjsub Job (\d+) submitted")


def version(said: str) -> str | None:
    """Return the first word with a number in it."""
    match = re.search(r"\d+(?:\.\d+)+|V\d+\w*", said)
    return match[0] if match else None


def directives(request: JobRequest) -> list[str]:
    """Return the job's directives; PJM gives whole nodes, so memory is not asked for."""
    machine = request.machine
    lines = [f"--name {request.name}", f'-L "node={request.nodes_asked}"']
    if machine.partition is not None:
        lines.append(f'-L "rscgrp={machine.partition}"')
    lines.append(f'-L "elapse={clock(request.seconds_asked)}"')
    if machine.account is not None:
        lines.append(f"-g {machine.account}")
    return [
        *lines,
        f'--mpi "max-proc-per-node={request.cores_asked}"',
        "-j",
        f"-o {request.logs}/{request.name}.%j.out",
    ]


def opening(request: JobRequest) -> list[str]:
    """Return the redirection of the output: all elements of a bulk job would share the scheduler's file."""
    return [f'exec >>"{request.logs}/{request.name}-{job_variable(request)}.log" 2>&1']


def job_variable(request: JobRequest) -> str:
    """Return the job's identifier in bash."""
    return "${PJM_SUBJOBID:-$PJM_JOBID}"


def submission(script: Path, request: JobRequest) -> list[str]:
    """Return the words that submit; the options of bulk jobs are not read from the script."""
    bulk = ["--bulk", "--sparam", f"0-{request.array - 1}"] if request.array > 1 else []
    return ["pjsub", *bulk, str(script)]


def job_id(said: str) -> str | None:
    """Return the number in ``[INFO] PJM 0000 pjsub Job 12345 submitted.``."""
    match = _SUBMITTED.search(said)
    return match[1] if match else None


def elements(identifier: str, count: int) -> list[str]:
    """Return the identifiers of a bulk job's sub-jobs."""
    return [f"{identifier}[{index}]" for index in range(count)]


def listing(user: str) -> list[str]:
    """Return the words that list a user's jobs, bulk jobs expanded, as comma-separated values."""
    return ["pjstat", "-E", "--data", "--choose=jid,st,jnam", "--filter", f"usr={user}"]


def jobs(said: str) -> list[QueuedJob]:
    """Return the jobs of the list, without the bulk jobs as a whole."""
    columns: dict[str, int] = {}
    found = []
    for row in csv.reader(said.splitlines()):
        if row[:1] == ["H"]:
            columns = {name.strip(): place for place, name in enumerate(row)}
        elif row[:1] == [""] and len(row) == len(columns):
            identifier, code, name = (row[columns[key]].strip() for key in ("JOB_ID", "ST", "JOB_NAME"))
            reason = "held" if code == "HLD" else ""
            found.append(QueuedJob(identifier, name, STATES.get(code, "running"), reason))
    whole_jobs = {job.identifier.partition("[")[0] for job in found if "[" in job.identifier}
    return [job for job in found if job.identifier not in whole_jobs]


def cancellation(identifiers: Sequence[str]) -> list[str]:
    """Return the words that cancel."""
    return ["pjdel", *identifiers]


def own_id(environment: Mapping[str, str]) -> str | None:
    """Return the job's own identifier."""
    return environment.get("PJM_SUBJOBID") or environment.get("PJM_JOBID")


def own_cores(environment: Mapping[str, str]) -> int | None:
    """Return the cores of a node, where the site says them."""
    return whole(environment.get("PJM_NODE_CORE"))


time_left, seconds_left, partition, limits = silent.time_left, silent.seconds_left, silent.partition, silent.limits
