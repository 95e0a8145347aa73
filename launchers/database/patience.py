"""Waits for a database that is away, and says so, instead of ending: all that is done with it can be done again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

from megabar.launchers.database.embedded import explain_outage, is_hopeless
from megabar.structures.errors import SetupError
from megabar.workflows.config import Config
from megabar.workflows.outages import is_outage

PAUSE_SECONDS = 1.0
T = TypeVar("T")


def patiently(action: Callable[[], T], config: Config) -> T:
    """Return what an action returns, done again for as long as the database is out of reach.

    Raises SetupError where the database will not come back.
    """
    said = ""
    while True:
        try:
            result = action()
        except Exception as error:
            if not is_outage(error):
                raise
        else:
            if said:
                _say("the database answers again")
            return result
        why = explain_outage(config)
        if is_hopeless(config):
            raise SetupError(why)
        if why != said:
            said = why
            _say(f"{why}; what runs runs on, and this waits for it")
        time.sleep(PAUSE_SECONDS)


def _say(sentence: str) -> None:
    print(f"megabar run: {sentence}", file=sys.stderr, flush=True)
