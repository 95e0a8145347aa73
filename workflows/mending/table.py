"""All handlers, and the tables of docs/mending.md that they make."""

from __future__ import annotations

from collections.abc import Iterable

from megabar.workflows.mending import espresso, gpaw, phonons
from megabar.workflows.mending.handler import Handler
from megabar.workflows.mending.symptoms import RECOGNISED_ONLY, SYMPTOMS

HANDLERS: dict[str, tuple[Handler, ...]] = {
    "espresso": espresso.HANDLERS,
    phonons.NAME: phonons.HANDLERS,
    "gpaw": gpaw.HANDLERS,
}
"""Handlers by code (of Quantum ESPRESSO, ph.x by itself), in the order in which they are tried."""


def answers(code: str) -> dict[str, list[Handler]]:
    """Return the handlers of each cause that a code has any for, in the order in which they are tried."""
    found = {cause: [each for each in HANDLERS[code] if cause in each.causes] for cause in SYMPTOMS}
    return {cause: handlers for cause, handlers in found.items() if handlers}


def table_of_causes(code: str) -> str:
    """Return what is done about each cause of a code, as a table in Markdown."""
    rows = (
        (SYMPTOMS[cause], f"`{cause}`", ", then ".join(each.name for each in handlers))
        for cause, handlers in answers(code).items()
    )
    return _table(("symptom", "cause", "mending"), rows)


def table_of_handlers(code: str) -> str:
    """Return what each handler of a code changes, as a table in Markdown."""
    return _table(("mending", "what it changes"), ((each.name, each.change) for each in HANDLERS[code]))


def table_of_the_rest() -> str:
    """Return the causes that are only recognised, as a table in Markdown."""
    rows = ((SYMPTOMS[cause], f"`{cause}`", why) for cause, why in RECOGNISED_ONLY.items())
    return _table(("symptom", "cause", "why nothing is tried"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    for each in HANDLERS:
        print(f"{each}\n\n{table_of_causes(each)}\n\n{table_of_handlers(each)}\n")
    print(table_of_the_rest())
