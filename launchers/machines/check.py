"""Says what a job on a machine would look like and what is wrong with its description, before weeks are spent on it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from megabar.launchers.machines.description import Machine, Machines, clock
from megabar.launchers.machines.jobs import worker_job
from megabar.launchers.machines.remarks import Remark, remarks
from megabar.launchers.machines.trial import Trial, try_out
from megabar.launchers.schedulers.interface import Scheduler
from megabar.launchers.schedulers.registry import SCHEDULERS
from megabar.launchers.schedulers.script import job_script
from megabar.workflows.config import Config


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
    where = f", in partition {machine.partition}" if machine.partition else ""
    charged = f", charged to {machine.account}" if machine.account else ""
    quality = f", quality of service {machine.qos}" if machine.qos else ""
    return (
        f"A {scheduler.TITLE} job on {machine.name} has {_cores(machine)}{where}, "
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
