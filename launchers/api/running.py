"""A study run here to its end."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from megabar.launchers.api.folders import check_report_folder
from megabar.launchers.cli.interrupts import waiting_for
from megabar.launchers.database.data_folder import check_data_folder
from megabar.launchers.database.open_runtime import open_runtime
from megabar.launchers.database.stored import find_study
from megabar.structures.errors import InputError
from megabar.workflows.driver import retry_crashed
from megabar.workflows.kinds.interface import View
from megabar.workflows.kinds.registry import answer_of, kind_of, write_report

if TYPE_CHECKING:
    from megabar.launchers.api.study import Study

WRITING = "megabar: the figures and the report are being made"


@dataclass(frozen=True)
class Outcome:
    """What a run of a study came to: its answer, where the report is, and how long it took (s)."""

    identifier: str
    view: View
    report: Path | None
    wall_s: float
    computed: int
    reused: int

    def json(self) -> dict[str, Any]:
        """Return the outcome as one JSON document."""
        return {
            "study": self.identifier,
            **self.view.json(),
            "calculations_run": self.computed,
            "calculations_reused": self.reused,
            "wall_s": round(self.wall_s, 1),
            **({} if self.report is None else {"report": str(self.report)}),
        }


def run(study: Study, workers: int | None, folder: Path | None) -> Outcome:
    """Run a study to its end, showing how it goes on standard error, and write its report where a folder is named.

    workers: processes; None: those of the configuration, else one a core.
    """
    from megabar.launchers.cli.progress import Progress
    from megabar.launchers.database.patience import patiently
    from megabar.launchers.workers.local import LocalRun, register

    began = time.monotonic()
    config = study.session.config
    if workers is not None:
        if workers < 1:
            raise InputError(f"workers is {workers}; at least 1 is needed")
        config = config.model_copy(update={"workers": workers})
    check_data_folder(config)
    if folder is not None:
        check_report_folder(folder)
    plan, file, identifier = study.resolved(), study.file, study.identifier
    with ExitStack() as stack:
        runtime = patiently(lambda: stack.enter_context(open_runtime(config)), config)
        store, said = runtime.store, ""
        if file is not None:
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
            patiently(lambda: Progress(study.name, plan, store, cores), config) as progress,
            waiting_for("the calculations that run are stopped, to go on later, within 10 s", progress.say),
        ):
            for outline in local:
                patiently(partial(progress.update, outline), config)
                if local.waits not in ("", said):
                    progress.say(f"megabar run: nothing of it runs now: {local.waits}")
                said = local.waits
        record = patiently(lambda: find_study(identifier, store), config)
        if folder is not None:
            print(WRITING, file=sys.stderr, flush=True)
        found = patiently(lambda: answer_of(record, store), config)
        if folder is not None:
            patiently(lambda: write_report(folder, record, found, store), config)
        computed = patiently(lambda: local.computed(record), config)
        return Outcome(
            identifier=identifier,
            view=kind_of(record.kind).view(found),
            report=None if folder is None else folder / "index.html",
            wall_s=time.monotonic() - began,
            computed=computed,
            reused=len(set(record.wanted)) - computed if before else 0,
        )
