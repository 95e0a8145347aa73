"""Store and LaunchPad of the database, for a process that plans and looks and runs no calculation itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from megabar.launchers.database.embedded import database_session
from megabar.workflows.config import Config
from megabar.workflows.queue.opening import launchpad
from megabar.workflows.runtime import Runtime
from megabar.workflows.store import ResultStore


@contextmanager
def open_runtime(config: Config) -> Iterator[Runtime]:
    """Have store and LaunchPad while the block runs; this process runs no calculation itself."""

    def refuse(folder: Path, code: str) -> dict[str, Any]:
        raise RuntimeError("this process runs no calculations")

    with database_session(config) as address, closing(ResultStore.connect(address.uri, address.name)) as store:
        pad = launchpad(address.uri, address.name)
        with closing(pad.connection):
            yield Runtime(store=store, launchpad=pad, config=config, run=refuse)
