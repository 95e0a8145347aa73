"""What a task finds around it: store, LaunchPad, configuration, and how calculations are run."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from megabar.structures.errors import SetupError
from megabar.workflows.config import Config
from megabar.workflows.indexes import LAUNCHPAD, make_indexes
from megabar.workflows.presence import Presence
from megabar.workflows.stopping import Control
from megabar.workflows.store import LAUNCHPAD_SUFFIX, ResultStore

if TYPE_CHECKING:
    from fireworks import LaunchPad

    from megabar.workflows.planning import Known


@dataclass(frozen=True)
class Runtime:
    """Everything that a task needs; made once a process.

    run: runs the calculation prepared in a folder to its end and returns the result.
    owner: who this is, for leases and records. control: what the worker wants of the calculation that it runs.
    cores: that each calculation has. memory: of the studies that were planned, what was read of them.
    """

    store: ResultStore
    launchpad: LaunchPad
    config: Config
    run: Callable[[Path, str], dict[str, Any]]
    owner: str = field(default_factory=lambda: f"{platform.node()}:{os.getpid()}")
    control: Control = field(default_factory=Control)
    cores: int = 1
    memory: dict[str, Known] = field(default_factory=dict, repr=False)

    @property
    def presence(self) -> Presence:
        """The workers that live on this database, and what they have claimed."""
        return Presence(self.store.database)

    def folder(self, key: str) -> Path:
        """Return the folder in which a calculation runs."""
        return folder_in(self.config, key)


def folder_in(config: Config, key: str) -> Path:
    """Return the folder in which a calculation runs where the configuration is this."""
    return config.data / "calculations" / key[:2] / key


_current: Runtime | None = None


def use(runtime: Runtime) -> None:
    """Make a runtime the one that tasks of this process find."""
    global _current
    _current = runtime


def current() -> Runtime:
    """Return the runtime of this process; raises SetupError where none was made."""
    if _current is None:
        raise SetupError("megabar's tasks run in megabar's workers: start them with `megabar worker`, not with rlaunch")
    return _current


def launchpad(uri: str, name: str) -> LaunchPad:
    """Return the LaunchPad beside the store's database, made ready on first use."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    from fireworks import fw_config
    from fireworks.core import launchpad as launchpad_module
    from fireworks.core import rocket as rocket_module

    from megabar.workflows.queue.launchpad import SinglePad

    fw_config.PRINT_FW_JSON = rocket_module.PRINT_FW_JSON = False
    rocket_module.ROCKET_STREAM_LOGLEVEL = "WARNING"
    launchpad_module.SORT_FWS = "FIFO"
    pad = SinglePad(
        host=uri,
        name=name + LAUNCHPAD_SUFFIX,
        uri_mode=True,
        strm_lvl="CRITICAL",
        user_indices=["spec.key"],
    )
    if pad.fw_id_assigner.find_one() is None:
        pad.fw_id_assigner.update_one(
            {"_id": -1}, {"$setOnInsert": {"next_fw_id": 1, "next_launch_id": 1}}, upsert=True
        )
        pad.tuneup()
    make_indexes(pad.db, LAUNCHPAD)
    return pad
