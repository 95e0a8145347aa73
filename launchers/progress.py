"""Live progress of a study on standard error: phases, volumes, time left."""

from __future__ import annotations

import sys
import time
from collections import Counter
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from megabar.workflows.cost import measured_rate, seconds
from megabar.workflows.kinds import Plan
from megabar.workflows.store import ResultStore, StudyRecord

PLAIN_SECONDS = 5.0


class Progress:
    """Shows how a study stands: a live table on a terminal, a line every few seconds elsewhere.

    computed: calculations that ended since the progress began.
    """

    def __init__(self, name: str, plan: Plan, store: ResultStore) -> None:
        """Begin at the calculations that have ended by now."""
        self._name, self._plan, self._store = name, plan, store
        self._console = Console(file=sys.stderr)
        self._live = Live(console=self._console, refresh_per_second=4, transient=False)
        self._began = self._said = time.monotonic()
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
        elif study.complete or time.monotonic() - self._said > PLAIN_SECONDS:
            self._said = time.monotonic()
            self._console.print(self._headline(study, states, left), highlight=False)

    def _time_left(self, study: StudyRecord, states: dict[str, str]) -> float | None:
        """Return the wall seconds left for what is asked for by now, by the speed so far."""
        for rung in study.rungs:
            if rung["key"] not in self._costs:
                self._costs[rung["key"]] = seconds(self._plan.calculation(rung), self._rate)
        done = sum(cost for key, cost in self._costs.items() if key in states and key not in (self._ended_before or ()))
        rest = sum(cost for key, cost in self._costs.items() if key not in states)
        elapsed = time.monotonic() - self._began
        return rest * elapsed / done if done and elapsed > PLAIN_SECONDS else None

    def _headline(self, study: StudyRecord, states: dict[str, str], left: float | None) -> str:
        failed = sum(state == "failed" for state in states.values())
        text = f"{self._name}: {len(states)} of {len(set(study.wanted))} calculations"
        text += f", {failed} failed" if failed else ""
        text += f", {time.monotonic() - self._began:.0f} s"
        if study.complete:
            return text + ", complete"
        return text + (f", about {left:.0f} s left for these" if left is not None else "")

    def _picture(self, study: StudyRecord, states: dict[str, str], left: float | None) -> RenderableType:
        table = Table(box=None, pad_edge=False, show_header=False)
        wanted, done = Counter[str](), Counter[str]()
        for rung in study.rungs:
            wanted[rung["phase"]] += 1
            done[rung["phase"]] += rung["key"] in states
        for phase in wanted:
            bar = "█" * done[phase] + "░" * (wanted[phase] - done[phase])
            table.add_row(phase, bar, f"{done[phase]}/{wanted[phase]} volumes")
        return Group(Text(self._headline(study, states, left)), table)
