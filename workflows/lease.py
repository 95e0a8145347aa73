"""The right to plan for a study: one process at a time has it, and keeps it as long as its planning goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from pymongo.errors import PyMongoError

from megabar.workflows.runtime import Runtime
from megabar.workflows.studies import LEASE_SECONDS

PLENTY = 20
"""Calculations that wait for workers, with which these are busy for a while."""
RENEWALS = 4
"""How often a lease is renewed in the time that it lasts."""


@dataclass
class Right:
    """The right to plan for a study; plenty: whether so much waits for workers that more can wait too."""

    plenty: bool = False


@contextmanager
def lease(identifier: str, runtime: Runtime, patient: bool = False) -> Iterator[Right | None]:
    """Have the right to plan for a study while the block runs, None where somebody else has it.

    It is renewed from a thread, since the planning of a large study may take longer than a lease lasts; it is lost
    where the study is cancelled or planned anew (then what is planned is refused, ``ResultStore.add_wanted``).
    patient: not where it was planned a moment ago.
    """
    store, began, ended, right = runtime.store, time.monotonic(), threading.Event(), Right()
    if not store.take_lease(identifier, runtime.owner, patient):
        yield None
        return

    def renew() -> None:
        while not ended.wait(LEASE_SECONDS / RENEWALS):
            with suppress(PyMongoError):
                if store.renew_lease(identifier, runtime.owner) is None:
                    return

    thread = threading.Thread(target=renew, daemon=True, name="lease")
    thread.start()
    try:
        yield right
    finally:
        ended.set()
        store.release_lease(identifier, runtime.owner, time.monotonic() - began, right.plenty)
