"""How studies stand, live: a table that changes on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from megabar.launchers.cli.printing import console
from megabar.launchers.database.stored import existing_store
from megabar.launchers.seeing.status import Status, status_in
from megabar.launchers.seeing.status_tables import status_picture, study_line
from megabar.workflows.config import load_config

REPEAT_S = 60.0
"""A line that says what the last one said is said again after so long."""


def looks(name: str | None, every_s: float) -> Iterator[Status]:
    """Yield how a study, or all that are unfinished, stand again and again, until they are complete or cancelled."""
    with existing_store(load_config()) as store:
        while True:
            found = status_in(store, name, None, False)
            yield found
            if found.ended:
                return
            time.sleep(every_s)


def show_live(looked: Iterable[Status]) -> None:
    """Show how studies stand as long as somebody looks."""
    from rich.live import Live

    screen = console()
    if not screen.is_terminal:
        _lines(looked)
        return
    with Live(console=screen, auto_refresh=False) as live:
        for found in looked:
            live.update(status_picture(found, in_full=False), refresh=True)


def _lines(looked: Iterable[Status]) -> None:
    """Print a line for each study that is not complete whenever something has changed, and when it ends."""
    said: dict[str, tuple[str, float]] = {}
    for found in looked:
        for study in found.studies:
            line, now = study_line(study, found.situations[study.study]), time.monotonic()
            before, when = said.get(study.study, ("", -REPEAT_S))
            new = study.study not in said
            if (new and (study.complete or study.cancelled) and len(found.studies) > 1) or (
                line == before and (now - when < REPEAT_S or found.ended)
            ):
                continue
            said[study.study] = (line, now)
            print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)
    if not said:
        print("nothing to wait for: all studies are complete or cancelled")
