"""Handlers, each answering known failures of a code with one change of how the answer is reached; tried in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from megabar.workflows.mending.symptoms import SYMPTOMS

PathSettings = Mapping[str, Any]
"""Settings of how an answer is reached: mixing, diagonalisation, number of bands, start, processes."""

TRANSIENT = ("start", "again")
"""Settings that hold for the next run only: where it starts from, and how often it was merely repeated."""


@dataclass(frozen=True)
class Handler:
    """One kind of mending.

    name: what was done, as a record of it says: "gentler mixing".
    codes: the codes that it is for. causes: the failures that it answers.
    change: what it changes, in words for the table in docs/mending.md.
    step: from the present path settings to those to be changed, None where it has nothing more to try.
    """

    name: str
    codes: tuple[str, ...]
    causes: tuple[str, ...]
    change: str
    step: Callable[[PathSettings], dict[str, Any] | None]

    @property
    def symptoms(self) -> tuple[str, ...]:
        """What is seen of the failures that it answers, in words."""
        return tuple(SYMPTOMS[cause] for cause in self.causes)


def next_step(handlers: Sequence[Handler], cause: str, path: PathSettings) -> tuple[Handler, dict[str, Any]] | None:
    """Return the first handler of a cause that still has something to try, with what it changes; None without one."""
    for handler in handlers:
        changes = handler.step(path) if cause in handler.causes else None
        if changes and any(path.get(name) != value for name, value in changes.items()):
            return handler, changes
    return None


def in_words(cause: str, handler: Handler, changes: PathSettings) -> str:
    """Return the record of a step: "cause: what was done (with which values)"."""
    values = ", ".join(f"{name} {_plain(value)}" for name, value in changes.items() if name not in TRANSIENT)
    return f"{cause}: {handler.name}" + (f" ({values})" if values else "")


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name} {each}" if name != "name" else str(each) for name, each in value.items())
    return str(value)
