"""A MongoDB server like a group's: passwords, a key file, a replica set, TLS by an authority of its own."""

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from megabar.launchers.database.mongod_binary import find_mongod

REPLICA_SET = "group"


@dataclass(frozen=True)
class MongoServer:
    """A running server without users; ``uri`` has none and trusts the authority in ``authority``."""

    folder: Path
    port: int
    authority: Path

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    @property
    def uri(self) -> str:
        return f"mongodb://{self.host}/?tls=true&tlsCAFile={self.authority}"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def mongo_server(folder: Path) -> Iterator[MongoServer]:
    """Run a server in a folder."""
    (folder / "data").mkdir(parents=True)
    key = folder / "key"
    key.write_text(secrets.token_hex(100))
    key.chmod(0o600)
    authority = trustme.CA(organization_name="group")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    found = find_mongod("", folder / "lib")
    port = free_port()
    command = [
        *(found.path, "--dbpath", str(folder / "data"), "--port", str(port), "--bind_ip", "localhost"),
        *("--nounixsocket", "--replSet", REPLICA_SET, "--keyFile", str(key)),
        *("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(folder / "server.pem")),
        *("--tlsCAFile", str(folder / "ca.pem"), "--tlsAllowConnectionsWithoutCertificates"),
        *("--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64"),
        *("--wiredTigerEngineConfigString", "log=(file_max=16MB,prealloc=false)", "--quiet"),
    ]
    with (folder / "mongod.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **found.environment})
    try:
        _wait_for(process, port, folder / "mongod.log")
        yield MongoServer(folder, port, folder / "ca.pem")
    finally:
        process.kill()
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"mongod did not start:\n{log.read_text()[-2000:]}")
