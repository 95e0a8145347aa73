"""What a machine's jobs have in common: their folder, and how they find what their submitter sees."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from megabar.launchers.machines.description import Machine, Machines
from megabar.launchers.schedulers.interface import JobRequest
from megabar.launchers.workers.feeding import SHARED, requests
from megabar.workflows.config import Config
from megabar.workflows.places import expanded
from megabar.workflows.secrecy import SECRET_VARIABLES

FOLDER = "jobs"


def job_folder(machine: Machine, config: Config) -> Path:
    """Return the folder of a machine's job scripts and their outputs."""
    return config.data.absolute() / FOLDER / machine.name


def job_environment(machines: Machines, config: Config, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables by which a job finds what its submitter sees: megabar's own, except for secrets."""
    environment = os.environ if environment is None else environment
    kept = {
        name: value
        for name, value in environment.items()
        if name.startswith("MEGABAR_") and not name.startswith("MEGABAR_JOB_") and name not in SECRET_VARIABLES
    }
    for name in ("MEGABAR_CONFIG", "MEGABAR_DATABASE_URI_FILE"):
        if name in kept:
            kept[name] = str(expanded(Path(kept[name])).absolute())
    kept["MEGABAR_DATA"] = str(config.data.absolute())
    kept["MEGABAR_DATABASE_NAME"] = config.database.name
    if config.database.uri_file is not None:
        kept["MEGABAR_DATABASE_URI_FILE"] = str(config.database.uri_file)
    if machines.path is not None:
        kept["MEGABAR_MACHINES"] = str(machines.path)
    return kept


def worker_job(machine: Machine, machines: Machines, config: Config) -> JobRequest:
    """Return a job as `megabar queue` submits it, without an array."""
    environment = job_environment(machines, config)
    return requests(machine, SHARED, 1, job_folder(machine, config), Path.cwd(), environment)[0]
