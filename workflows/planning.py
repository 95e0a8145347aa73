"""What a process has read of the studies that it plans for, so that next time it reads only what is new."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from megabar.workflows.kinds.interface import Plan, check_rungs, slot
from megabar.workflows.kinds.registry import kind_of, plan_of
from megabar.workflows.store import CalculationRecord, ResultStore, StudyRecord
from megabar.workflows.studies import JustRenewed

if TYPE_CHECKING:
    from megabar.workflows.runtime import Runtime

MOST_STUDIES = 4
"""Studies of which a process remembers what it has read."""
FOR_EVER = ("done", "left")
"""States of calculations whose records stay as they are; what has failed may be asked for again."""


@dataclass
class Known:
    """A study as far as it was read.

    study: its outline. rungs: in the order asked; next: the number of the next one; slots: what they are to the study.
    records: by key, of the calculations that have ended. waiting: how many waited for workers when last looked.
    """

    study: StudyRecord
    plan: Plan
    rungs: list[dict[str, Any]] = field(default_factory=list)
    next: int = 0
    slots: set[tuple[str, str, str]] = field(default_factory=set)
    records: dict[str, CalculationRecord] = field(default_factory=dict)
    waiting: int = 0

    def add(self, rungs: list[dict[str, Any]], following: int) -> None:
        """Add rungs that the study has asked for; following: the number after the last of them."""
        self.rungs += rungs
        self.slots |= {slot(rung) for rung in rungs}
        self.next = following

    def open(self) -> list[str]:
        """Return the keys of the calculations that have not ended, each once."""
        return list(dict.fromkeys(rung["key"] for rung in self.rungs if rung["key"] not in self.records))

    def read_results(self, store: ResultStore) -> None:
        """Read the results that are new, and those that may have changed."""
        for key in [key for key, record in self.records.items() if record.state not in FOR_EVER]:
            del self.records[key]
        self.records |= store.summaries(self.open())


def read(identifier: str, runtime: Runtime) -> Known | None:
    """Return a study for which this process has the right to plan; None where there is nothing to plan for it.

    What was remembered of it is forgotten until it is remembered again. Raises NotOurs where it has what this version
    does not know.
    """
    store, known = runtime.store, runtime.memory.pop(identifier, None)
    study = store.outline(identifier)
    if study is None or study.complete or study.cancelled:
        return None
    if known is None or not study.edition or _edition(known.study) != _edition(study):
        try:
            whole = store.get_study(identifier)
        except JustRenewed:
            return None
        if whole is None:
            return None
        plan = plan_of(whole)  # before anything is changed
        if store.moved(identifier, runtime.owner) is None:
            return None
        study = store.outline(identifier)
        if study is None or (whole.edition and whole.edition != study.edition):
            return None  # planned anew this moment: whoever looks next sees it whole
        known = Known(study, plan)
    new, following = store.rungs_of(identifier, study.generation, known.next)
    check_rungs(identifier, new, kind_of(study.kind).rungs)
    known.study = study
    known.add(new, following)
    known.read_results(store)
    return known


def remember(known: Known, runtime: Runtime) -> None:
    """Keep what was read of a study for the next time; what was read least recently gives way."""
    memory = runtime.memory
    memory[known.study.identifier] = known
    while len(memory) > MOST_STUDIES:
        del memory[next(iter(memory))]


def _edition(study: StudyRecord) -> tuple[str, str]:
    return study.generation, study.edition
