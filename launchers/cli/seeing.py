"""The commands that look at studies: `megabar status`, `watch`, `why`, `cost`; and `retry` and `cancel`."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from megabar.launchers.cli.numbers import counted
from megabar.launchers.cli.options import AsJson, print_json

Study = Annotated[str, typer.Argument(metavar="STUDY", help="a study file, or the name of a stored study")]
AnyStudy = Annotated[
    str | None, typer.Argument(metavar="STUDY", help="a study file or name; all studies where none is given")
]
Phase = Annotated[str | None, typer.Argument(metavar="PHASE", help="one of its phases; all where none is given")]
Force = Annotated[bool, typer.Option("--force", help="also where the study is somebody else's")]


def add_seeing(app: typer.Typer) -> None:
    """Make the commands known."""
    for command in (status, watch, why, retry, cancel, cost):
        app.command()(command)


def status(
    study: AnyStudy = None,
    machine: Annotated[str | None, typer.Option(metavar="NAME", help="the studies, jobs and workers of one")] = None,
    everything: Annotated[bool, typer.Option("--all", help="also older ones, and all jobs and workers")] = False,
    as_json: AsJson = False,
) -> None:
    """Say how studies stand, and the machines that they run on."""
    from megabar.launchers.seeing.status import status as status_of

    found = status_of(study, machine, everything)
    if as_json:
        print_json(found.json())
        return
    from megabar.launchers.cli.printing import show
    from megabar.launchers.seeing.status_tables import status_picture

    show(status_picture(found, in_full=everything or machine is not None))


def watch(
    study: AnyStudy = None,
    every: Annotated[float, typer.Option(min=0.2, metavar="S", help="seconds between two looks")] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Show live how a study stands, until it is complete; without one, all that are not."""
    from megabar.launchers.seeing.watching import looks, show_live

    if as_json:
        for found in looks(study, every):
            print(json.dumps(found.json()), flush=True)
    else:
        show_live(looks(study, every))


def retry(study: Study, phase: Phase = None, force: Force = False, as_json: AsJson = False) -> None:
    """Try the failed calculations of a study, or of one of its phases, once more."""
    from dataclasses import asdict

    from megabar.launchers.seeing.withdrawing import retry_study

    done = retry_study(study, phase, force)
    if as_json:
        print_json(asdict(done))
    elif done.calculations:
        how = f"the queue of {done.machine} takes" if done.machine else "`megabar run` or `megabar worker` runs"
        print(f"{done.study}: {counted(done.calculations, 'failed calculation')} to be tried again; {how} them")
    else:
        print(f"{done.study}: nothing has failed" + (f" in {phase}" if phase else ""))


def cancel(study: Study, force: Force = False, as_json: AsJson = False) -> None:
    """Run nothing more for a study; what is done is kept, and the study can be taken up again."""
    from dataclasses import asdict

    from megabar.launchers.seeing.withdrawing import cancel_study

    done = cancel_study(study, force)
    if as_json:
        print_json(asdict(done))
        return
    if done.complete:
        print(f"{done.study} is complete: there is nothing to cancel")
        return
    parts = [f"{counted(done.waiting, 'calculation')} taken out"]
    parts += [f"{counted(done.stopping, 'running calculation')} told to stop"] if done.stopping else []
    parts += [f"{counted(done.shared, 'calculation')} running on for other studies"] if done.shared else []
    parts += [f"{counted(done.jobs, 'job')} cancelled in the queue"] if done.jobs else []
    print(f"{done.study} is cancelled: {', '.join(parts)}")
    if done.said:
        print(f"megabar: {done.said}", file=sys.stderr)


def why(study: Study, phase: Phase = None, as_json: AsJson = False) -> None:
    """Say what happened to a study or one of its phases: failures first, then what runs, and why others wait."""
    from megabar.launchers.seeing.explaining import why as explained

    story = explained(study, phase)
    if as_json:
        print_json(story.json())
        return
    from megabar.launchers.seeing.why_text import why_text

    print(why_text(story))


def cost(study: AnyStudy = None, as_json: AsJson = False) -> None:
    """Say what studies have cost, by phase and code, against the estimate, and what reusing results has saved."""
    from megabar.launchers.cli.printing import show
    from megabar.launchers.seeing.costs import costs, costs_json, costs_picture

    found = costs(study)
    if as_json:
        print_json(costs_json(found))
    else:
        show(costs_picture(found, in_full=study is not None))
