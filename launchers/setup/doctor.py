"""What is installed, which versions, what is missing and how to get it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from megabar.launchers.database.embedded import LEAST_FREE_BYTES, database, running
from megabar.launchers.database.mongod_binary import HOW_TO_GET, find_mongod
from megabar.launchers.machines.description import load_machines
from megabar.launchers.schedulers.registry import SCHEDULERS, found_here
from megabar.launchers.setup import system_packages
from megabar.structures.errors import InputError, SetupError
from megabar.workflows.config import Config

Status = Literal["ok", "missing", "warning"]
LITTLE_MEMORY_GB = 4.0
LITTLE_DISK_GB = 2.0
CODES_BY_SETUP = tuple(system_packages.CODES)
SETUP = "run `python3 launchers setup` in the repository"


@dataclass(frozen=True)
class Finding:
    """One part of the installation.

    status: ``ok``; ``warning`` where it works but not well; ``missing`` where what needs it cannot run.
    version: empty where it has none. how_to_get: empty where nothing needs to be done.
    """

    part: str
    status: Status
    version: str = ""
    detail: str = ""
    how_to_get: str = ""


def diagnose(config: Config) -> list[Finding]:
    """Look at everything that studies need, and change nothing (a data folder that can be made is not made)."""
    parts: tuple[Callable[[Config], Iterator[Finding]], ...] = (_python, _database, _codes, _machine, _queue)
    return [finding for part in parts for finding in part(config)]


def _python(_config: Config) -> Iterator[Finding]:
    yield Finding("python", "ok", platform.python_version())
    for name in _requirements():
        try:
            yield Finding(name, "ok", metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(name, "missing", detail="Python package", how_to_get=SETUP)


def _requirements() -> list[str]:
    """Return megabar itself and the packages that it cannot do without."""
    try:
        required = metadata.requires("megabar") or []
    except metadata.PackageNotFoundError:
        required = []
    names = [match[0] for line in required if "extra ==" not in line and (match := re.match(r"[A-Za-z0-9._-]+", line))]
    return ["megabar", *sorted(names)]


def _database(config: Config) -> Iterator[Finding]:
    part = "database"
    if config.database.uri:
        try:
            database(config)
        except SetupError as error:
            yield Finding(part, "missing", detail=str(error), how_to_get="mend it, or leave out the URI")
        else:
            yield Finding(part, "ok", detail="the configured MongoDB answers")
        return
    state = running(config)
    if state is not None:
        yield Finding(part, "ok", state.version, f"megabar's own, running ({state.binary})")
        return
    try:
        with tempfile.TemporaryDirectory() as library_folder:
            found = find_mongod(library_folder=Path(library_folder))
    except SetupError as error:
        yield Finding(part, "missing", detail=str(error).removesuffix(f": {HOW_TO_GET}"), how_to_get=HOW_TO_GET)
    except OSError as error:
        yield Finding(part, "missing", detail=f"no temporary folder ({error})", how_to_get="name one in TMPDIR")
    else:
        yield Finding(part, "ok", found.version, f"megabar's own, starts when it is needed ({found.path})")


def _codes(config: Config) -> Iterator[Finding]:
    from megabar.workflows.codes.registry import CODES

    for name in CODES:
        try:
            installation = CODES[name].installation(config)
        except (SetupError, ImportError) as error:
            yield Finding(f"code {name}", "missing", detail=str(error), how_to_get=_how_to_get(name))
            continue
        detail = " ".join(installation.command) or "inside Python"
        yield Finding(f"code {name}", "ok", installation.version, detail)
        yield from _data_folder(config, name)


def _data_folder(config: Config, name: str) -> Iterator[Finding]:
    folder = config.code(name).pseudopotentials
    if folder is None:
        return
    part = f"pseudopotentials of {name}"
    if not folder.is_dir():
        yield Finding(part, "missing", detail=f"{folder} is not a folder", how_to_get=f"mend codes.{name}")
    else:
        yield Finding(part, "ok", detail=f"{sum(1 for each in folder.iterdir() if each.is_file())} files in {folder}")


def _how_to_get(name: str) -> str:
    """Return how the set-up gets a code; of one that it cannot get the adapter's own message says all."""
    if name == "gpaw":
        return SETUP
    return f"{SETUP}, `--with {name}`" if name in CODES_BY_SETUP else ""


def _machine(config: Config) -> Iterator[Finding]:
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding("cores", "ok", detail=str(cores))
    memory_GB = psutil.virtual_memory().total / 1e9
    little = memory_GB < LITTLE_MEMORY_GB
    advice = "expect only small cells to fit" if little else ""
    yield Finding("memory", "warning" if little else "ok", detail=f"{memory_GB:.1f} GB", how_to_get=advice)
    yield _data(config.data)
    if os.environ.get("OMP_NUM_THREADS", "1") != "1":
        detail = f"OMP_NUM_THREADS is {os.environ['OMP_NUM_THREADS']}"
        yield Finding("threads", "warning", detail=detail, how_to_get="set it to 1: small cells are fastest so")


def _data(data: Path) -> Finding:
    """Return whether the data folder, or the nearest folder above that exists, can be written, and how much is free."""
    part, elsewhere = "data folder", "choose another with MEGABAR_DATA or `data:` in megabar.yaml"
    place = next(each for each in (data, *data.absolute().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return Finding(part, "missing", detail=f"{data} cannot be written ({reason})", how_to_get=elsewhere)
    free_GB = shutil.disk_usage(place).free / 1e9
    status: Status = "ok"
    if free_GB < LITTLE_DISK_GB:
        status = "missing" if free_GB < LEAST_FREE_BYTES / 1e9 else "warning"
    advice = "" if status == "ok" else f"free some space, or {elsewhere}"
    return Finding(part, status, detail=f"{data}, {free_GB:.1f} GB free", how_to_get=advice)


def _queue(_config: Config) -> Iterator[Finding]:
    """Schedulers and machines are optional: their absence is no fault."""
    found = found_here()
    for name, version in found.items():
        program = shutil.which(SCHEDULERS[name].COMMANDS[0])
        if version:
            yield Finding(name, "ok", version, program or "")
        else:
            advice = "ask your computing centre"
            yield Finding(name, "warning", detail=f"{program} does not tell its version", how_to_get=advice)
    if not found:
        yield Finding("queue", "ok", detail=f"no {', '.join(SCHEDULERS)} here; studies run on this machine")
    yield _machines_described()


def _machines_described() -> Finding:
    try:
        machines = load_machines()
    except InputError as error:
        return Finding("machines", "warning", detail=str(error), how_to_get="mend the description")
    if not machines.by_name:
        return Finding("machines", "ok", detail="none is described; none is needed to run here")
    return Finding("machines", "ok", detail=f"{', '.join(machines.by_name)} ({machines.path})")
