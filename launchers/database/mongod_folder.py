"""The folder of the embedded database: its files, its locks, and the cheapest question one can ask a server.

Nothing but the standard library: the supervisor of the database lives as long as it and should cost nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import socket
import stat
import struct
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from megabar.workflows.places import temporary_folders

SOCKET_NAME = "mongod.sock"
NO_SOCKET = "no folder is fit for its socket"
USER = "megabar"
REPLICA_SET = "megabar"
# The socket's path is the replica set's host name: servers and drivers split it at colons, commas and the like, and
# drivers write what a server tells them in small letters.
PLAIN_PATH = re.compile(r"[a-z0-9/._-]+")


@dataclass(frozen=True)
class State:
    """What the supervisor last said about the database.

    status: ``starting``, ``ready``, ``failed`` or ``stopped``.
    root: the database's folder; a state that came along with a copied or moved folder says nothing.
    message: one sentence, where it failed.
    binary: the mongod in use; kept for the next start, since data files bind to their server's version.
    """

    status: str = "stopped"
    root: str = ""
    host: str = ""
    supervisor_pid: int = 0
    socket: str = ""
    binary: str = ""
    version: str = ""
    message: str = ""


@dataclass(frozen=True)
class MongodFolder:
    """Paths in the folder of one embedded database (``<data>/mongodb``, mode 0700)."""

    root: Path

    @property
    def name(self) -> str:
        """The folder's path for its state, the same in every locale."""
        return os.fsencode(self.root).decode("utf-8", "surrogateescape")

    @property
    def data(self) -> Path:
        """Folder of the data files."""
        return self.root / "data"

    @property
    def key(self) -> Path:
        """Key file of the replica set, mode 0600."""
        return self.root / "key"

    @property
    def password(self) -> Path:
        """Password of the user ``megabar``, mode 0600."""
        return self.root / "password"

    @property
    def prepared(self) -> Path:
        """Marker: replica set and user are there, for the socket that it names."""
        return self.data / "megabar-prepared"

    @property
    def lease(self) -> Path:
        """Every command and worker holds a shared lock on this file as long as it needs the database."""
        return self.root / "lease.lock"

    @property
    def supervisor_lock(self) -> Path:
        """The one supervisor holds an exclusive lock on this file."""
        return self.root / "supervisor.lock"

    @property
    def log(self) -> Path:
        """What mongod writes."""
        return self.root / "mongod.log"

    @property
    def state_file(self) -> Path:
        """State, as JSON."""
        return self.root / "state.json"

    def state(self) -> State:
        """Return what the supervisor last said, an empty state where it said nothing of this folder."""
        try:
            state = State(**json.loads(self.state_file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return State()
        return state if state.root == self.name else State(binary=state.binary, version=state.version)

    def write_state(self, state: State) -> None:
        """Replace the state at once, so that nobody reads half of it."""
        write_private(self.state_file, json.dumps(asdict(state)))

    def sweep(self) -> None:
        """Remove what supervisors that were killed in mid-writing have left; the caller holds the supervisor's lock."""
        for path in (self.state_file, self.key, self.password, self.prepared):
            for left in path.parent.glob(f".{path.name}.*"):
                left.unlink(missing_ok=True)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def open_lock(path: Path) -> int:
    """Return a descriptor of a lock file, made where it is missing."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(path: Path) -> int | None:
    """Return a descriptor that holds the exclusive lock, or None where somebody holds it.

    The kernel frees locks with the process that held them, however it died: there are no stale ones. Raises OSError
    where the file system has no locks.
    """
    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return descriptor


def socket_folder(folder: MongodFolder) -> Path:
    """Return a folder of the owner's alone in which a Unix socket can be bound.

    The database's own folder where its path is plain and short enough (107 characters on Linux) and its file system
    has sockets, otherwise one in a temporary folder, named after the path; of several the one used last, as clients
    may still look for the server there. Raises OSError that says what was tried and what to do.
    """
    state, name = folder.state(), f"megabar-{os.getuid()}-{hashlib.sha256(os.fsencode(folder.root)).hexdigest()[:16]}"
    short = [place / name for place in temporary_folders()]
    last = Path(state.socket).parent
    if state.host == os.uname().nodename and last.name == name:
        short.insert(0, last)
    reasons = []
    for place in dict.fromkeys((folder.root, *short)):
        reason = _unfit(place, own=place == folder.root)
        if not reason:
            return place
        reasons.append(f"{place} {reason}")
    raise OSError(
        f"{NO_SOCKET}: {'; '.join(reasons)}; name one in TMPDIR that can be written, whose path is "
        "short, in small letters and plain characters"
    )


def library_folder(folder: MongodFolder) -> Path:
    """Return where a library for mongod may be linked: the loader takes paths apart at : and ; and reads $ as its own.

    Raises OSError as ``socket_folder`` does.
    """
    place = folder.root if not set(str(folder.root)) & set(":;$") else socket_folder(folder)
    return place / "lib"


def _unfit(place: Path, own: bool) -> str:
    """Return why a socket cannot be in a folder, "" where it can; the folder is made where it is not the user's own."""
    probe = place / f"{SOCKET_NAME}.probe"
    if not PLAIN_PATH.fullmatch(str(probe)):
        return "has other characters than small letters, digits and / . _ -"
    try:
        if not own:
            with contextlib.suppress(FileExistsError):
                place.mkdir(mode=0o700)
            found = place.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
                return "does not belong to this user alone"
        with socket.socket(socket.AF_UNIX) as listener:
            probe.unlink(missing_ok=True)
            listener.bind(os.fspath(probe))
            probe.unlink()
    except OSError as error:
        return f"takes none ({(error.strerror or str(error)).lower()})"
    return ""


def _hello() -> bytes:
    """Return the wire message ``{hello: 1, $db: "admin"}`` (OP_MSG of the MongoDB wire protocol)."""
    body = b"\x10hello\x00\x01\x00\x00\x00" + b"\x02$db\x00\x06\x00\x00\x00admin\x00"
    document = struct.pack("<i", len(body) + 5) + body + b"\x00"
    return struct.pack("<iiiiIb", 21 + len(document), 1, 0, 2013, 0, 0) + document


def answers(path: str | Path, timeout_s: float = 2.0) -> bool | None:
    """Return None where no server listens on a socket, else whether it accepts writes.

    Asks without a driver: a driver's import takes longer than all the rest of finding a running database.
    """
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(timeout_s)
            client.connect(os.fspath(path))
            client.sendall(_hello())
            reply = client.recv(4)
            length = struct.unpack("<i", reply)[0]
            while len(reply) < length:
                chunk = client.recv(length - len(reply))
                if not chunk:
                    return None
                reply += chunk
    except (OSError, struct.error):
        return None
    return b"\x08isWritablePrimary\x00\x01" in reply
