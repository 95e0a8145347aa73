"""What every scheduler is asked, and what it answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from megabar.launchers.machines.description import Machine, clock
from megabar.structures.errors import InputError, SetupError

State = Literal["pending", "running", "ended"]
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_PATH = re.compile(r"/[A-Za-z0-9._/+@=~-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SchedulerBusy(SetupError):
    """The scheduler does not answer, or takes no more jobs for now: later the same may work."""


@dataclass(frozen=True)
class JobRequest:
    """A job, or several alike.

    name: letters, digits, _ and -; many schedulers show 15 characters. command: its words; it replaces the job's shell.
    logs: folder (absolute) of script and output. array: how many alike. environment: not for secrets.
    nodes, cores (of a node), wall_time (s): less than the machine's job has, where given.
    folder: where the command runs, the logs' where not given.
    """

    name: str
    machine: Machine
    command: tuple[str, ...]
    logs: Path
    array: int = 1
    nodes: int | None = None
    cores: int | None = None
    wall_time: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None

    @property
    def nodes_asked(self) -> int:
        """Nodes of a job."""
        return self.nodes or self.machine.nodes

    @property
    def cores_asked(self) -> int:
        """Cores on each node."""
        return self.cores or self.machine.cores

    @property
    def seconds_asked(self) -> int:
        """Wall time (s)."""
        return self.wall_time or self.machine.wall_time

    @property
    def memory_MiB(self) -> int | None:
        """Memory on each node, in proportion to the cores asked for; None where the machine's is not described."""
        if self.machine.memory_GB is None:
            return None
        return int(self.machine.memory_GB * 1e9 / 2**20 * self.cores_asked / self.machine.cores)

    def log(self, identifier: str) -> Path:
        """Return the file with what the job of an identifier, or this element of an array, wrote."""
        return self.logs / f"{self.name}-{identifier}.log"


@dataclass(frozen=True)
class QueuedJob:
    """A job in the queue, each element of an array for itself; reason: why it waits, where the scheduler says."""

    identifier: str
    name: str
    state: State
    reason: str = ""


@dataclass(frozen=True)
class Limits:
    """What a partition has: the longest wall time (s), and the largest of its nodes; None where that is not said."""

    wall_time: int | None = None
    nodes: int | None = None
    cores: int | None = None
    memory_MiB: int | None = None


class Scheduler(Protocol):
    """One scheduler. Modules implement it: functions of text, which ``schedulers.queue`` runs.

    TITLE: its name in sentences. COMMANDS: the programs that it is used with, the one that submits first.
    VERSION: words that make it tell its version. CHECK: words that have it judge the script behind them, submitting
    nothing; empty where it cannot. BUSY: what its messages contain when the same may work later. PREFIX: what the lines
    of a script that it reads start with. WARNING: in words, how a job learns that its end is near.
    """

    @property
    def TITLE(self) -> str: ...  # noqa: D102

    @property
    def COMMANDS(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def VERSION(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def CHECK(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def BUSY(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def PREFIX(self) -> str: ...  # noqa: D102

    @property
    def WARNING(self) -> str: ...  # noqa: D102

    def version(self, said: str) -> str | None:
        """Return the version in what it said, None where a program of the same name belongs to another scheduler."""

    def directives(self, request: JobRequest) -> list[str]:
        """Return what a job asks for, without the prefix and without the options that a machine adds verbatim."""

    def opening(self, request: JobRequest) -> list[str]:
        """Return what bash does first in the job, where the scheduler itself does not see to it."""

    def job_variable(self, request: JobRequest) -> str:
        """Return bash's words for the job's own identifier, as it is in the list of jobs."""

    def submission(self, script: Path, request: JobRequest) -> list[str]:
        """Return the words that submit a script."""

    def job_id(self, said: str) -> str | None:
        """Return the identifier in what the submission said, None where it has none."""

    def elements(self, identifier: str, count: int) -> list[str]:
        """Return the identifiers of an array's elements, as they are in the list of jobs."""

    def listing(self, user: str) -> list[str]:
        """Return the words that list a user's jobs."""

    def jobs(self, said: str) -> list[QueuedJob]:
        """Return the jobs in such a list, elements of arrays one by one."""

    def cancellation(self, identifiers: Sequence[str]) -> list[str]:
        """Return the words that cancel jobs."""

    def own_id(self, environment: Mapping[str, str]) -> str | None:
        """Return the identifier of the job that has this environment, None outside a job."""

    def own_cores(self, environment: Mapping[str, str]) -> int | None:
        """Return the cores that this job has on its first node, None where that is not said."""

    def time_left(self, identifier: str) -> list[str]:
        """Return the words that ask how long a running job has, empty where that cannot be asked."""

    def seconds_left(self, said: str) -> int | None:
        """Return the answer to that (s), None where there is no end or no answer."""

    def partition(self, name: str | None) -> list[str]:
        """Return the words that ask what a partition (None: the default one) has, empty where that cannot be asked."""

    def limits(self, said: str) -> Limits:
        """Return the answer to that."""


def whole(text: str | None) -> int | None:
    """Return a whole number in an environment variable, None where there is none."""
    return int(text) if text is not None and text.isdigit() else None


def check_request(request: JobRequest) -> None:
    """Raise InputError where a job asks for what the machine has not, or where its script could not be written."""
    machine = request.machine
    asked = (
        ("nodes", request.nodes_asked, machine.nodes, str),
        ("cores", request.cores_asked, machine.cores, str),
        ("wall_time", request.seconds_asked, machine.wall_time, clock),
        ("jobs_per_array", request.array, max(machine.jobs_per_array, 1), str),
    )
    for key, wanted, most, shown in asked:
        if wanted > most:
            raise InputError(
                f"the job {request.name} asks for more than the machine {machine.name} has: {key} {shown(wanted)}, "
                f"described are {shown(most)}"
            )
        if wanted < 1:
            raise InputError(f"the job {request.name} asks for {key} {wanted}; at least 1 is needed")
    if not _NAME.fullmatch(request.name):
        raise InputError(
            f"{request.name!r} cannot be a job's name: a letter, then letters, digits, _ and -, at most 63"
        )
    for path in (request.logs, request.folder or request.logs):
        if not _PATH.fullmatch(str(path)):
            raise InputError(
                f"jobs cannot run in {path}: schedulers take only letters, digits and ._/+@=~- in an absolute path; "
                "choose another data folder with MEGABAR_DATA or `data:` in megabar.yaml"
            )
    wrong = [name for name in request.environment if not _VARIABLE.fullmatch(name)]
    if wrong:
        raise InputError(f"{wrong[0]!r} cannot be the name of an environment variable")
