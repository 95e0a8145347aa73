"""PBS Professional and OpenPBS: qsub(1B), qstat(1B), qdel(1B); Altair PBS Professional User's Guide 2022.1, UG-2 to 8.

There is no signal before the end of the wall time (at the end itself SIGTERM and, kill_delay later, SIGKILL come), so
jobs go by their clock. Identifiers are used without the server's name, since qstat cuts that off where it is long.
A directory after ``-o`` has what PBS itself says; the job writes its own output, which PBS would keep till the end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from megabar.launchers.machines.description import clock, seconds_of
from megabar.launchers.schedulers.interface import JobRequest, Limits, QueuedJob, State, whole

TITLE = "PBS"
COMMANDS = ("qsub", "qstat", "qdel")
VERSION = ("qstat", "--version")
CHECK: tuple[str, ...] = ()
BUSY = (
    "cannot connect to server",
    "Connection refused",
    "Connection timed out",
    "pbs_iff",
    "End of File",
    "would exceed",
    "Maximum number of jobs already in queue",
)
PREFIX = "#PBS"
WARNING = "by the job's clock"

STATES: dict[str, State] = {
    **dict.fromkeys("QHWT", "pending"),
    **dict.fromkeys("RESUB", "running"),
    **dict.fromkeys("FXM", "ended"),
}
_ID = re.compile(r"(\d+(?:\[\d*\])?)(?:[.*]\S*)?")
_TIME = re.compile(r"(Resource_List|resources_used)\.walltime = ([\d:]+)")


def version(said: str) -> str | None:
    """Return the version in ``pbs_version = 20.0.1``."""
    match = re.search(r"pbs_version\s*=\s*(\S+)", said)
    return match[1] if match else None


def directives(request: JobRequest) -> list[str]:
    """Return the job's directives."""
    machine = request.machine
    chunk = f"{request.nodes_asked}:ncpus={request.cores_asked}:mpiprocs={request.cores_asked}"
    if request.memory_MiB is not None:
        chunk += f":mem={request.memory_MiB}mb"
    lines = [f"-N {request.name}", "-S /bin/bash"]
    if machine.partition is not None:
        lines.append(f"-q {machine.partition}")
    if machine.account is not None:
        lines.append(f"-A {machine.account}")
    lines += [
        f"-l select={chunk}",
        f"-l walltime={clock(request.seconds_asked)}",
        "-j oe",
        f"-o {request.logs}/",
        "-m n",
    ]
    if request.array > 1:
        lines.append(f"-J 0-{request.array - 1}")
    return lines


def opening(request: JobRequest) -> list[str]:
    """Return the redirection of the output, which PBS would copy only when the job has ended."""
    return [f'exec >>"{request.logs}/{request.name}-{job_variable(request)}.log" 2>&1']


def job_variable(request: JobRequest) -> str:
    """Return the job's identifier in bash."""
    return "${PBS_JOBID%%.*}"


def submission(script: Path, request: JobRequest) -> list[str]:
    """Return the words that submit."""
    return ["qsub", str(script)]


def job_id(said: str) -> str | None:
    """Return the identifier in ``1234.server`` or ``1234[].server``, which is the last line."""
    last = said.strip().splitlines()[-1:] or [""]
    match = _ID.fullmatch(last[0].strip())
    return match[1] if match else None


def elements(identifier: str, count: int) -> list[str]:
    """Return the identifiers of an array's elements."""
    return [identifier.replace("[]", f"[{index}]") for index in range(count)]


def listing(user: str) -> list[str]:
    """Return the words that list a user's jobs, arrays expanded."""
    return ["qstat", "-t", "-w", "-u", user]


def jobs(said: str) -> list[QueuedJob]:
    """Return the jobs of the list (columns of ``qstat -u``: the state is the last but one), without whole arrays."""
    found = []
    for line in said.splitlines():
        words = line.split()
        match = _ID.fullmatch(words[0]) if len(words) >= 10 else None
        if match and not match[1].endswith("[]"):
            found.append(QueuedJob(match[1], words[3], STATES.get(words[-2], "running")))
    return found


def cancellation(identifiers: Sequence[str]) -> list[str]:
    """Return the words that cancel."""
    return ["qdel", *identifiers]


def own_id(environment: Mapping[str, str]) -> str | None:
    """Return the job's own identifier."""
    match = _ID.fullmatch(environment.get("PBS_JOBID", ""))
    return match[1] if match else None


def own_cores(environment: Mapping[str, str]) -> int | None:
    """Return the cores on the first node."""
    return whole(environment.get("NCPUS"))


def time_left(identifier: str) -> list[str]:
    """Return the words that ask for it."""
    return ["qstat", "-f", identifier]


def seconds_left(said: str) -> int | None:
    """Return wall time given less wall time used."""
    times = {kind: seconds_of(time) for kind, time in _TIME.findall(said)}
    if "Resource_List" not in times:
        return None
    return times["Resource_List"] - times.get("resources_used", 0)


def partition(name: str | None) -> list[str]:
    """Return nothing: sites write their limits in too many ways."""
    return []


def limits(said: str) -> Limits:
    """Return that nothing is known."""
    return Limits()
