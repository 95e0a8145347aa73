"""Grid Engine (SGE and UGE): sge_submit(1), qstat(1), qdel(1), sge_queue_conf(5), sge_pe(5) of SGE 8.1.9.

With ``-notify`` SIGUSR2 comes a queue's ``notify`` (60 s) before SIGKILL when a job is deleted. The soft limit s_rt is
not used: its SIGUSR1 goes to the whole process group and would kill the codes, so jobs go by their clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from megabar.launchers.machines.description import clock
from megabar.launchers.schedulers import silent
from megabar.launchers.schedulers.interface import JobRequest, QueuedJob, State, whole

TITLE = "Grid Engine"
COMMANDS = ("qsub", "qstat", "qdel")
VERSION = ("qstat", "-help")
CHECK = ("qsub", "-w", "v")
BUSY = (
    "unable to send message to qmaster",
    "commlib error",
    "unable to contact qmaster",
    "got no response",
    "timeout",
    "is not allowed to submit further jobs",
    "exceeds",
)
PREFIX = "#$"
WARNING = "by the job's clock; signal USR2 when it is deleted"
_NO_TASK = "undefined"


def version(said: str) -> str | None:
    """Return the version in the first line of the help, ``SGE 8.1.9`` or ``UGE 8.6.12``."""
    match = re.match(r"\s*(?:[A-Z]*GE|Univa Grid Engine|Altair Grid Engine)\s+(\d\S*)", said)
    return match[1] if match else None


def directives(request: JobRequest) -> list[str]:
    """Return the job's directives; memory and special nodes are asked for differently at every site, in `options`."""
    machine = request.machine
    lines = [f"-N {request.name}", "-S /bin/bash", f"-wd {request.folder or request.logs}"]
    if machine.partition is not None:
        lines.append(f"-q {machine.partition}")
    if machine.account is not None:
        lines.append(f"-P {machine.account}")
    if machine.parallel_environment is not None:
        lines.append(f"-pe {machine.parallel_environment} {request.nodes_asked * request.cores_asked}")
    number = "$JOB_ID.$TASK_ID" if request.array > 1 else "$JOB_ID"
    lines += [
        f"-l h_rt={clock(request.seconds_asked)}",
        "-notify",
        "-j y",
        f"-o {request.logs}/{request.name}-{number}.log",
        "-m n",
    ]
    if request.array > 1:
        lines.append(f"-t 1-{request.array}")
    return lines


def opening(request: JobRequest) -> list[str]:
    """Return nothing: qsub puts the output where it belongs."""
    return []


def job_variable(request: JobRequest) -> str:
    """Return the job's identifier in bash."""
    return "${JOB_ID}.${SGE_TASK_ID}" if request.array > 1 else "${JOB_ID}"


def submission(script: Path, request: JobRequest) -> list[str]:
    """Return the words that submit."""
    return ["qsub", "-terse", str(script)]


def job_id(said: str) -> str | None:
    """Return the number in ``-terse``'s ``44`` or ``44.1-10:1``, which is the last line."""
    last = said.strip().splitlines()[-1:] or [""]
    number = last[0].split(".")[0].strip()
    return number if number.isdigit() else None


def elements(identifier: str, count: int) -> list[str]:
    """Return the identifiers of an array's elements."""
    return [f"{identifier}.{index}" for index in range(1, count + 1)]


def listing(user: str) -> list[str]:
    """Return the words that list a user's jobs, arrays expanded."""
    return ["qstat", "-u", user, "-g", "d", "-xml"]


def jobs(said: str) -> list[QueuedJob]:
    """Return the jobs of the list; raises ValueError where it is no XML."""
    try:
        root = ElementTree.fromstring(said.strip())
    except ElementTree.ParseError as error:
        raise ValueError(f"no XML ({error})") from None
    found = []
    for job in root.iter("job_list"):
        number, task = job.findtext("JB_job_number", "").strip(), job.findtext("tasks", "").strip()
        code = job.findtext("state", "").strip()
        reason = "error state; `qstat -j` explains, `qmod -cj` clears it" if "E" in code else ""
        identifier = f"{number}.{task}" if task else number
        found.append(QueuedJob(identifier, job.findtext("JB_name", "").strip(), _state(code), reason))
    return found


def _state(code: str) -> State:
    """Return the state in letters like ``qw``, ``hqw``, ``r``, ``dr``, ``Eqw`` (qstat(1))."""
    if "z" in code:
        return "ended"
    return "pending" if "w" in code else "running"


def cancellation(identifiers: Sequence[str]) -> list[str]:
    """Return the words that cancel."""
    return ["qdel", *identifiers]


def own_id(environment: Mapping[str, str]) -> str | None:
    """Return the job's own identifier."""
    number, task = environment.get("JOB_ID"), environment.get("SGE_TASK_ID")
    if number is None or task is None:
        return None
    return number if task == _NO_TASK else f"{number}.{task}"


def own_cores(environment: Mapping[str, str]) -> int | None:
    """Return the slots of the job, all on its first node where it has one."""
    return whole(environment.get("NSLOTS"))


time_left, seconds_left, partition, limits = silent.time_left, silent.seconds_left, silent.partition, silent.limits
