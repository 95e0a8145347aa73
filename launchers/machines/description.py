"""The machines that calculations run on, each described once: how to ask for its nodes and what runs on them.

The file is the first of: the one that ``MEGABAR_MACHINES`` names; ``machines.yaml`` in the working folder or the
nearest folder above it, or beside the configuration that ``MEGABAR_CONFIG`` names; ``~/.config/megabar/machines.yaml``.
Its keys are the machines' names. docs/machines.md explains the keys of one.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    RootModel,
    field_validator,
)

from megabar.structures.errors import InputError
from megabar.workflows.codes.registry import ADAPTERS
from megabar.workflows.config import CodeConfig, Config, Words
from megabar.workflows.places import configuration_folder
from megabar.workflows.yaml_input import line_of, nearest, read_yaml, validated

FILE_NAME = "machines.yaml"
NEVER_LAUNCHED = ("emt",)
SHORTEST_JOB_S = 60
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,40}")
_WORD = re.compile(r"[^\s\"'`$;\\]+")
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<hours>\d+):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d)")
_FIELD = re.compile(r"\{[^{}]*\}")


def seconds_of(text: str) -> int:
    """Return a duration, ``24:00:00`` or ``2-00:00:00``, in seconds; raises ValueError where it is neither."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError("should be hours:minutes:seconds like 24:00:00, or days-hours:minutes:seconds")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((24 * days + hours) * 60 + minutes) * 60 + seconds


