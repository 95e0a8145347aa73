"""The process that owns the embedded mongod: starts it, starts it again after a crash, stops it when nobody needs it.

Started by the first command that needs the database (``megabar.launchers.database.embedded``), which hands over the
exclusive lock on ``supervisor.lock``; the lock lives as long as the supervisor, so there is never a second one. It
has a session of its own: a Ctrl-C in the user's terminal reaches neither it nor mongod. Standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from megabar.launchers.database.mongod_folder import (
    REPLICA_SET,
    SOCKET_NAME,
    MongodFolder,
    State,
    answers,
    open_lock,
    socket_folder,
    write_private,
)

CACHE_GB = 0.25  # the least that WiredTiger takes
OPLOG_MB = 64
OPEN_FILES = 64_000
LOG_LIMIT = 8_000_000
START_LINE = "-- start of mongod --"
POLL_S = 0.5
START_TIMEOUT_S = 300.0  # recovery of a long journal takes its time
STOP_TIMEOUT_S = 30.0
RESTARTS, RESTARTS_WITHIN_S = 5, 60.0


class StartFailed(Exception):
    """mongod did not come up; the message is what it said."""


class Server(Protocol):
    """A running mongod: one that we started, or one that a killed supervisor left."""

    def poll(self) -> int | None:
        """Return None while it runs."""

    def send_signal(self, number: int) -> None:
        """Send it a signal."""


@dataclass(frozen=True)
class Orphan:
    """A mongod whose supervisor was killed; it runs as long as it holds the lock on its lock file."""

    lock_file: Path
    pid: int

    def poll(self) -> int | None:
        """Return None while it runs."""
        return None if _is_locked(self.lock_file) else -1

    def send_signal(self, number: int) -> None:
        """Send it a signal, once more making sure that it is still the one that we mean."""
        if _is_locked(self.lock_file):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


@dataclass
class Supervisor:
    """State of the running supervisor."""

    folder: MongodFolder
    state: State
    environment: dict[str, str]
    linger_s: float
    wake: threading.Event
    stopping: bool = False
    lease: int = -1

    def say(self, **changes: str) -> None:
        """Change the state and write it."""
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]
        self.folder.write_state(self.state)

    def on_signal(self, number: int, _frame: object) -> None:
        """Stop at TERM, INT, HUP; look around at CHLD."""
        if number != signal.SIGCHLD:
            self.stopping = True
        self.wake.set()


def supervise(supervisor: Supervisor) -> None:
    """Keep mongod running until nobody has held the lease for a while; raises StartFailed."""
    folder = supervisor.folder
    server = _adopt(folder) or _start(supervisor)
    starts: deque[float] = deque(maxlen=RESTARTS)
    last_used = time.time()
    try:
        supervisor.say(status="ready")
        while not supervisor.stopping:
            supervisor.wake.wait(POLL_S)
            supervisor.wake.clear()
            if not folder.data.is_dir():  # the user deleted it: there is nothing left to close cleanly
                server.send_signal(signal.SIGKILL)
                return
            if server.poll() is not None or not Path(supervisor.state.socket).exists():
                _check_restarts(starts, folder)
                _stop(server)
                server = _start(supervisor)
            used = _last_use(supervisor.lease)
            if used is None or used > last_used:
                last_used = used or time.time()
            elif time.time() - last_used > supervisor.linger_s and _take(supervisor.lease):
                break
    finally:
        _stop(server)
    supervisor.say(status="stopped")


def _check_restarts(starts: deque[float], folder: MongodFolder) -> None:
    starts.append(time.monotonic())
    if len(starts) == RESTARTS and starts[-1] - starts[0] < RESTARTS_WITHIN_S:
        raise StartFailed(f"mongod ended {RESTARTS} times within {RESTARTS_WITHIN_S:.0f} s, {_complaint(folder)}")


def _last_use(lease: int) -> float | None:
    """Return None where the lease is held, else when it was last taken (its takers set the file's time)."""
    if not _take(lease):
        return None
    fcntl.flock(lease, fcntl.LOCK_UN)
    return os.fstat(lease).st_mtime


def _take(lease: int) -> bool:
    try:
        fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _adopt(folder: MongodFolder) -> Server | None:
    """Return the mongod that a killed supervisor left where it works; one that does not answer is ended."""
    lock_file = folder.data / "mongod.lock"
    if not _is_locked(lock_file):
        return None
    try:
        orphan = Orphan(lock_file, int(lock_file.read_text().strip()))
    except (OSError, ValueError):
        raise StartFailed(f"{lock_file} is held by a server that cannot be told") from None
    if answers(folder.state().socket):
        return orphan
    _stop(orphan)
    return None


def _start(supervisor: Supervisor) -> Server:
    """Start mongod and return it when it accepts writes, the first time with replica set and user made."""
    folder, socket = supervisor.folder, Path(supervisor.state.socket)
    _make_secrets(folder)
    for place in (folder.data, socket.parent):  # who tidies temporary folders may have removed the socket's
        place.mkdir(mode=0o700, exist_ok=True)
    if folder.log.exists() and folder.log.stat().st_size > LOG_LIMIT:
        folder.log.replace(folder.log.with_suffix(".log.1"))
    with open(os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
        log.write(f"{START_LINE}\n".encode())
        log.flush()
        server = subprocess.Popen(
            _command(supervisor.state.binary, folder, socket),
            cwd="/",
            env={**os.environ, **supervisor.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        setup = None if _is_prepared(folder, socket) else _start_setup(folder, socket, log.fileno())
    deadline = time.monotonic() + START_TIMEOUT_S
    try:
        while (setup is not None and setup.poll() is None) or not answers(socket):
            failed = server.poll() is not None or (setup is not None and setup.poll() not in (None, 0))
            if failed or supervisor.stopping or time.monotonic() > deadline:
                raise StartFailed(_complaint(folder))
            time.sleep(0.01)
        if setup is not None:
            if setup.returncode:
                raise StartFailed(_complaint(folder))
            write_private(folder.prepared, str(socket))
    except BaseException:
        if setup is not None:
            _stop(setup)
        _stop(server)
        raise
    return server


def _make_secrets(folder: MongodFolder) -> None:
    if folder.key.exists() and folder.password.exists():
        return
    folder.prepared.unlink(missing_ok=True)
    write_private(folder.key, secrets.token_hex(256))
    write_private(folder.password, secrets.token_urlsafe(24))


def _is_prepared(folder: MongodFolder, socket: Path) -> bool:
    try:
        return folder.prepared.read_text(encoding="utf-8") == str(socket)
    except OSError:
        return False


def _start_setup(folder: MongodFolder, socket: Path, log: int) -> subprocess.Popen[bytes]:
    """Start the first set-up beside mongod, so that its imports and mongod's start overlap."""
    command = [sys.executable, "-P", "-m", "megabar.launchers.database.mongod_setup", str(folder.root), str(socket)]
    return subprocess.Popen(command, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _command(binary: str, folder: MongodFolder, socket: Path) -> list[str]:
    """Return mongod's command line. It listens on nothing but the socket.

    Secrets are in files. The journal is not preallocated: a new database takes 17 MB of disk instead of 300.
    """
    return [
        binary,
        *("--dbpath", str(folder.data)),
        *("--bind_ip", str(socket), "--nounixsocket", "--filePermissions", "0600"),
        *("--replSet", REPLICA_SET, "--keyFile", str(folder.key)),
        *("--wiredTigerCacheSizeGB", str(CACHE_GB), "--oplogSize", str(OPLOG_MB)),
        *("--wiredTigerEngineConfigString", "log=(file_max=16MB,prealloc=false)"),
        *("--setParameter", "enableLocalhostAuthBypass=false"),
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        "--quiet",
    ]


def _stop(server: Server) -> None:
    """End mongod cleanly, by force where it does not obey."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if server.poll() is not None:
            return
        server.send_signal(number)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while server.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)


def _complaint(folder: MongodFolder) -> str:
    """Return the first that went wrong since mongod's last start, in its own words: later ones are its echoes."""
    try:
        lines = folder.log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "it wrote no log"
    starts = [number for number, line in enumerate(lines) if line == START_LINE]
    for line in lines[starts[-1] + 1 if starts else 0 :]:
        if not line.startswith("{"):
            if line.startswith("Traceback"):  # of the first set-up: its last line tells
                return next(each for each in reversed(lines) if each.strip() and not each.startswith("{"))
            if line.strip():
                return line.strip()
            continue
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if entry.get("s") in ("E", "F"):
                return " ".join(f"{entry.get('msg')}: {_detail(entry.get('attr', {}))}".split())
    return "it gave no reason"


def _detail(attributes: dict[str, object]) -> str:
    found = attributes.get("error") or attributes.get("message") or ""
    if isinstance(found, dict):
        found = found.get("msg") or found.get("errmsg") or found
    return str(found)


def main(arguments: list[str]) -> None:
    """Become the supervisor: ``root lock-descriptor linger-seconds binary version [LD_LIBRARY_PATH]``."""
    root, lock, linger_s, binary, version, *libraries = arguments
    if os.fork():  # whoever called need not wait for us, nor we become a zombie of his
        os._exit(0)
    os.set_inheritable(int(lock), False)
    folder = MongodFolder(Path(root))
    state = State("starting", folder.name, os.uname().nodename, os.getpid(), "", binary, version)
    environment = {"LD_LIBRARY_PATH": libraries[0]} if libraries else {}
    supervisor = Supervisor(folder, state, environment, float(linger_s), threading.Event())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, supervisor.on_signal)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    try:
        folder.sweep()
        socket = folder.state().socket if _is_locked(folder.data / "mongod.lock") else ""
        supervisor.say(socket=socket or str(socket_folder(folder) / SOCKET_NAME))
        supervisor.lease = open_lock(folder.lease)
        supervise(supervisor)
    except Exception as error:
        with contextlib.suppress(OSError):
            supervisor.say(status="failed", message=str(error) or type(error).__name__)
    finally:
        place = Path(supervisor.state.socket).parent
        if supervisor.state.socket and place != folder.root:
            shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
