"""Live progress of a study on standard error: phases, volumes, time left."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from megabar.launchers.cli.numbers import spell
from megabar.workflows.cost import measured_rate, seconds
from megabar.workflows.kinds.interface import Plan
from megabar.workflows.store import ResultStore, StudyRecord

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
        """Show how the study stands now."""
        states = self._store.ended(study.wanted)
        if self._ended_before is None:
            self._ended_before = set(states)
        self.computed = len(set(states) - self._ended_before)
        left = self._time_left(study, states)
        if self._console.is_terminal:
            self._live.update(self._picture(study, states, left))
            return
        counts = (len(states), _failed(states), len(set(study.wanted)), study.complete)
        when, said = self._said
        if counts != said and (study.complete or time.monotonic() - when > PLAIN_SECONDS):
            self._said = (time.monotonic(), counts)
            self.say(self._headline(study, states, left))

    def say(self, text: str) -> None:
        """Print a line, above the live table where there is one."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _time_left(self, study: StudyRecord, states: dict[str, str]) -> float:
        """Return the wall seconds left for what is asked for by now, by the speed so far, at first the cost model's."""
        for rung in study.rungs:
            if rung["key"] not in self._costs:
                self._costs[rung["key"]] = seconds(self._plan.calculation(rung), self._rate)
        done = sum(cost for key, cost in self._costs.items() if key in states and key not in (self._ended_before or ()))
        rest = sum(cost for key, cost in self._costs.items() if key not in states)
        elapsed = time.monotonic() - self._began
        return rest * elapsed / done if done and elapsed > PLAIN_SECONDS else rest / self._workers

    def _headline(self, study: StudyRecord, states: dict[str, str], left: float) -> str:
        failed = _failed(states)
        text = f"{self._name}: {len(states)} of {len(set(study.wanted))} calculations"
        text += f", {failed} failed" if failed else ""
        text += f", {time.monotonic() - self._began:.0f} s"
        return text + (", complete" if study.complete else f", about {spell(left)} left for these")

    def _picture(self, study: StudyRecord, states: dict[str, str], left: float) -> RenderableType:
        table = Table(box=None, pad_edge=False, show_header=False)
        wanted, done = Counter[str](), Counter[str]()
        for rung in study.rungs:
            wanted[rung["phase"]] += 1
            done[rung["phase"]] += rung["key"] in states
        for phase in wanted:
            bar = "█" * done[phase] + "░" * (wanted[phase] - done[phase])
            table.add_row(phase, bar, f"{done[phase]}/{wanted[phase]} volumes")
        return Group(Text(self._headline(study, states, left)), table)


def _failed(states: dict[str, str]) -> int:
    return sum(state == "failed" for state in states.values())