def clock(seconds: float) -> str:
    """Return seconds as ``hours:minutes:seconds``, the form that all schedulers take."""
    whole = round(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        return seconds_of(value)
    raise ValueError("should be hours:minutes:seconds like 24:00:00, or days-hours:minutes:seconds")


def _seconds(value: Any) -> Any:
    return seconds_of(value) if isinstance(value, str) and ":" in value else value


def _lines(value: Any) -> Any:
    return tuple(line for line in value.splitlines() if line.strip()) if isinstance(value, str) else value


def _word(value: str) -> str:
    if not _WORD.fullmatch(value):
        raise ValueError("should be one word as the scheduler knows it, without quotes")
    return value


def _directives(value: tuple[str, ...]) -> tuple[str, ...]:
    if any("\n" in line for line in value):
        raise ValueError("should be a list, one directive an item")
    return value


WallTime = Annotated[int, BeforeValidator(_duration), PlainSerializer(clock, when_used="json"), Field(ge=1)]
Lines = Annotated[tuple[str, ...], BeforeValidator(_lines)]
Word = Annotated[str, AfterValidator(_word)]


class MachineDescription(BaseModel):
    """A computer or one of its queues, as the file describes it.

    partition (or queue), account, qos: what the scheduler calls them. nodes: of a job. cores, memory_GB: of a node.
    wall_time: of a job (s). grace: how long before its end a job is told to stop (s). prepare: lines of bash that make
    the codes available. launch: how MPI programs are started, ``{cores}`` for the number of processes.
    cores_per_calculation: several calculations share a job where it has more. most_jobs: in the queue at once.
    jobs_per_array: submitted together. scratch: folder for temporary files, as bash on the node expands it.
    codes: as in the configuration. options: further directives of the scheduler, verbatim. parallel_environment: of
    Grid Engine. megabar: the command, where a job should not use that of the Python which submits it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scheduler: Literal["slurm", "pbs", "sge", "pjm", "none"]
    partition: Word | None = Field(default=None, validation_alias=AliasChoices("partition", "queue"))
    account: Word | None = None
    qos: Word | None = None
    parallel_environment: Word | None = None
    nodes: int = Field(default=1, ge=1)
    cores: int = Field(ge=1)
    memory_GB: float | None = Field(default=None, gt=0)
    wall_time: WallTime = 86400
    grace: Annotated[int, BeforeValidator(_seconds), Field(ge=1, le=65535)] = 300
    prepare: Lines = ()
    launch: Words = ()
    cores_per_calculation: int = Field(default=1, ge=1)
    most_jobs: int = Field(default=20, ge=1)
    jobs_per_array: int = Field(default=10, ge=1)
    scratch: str | None = None
    codes: dict[str, CodeConfig] = Field(default_factory=dict)
    options: Annotated[Lines, AfterValidator(_directives)] = ()
    megabar: Words = ()

    @property
    def command(self) -> tuple[str, ...]:
        """The words that start the megabar command in a job."""
        return self.megabar or (sys.executable, "-m", "megabar.launchers.cli")

    @property
    def calculations_at_once(self) -> int:
        """How many calculations share a job."""
        return max(1, self.nodes * self.cores // self.cores_per_calculation)

    @field_validator("codes")
    @classmethod
    def _known_codes(cls, value: dict[str, CodeConfig]) -> dict[str, CodeConfig]:
        for name in value:
            if name not in ADAPTERS:
                raise ValueError(f"unknown code {name}{nearest(name, list(ADAPTERS))} (known: {', '.join(ADAPTERS)})")
        return value


class Machine(MachineDescription):
    """The same with its name."""

    name: str


class _MachinesFile(RootModel[dict[str, MachineDescription]]):
    """The content of the file."""


@dataclass(frozen=True)
class Machines:
    """The machines that are described, by name, and the file that does, None where there is none."""

    path: Path | None = None
    by_name: Mapping[str, Machine] = field(default_factory=dict)

    def named(self, name: str) -> Machine:
        """Return the machine of a name; raises InputError with the nearest names where there is none."""
        if name in self.by_name:
            return self.by_name[name]
        if self.path is None:
            raise InputError(
                f"there is no machine {name!r}: no machine is described yet; describe it in {FILE_NAME} beside your "
                "studies (examples/machines.yaml shows how)"
            )
        known = list(self.by_name)
        raise InputError(
            f"there is no machine {name!r} in {self.path}{nearest(name, known)} (known: {', '.join(known)})"
        )


def load_machines(folder: Path | None = None, environment: Mapping[str, str] | None = None) -> Machines:
    """Return the machines seen from a folder (the working one).

    Raises InputError naming file, line and key where the description cannot be.
    """
    environment = os.environ if environment is None else environment
    path = _find_file((folder or Path.cwd()).absolute(), environment)
    if path is None:
        return Machines()
    content = read_yaml(path)
    found = validated(_MachinesFile, content, path).root if content else {}
    machines = {name: _named(name, described) for name, described in found.items()}
    for name, machine in machines.items():
        for key, sentence in _faults(name, machine):
            line = line_of(content, (name, key) if key else (name,))
            raise InputError(f"{path}, line {line}: `{name}{f'.{key}' if key else ''}`: {sentence}")
    return Machines(path, machines)


def _named(name: str, described: MachineDescription) -> Machine:
    return Machine.model_construct({*described.model_fields_set, "name"}, name=name, **dict(described))


def _find_file(folder: Path, environment: Mapping[str, str]) -> Path | None:
    named = environment.get("MEGABAR_MACHINES")
    if named:
        if not Path(named).is_file():
            raise InputError(f"MEGABAR_MACHINES names {named}, which is not a file")
        return Path(named).absolute()
    places = [folder, *folder.parents]
    if environment.get("MEGABAR_CONFIG"):
        places.append(Path(environment["MEGABAR_CONFIG"]).absolute().parent)
    places.append(configuration_folder(environment))
    return next((place / FILE_NAME for place in places if (place / FILE_NAME).is_file()), None)


def _faults(name: str, machine: Machine) -> list[tuple[str, str]]:
    """Return what cannot be in a description, as (key, sentence); the key is empty where it is the name itself."""
    faults = []
    if not _NAME.fullmatch(name):
        faults.append(("", "a machine's name starts with a letter, then has letters, digits, . _ or -, at most 40"))
    if machine.wall_time < SHORTEST_JOB_S:
        faults.append(("wall_time", f"{clock(machine.wall_time)} is too short for a job; give at least a minute"))
    if machine.wall_time <= machine.grace:
        sentence = (
            f"jobs of {clock(machine.wall_time)} would be told to stop {machine.grace} s before their end, at once; "
            "make `wall_time` longer or `grace` shorter"
        )
        faults.append(("grace" if "grace" in machine.model_fields_set else "wall_time", sentence))
    faults += _core_faults(machine)
    if machine.qos is not None and machine.scheduler != "slurm":
        faults.append(("qos", f"{machine.scheduler} has none; give its own directive in `options`"))
    if machine.parallel_environment is not None and machine.scheduler != "sge":
        faults.append(("parallel_environment", f"{machine.scheduler} has none; that is Grid Engine's"))
    for key in ("launch", "codes"):
        launches = [machine.launch] if key == "launch" else [code.launch for code in machine.codes.values()]
        unknown = [each for launch in launches for word in launch for each in _FIELD.findall(word) if each != "{cores}"]
        if unknown:
            faults.append((key, f"{unknown[0]} is unknown; only {{cores}} is replaced"))
    return faults


def _core_faults(machine: Machine) -> list[tuple[str, str]]:
    total = machine.nodes * machine.cores
    taken = machine.cores_per_calculation
    if taken > total:
        return [("cores_per_calculation", f"{taken} cores are more than the {total} of a job")]
    if machine.nodes > 1 and taken != total:
        return [
            ("nodes", f"a job of {machine.nodes} nodes runs one calculation on all of its {total} cores; several share "
             f"a node, not nodes: choose `nodes: 1`, or `cores_per_calculation: {total}`")
        ]  # fmt: skip
    return []


def config_on(machine: Machine, config: Config) -> Config:
    """Return the configuration as it is on a machine: its codes and launch come before what is configured here."""
    codes = {}
    for name in dict.fromkeys((*ADAPTERS, *config.codes)):
        mine = machine.codes.get(name, CodeConfig())
        changes: dict[str, Any] = {key: getattr(mine, key) for key in mine.model_fields_set}
        if machine.launch and name not in NEVER_LAUNCHED:
            changes.setdefault("launch", machine.launch)
        code = config.code(name).model_copy(update=changes)
        launch = tuple(word.replace("{cores}", str(machine.cores_per_calculation)) for word in code.launch)
        if code != CodeConfig():
            codes[name] = code.model_copy(update={"launch": launch})
    return config.model_copy(update={"codes": codes, "workers": machine.calculations_at_once})
