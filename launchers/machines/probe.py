"""Looks around in a job: what `megabar machine probe`, the command of the small job of a check, does."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from megabar.launchers.machines.description import Machine, config_on
from megabar.launchers.schedulers.allocation import allocation
from megabar.structures.errors import SetupError
from megabar.workflows.config import Config
from megabar.workflows.files import write_json
from megabar.workflows.secrecy import hidden, hosts


def probe(machine: Machine, config: Config, answer: Path) -> None:
    """Look around in a job and write what is there into a file."""
    from megabar import __version__

    here = allocation()
    problems = []
    there = config_on(machine, config)
    if here is None:
        problems.append("the job does not know itself: its environment lacks the scheduler's variables")
    try:
        database = _database(config)
    except SetupError as error:
        database = "no database"
        problems.append(str(error))
    codes: dict[str, str] = {}
    for name in machine.codes:
        try:
            codes[name] = _installed(name, there)
        except (SetupError, ImportError) as error:
            problems.append(str(error))
    found = {
        "host": platform.node(),
        "python": platform.python_version(),
        "megabar": __version__,
        "job": here.job if here else None,
        "cores": here.cores if here else None,
        "seconds_left": here.seconds_left() if here else None,
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
        "temporary": os.environ.get("TMPDIR", ""),
        "free_GB": round(shutil.disk_usage(config.data).free / 1e9, 1),
        "database": database,
        "codes": codes,
        "problems": [hidden(problem) for problem in problems],
    }
    write_json(answer, found)


def _database(config: Config) -> str:
    from megabar.launchers.database.embedded import database

    if not config.database.uri:
        return "no database is configured for it"
    database(config)
    return f"the database at {hosts(config.database.uri)} answers"


def _installed(name: str, config: Config) -> str:
    from megabar.workflows.codes.registry import CODES

    found = CODES[name].installation(config)
    return f"{found.version} ({' '.join(found.command) or 'inside Python'})"
