"""A MongoDB server as a user runs one for himself, to be killed and started again."""

import os
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pymongo import MongoClient

from megabar.launchers.database.mongod_binary import find_mongod
from megabar.workflows.isolation import die_with_parent

REPLICA_SET = "own"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class UserMongod:
    """A replica set of one member, without users, on a port of this computer; time_out_s: of its clients."""

    folder: Path
    port: int
    time_out_s: float = 120.0
    process: subprocess.Popen[bytes] | None = None
    # One thread that lasts: the kernel ends what is to die with its parent when the thread ends that started it.
    starter: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    @property
    def uri(self) -> str:
        milliseconds = int(1000 * self.time_out_s)
        options = f"serverSelectionTimeoutMS={milliseconds}&connectTimeoutMS={milliseconds}"
        return f"mongodb://127.0.0.1:{self.port}/?replicaSet={REPLICA_SET}&{options}"

    def start(self) -> None:
        """Start it; where there are data it goes on from these."""
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        found = find_mongod("", self.folder / "lib")
        words = [found.path, "--dbpath", str(self.folder / "data"), "--port", str(self.port), "--bind_ip", "127.0.0.1"]
        words += ["--nounixsocket", "--replSet", REPLICA_SET, "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "990"]
        with (self.folder / "mongod.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*words, "--quiet"],
                stdout=log,
                stderr=log,
                env={**os.environ, **found.environment},
                preexec_fn=die_with_parent,
            )

    def start_after(self, seconds: float) -> None:
        """Start it later, in the background."""

        def later() -> None:
            time.sleep(seconds)
            self.start()

        self.starter.submit(later)

    def initiate(self) -> None:
        """Make it a replica set, the first time."""
        member = {"_id": 0, "host": f"127.0.0.1:{self.port}"}
        with MongoClient(f"mongodb://127.0.0.1:{self.port}/?directConnection=true") as client:
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]})

    def kill(self) -> None:
        """Kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
