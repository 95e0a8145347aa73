"""The database that starts itself: a real mongod in the data folder, shared by all commands and workers of a user.

Whoever needs the database takes a lease (a shared lock on a file) and, where nobody supervises the folder, starts
the supervisor, which owns mongod (``megabar.launchers.database.mongod_supervisor``). All coordination is by kernel
locks that die with their holder, so a kill -9 of anything at any moment leaves nothing stale. Acknowledged writes
survive it too: mongod is a replica set of one member (retryable writes) and its clients ask for ``w=majority,
journal=true``.

With a URI configured, that MongoDB is used instead and nothing is started.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote_plus

from megabar.launchers.database.access import AUTHENTICATION_FAILED
from megabar.launchers.database.configured import DRIVER_OPTIONS, check_reachable, with_driver_options
from megabar.launchers.database.mongod_binary import find_mongod
from megabar.launchers.database.mongod_folder import (
    NO_SOCKET,
    REPLICA_SET,
    USER,
    MongodFolder,
    State,
    answers,
    library_folder,
    open_lock,
    try_lock,
)
from megabar.structures.errors import SetupError
from megabar.workflows.config import Config
from megabar.workflows.secrecy import hosts

LINGER_S = 15.0
START_TIMEOUT_S = 330.0
MOST_STARTS = 3
LEAST_FREE_BYTES = 200_000_000
WATCH_S = 1.0
REPAIR = "`megabar database repair` mends it"


@dataclass(frozen=True)
class DatabaseAddress:
    """Where the database is.

    uri: MongoDB connection string with credentials: not for messages, so it is not in the repr.
    embedded: True for the one of the data folder.
    """

    uri: str = field(repr=False)
    name: str
    embedded: bool


def database(config: Config, linger_s: float = LINGER_S) -> DatabaseAddress:
    """Return the address of the database, started where it is ours and not running.

    It stops some seconds after its last user is gone: to keep it, use ``database_session``.
    linger_s: how long (s) a supervisor started now waits for the next user.
    Raises SetupError where the database cannot be had or reached.
    """
    if config.database.uri:
        return _configured(config.database.uri, config.database.name)
    folder = own_folder(config)
    with _lease(folder):
        return _embedded(folder, config, linger_s)


@contextlib.contextmanager
def database_session(config: Config, linger_s: float = LINGER_S) -> Iterator[DatabaseAddress]:
    """Give the address of the database and keep it running, also through crashes, until the block ends.

    Raises SetupError as ``database`` does.
    """
    if config.database.uri:
        yield _configured(config.database.uri, config.database.name)
        return
    folder = own_folder(config)
    done = threading.Event()
    with _lease(folder):
        address = _embedded(folder, config, linger_s)
        watcher = threading.Thread(target=_watch, args=(folder, linger_s, done), daemon=True, name="database")
        watcher.start()
        try:
            yield address
        finally:
            done.set()
            watcher.join()


def running(config: Config) -> State | None:
    """Return the state of the embedded database where it runs and accepts writes, else None; starts nothing."""
    state = MongodFolder(_root(config)).state()
    return state if state.status == "ready" and state.socket and answers(state.socket) else None


def explain_outage(config: Config, error: Exception | None = None) -> str:
    """Return, in one sentence, why the database does not answer any more: for the error of a driver in mid-work."""
    if config.database.uri:
        return f"the database at {hosts(config.database.uri)} does not answer any more"
    folder = MongodFolder(_root(config))
    if not folder.root.is_dir():
        return f"the folder of the database, {folder.root}, is gone"
    free = _free_bytes(folder)
    if free < LEAST_FREE_BYTES:
        return f"{_no_space(folder, free)}; what was acknowledged is kept, and the same command goes on"
    if getattr(error, "code", None) == AUTHENTICATION_FAILED:
        return f"the password in {folder.password} is not that of the embedded database; {REPAIR}"
    said = folder.state().message
    reason = f" ({said})" if said else ""
    return f"the embedded database in {folder.root} does not answer any more{reason}; its log is {folder.log}"


def is_hopeless(config: Config) -> bool:
    """Return whether a database that does not answer will not do so later either: its folder is gone."""
    return config.database.uri is None and not _root(config).is_dir()


def stop_database(config: Config, timeout_s: float = 60.0) -> bool:
    """Stop the embedded database at once; return False where somebody uses it (then it stays)."""
    folder = MongodFolder(_root(config))
    if not folder.supervisor_lock.exists():
        return True
    lease = try_lock(folder.lease)
    if lease is None:
        return False
    try:
        deadline = time.monotonic() + timeout_s
        signalled = False
        while (lock := try_lock(folder.supervisor_lock)) is None and time.monotonic() < deadline:
            state = folder.state()
            if not signalled and state.host == os.uname().nodename and state.status != "stopped":
                with contextlib.suppress(ProcessLookupError):
                    os.kill(state.supervisor_pid, signal.SIGTERM)
                signalled = True
            time.sleep(0.02)
        if lock is None:
            return False
        os.close(lock)
        return True
    finally:
        os.close(lease)


def _configured(uri: str, name: str) -> DatabaseAddress:
    check_reachable(uri, name)
    return DatabaseAddress(with_driver_options(uri), name, embedded=False)


def _root(config: Config) -> Path:
    return Path(os.path.realpath(config.data)) / "mongodb"


def own_folder(config: Config) -> MongodFolder:
    """Return the database's folder, made where it is missing; SetupError where it cannot be written."""
    folder = MongodFolder(_root(config))
    try:
        folder.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        if folder.root.stat().st_mode & 0o077:
            folder.root.chmod(0o700)
        descriptor = open_lock(folder.lease)
        try:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SetupError(_not_writable(config.data, error)) from None
    return folder


