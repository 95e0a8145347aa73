"""Keeps studies going: whoever finishes a calculation asks here what its studies want next.

What is wanted follows from the study and the results alone, so that any process can do this at any time: a worker
that has stored a result, `megabar run` when it looks, somebody who starts again after a power cut. Fireworks are
single and independent; which calculation must wait for which is known to the study, not to the LaunchPad.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from pymongo.errors import PyMongoError

from megabar.structures.errors import InputError
from megabar.workflows.kinds.interface import slot
from megabar.workflows.kinds.registry import kind_of
from megabar.workflows.lease import PLENTY, lease
from megabar.workflows.outages import too_large
from megabar.workflows.planning import Known, read, remember
from megabar.workflows.queue.submission import submit
from megabar.workflows.retrying import forget_failures
from megabar.workflows.runtime import Runtime
from megabar.workflows.stopping import Stopped
from megabar.workflows.store import NotOurs, ResultStore, record_of

CRASHES = (
    *("killed", "internal-error", "task-crashed"),
    *("mpi-failed", "out-of-memory", "too-many-processes", "cannot-start"),
)
"""Causes of failures that tell of the machine, or of us, and nothing of the calculation."""
MOST_CRASHES = 3
CHECKOUT_SECONDS = 10


class PlanningFailed(Exception):
    """What a study wants next cannot be told, by a fault of ours; it is noted with the study."""


def advance_all(key: str, runtime: Runtime) -> None:
    """Let every unfinished study that waits for a calculation go on."""
    for identifier in runtime.store.studies_wanting(key):
        advance_if_it_can(identifier, runtime, patient=True)


def advance_if_it_can(identifier: str, runtime: Runtime, patient: bool = False) -> bool:
    """Do the same as ``advance`` for a study among others: its faults are noted with it, and are nobody else's."""
    try:
        return advance(identifier, runtime, patient)
    except (PlanningFailed, InputError):
        return False


def advance(identifier: str, runtime: Runtime, patient: bool = False) -> bool:
    """Submit what a study wants next and return whether it is complete.

    Safe to call at any time by anybody; while somebody else does it, or where it is told to stop, this call does
    nothing.
    patient: nor where it was done a moment ago: whoever finds nothing to do calls it again.
    Raises NotOurs where a newer version is needed, InputError where the study has grown too large, and PlanningFailed
    where its kind fails; the last two are noted with the study.
    """
    store = runtime.store
    try:
        with lease(identifier, runtime, patient) as right:
            if right is None:
                return False
            known = read(identifier, runtime)
            if known is None:
                return store.has_ended(identifier)
            complete = _plan(known, runtime)
            right.plenty = known.waiting >= PLENTY
            remember(known, runtime)
            return complete
    except Stopped:
        return False
    except NotOurs:
        raise
    except PyMongoError as error:
        if not too_large(error):
            raise
        said = f"{identifier} has grown too large to be stored: ask for fewer phases, in several studies"
        store.note_fault(identifier, said)
        raise InputError(said) from error
    except Exception as error:
        said = f"a failure of ours: what it wants next cannot be told ({type(error).__name__}: {error})"
        store.note_fault(identifier, said)
        raise PlanningFailed(f"{identifier}: {said}") from error


def _plan(known: Known, runtime: Runtime) -> bool:
    """Work out what a study wants until there is something to wait for, submit that; return whether it is complete.

    A kind that wants what it has asked for already has a fault, and would do so for ever: it does without, and that is
    said. Raises Stopped where this process is told to stop.
    """
    store, identifier, kind = runtime.store, known.study.identifier, kind_of(known.study.kind)
    again: dict[str, None] = {}
    while True:
        with runtime.control.interruptible():
            wanted = kind.wants(known.plan, known.rungs, known.records)
            if not wanted and kind.refine is not None and not known.open():
                wanted = kind.refine(known.plan, known.rungs, known.records, store.history)
        again |= {f"{rung['phase']} {rung['index']}": None for rung in wanted if slot(rung) in known.slots}
        rungs = list({slot(rung): rung for rung in wanted if slot(rung) not in known.slots}.values())
        if not rungs:
            break
        if not store.add_wanted(identifier, rungs, known.next, runtime.owner):
            return False  # somebody else has planned, or cancelled it
        known.add(rungs, known.next + len(rungs))
        stored = store.summaries(rung["key"] for rung in rungs)
        known.records |= stored
        if len(stored) < len({rung["key"] for rung in rungs}):
            break  # else another study has computed them all: plan on with its results
    if not rungs and store.renew_lease(identifier, runtime.owner) is None:
        return False
    _note_repetition(list(again), identifier, store)
    missing = known.open()
    _submit_missing(known, missing, runtime)
    # Judged by what the planning saw: results that came since may make the study want more.
    if missing:
        return False
    if len(store.ended(list(known.records))) < len(known.records):
        known.records.clear()  # some were taken out of the database
        return False
    return store.mark_complete(identifier, known.next, runtime.owner)


