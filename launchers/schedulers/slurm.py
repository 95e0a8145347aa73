"""Slurm: sbatch(1), squeue(1), scancel(1), https://slurm.schedmd.com/man_index.html; run for real in the tests.

``--signal=B:`` reaches the batch process alone, up to a minute early; scancel sends SIGCONT and SIGTERM to every
process of the job and, KillWait later, SIGKILL (measured with 22.05).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from megabar.launchers.machines.description import clock
from megabar.launchers.schedulers.interface import JobRequest, Limits, QueuedJob, State, whole

TITLE = "Slurm"
COMMANDS = ("sbatch", "squeue", "scancel", "sinfo")
VERSION = ("sbatch", "--version")
CHECK = ("sbatch", "--test-only")
BUSY = (
    "Unable to contact slurm controller",
    "Socket timed out",
    "Connection refused",
    "Connection timed out",
    "Zero Bytes were transmitted",
    "temporarily",
    "Slurm backup controller in standby mode",
    "MaxSubmitJob",
    "job submit limit",
)
PREFIX = "#SBATCH"
WARNING = "signal TERM, up to a minute earlier"

STATES: dict[str, State] = {
    **dict.fromkeys(("PD", "CF", "RF", "RH", "RQ", "RD", "RV", "SE", "SO"), "pending"),
    **dict.fromkeys(("R", "CG", "S", "ST", "SI", "RS"), "running"),
    **dict.fromkeys(("CD", "CA", "F", "TO", "NF", "PR", "BF", "DL", "OOM"), "ended"),
}
"""By squeue's compact names; a completing job may still have processes."""


def version(said: str) -> str | None:
    """Return the version in ``slurm 22.05.8``."""
    return said.rsplit(maxsplit=1)[-1] if said.startswith("slurm") else None


def directives(request: JobRequest) -> list[str]:
    """Return the job's directives."""
    machine = request.machine
    named = (("partition", machine.partition), ("account", machine.account), ("qos", machine.qos))
    numbers = "%A_%a" if request.array > 1 else "%j"
    lines = [
        f"--job-name={request.name}",
        *(f"--{option}={value}" for option, value in named if value is not None),
        f"--nodes={request.nodes_asked}",
        f"--ntasks-per-node={request.cores_asked}",
        "--cpus-per-task=1",
    ]
    if request.memory_MiB is not None:
        lines.append(f"--mem={request.memory_MiB}M")
    lines += [
        f"--time={clock(request.seconds_asked)}",
        f"--signal=B:TERM@{machine.grace}",
        f"--output={request.logs}/{request.name}-{numbers}.log",
        "--open-mode=append",
    ]
    if request.array > 1:
        lines.append(f"--array=0-{request.array - 1}")
    return lines


def opening(request: JobRequest) -> list[str]:
    """Return what forgets the libraries of the shell that submitted, the one thing that sbatch may need of it."""
    return ["unset LD_LIBRARY_PATH"]


def job_variable(request: JobRequest) -> str:
    """Return the job's identifier in bash."""
    return "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}" if request.array > 1 else "${SLURM_JOB_ID}"


def submission(script: Path, request: JobRequest) -> list[str]:
    """Return the words that submit."""
    return ["sbatch", "--parsable", str(script)]


def job_id(said: str) -> str | None:
    """Return the number in ``--parsable``'s ``number[;cluster]``, which is the last line."""
    last = said.strip().splitlines()[-1:] or [""]
    number = last[0].split(";")[0]
    return number if number.isdigit() else None


def elements(identifier: str, count: int) -> list[str]:
    """Return the identifiers of an array's elements."""
    return [f"{identifier}_{index}" for index in range(count)]


def listing(user: str) -> list[str]:
    """Return the words that list a user's jobs, arrays expanded."""
    return ["squeue", "--noheader", "--array", f"--user={user}", "--format=%i|%t|%r|%j"]


def jobs(said: str) -> list[QueuedJob]:
    """Return the jobs of the list; a state that is not known counts as running."""
    found = []
    for line in said.splitlines():
        parts = line.strip().split("|", 3)
        if len(parts) == 4:
            identifier, short, reason, name = parts
            reason = "" if reason in ("None", "Priority", "Resources") else reason
            found.append(QueuedJob(identifier, name, STATES.get(short, "running"), reason))
    return found


def cancellation(identifiers: Sequence[str]) -> list[str]:
    """Return the words that cancel."""
    return ["scancel", *identifiers]


def own_id(environment: Mapping[str, str]) -> str | None:
    """Return the job's own identifier."""
    if "SLURM_ARRAY_JOB_ID" in environment and "SLURM_ARRAY_TASK_ID" in environment:
        return f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    return environment.get("SLURM_JOB_ID")


def own_cores(environment: Mapping[str, str]) -> int | None:
    """Return the cores on the first node."""
    return whole(environment.get("SLURM_CPUS_ON_NODE"))


def time_left(identifier: str) -> list[str]:
    """Return the words that ask for it."""
    return ["squeue", "--noheader", f"--jobs={identifier}", "--format=%L"]


def seconds_left(said: str) -> int | None:
    """Return the seconds in ``[days-][[hours:]minutes:]seconds``; ``UNLIMITED`` and ``INVALID`` are no answer."""
    days, dash, rest = said.strip().rpartition("-")
    parts = rest.split(":")
    if not all(part.isdigit() for part in parts) or (dash and not days.isdigit()):
        return None
    seconds = 0
    for part in parts:
        seconds = 60 * seconds + int(part)
    return seconds + 86400 * int(days or 0)


def partition(name: str | None) -> list[str]:
    """Return the words that ask it, a line for each kind of node."""
    chosen = [f"--partition={name}"] if name else []
    return ["sinfo", "--noheader", *chosen, "--format=%P|%l|%D|%c|%m"]


def limits(said: str) -> Limits:
    """Return the largest of each that is said; of several partitions the default one, marked by a star, counts."""
    rows = [line.split("|") for line in said.splitlines() if line.count("|") == 4]
    rows = [row for row in rows if row[0].endswith("*")] or rows
    if not rows:
        return Limits()
    times = [seconds_left(row[1]) for row in rows]
    numbers = [[int(word.rstrip("+")) for word in row[2:] if word.rstrip("+").isdigit()] for row in rows]
    if any(len(row) != 3 for row in numbers):
        return Limits()
    return Limits(
        wall_time=None if None in times else max(time for time in times if time is not None),
        nodes=sum(row[0] for row in numbers),
        cores=max(row[1] for row in numbers),
        memory_MiB=max(row[2] for row in numbers),
    )
