"""What the commands do, apart from printing."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from megabar.launchers.answering.figure_files import check_figure
from megabar.launchers.answering.hull_tables import (
    check_report_folder,
    hull_of_table,
    is_table,
    report_of_table,
    write_hull_figures,
)
from megabar.launchers.cli.interrupts import waiting_for
from megabar.launchers.database.embedded import database_session, running
from megabar.launchers.database.stored import existing_store, find_study
from megabar.structures.errors import InputError, SetupError
from megabar.structures.names import check_folder_name
from megabar.workflows.config import Config, load_config
from megabar.workflows.cost import StudyEstimate, as_it_stands
from megabar.workflows.driver import retry_crashed
from megabar.workflows.kinds.interface import Answer
from megabar.workflows.kinds.registry import answer_of, estimate, kind_of, load_study, plan_of, resolve, write_report
from megabar.workflows.queue.opening import launchpad
from megabar.workflows.runtime import Runtime
from megabar.workflows.store import ResultStore, StudyRecord

if TYPE_CHECKING:
    pass

LEAST_FREE_BYTES = 500_000_000
WRITING = "megabar: the figures and the report are being made"


@dataclass(frozen=True)
class Outcome:
    """What a run of a study came to: its answer, also as text, where the report is, and how long it took (s)."""

    identifier: str
    answer: Answer
    text: str
    report: Path
    wall_s: float
    computed: int
    reused: int

    def json(self) -> dict[str, Any]:
        """Return the outcome as one JSON document."""
        return {
            "study": self.identifier,
            **self.answer.json(),
            "calculations_run": self.computed,
            "calculations_reused": self.reused,
            "wall_s": round(self.wall_s, 1),
            "report": str(self.report),
        }


@contextmanager
def open_runtime(config: Config) -> Iterator[Runtime]:
    """Have store and LaunchPad while the block runs; this process runs no calculation itself."""

    def refuse(folder: Path, code: str) -> dict[str, Any]:
        raise RuntimeError("this process runs no calculations")

    with database_session(config) as address, closing(ResultStore.connect(address.uri, address.name)) as store:
        pad = launchpad(address.uri, address.name)
        with closing(pad.connection):
            yield Runtime(store=store, launchpad=pad, config=config, run=refuse)


def check_data_folder(config: Config) -> None:
    """Raise SetupError where the data folder cannot be written or the disk is nearly full."""
    try:
        config.data.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=config.data):
            free = shutil.disk_usage(config.data).free
    except OSError as error:
        raise SetupError(
            f"the data folder {config.data} cannot be written ({error.strerror}); "
            "set MEGABAR_DATA or `data` in megabar.yaml to one that can"
        ) from None
    if free < LEAST_FREE_BYTES:
        raise SetupError(
            f"the disk of the data folder {config.data} has {free / 1e6:.0f} MB left; "
            f"at least {LEAST_FREE_BYTES / 1e6:.0f} MB are needed"
        )


def plan_study(path: Path) -> StudyEstimate:
    """Return what a study would compute and its estimated cost; results that are there count as free.

    Raises InputError where `run` and `submit` would refuse it.
    """
    from megabar.launchers.workers.local import record_of
    from megabar.workflows.size import check_size

    file = load_study(path)
    config = load_config()
    check_data_folder(config)
    plan = resolve(file, config)
    check_size(record_of(file, plan), path)
    if config.database.uri is None and running(config) is None and not (config.data / "mongodb").exists():
        return estimate(file, plan, None)
    with existing_store(config) as store:
        first = estimate(file, plan, store)
        known = store.get_study(file.identifier)
        same = known is not None and plan_of(known).fingerprint == plan.fingerprint
        return as_it_stands(first, known, store) if known is not None and same else first


def run_study(path: Path, workers: int | None, report: Path | None) -> Outcome:
    """Run a study to its end, showing how it goes on standard error, and write its report."""
    import time

    from megabar.launchers.cli.progress import Progress
    from megabar.launchers.database.patience import patiently
    from megabar.launchers.workers.local import LocalRun, register

    began = time.monotonic()
    file = load_study(path)
    config = load_config()
    if workers is not None:
        config = config.model_copy(update={"workers": workers})
    check_data_folder(config)
    folder = report or Path(f"{file.name}-report")
    check_report_folder(folder)
    plan = resolve(file, config)
    with ExitStack() as stack:
        runtime = patiently(lambda: stack.enter_context(open_runtime(config)), config)
        store, said = runtime.store, ""
        identifier = patiently(lambda: register(file, plan, runtime, None), config)
        again = patiently(lambda: retry_crashed(identifier, runtime), config)
        if again:
            print(f"{again} calculations that had crashed are tried again", file=sys.stderr)
        before = patiently(lambda: store.outline(identifier), config)
        if before is not None and before.machine:
            print(f"{identifier} is in the queue of {before.machine}, and workers here help with it", file=sys.stderr)
        local = LocalRun(identifier, plan, runtime)
        cores = config.workers or os.cpu_count() or 1
        with (
            patiently(lambda: Progress(file.name, plan, store, cores), config) as progress,
            waiting_for("the calculations that run are stopped, to go on later, within 10 s", progress.say),
        ):
            for study in local:
                patiently(partial(progress.update, study), config)
                if local.waits not in ("", said):
                    progress.say(f"megabar run: nothing of it runs now: {local.waits}")
                said = local.waits
        print(WRITING, file=sys.stderr, flush=True)
        study = patiently(lambda: find_study(identifier, store), config)
        result = patiently(lambda: answer_of(study, store), config)
        patiently(lambda: write_report(folder, study, result, store), config)
        computed = patiently(lambda: local.computed(study), config)
        return Outcome(
            identifier=identifier,
            answer=result,
            text=kind_of(study.kind).text(result.json()),
            report=folder / "index.html",
            wall_s=time.monotonic() - began,
            computed=computed,
            reused=len(set(study.wanted)) - computed if before else 0,
        )


def report_folder(study: StudyRecord) -> Path:
    """Return the folder of a study's report, below the present one.

    Raises InputError where the study's name would lead elsewhere: one that was imported before names were checked.
    """
    try:
        check_folder_name(study.name, "the study")
    except InputError as error:
        raise InputError(f"{error}; say with --to where its report is to be written") from None
    return Path(f"{study.name}-report")


def hull_of(sources: Sequence[str], at: float | None, figure: Path | None = None) -> dict[str, Any]:
    """Return the hull analysis (as JSON-able data) of a table of enthalpies, or of one or more stored studies.

    figure: where figures are wanted, an image file or a folder. Raises InputError where studies were computed in ways
    that must not be mixed, and for a table that cannot be right.
    """
    from megabar.workflows.kinds.stability.figures import figures_of
    from megabar.workflows.kinds.stability.stored import joint_hull, stored_answer

    check_figure(figure)
    if is_table(sources[0]):
        if len(sources) > 1:
            raise InputError(f"one file at a time: {', '.join(sources)}")
        return hull_of_table(Path(sources[0]), at, figure)
    with existing_store(load_config()) as store:
        studies = [find_study(source, store) for source in sources]
        answers = [stored_answer(study, store) for study in studies]
    document, stability = joint_hull(answers, at)
    if figure is not None:
        asked = sorted({pressure for each in answers for pressure in each.plan.pressures_GPa})
        warning = figures_of(answers[0]).warning
        document |= write_hull_figures(stability, asked, figure, warning=warning)
    return document


def report_on(name: str, folder: Path | None) -> Path:
    """Write the report of a stored study, or of a table of enthalpies, and return its page."""
    if is_table(name):
        return report_of_table(Path(name), folder)
    with existing_store(load_config()) as store:
        study = find_study(name, store)
        target = folder or report_folder(study)
        check_report_folder(target)
        print(WRITING, file=sys.stderr, flush=True)
        write_report(target, study, answer_of(study, store), store)
    return target / "index.html"
