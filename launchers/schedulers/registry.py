"""The schedulers by name, and which of them are here."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from megabar.launchers.machines.description import Machine
from megabar.launchers.schedulers import pbs, pjm, sge, slurm
from megabar.launchers.schedulers.commands import run
from megabar.launchers.schedulers.interface import Scheduler
from megabar.structures.errors import InputError, SetupError

SCHEDULERS: Mapping[str, Scheduler] = {"slurm": slurm, "pbs": pbs, "sge": sge, "pjm": pjm}
VERSION_TIMEOUT_S = 10.0


def scheduler_of(machine: Machine) -> Scheduler:
    """Return a machine's scheduler; raises InputError where it has none."""
    if machine.scheduler == "none":
        raise InputError(
            f"the machine {machine.name} has no scheduler: there is no queue to feed; `megabar worker` works on it"
        )
    return SCHEDULERS[machine.scheduler]


def found_here() -> dict[str, str]:
    """Return the versions of the schedulers whose programs are here, by name; empty where one does not tell it."""
    found = {}
    for name, scheduler in SCHEDULERS.items():
        if all(shutil.which(command) for command in scheduler.COMMANDS):
            try:
                said = run(scheduler, scheduler.VERSION, VERSION_TIMEOUT_S, tolerant=True, with_errors=True)
            except SetupError:
                said = ""
            version = scheduler.version(said)
            # PBS and Grid Engine have programs of the same names, and Slurm's say nothing where it is not set up.
            if version is not None or name == "pjm":
                found[name] = version or ""
    return found