def _note_repetition(again: list[str], identifier: str, store: ResultStore) -> None:
    if again:
        named = ", ".join(again)
        store.note_fault(
            identifier, f"a failure of ours: it wanted again what it had asked for ({named}), and does without"
        )
    else:
        store.forget_fault(identifier)


def _submit_missing(known: Known, keys: Sequence[str], runtime: Runtime) -> None:
    """Submit the wanted calculations of some that have no result, no living firework, and no worker that runs them."""
    if not keys:
        return
    study, plan, store = known.study, known.plan, runtime.store
    # Two studies may wait for one calculation on two machines; whoever comes second finds the result.
    waiting, taken = store.board.waiting(study.identifier), store.board.taken()
    lost = [key for key in keys if key not in waiting and key not in taken]
    known.waiting = len(waiting) + len(lost)
    if not lost:
        return
    # Who has finished one since the results were read is found in the store: it is looked into after the workers.
    held = runtime.presence.running()
    gone = set(lost) - held - store.ended(lost).keys()
    orphans = {rung["key"]: rung for rung in store.with_structures(each for each in known.rungs if each["key"] in gone)}
    crashes = store.crashes(list(orphans)) if orphans else {}
    for key in [key for key, tracebacks in crashes.items() if len(tracebacks) >= MOST_CRASHES]:
        last = crashes[key][-1].strip().splitlines()[-1]
        failure = {
            "state": "failed",
            "cause": "task-crashed",
            "detail": f"its task crashed {len(crashes[key])} times, last with: {last}",
        }
        calculation = plan.calculation(orphans.pop(key))
        store.save(record_of(calculation, failure, {"worker": runtime.owner}))
    made = {key: plan.calculation(rung) for key, rung in orphans.items()}
    for key, calculation in made.items():
        if calculation.key != key:  # it would never be found again
            raise NotOurs(f"{study.identifier} was planned by another version of megabar; use that one, or update this")
    submit([(made[key], f"{rung['phase']} {rung['index']}") for key, rung in orphans.items()], study, runtime)


def retry_crashed(identifier: str, runtime: Runtime) -> int:
    """Forget failures that say nothing about the calculation (``CRASHES``), so that they are tried once more.

    Returns how many there were. What the code itself said, such as not converged, stands.
    """
    keys = [key for some in runtime.store.keys_by_phase(identifier).values() for key in some]
    crashed = [key for key, cause in runtime.store.causes(keys).items() if cause in CRASHES]
    forget_failures(crashed, identifier, runtime)
    return len(crashed)


def recover_lost(runtime: Runtime, gone: Callable[[str], bool] = lambda name: False) -> int:
    """Take fireworks away from workers that are no more, and return how many there were.

    gone: what this host knows of a worker by other means than the database (its lock is free). The fireworks are
    archived, not run again: ``advance`` submits what still has no result, and the calculation goes on from what lies
    in its folder.
    """
    presence, board = runtime.presence, runtime.store.board
    presence.sweep()
    held = board.held()
    names = {each.worker for each in held if each.worker}
    dead = {name for name in names if gone(name)}
    presence.forget(dead)
    living = presence.known(names)
    long_ago = datetime.now(UTC) - timedelta(seconds=CHECKOUT_SECONDS)
    lost = [
        each.number
        for each in held
        if each.worker not in living
        # Without a worker, one may be taking it this moment.
        and (each.worker or each.updated is None or each.updated <= long_ago)
    ]
    return board.give_back(lost)
