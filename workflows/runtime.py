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
from megabar.workflows.presence import Presence
from megabar.workflows.stopping import Control
from megabar.workflows.store import ResultStore

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
