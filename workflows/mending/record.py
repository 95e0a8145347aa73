"""What was mended in a calculation: kept in its folder, so that an interrupted one goes on with the same step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from megabar.workflows.codes.interface import CalculationFailed
from megabar.workflows.codes.running import wait_for_stop
from megabar.workflows.files import read_json, write_json
from megabar.workflows.mending.handler import TRANSIENT, Handler, in_words, next_step
from megabar.workflows.mending.symptoms import SYMPTOMS
from megabar.workflows.stopping import Stopped

FILE = "mendings.json"
MOST_STEPS = 10
"""Steps without a success in between after which a failure stands, whatever the handlers still know."""

T = TypeVar("T")


@dataclass
class Mendings:
    """The path settings of a calculation: where they begin, what is known of them, what handlers have changed.

    facts: what the last run used or said (``start``, ``bands``); handlers see it, unless they changed it themselves.
    changes: what handlers changed. steps: what was done, in words. open: steps since the last success.
    """

    folder: Path
    handlers: Sequence[Handler]
    defaults: Mapping[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    open: int = 0
    writes: bool = True

    @classmethod
    def of(
        cls, folder: Path, handlers: Sequence[Handler], defaults: Mapping[str, Any], writes: bool = True
    ) -> Mendings:
        """Return the mendings of the calculation in a folder, those of an interrupted run included.

        writes: False where another process of the same run keeps the file.
        """
        found = cls(folder, handlers, dict(defaults), writes=writes)
        found.read()
        return found

    def read(self) -> None:
        """Take in what is on disk: another process may have mended meanwhile."""
        kept = _kept(self.folder)
        if kept is not None:
            self.changes, self.steps, self.open = dict(kept["changes"]), list(kept["steps"]), kept["open"]

    @property
    def path(self) -> dict[str, Any]:
        """The path settings of the next run."""
        return {**self.defaults, **self.facts, **self.changes}

    def mend(self, failure: CalculationFailed) -> None:
        """Take the next step against a failure; raises the failure in words where there is none left."""
        found = next_step(self.handlers, failure.cause, self.path) if self.open < MOST_STEPS else None
        if found is None:
            raise CalculationFailed(failure.cause, self._last_words(failure)) from failure
        handler, changes = found
        self.changes |= changes
        self.steps.append(in_words(failure.cause, handler, changes))
        self.open += 1
        self.keep()

    def left_a_restart(self) -> None:
        """Note that a run has left something to go on from: the start that a handler asked for has been made."""
        if self.changes.pop("start", None) is not None:
            self.keep()

    def settle(self) -> None:
        """Note a success: what was changed for one run only is taken back."""
        if self.open or any(name in self.changes for name in TRANSIENT):
            self.changes = {name: value for name, value in self.changes.items() if name not in TRANSIENT}
            self.open = 0
            self.keep()
        for name in TRANSIENT:
            self.facts.pop(name, None)

    def _last_words(self, failure: CalculationFailed) -> str:
        symptom = SYMPTOMS.get(failure.cause)
        said = f"{symptom}: {failure.detail}" if symptom else failure.detail
        tried = [step.partition(": ")[2] for step in self.steps[len(self.steps) - self.open :]]
        return said + (f"; tried in vain: {', '.join(tried)}" if tried else "")

    def keep(self) -> None:
        """Write what was done to disk."""
        if self.writes:
            content = {"changes": self.changes, "steps": self.steps, "open": self.open}
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / FILE, content)


def mended(attempt: Callable[[], T], mendings: Mendings, stop: Callable[[], bool]) -> T:
    """Return what an attempt returns, repeated with what handlers change while it fails and they have something to try.

    stop: whether the calculation has been told to stop; a failure is then that of the stopping, and Stopped is raised.
    """
    while True:
        if stop():
            raise Stopped
        try:
            result = attempt()
        except CalculationFailed as failure:
            if of_a_stop(failure, stop):
                raise Stopped from failure
            mendings.mend(failure)
        else:
            mendings.settle()
            return result


def of_a_stop(failure: CalculationFailed, stop: Callable[[], bool]) -> bool:
    """Return whether a failure is that of being told to stop; stop: whether the calculation has been."""
    return stop() or (failure.cause == "killed" and wait_for_stop(stop))


def steps_taken(folder: Path) -> list[str]:
    """Return what was mended so far in the calculation of a folder, in words, each step once with how often."""
    kept = _kept(folder)
    counts = Counter(str(each) for each in kept["steps"]) if kept is not None else Counter()
    return [step if times == 1 else f"{step}, {times} times" for step, times in counts.items()]


def _kept(folder: Path) -> dict[str, Any] | None:
    """Return what was mended in the calculation of a folder, None where nothing was or it cannot be told any more."""
    kept, kinds = read_json(folder / FILE), {"changes": dict, "steps": list, "open": int}
    if isinstance(kept, dict) and all(isinstance(kept.get(name), kind) for name, kind in kinds.items()):
        return kept
    return None


def note_step(folder: Path, words: str) -> None:
    """Add to what was mended in the calculation of a folder something that no handler did."""
    mendings = Mendings.of(folder, (), {})
    mendings.steps.append(words)
    mendings.keep()


def forget_steps(folder: Path) -> None:
    """Let the calculation of a folder begin with the first step of everything again."""
    (folder / FILE).unlink(missing_ok=True)
