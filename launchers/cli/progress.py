"""Live progress of a study on standard error: phases, volumes, time left."""

from __future__ import annotations

import math
import sys
import time
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from megabar.launchers.cli.numbers import spell
from megabar.workflows.cost import measured_rate, seconds
from megabar.workflows.kinds.interface import Plan
from megabar.workflows.planning import FOR_EVER
from megabar.workflows.store import ResultStore, StudyRecord
from megabar.workflows.studies import REST_SHARE

PLAIN_SECONDS = 5.0


class Progress:
    """Shows how a study stands: a live table on a terminal, elsewhere a line when something has changed.

    computed: calculations that ended since the progress began.
    """

    def __init__(self, name: str, plan: Plan, store: ResultStore, workers: int) -> None:
        """Begin at the calculations that have ended by now; workers: how many calculations run at once."""
        self._name, self._plan, self._store, self._workers = name, plan, store, workers
        self._console = Console(file=sys.stderr, markup=False, emoji=False)
        self._live = Live(console=self._console, refresh_per_second=4, transient=False)
        self._began = time.monotonic()
        self._said: tuple[float, tuple[int, int, int, bool] | None] = (-math.inf, None)
        self._rate = measured_rate(store, plan.method.code)
        self._ended_before: set[str] | None = None
        self._generation, self._next, self._rest_until = "", 0, 0.0
        self._phases: dict[str, list[str]] = {}
        self._states: dict[str, str] = {}
        self._costs: dict[str, float] = {}
        self.computed = 0

    def __enter__(self) -> Progress:
        """Begin to show."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop showing; what was last shown stays."""
        if self._console.is_terminal:
            self._live.stop()

    def update(self, study: StudyRecord) -> None:
        """Show how the study, whose outline is given, stands now; not each time where to look takes long."""
        began = time.monotonic()
        if began < self._rest_until and not study.complete:
            return
        self._look(study)
        if self._ended_before is None:
            self._ended_before = set(self._states)
        self.computed = len(self._states.keys() - self._ended_before)
        left = self._time_left()
        if self._console.is_terminal:
            self._live.update(self._picture(study, left))
        else:
            counts = (len(self._states), self._failed, len(self._costs), study.complete)
            when, said = self._said
            if counts != said and (study.complete or time.monotonic() - when > PLAIN_SECONDS):
                self._said = (time.monotonic(), counts)
                self.say(self._headline(study, left))
        self._rest_until = time.monotonic() + REST_SHARE * (time.monotonic() - began)

    def _look(self, study: StudyRecord) -> None:
        """Read what the study has asked for since the last look, and what has ended."""
        if study.generation != self._generation:
            self._generation, self._next, self._phases, self._costs, self._states = study.generation, 0, {}, {}, {}
        new, self._next = self._store.rungs_of(study.identifier, self._generation, self._next)
        for rung in self._store.with_structures(new):
            self._phases.setdefault(rung["phase"], []).append(rung["key"])
            if rung["key"] not in self._costs:
                self._costs[rung["key"]] = seconds(self._plan.calculation(rung), self._rate)
        lasting = {key: state for key, state in self._states.items() if state in FOR_EVER}
        self._states = lasting | self._store.ended([key for key in self._costs if key not in lasting])

    @property
    def _failed(self) -> int:
        return sum(state == "failed" for state in self._states.values())

    def say(self, text: str) -> None:
        """Print a line, above the live table where there is one."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _time_left(self) -> float:
        """Return the wall seconds left for what is asked for by now, by the speed so far, at first the cost model's."""
        before = self._ended_before or ()
        done = sum(cost for key, cost in self._costs.items() if key in self._states and key not in before)
        rest = sum(cost for key, cost in self._costs.items() if key not in self._states)
        elapsed = time.monotonic() - self._began
        return rest * elapsed / done if done and elapsed > PLAIN_SECONDS else rest / self._workers

    def _headline(self, study: StudyRecord, left: float) -> str:
        text = f"{self._name}: {len(self._states)} of {len(self._costs)} calculations"
        text += f", {self._failed} failed" if self._failed else ""
        text += f", {time.monotonic() - self._began:.0f} s"
        return text + (", complete" if study.complete else f", about {spell(left)} left for these")

    def _picture(self, study: StudyRecord, left: float) -> RenderableType:
        table = Table(box=None, pad_edge=False, show_header=False)
        for phase, keys in self._phases.items():
            done = sum(key in self._states for key in keys)
            table.add_row(phase, "█" * done + "░" * (len(keys) - done), f"{done}/{len(keys)} volumes")
        return Group(Text(self._headline(study, left)), table)
