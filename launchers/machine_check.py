"""Says what a job on a machine would look like and what is wrong with its description, before weeks are spent on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from megabar.launchers.jobs import worker_job
from megabar.launchers.machine_trial import Trial, try_out
from megabar.launchers.machines import Machine, Machines, clock, config_on
from megabar.launchers.schedulers.interface import Scheduler
from megabar.launchers.schedulers.registry import SCHEDULERS
from megabar.launchers.schedulers.script import job_script
from megabar.workflows.config import Config
from megabar.workflows.secrecy import SECRET_VARIABLES, hosts

MPI_LAUNCHERS = ("mpirun", "mpiexec", "mpiexec.hydra", "orterun")


@dataclass(frozen=True)
class Remark:
    """Something about a description: a problem keeps jobs from working, a warning costs time. key: of the file."""

    status: Literal["warning", "problem"]
    key: str
    sentence: str


@dataclass(frozen=True)
class Checked:
    """What a check came to; script: of a real job. trial: None where none was made. ok: nothing speaks against it."""

    machine: str
    file: str
    sentences: tuple[str, ...]
    remarks: tuple[Remark, ...]
    script: str
    trial: Trial | None

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against real jobs."""
        return not any(each.status == "problem" for each in self.remarks) and (self.trial is None or self.trial.ok)

    def json(self) -> dict[str, Any]:
        """Return it as one JSON document."""
        return {**asdict(self), "ok": self.ok}


def checked(machine: Machine, machines: Machines, config: Config, wait_s: float) -> Checked:
    """Check a machine's description, with a small job where nothing speaks against it and jobs can be submitted.

    Raises InputError where no job can be written at all.
    """
    script = job_script(worker_job(machine, machines, config))
    found = remarks(machine, config)
    hopeless = any(each.status == "problem" or each.key == "scheduler" for each in found)
    trial = None if hopeless or wait_s <= 0 else try_out(machine, machines, config, wait_s)
    return Checked(machine.name, str(machines.path), tuple(sentences(machine)), tuple(found), script, trial)


def check_text(result: Checked) -> str:
    """Return a check as `megabar machine check` prints it."""
    lines = [*result.sentences, "", "The script of a job:", *(f"  {line}" for line in result.script.splitlines()), ""]
    lines += [f"{each.status}: `{each.key}`: {each.sentence}" for each in result.remarks]
    if result.trial is not None:
        lines.append(result.trial.sentence if result.trial.ok else f"problem: {result.trial.sentence}")
        lines += [f"  {line}" for line in result.trial.output.splitlines()]
    elif not result.ok:
        lines.append("No job was submitted.")
    return "\n".join(lines)


def sentences(machine: Machine) -> list[str]:
    """Return what a real job looks like, in words."""
    scheduler = SCHEDULERS.get(machine.scheduler)
    told = (
        [_asked_for(machine, scheduler), _queue_use(machine, scheduler)]
        if scheduler
        else [f"{machine.name} is this computer: workers run on it directly, on {_cores(machine)} at most."]
    )
    return [*told, _packing(machine), _ending(machine, scheduler)]


def _asked_for(machine: Machine, scheduler: Scheduler) -> str:
    where = f" in {machine.partition}" if machine.partition else ""
    charged = f", charged to {machine.account}" if machine.account else ""
    quality = f", quality of service {machine.qos}" if machine.qos else ""
    return (
        f"A {scheduler.TITLE} job on {machine.name} has {_cores(machine)}{where} "
        f"for {clock(machine.wall_time)}{charged}{quality}."
    )


def _cores(machine: Machine) -> str:
    memory = f" and {machine.memory_GB:g} GB" if machine.memory_GB is not None else ""
    if machine.nodes == 1:
        return f"{_count(machine.cores, 'core')}{memory} of one node"
    return f"{machine.nodes} nodes of {_count(machine.cores, 'core')}{memory} each"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _queue_use(machine: Machine, scheduler: Scheduler) -> str:
    together = f", up to {machine.jobs_per_array} of them as one array" if machine.jobs_per_array > 1 else ""
    return f"At most {_count(machine.most_jobs, 'job')} are in the queue at once{together}."


def _packing(machine: Machine) -> str:
    number = machine.calculations_at_once
    memory = ""
    if machine.memory_GB is not None:
        memory = f" and about {machine.nodes * machine.memory_GB / number:.3g} GB"
    launch = " ".join(machine.launch).replace("{cores}", str(machine.cores_per_calculation))
    started = f", started with `{launch}`" if launch else ""
    what = "One calculation runs" if number == 1 else f"{number} calculations run"
    each = "on" if number == 1 else "each on"
    return f"{what} at a time, {each} {_count(machine.cores_per_calculation, 'core')}{memory}{started}."


def _ending(machine: Machine, scheduler: Scheduler | None) -> str:
    told = f" ({scheduler.WARNING})" if scheduler else ""
    return (
        f"After {clock(machine.wall_time - machine.grace)}, {machine.grace} s before the end{told}, calculations are "
        "stopped gently and go on in the next job."
    )


def remarks(machine: Machine, config: Config, environment: Mapping[str, str] | None = None) -> list[Remark]:
    """Return what is wrong or wasteful in a description, as seen from this computer."""
    environment = os.environ if environment is None else environment
    found = [*_about_cores(machine), *_about_launches(machine, config), *_about_programs(machine)]
    return [*found, *_about_database(machine, config, environment)]


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
        there = config_on(machine, config)
        serial = [name for name in machine.codes if name != "emt" and not there.code(name).launch]
        if serial or not (machine.launch or machine.codes):
            what = " and ".join(serial) or "every code"
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
