"""The `megabar` command."""

from __future__ import annotations

import atexit
import gc
import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from megabar import __version__
from megabar.launchers.cli import interrupts
from megabar.launchers.cli.figures import figures
from megabar.launchers.cli.gap import gap
from megabar.launchers.cli.machine import machine as machine_commands
from megabar.launchers.cli.options import AsJson
from megabar.launchers.cli.options import print_json as _print_json
from megabar.launchers.cli.phonons import phonons
from megabar.launchers.cli.seeing import add_seeing
from megabar.launchers.cli.sharing import add_commands
from megabar.launchers.cli.streams import take_everything
from megabar.launchers.cli.structures import structures
from megabar.launchers.cli.tc import tc
from megabar.launchers.cli.thermo import thermo
from megabar.structures.errors import InputError
from megabar.structures.names import visible
from megabar.structures.threads import limit as limit_threads
from megabar.workflows.places import have_home
from megabar.workflows.secrecy import hidden

app = typer.Typer(
    name="megabar",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="First-principles workflows for matter under pressure.",
)

ALLOCATIONS = 50_000
"""Between two looks for cycles: with Python's 700 they are an eighth of a command that mostly imports."""

StudyPath = Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="the study file")]


def main() -> None:
    """Run the command: 0 on success, 2 on a user's mistake, 1 on a failure of ours, 130 when interrupted."""
    gc.set_threshold(ALLOCATIONS)
    limit_threads()
    interrupts.listen()
    take_everything()
    have_home()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # a home that cannot be written is no news each time
    try:
        _run()
    finally:
        _leave_at_once()


def _leave_at_once() -> None:
    """Take out of the end of the command pymongo's wait, of half a second, for the threads of clients long closed."""
    for module in ("pymongo.synchronous.monitor", "pymongo.asynchronous.monitor"):
        hook = getattr(sys.modules.get(module), "_shutdown_resources", None)
        if hook is not None:
            atexit.unregister(hook)


def _run() -> None:
    try:
        code = app(standalone_mode=False) or 0
        sys.exit(_say(interrupts.STOPPED, code) if code == interrupts.CODE else code)
    except InputError as error:
        sys.exit(_say(f"megabar: {error}", 2))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(_say(interrupts.STOPPED, interrupts.CODE))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        sys.exit(_say(f"megabar: {error.filename or ''}: {error.strerror or error}".replace(": :", ":"), 2))
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # typer's own: a wrong option, a missing argument
            error.show()
            sys.exit(error.exit_code)
        said = _of_database(error)
        if said is not None:
            sys.exit(_say(f"megabar: {said[0]}", said[1]))
        what = hidden(f"{type(error).__name__}: {error}")
        sys.exit(_say(f"megabar: a failure of ours: {what}; {_save_details()}", 1))


def _of_database(error: Exception) -> tuple[str, int] | None:
    """Return what to say of a database that went away in mid-work or forbids something, and the exit code."""
    from pymongo.errors import PyMongoError

    from megabar.launchers.database.embedded import explain_outage
    from megabar.launchers.database.sharing import refusal
    from megabar.workflows.config import load_config

    if not isinstance(error, PyMongoError):
        return None
    refused = refusal(error, load_config())
    return (refused, 2) if refused else (explain_outage(load_config(), error), 1)


def _say(text: str, code: int) -> int:
    print(visible(text), file=sys.stderr)
    return code


def _save_details() -> str:
    """Write what helps to mend a failure to a temporary file; return where it is, or all of it where none can be."""
    import tempfile
    import traceback

    details = hidden(traceback.format_exc())
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="megabar-", suffix=".log", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(details)
    except OSError:
        return f"details:\n{details}"
    return f"details in {file.name}"


def _version(value: bool) -> None:
    if value:
        print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Ask which phases are stable under pressure, and let DFT codes answer."""


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what is installed, what is missing and how to get it."""
    from megabar.launchers.cli.printing import findings_table, show
    from megabar.launchers.setup.doctor import diagnose
    from megabar.workflows.config import load_config

    findings = diagnose(load_config())
    if as_json:
        from dataclasses import asdict

        _print_json([asdict(finding) for finding in findings])
    else:
        show(findings_table(findings))


@app.command()
def phases(
    system: Annotated[str | None, typer.Argument(help="elements, e.g. Na-He; all where none is given")] = None,
    as_json: AsJson = False,
) -> None:
    """List the known phases of a system, with where they come from."""
    from megabar.launchers.api.phases import phases as known
    from megabar.launchers.cli.printing import phases_picture, show

    found = list(known(system).values())
    if as_json:
        _print_json(
            [
                {
                    "name": phase.name,
                    "formula": phase.formula,
                    "atoms": len(phase.atoms),
                    "known_GPa": list(phase.known_GPa),
                    "cell_pressure_GPa": phase.pressure_GPa,
                    "source": phase.source,
                    "doi": phase.doi,
                    "note": phase.note,
                }
                for phase in found
            ]
        )
    elif not found:
        raise InputError(
            f"the library has no phase made of {system}; a study of it names files (CIF, POSCAR, extxyz) in `phases`"
        )
    else:
        show(phases_picture(found))


