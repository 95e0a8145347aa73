"""The tables of `megabar status` and `megabar watch`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from megabar.launchers.cli.numbers import ago, counted, hours, spell
from megabar.launchers.cli.printing import empty_table
from megabar.launchers.seeing.status import MachineStanding, Status
from megabar.workflows.standing import PhaseStanding, Standing

MOST_ROWS, MOST_NAMES = 40, 3
COUNTS = ("asked for", "done", "failed", "left phase", "running", "waiting")


def status_picture(status: Status, in_full: bool) -> RenderableType:
    """Return what `megabar status` shows; in_full: jobs and workers one by one."""
    if not status.studies and not status.machines:
        return Text("there are no studies yet")
    parts: list[RenderableType] = []
    if status.studies:
        parts.append(studies_table(status))
    parts += _remarks(status)
    if status.phases:
        parts += [Text(""), phases_table(status.phases)]
    if status.older:
        parts.append(Text(f"and {status.older} older ones: --all"))
    for machine in status.machines.values():
        if in_full:
            parts += _machine_tables(machine)
        elif machine.machine or machine.workers:
            parts.append(Text(machine_text(machine)))
    return Group(*parts)


def _remarks(status: Status) -> list[Text]:
    """Return what is to be known of the studies, that of several only once."""
    remarks: dict[str, list[str]] = {}
    for study in status.studies:
        said = status.situations[study.study][1]
        if said and (_open(study) or len(status.studies) == 1):
            remarks.setdefault(said, []).append(study.study)
    found = []
    for said, names in remarks.items():
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        found.append(Text(f"{', '.join(names[:MOST_NAMES])}{more}: {said}"))
    return found


def studies_table(status: Status) -> Table:
    """Return a table with a row for each study."""
    columns = (
        "study",
        "machine",
        "owner",
        "asked for",
        "done",
        "failed",
        "left phase",
        "running",
        "waiting",
        "to go on",
    )
    found = empty_table("", *columns, "core-h left", "time left", "state", numbers=tuple(range(3, 12)))
    for study in status.studies:
        found.add_row(
            study.study,
            study.machine or "–",
            study.owner or "–",
            *_counts(study, study.waiting + study.lost),
            str(study.going_on or ""),
            hours(study.core_hours_left) if _open(study) else "",
            spell(study.time_left_s) if _open(study) else "",
            status.situations[study.study][0],
        )
    return found


def _open(study: Standing) -> bool:
    return not (study.complete or study.cancelled)


def _counts(standing: Standing | PhaseStanding, waiting: int) -> tuple[str, ...]:
    rare = (standing.failed, standing.left_phase, standing.running, waiting)
    return (str(standing.calculations), str(standing.done), *(str(each or "") for each in rare))


def phases_table(phases: Sequence[PhaseStanding]) -> Table:
    """Return a table with a row for each phase of a study."""
    found = empty_table("", "phase", *COUNTS, numbers=tuple(range(1, 7)))
    for phase in phases:
        found.add_row(phase.phase, *_counts(phase, phase.waiting))
    return found


def machine_text(machine: MachineStanding) -> str:
    """Return in a line how a machine stands."""
    living = [worker for worker in machine.workers if not worker["lost"]]
    parts = []
    if machine.machine:
        jobs = f"{counted(machine.states['running'], 'job')} running, {machine.states['pending']} waiting"
        reasons = ", ".join(f"{reason}: {count}" for reason, count in machine.reasons.most_common(3))
        parts.append(jobs + (f" ({reasons})" if reasons else ""))
    parts.append(f"{counted(len(living), 'worker')}, {sum(worker['running'] is not None for worker in living)} at work")
    silent = len(machine.workers) - len(living)
    parts += [f"{counted(silent, 'worker')} heard of no more"] if silent else []
    parts += [f"{count} in trouble: {trouble}" for trouble, count in machine.troubles.items()]
    if machine.machine:
        parts.append("the scheduler was never asked" if machine.looked_s is None else f"asked {ago(machine.looked_s)}")
    return f"{machine.machine or 'workers started by hand'}: {'; '.join(parts)}"


def _machine_tables(machine: MachineStanding) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(""), Text(machine_text(machine))]
    if machine.jobs:
        jobs = empty_table("", "job", "kind", "user", "state", "reason")
        for job in machine.jobs[:MOST_ROWS]:
            jobs.add_row(job["identifier"], job["kind"], job["user"], job["state"], job["reason"])
        parts += [jobs, *_more(len(machine.jobs), "jobs")]
    if machine.workers:
        workers = empty_table("", "worker", "job", "cores", "runs", "of", "heard of", "trouble", numbers=(2,))
        for worker in sorted(machine.workers, key=lambda each: each["trouble"] is None)[:MOST_ROWS]:
            runs = worker["running"]
            workers.add_row(
                worker["worker"],
                worker["job"] or "–",
                str(worker["cores"]),
                runs["calculation"] if runs else "–",
                runs["study"] if runs else "",
                ago(worker["silent_s"]),
                worker["trouble"] or ("heard of no more" if worker["lost"] else ""),
            )
        parts += [workers, *_more(len(machine.workers), "workers")]
    return parts


def _more(count: int, what: str) -> list[Text]:
    return [Text(f"… and {count - MOST_ROWS} more {what}: --json has them all")] if count > MOST_ROWS else []


def study_line(study: Standing, situation: tuple[str, str]) -> str:
    """Return in a line how a study stands."""
    state, said = situation
    parts = [f"{study.done} of {study.calculations} calculations done"]
    rare = {"failed": study.failed, "left their phase": study.left_phase, "running": study.running}
    rare |= {"waiting": study.waiting + study.lost, "of these to go on": study.going_on}
    parts += [f"{count} {what}" for what, count in rare.items() if count]
    if study.time_left_s is not None and _open(study):
        parts.append(f"about {spell(study.time_left_s)} left")
    return f"{study.study}: {state}{f' ({said})' if said else ''}; {', '.join(parts)}"