def _not_writable(data: Path, error: OSError) -> str:
    return (
        f"the data folder {data} cannot be written ({(error.strerror or str(error)).lower()}); "
        "choose another with MEGABAR_DATA or `data:` in megabar.yaml"
    )


@contextlib.contextmanager
def _lease(folder: MongodFolder) -> Iterator[None]:
    """Hold the lease; waits while the supervisor is stopping the database."""
    descriptor = open_lock(folder.lease)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        with contextlib.suppress(OSError):
            os.utime(descriptor)
        yield
    finally:
        os.close(descriptor)


def _embedded(folder: MongodFolder, config: Config, linger_s: float) -> DatabaseAddress:
    state = _ensure_running(folder, linger_s)
    try:
        password = folder.password.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise SetupError(f"{folder.password}: cannot be read ({reason.lower()}); {REPAIR}") from None
    options = {"authSource": "admin", "replicaSet": REPLICA_SET, **DRIVER_OPTIONS}
    query = "&".join(f"{key}={value}" for key, value in options.items())
    name = config.database.name
    uri = f"mongodb://{USER}:{quote_plus(password)}@{quote_plus(state.socket)}/{name}?{query}"
    return DatabaseAddress(uri, name, embedded=True)


def _ensure_running(folder: MongodFolder, linger_s: float) -> State:
    """Return the state of the running database; start it where nobody does. The caller holds the lease."""
    deadline = time.monotonic() + START_TIMEOUT_S
    starts = 0
    while True:
        state = folder.state()
        ready = state.status == "ready" and answers(state.socket)
        lock = try_lock(folder.supervisor_lock)
        if lock is None and ready:
            return state
        if lock is not None:
            try:
                if starts == MOST_STARTS:  # one that was killed while it started has another try
                    raise SetupError(_did_not_start(folder))
                _start_supervisor(folder, lock, linger_s)
                starts += 1
            finally:
                os.close(lock)
        elif state.host and state.host != os.uname().nodename:
            raise SetupError(
                f"the database in {folder.root} runs on {state.host}, and an embedded database serves one machine "
                "only; give both a MongoDB with MEGABAR_DATABASE_URI"
            )
        elif time.monotonic() > deadline:
            raise SetupError(f"the embedded database has not answered for {START_TIMEOUT_S:.0f} s; see {folder.log}")
        time.sleep(0.01)


def _did_not_start(folder: MongodFolder, said: str = "") -> str:
    said = said or folder.state().message or "its supervisor ended without a word"
    if "No space left" in said or _free_bytes(folder) < LEAST_FREE_BYTES // 10:
        return f"the embedded database cannot start in {folder.root} because the disk is full; free some space"
    way_out = f"its log is {folder.log}" + ("" if said.startswith(NO_SOCKET) else f"; {REPAIR}")
    return f"the embedded database in {folder.root} did not start ({said}); {way_out}"


def _free_bytes(folder: MongodFolder) -> int:
    return shutil.disk_usage(folder.root).free


def _no_space(folder: MongodFolder, free: int) -> str:
    return (
        f"only {free / 1e6:.0f} MB are free where the data folder {folder.root.parent} lies, and the database needs "
        f"{LEAST_FREE_BYTES / 1e6:.0f} MB: free some"
    )


def check_space(folder: MongodFolder, more: str = "") -> None:
    """Raise SetupError where less is free than the database needs; more: what else can be done."""
    free = _free_bytes(folder)
    if free < LEAST_FREE_BYTES:
        raise SetupError(f"{_no_space(folder, free)}{more}")


def _start_supervisor(folder: MongodFolder, lock: int, linger_s: float) -> None:
    """Start the supervisor, which inherits the lock; returns when it is on its own feet."""
    check_space(folder, ", or choose another folder with MEGABAR_DATA")
    try:
        preferred = folder.state().binary if folder.prepared.exists() else ""
        binary = find_mongod(preferred, library_folder(folder))
    except OSError as error:
        raise SetupError(_did_not_start(folder, str(error))) from None
    command = [sys.executable, "-P", "-m", "megabar.launchers.database.mongod_supervisor", str(folder.root), str(lock)]
    command += [str(linger_s), binary.path, binary.version, *binary.environment.values()]
    try:
        with open(os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            subprocess.run(
                command,
                cwd="/",
                check=True,
                pass_fds=(lock,),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
    except OSError as error:
        raise SetupError(_not_writable(folder.root.parent, error)) from None
    except subprocess.CalledProcessError:
        raise SetupError(f"the supervisor of the embedded database did not start; see {folder.log}") from None


def _watch(folder: MongodFolder, linger_s: float, done: threading.Event) -> None:
    """Start another supervisor where the one we had was killed; waits longer after each failure."""
    pause = WATCH_S
    while not done.wait(pause):
        pause = WATCH_S
        try:
            lock = try_lock(folder.supervisor_lock)
            if lock is not None:
                try:
                    _start_supervisor(folder, lock, linger_s)
                finally:
                    os.close(lock)
                pause = 10 * WATCH_S
        except (OSError, SetupError):  # the user's next operation tells; a full disk may have room again later
            pause = 30 * WATCH_S