@app.command()
def plan(study: StudyPath, as_json: AsJson = False) -> None:
    """Say what a study would compute and what that would cost; runs nothing."""
    from dataclasses import asdict

    from megabar.launchers.answering.studies import plan_study
    from megabar.launchers.cli.printing import plan_picture, show

    summary = plan_study(study)
    if as_json:
        _print_json({**asdict(summary), "calculations": summary.calculations})
    else:
        show(plan_picture(summary))


@app.command()
def run(
    study: StudyPath,
    as_json: AsJson = False,
    workers: Annotated[int | None, typer.Option(min=1, help="worker processes (default: one a core)")] = None,
    report: Annotated[Path | None, typer.Option(help="folder of the report (default: STUDY-report)")] = None,
) -> None:
    """Run a study here to its end; stopped at any moment, the same command goes on."""
    from megabar.launchers.answering.studies import run_study
    from megabar.launchers.cli.printing import answer_text

    outcome = run_study(study, workers, report)
    if as_json:
        _print_json(outcome.json())
    else:
        print(answer_text(outcome))


@app.command()
def submit(
    study: StudyPath,
    machine: Annotated[str, typer.Option(help="the machine whose queue it is for; none: workers started by hand")] = "",
    as_json: AsJson = False,
) -> None:
    """Put a study into the database for workers: `megabar queue` keeps a queue fed with them."""
    from dataclasses import asdict

    from megabar.launchers.workers.queueing import submit_study

    done = submit_study(study, machine)
    if as_json:
        _print_json(asdict(done))
    else:
        then = f"`megabar queue {machine}`" if machine else "`megabar worker`"
        print(f"{done.identifier}: {done.calculations} calculations asked for, {done.stored} of them stored; {then}")


@app.command()
def queue(
    machine: Annotated[str, typer.Argument(help="the machine, as described in machines.yaml")],
    once: Annotated[bool, typer.Option("--once", help="look once and end, for cron")] = False,
    every: Annotated[float, typer.Option(min=1, help="seconds between two looks")] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Keep a machine's queue fed with jobs until its studies are complete."""
    from dataclasses import asdict

    from megabar.launchers.cli.printing import fed_text
    from megabar.launchers.workers.queueing import feed_queue

    for fed in feed_queue(machine, once, every):
        if as_json:
            print(json.dumps(asdict(fed)), flush=True)
        else:
            print(fed_text(fed), flush=True)


@app.command()
def worker(
    machine: Annotated[str, typer.Option(help="take calculations submitted for this machine")] = "",
    kind: Annotated[
        str, typer.Option(help="shared: small calculations; whole: those that need a job alone")
    ] = "shared",
    count: Annotated[int | None, typer.Option(min=1, help="calculations at once")] = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="stop after so long, going on next time")] = None,
) -> None:
    """Work in the current allocation, or on this computer, until it ends or nothing more is to be done."""
    from megabar.launchers.workers.queueing import work_here

    if kind not in ("shared", "whole"):
        raise InputError(f"--kind is {kind!r}; it can be shared or whole")
    work_here(machine, kind, count, seconds)


@app.command()
def hull(
    sources: Annotated[
        list[str], typer.Argument(metavar="FILE.csv|STUDY…", help="enthalpies in a CSV file, or stored studies")
    ],
    at: Annotated[float | None, typer.Option(help="also the distance above the hull at this pressure (GPa)")] = None,
    as_json: AsJson = False,
    figure: Annotated[
        Path | None, typer.Option(help="draw the hull into an image (.pdf, .png, .svg), or all figures into a folder")
    ] = None,
) -> None:
    """Say which phases are stable at which pressures, and by which reactions they appear and go."""
    from megabar.launchers.answering.studies import hull_of
    from megabar.workflows.kinds.stability.text import hull_text

    answer = hull_of(sources, at, figure)
    if as_json:
        _print_json(answer)
    else:
        print(hull_text(answer))


@app.command()
def report(
    study: Annotated[
        str, typer.Argument(metavar="STUDY|FILE.csv", help="a study file, a stored study, or enthalpies in a CSV file")
    ],
    folder: Annotated[Path | None, typer.Option("--to", help="folder to write to (default: STUDY-report)")] = None,
) -> None:
    """Write the report of a study or a table: figures (PDF, SVG, PNG), tables (CSV, JSON) and one HTML page."""
    from megabar.launchers.answering.studies import report_on

    print(report_on(study, folder))


add_seeing(app)
add_commands(app)
app.command()(figures)
app.command()(tc)
app.command()(gap)
app.command()(phonons)
app.command()(thermo)
app.command()(structures)
app.add_typer(machine_commands, name="machine")


if __name__ == "__main__":
    main()
