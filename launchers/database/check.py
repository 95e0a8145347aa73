"""What a user finds in the database: who he is there, what he may do, and what the server is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import median
from typing import Any

from megabar.launchers.database.access import access
from megabar.launchers.database.embedded import database_session
from megabar.workflows.config import Config
from megabar.workflows.secrecy import hosts

PINGS = 9


def check(config: Config) -> dict[str, Any]:
    """Return who one is in the database, what one may do there, and what the server is; starts megabar's own.

    Raises SetupError where it does not answer or does not let one in.
    """
    from pymongo import MongoClient
    from pymongo.uri_parser import parse_uri

    client: MongoClient[dict[str, Any]]
    with database_session(config) as address, MongoClient(address.uri) as client:
        found = access(client, address.name)
        hello = client.admin.command("hello")
        options = parse_uri(address.uri, warn=False)["options"]
        tls = bool(options.get("tls", address.uri.startswith("mongodb+srv")))
        verified = not (options.get("tlsInsecure") or options.get("tlsAllowInvalidCertificates"))
        clustered = "setName" in hello or hello.get("msg") == "isdbgrid"
        return {
            "database": "megabar's own" if address.embedded else "configured",
            "hosts": hosts(address.uri) if not address.embedded else str(config.data / "mongodb"),
            "user": found.user,
            "workspace": address.name,
            "may_read": found.read,
            "may_write": found.write,
            "other_workspaces": [each for each in found.workspaces if each != address.name],
            "tls": tls,
            "tls_verified": tls and verified,
            "server_version": client.server_info()["version"],
            "replica_set": hello.get("setName"),
            "retryable_writes": clustered and bool(options.get("retryWrites", True)),
            "latency_ms": round(1000 * _latency_s(client), 2),
        }


def _latency_s(client: Any) -> float:
    def ping() -> float:
        began = time.perf_counter()
        client.admin.command("ping")
        return time.perf_counter() - began

    return median(ping() for _ in range(PINGS))


def check_text(found: Mapping[str, Any]) -> str:
    """Return what ``check`` found, a line each."""
    rights = "read and write" if found["may_write"] else "read" if found["may_read"] else "nothing"
    encrypted = "yes" if found["tls_verified"] else "yes, but its certificate is not verified" if found["tls"] else "no"
    others = f" (others of yours: {', '.join(found['other_workspaces'])})" if found["other_workspaces"] else ""
    retried = "yes" if found["retryable_writes"] else "no: a restart of the server may fail a worker's write"
    lines = {
        "database": f"{found['database']}, {found['hosts']}",
        "user": found["user"] or "none: the server lets everybody do everything",
        "workspace": f"{found['workspace']}{others}",
        "you may": rights,
        "TLS": encrypted if found["database"] == "configured" else "not needed: a socket of yours alone",
        "server": f"MongoDB {found['server_version']}, replica set {found['replica_set'] or '–'}",
        "writes retried": retried,
        "latency": f"{found['latency_ms']:.1f} ms",
    }
    return "\n".join(f"{name:<16}{value}" for name, value in lines.items())
