"""The right to plan for a study: one process at a time has it, and keeps it as long as its planning goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pymongo.errors import PyMongoError

from megabar.workflows.runtime import Runtime
from megabar.workflows.studies import LEASE_SECONDS

PLENTY = 20
"""Calculations that wait for workers, with which these are busy for a while."""
RENEWALS = 4
"""How often a lease is renewed in the time that it lasts."""


@contextmanager
def lease(identifier: str, runtime: Runtime, patient: bool = False) -> Iterator[bool]:
    """Have the right to plan for a study while the block runs, False where somebody else has it.

    It is renewed from a thread, since the planning of a large study may take longer than a lease lasts; it is lost
    where the study is cancelled or planned anew (then what is planned is refused, ``ResultStore.add_wanted``).
    patient: not where it was planned a moment ago.
    """
    store, began, ended = runtime.store, time.monotonic(), threading.Event()
    if not store.take_lease(identifier, runtime.owner, patient):
        yield False
        return

    def renew() -> None:
        while not ended.wait(LEASE_SECONDS / RENEWALS):
            with suppress(PyMongoError):
                if not store.renew_lease(identifier, runtime.owner):
                    return

    thread = threading.Thread(target=renew, daemon=True, name="lease")
    thread.start()
    try:
        yield True
    finally:
        ended.set()
        took_s = time.monotonic() - began
        store.release_lease(identifier, runtime.owner, took_s, _plenty(identifier, runtime))


def _plenty(identifier: str, runtime: Runtime) -> bool:
    """Return whether so much waits for workers that what else a study wants can wait too."""
    waiting = {"spec.study": identifier, "state": "READY"}
    with suppress(PyMongoError):
        return int(runtime.launchpad.fireworks.count_documents(waiting, limit=PLENTY)) == PLENTY
    return False
