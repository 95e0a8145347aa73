"""How studies and machines stand: what `megabar status` and `megabar watch` show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from megabar import __version__
from megabar.launchers.cli.numbers import counted
from megabar.launchers.database.stored import existing_store, find_identifier
from megabar.structures.errors import InputError
from megabar.workflows.config import load_config
from megabar.workflows.kinds.names import is_here
from megabar.workflows.presence import STALE_SECONDS
from megabar.workflows.standing import (
    PhaseStanding,
    Running,
    Standing,
    choose_studies,
    phase_standings,
    running_now,
    standings,
    workers_of,
)
from megabar.workflows.store import ResultStore

NEWEST = 20
"""Studies that have ended of which so many are shown where not all are asked for."""
UNATTENDED_S = 600.0
"""A queue that nobody has looked after for so long has nobody who looks after it."""


@dataclass(frozen=True)
class MachineStanding:
    """Jobs and workers of a machine ("" for workers started by hand).

    jobs: those in the queue, as stored. workers: each with what it runs. looked_s: since the scheduler was last asked,
    None where it never was.
    """

    machine: str
    jobs: Sequence[Mapping[str, Any]] = ()
    workers: Sequence[Mapping[str, Any]] = ()
    looked_s: float | None = None

    @property
    def states(self) -> Counter[str]:
        """Jobs by state: ``pending``, ``running``."""
        return Counter(job["state"] for job in self.jobs)

    @property
    def reasons(self) -> Counter[str]:
        """Jobs that wait, by the scheduler's reason."""
        return Counter(job["reason"] for job in self.jobs if job["state"] == "pending" and job["reason"])

    @property
    def troubles(self) -> Counter[str]:
        """What keeps workers from working."""
        return Counter(worker["trouble"] for worker in self.workers if worker["trouble"] and not worker["lost"])

    @property
    def attended(self) -> bool:
        """Whether somebody keeps its queue fed."""
        return self.looked_s is not None and self.looked_s < UNATTENDED_S

    def json(self) -> dict[str, Any]:
        """Return the same as JSON-able data."""
        return {
            **asdict(self),
            "jobs_by_state": dict(self.states),
            "reasons": dict(self.reasons),
            "troubles": dict(self.troubles),
        }


