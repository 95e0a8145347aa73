"""Nothing more is run for a study; what it has is kept."""

from __future__ import annotations

import time
from dataclasses import dataclass

from megabar.workflows.runtime import Runtime
from megabar.workflows.standing import running_now, workers_of
from megabar.workflows.studies import LEASE_SECONDS

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Withdrawn:
    """What cancelling came to: calculations that wait no more, those told to stop, those left to other studies."""

    waiting: int
    stopping: tuple[str, ...]
    shared: int


def cancel(identifier: str, runtime: Runtime) -> Withdrawn:
    """Take a study's calculations out of the LaunchPad and have those that run for it alone stopped.

    Workers hear of it with their next heartbeat (``ResultStore.unwanted``), stop gently, and keep what is needed to go
    on. Other studies have fireworks of their own for what they want too.
    """
    store = runtime.store
    store.mark_cancelled(identifier)
    waiting = withdraw(identifier, runtime)
    # Whoever plans for the study this moment may not have seen that it is cancelled.
    until = time.monotonic() + LEASE_SECONDS + 1
    while not store.take_lease(identifier, runtime.owner) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
    try:
        waiting += withdraw(identifier, runtime)
    finally:
        store.release_lease(identifier, runtime.owner)
    wanted = {key for keys in store.keys_by_phase(identifier).values() for key in keys}
    running = {each.key for each in running_now(store, workers_of(store))} & wanted
    stopping = tuple(key for key in sorted(running) if store.unwanted(key))
    return Withdrawn(waiting, stopping, len(running) - len(stopping))


def withdraw(identifier: str, runtime: Runtime) -> int:
    """Take what waits for a study out of the LaunchPad, and return how much that was."""
    return runtime.store.board.withdraw(identifier)
