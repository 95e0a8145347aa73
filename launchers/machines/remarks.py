"""Says what is wrong or wasteful in a machine's description, as seen from this computer and from its scheduler."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from megabar.launchers.machines.description import Machine, clock, config_on
from megabar.launchers.schedulers.commands import run
from megabar.launchers.schedulers.registry import SCHEDULERS
from megabar.structures.errors import InputError, SetupError
from megabar.workflows.config import Config
from megabar.workflows.secrecy import SECRET_VARIABLES, hosts

MPI_LAUNCHERS = ("mpirun", "mpiexec", "mpiexec.hydra", "orterun")


@dataclass(frozen=True)
class Remark:
    """Something about a description: a problem keeps jobs from working, a warning costs time. key: of the file."""

    status: Literal["warning", "problem"]
    key: str
    sentence: str


def remarks(machine: Machine, config: Config, environment: Mapping[str, str] | None = None) -> list[Remark]:
    """Return what is wrong or wasteful in a description, as seen from this computer."""
    environment = os.environ if environment is None else environment
    found = [*_about_cores(machine), *_about_launches(machine, config), *_about_programs(machine)]
    return [*found, *_about_limits(machine), *_about_database(machine, config, environment)]


def check_limits(machine: Machine) -> None:
    """Raise InputError where a machine's jobs ask for more than its partition has, as far as the scheduler tells.

    Some schedulers take such jobs all the same, and they wait for ever.
    """
    beyond = [each for each in _about_limits(machine) if each.status == "problem" and each.key != "scheduler"]
    if beyond:
        said = "; ".join(f"`{machine.name}.{each.key}`: {each.sentence}" for each in beyond)
        raise InputError(f"jobs of {machine.name} ask for more than there is: {said}; nothing was submitted")


def _about_cores(machine: Machine) -> Iterator[Remark]:
    total = machine.nodes * machine.cores
    idle = total - machine.calculations_at_once * machine.cores_per_calculation
    if idle:
        fitting = [each for each in range(1, total + 1) if total % each == 0]
        near = min(fitting, key=lambda each: abs(each - machine.cores_per_calculation))
        yield Remark("warning", "cores_per_calculation", f"{idle} of {total} cores stay idle; {near} would use all")
    if machine.scheduler == "sge" and machine.parallel_environment is None and total > 1 and not machine.options:
        sentence = f"Grid Engine gives a job one core, not {total}, without one; `qconf -spl` lists those of the site"
        yield Remark("problem", "parallel_environment", sentence)
    if machine.most_jobs < machine.jobs_per_array:
        yield Remark("warning", "jobs_per_array", f"no array gets beyond `most_jobs`, {machine.most_jobs}")


def _about_launches(machine: Machine, config: Config) -> Iterator[Remark]:
    share = machine.calculations_at_once > 1
    launches = {"launch": machine.launch}
    launches |= {f"codes.{name}.launch": code.launch for name, code in machine.codes.items() if code.launch}
    parallel = machine.cores_per_calculation > 1
    for key, launch in launches.items():
        numbered = any("{cores}" in word or word.isdigit() for word in launch)
        if launch and parallel and share and not numbered:
            yield Remark("problem", key, "without {cores} each calculation would take all cores of the job")
        if launch and share and launch[0].rpartition("/")[2] == "srun" and not {"--exact", "--overlap"} & set(launch):
            sentence = "one srun waits for the other unless told otherwise; `srun --exact --mem=0 -n {cores}` does"
            yield Remark("problem", key, sentence)
        if launch and share and launch[0].rpartition("/")[2] in MPI_LAUNCHERS and not _pinned(machine, launch):
            sentence = (
                "several side by side are pinned to the same cores; `--bind-to none` prevents it with Open MPI, "
                "`export I_MPI_PIN=off` in `prepare` with Intel MPI"
            )
            yield Remark("warning", key, sentence)
    if parallel:
        yield from _about_serial_codes(machine, config)


def _about_serial_codes(machine: Machine, config: Config) -> Iterator[Remark]:
    there = config_on(machine, config)
    serial = [name for name in machine.codes if name != "emt" and not there.code(name).launch]
    wanted = [name for name in serial if "launch" in machine.codes[name].model_fields_set]
    for name in wanted:
        sentence = f"{name} uses 1 of the {machine.cores_per_calculation} cores that it is given"
        yield Remark("warning", f"codes.{name}.launch", sentence)
    forgotten = [name for name in serial if name not in wanted]
    if forgotten or not (machine.launch or machine.codes):
        what = " and ".join(forgotten) or "every code"
        sentence = (
            f"{what} would run on 1 core, not {machine.cores_per_calculation}: give `launch: mpirun -n {{cores}}`"
        )
        yield Remark("problem", "launch", sentence)


def _pinned(machine: Machine, launch: tuple[str, ...]) -> bool:
    words = " ".join((*launch, *machine.prepare)).lower()
    return any(sign in words for sign in ("bind-to", "bind_to", "binding_policy", "i_mpi_pin", "cpu-set", "--map-by"))


def _about_programs(machine: Machine) -> Iterator[Remark]:
    scheduler = SCHEDULERS.get(machine.scheduler)
    lacking = [command for command in scheduler.COMMANDS if shutil.which(command) is None] if scheduler else []
    if lacking:
        sentence = f"{', '.join(lacking)} not found here: no job can be submitted from this computer"
        yield Remark("warning", "scheduler", sentence)
    program = machine.command[0]
    if not lacking and "/" in program and shutil.which(program) is None:
        yield Remark("problem", "megabar", f"{program} is not a program here; name the megabar command of the nodes")


def _about_limits(machine: Machine) -> Iterator[Remark]:
    """Compare with what the scheduler says of the partition: beyond that jobs are refused, or wait for ever."""
    scheduler = SCHEDULERS.get(machine.scheduler)
    question = scheduler.partition(machine.partition) if scheduler else []
    if scheduler is None or not question or shutil.which(question[0]) is None:
        return
    try:
        has = scheduler.limits(run(scheduler, question))
    except SetupError as error:
        yield Remark("problem", "scheduler", str(error))
        return
    where = machine.partition or "the default partition"
    memory_MiB = None if machine.memory_GB is None else int(machine.memory_GB * 1e9 / 2**20)
    for key, wanted, most, shown in (
        ("wall_time", machine.wall_time, has.wall_time, clock),
        ("nodes", machine.nodes, has.nodes, str),
        ("cores", machine.cores, has.cores, str),
        ("memory_GB", memory_MiB, has.memory_MiB, lambda MiB: f"{MiB * 2**20 / 1e9:.4g}"),
    ):
        if wanted is not None and most is not None and wanted > most:
            yield Remark("problem", key, f"{shown(wanted)} is more than {where} has, {shown(most)}")


def _about_database(machine: Machine, config: Config, environment: Mapping[str, str]) -> Iterator[Remark]:
    if machine.scheduler == "none":
        return
    hidden = [name for name in SECRET_VARIABLES if name in environment]
    if config.database.uri is None:
        sentence = (
            "megabar's own database is reached from this computer only; jobs on other nodes need a MongoDB of yours, "
            "`database: {uri_file: …}` in megabar.yaml"
        )
        yield Remark("warning", "database", sentence)
    elif hidden:
        sentence = (
            f"the database's address is in {hidden[0]} of this shell, which no job gets to see; put it into a file "
            "that only you can read, named by `database: {uri_file: …}` in megabar.yaml"
        )
        yield Remark("problem", "database", sentence)
    elif hosts(config.database.uri).split(":")[0] in ("localhost", "127.0.0.1"):
        yield Remark(
            "warning", "database", f"{hosts(config.database.uri)} is another computer in a job on another node"
        )