@dataclass(frozen=True)
class Status:
    """Studies, newest first, and the machines that they are for; phases of the one study that was asked for.

    older: studies that have ended and are not shown.
    """

    studies: Sequence[Standing]
    machines: Mapping[str, MachineStanding]
    phases: Sequence[PhaseStanding] = ()
    older: int = 0
    situations: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether all of its studies are complete or cancelled."""
        return all(study.complete or study.cancelled for study in self.studies)

    def json(self) -> dict[str, Any]:
        """Return the same as JSON-able data."""
        studies = []
        for study in self.studies:
            state, said = self.situations[study.study]
            studies.append({**asdict(study), "state": state, "said": said})
        phases = [asdict(phase) for phase in self.phases]
        machines = [machine.json() for machine in self.machines.values()]
        return {"studies": studies, **({"phases": phases} if phases else {}), "machines": machines, "older": self.older}


def status(name: str | None = None, machine: str | None = None, everything: bool = False) -> Status:
    """Return how a study (its file, name or identifier), those of a machine, or all stand."""
    with existing_store(load_config()) as store:
        return status_in(store, name, machine, everything)


def status_in(store: ResultStore, name: str | None, machine: str | None, everything: bool) -> Status:
    """Return the same from an open store."""
    if machine is not None and name is not None:
        raise InputError("give a study or --machine, not both")
    identifier = None if name is None else find_identifier(name, store)
    if machine is not None:
        _check_machine(machine, store)
    workers = workers_of(store)
    running = running_now(store, workers)
    chosen, older = choose_studies(store, identifier, machine, None if everything else NEWEST)
    found = standings(store, chosen, running)
    shown = {study.machine for study in found if not study.complete}
    if machine is not None:
        shown = {machine}
    elif name is None:
        shown |= {worker["machine"] for worker in workers}
    machines = machine_standings(store, sorted(shown), workers, running)
    return Status(
        studies=found,
        machines=machines,
        phases=phase_standings(store, found[0], running) if identifier is not None and found else (),
        older=older,
        situations={study.study: situation(study, machines.get(study.machine)) for study in found},
    )


def _check_machine(machine: str, store: ResultStore) -> None:
    """Raise InputError where a machine is neither described nor known in the database."""
    asked = {"machine": machine, "complete": {"$in": [True, False]}}  # as the index has it
    known = store.database.studies.find_one(asked, {"_id": 1})
    if not known and not any(store.database[each].find_one({"machine": machine}) for each in ("jobs", "workers")):
        from megabar.launchers.machines.description import load_machines

        load_machines().named(machine)


def machine_standings(
    store: ResultStore, names: Sequence[str], workers: Sequence[Mapping[str, Any]], running: Sequence[Running]
) -> dict[str, MachineStanding]:
    """Return how machines stand; workers: all known, running: all that they have taken."""
    runs = {each.worker: each for each in running}
    fields = {"_id": 0, "machine": 1, "identifier": 1, "user": 1, "kind": 1, "state": 1, "reason": 1, "log": 1}
    query = {"machine": {"$in": list(names)}, "state": {"$in": ["pending", "running"]}}
    jobs = list(store.database.jobs.find(query, fields).sort([("state", 1), ("_id", 1)]))
    looked = store.queues_looked_s()
    return {
        name: MachineStanding(
            machine=name,
            jobs=[job for job in jobs if job["machine"] == name],
            workers=[_worker(each, runs.get(each["_id"])) for each in workers if each["machine"] == name],
            looked_s=looked.get(name),
        )
        for name in names
    }


def _worker(worker: Mapping[str, Any], runs: Running | None) -> dict[str, Any]:
    return {
        "worker": worker["_id"],
        "host": worker["host"],
        "user": worker["user"],
        "job": worker["job"],
        "cores": worker["cores"],
        "running": {"study": runs.study, "calculation": runs.name, "key": runs.key, "since": runs.since}
        if runs
        else None,
        "silent_s": round(worker["silent_s"], 1),
        "lost": worker["silent_s"] > STALE_SECONDS,
        "trouble": worker["trouble"],
    }


def situation(study: Standing, machine: MachineStanding | None) -> tuple[str, str]:
    """Return the state of a study in a word or two, and what is to be known of it or done, "" where there is nothing.

    ``complete``, ``cancelled``, ``running``, ``waiting for jobs``, ``waiting for workers``, ``in trouble``,
    ``planning`` what it wants next, ``stuck``: nothing runs, and nothing waits to be run.
    """
    machine = machine or MachineStanding(study.machine)
    if study.complete:
        failed = f"{counted(study.failed, 'calculation')} failed: `megabar why {study.name}`" if study.failed else ""
        return "complete", "; ".join(filter(None, (failed, study.fault)))
    lacking = "" if is_here(study.kind) else _of_a_kind_not_here(study)
    if study.cancelled:
        stopping = f"{counted(study.running, 'calculation')} still stopping; " if study.running else ""
        return "cancelled", f"{stopping}{lacking or '`megabar submit` or `megabar run` takes it up again'}"
    troubles = "; ".join(f"{trouble} ({counted(count, 'worker')})" for trouble, count in machine.troubles.items())
    if study.running:
        return "running", troubles or _of_the_lost(study) or study.fault
    if troubles:
        return "in trouble", troubles
    if study.queued:
        state, said = _waiting(study, machine)
        return state, lacking or said
    if study.fault:
        return "stuck", study.fault
    if lacking and not study.planning:
        return "stuck", lacking
    if study.planning or machine.attended or any(not worker["lost"] for worker in machine.workers):
        return "planning", ""  # whoever has nothing to do looks what studies want
    return "stuck", _of_the_lost(study) or f"nothing runs and nothing waits: {_remedy(study)} lets it go on"


def _of_a_kind_not_here(study: Standing) -> str:
    """Return what to do about a study that nothing of this version can plan."""
    return (
        f"megabar {__version__} has no studies of the kind `{study.kind}`: update it here, or install the package that "
        "offers this kind"
    )


def _of_the_lost(study: Standing) -> str:
    if not study.lost:
        return ""
    return f"the workers of {counted(study.lost, 'calculation')} are heard of no more; what they ran goes on elsewhere"


def _remedy(study: Standing) -> str:
    return f"`megabar queue {study.machine}`" if study.machine else "`megabar run` or `megabar worker`"


def _waiting(study: Standing, machine: MachineStanding) -> tuple[str, str]:
    """Return what a study waits for whose calculations nobody has taken."""
    if not study.machine:
        living = [worker for worker in machine.workers if not worker["lost"]]
        said = "they are busy with other studies" if living else f"none is there: {_remedy(study)} starts some"
        return "waiting for workers", said
    if machine.states["running"]:
        return (
            "waiting for workers",
            f"{counted(machine.states['running'], 'job')} running, for what they have room and time for",
        )
    if machine.states["pending"]:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in machine.reasons.most_common(3))
        said = f"{machine.states['pending']} in the queue" + (f" ({reasons})" if reasons else "")
        return "waiting for jobs", said + ("" if machine.attended else f"; nobody looks after it: {_remedy(study)}")
    if machine.attended:
        return "waiting for jobs", "none is in the queue yet"
    return "waiting for jobs", f"none is in the queue: {_remedy(study)} submits them"
