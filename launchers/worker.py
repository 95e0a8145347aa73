"""A worker process: takes fireworks from the LaunchPad and runs them, one after the other, until it is told to stop."""

from __future__ import annotations

import argparse
import fcntl
import os
import platform
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from megabar.workflows.config import Config

IDLE_SECONDS = 0.1
LONGEST_IDLE_SECONDS = 1.0
GONE_FILE = "workers"


def lock_path(config: Config, name: str) -> Path:
    """Return the file that a worker of a name keeps locked while it lives."""
    return config.data / GONE_FILE / f"{name}.lock"


def is_alive(config: Config, name: str) -> bool:
    """Return whether the worker of a name lives; workers of other hosts are taken to."""
    if not name.startswith(f"{platform.node()}-"):
        return True
    try:
        with lock_path(config, name).open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    lock_path(config, name).unlink(missing_ok=True)
    return False


@contextmanager
def alive(config: Config, name: str) -> Iterator[None]:
    """Hold the lock that says that this worker lives; the kernel lets go of it however the worker ends."""
    path = lock_path(config, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def work(config: Config, code: str, with_parent: bool = False) -> None:
    """Run fireworks until SIGTERM or SIGINT; a calculation that runs then is stopped and goes on elsewhere later.

    code: adapter to import beforehand. with_parent: end when the process that started this one ends.
    """
    from fireworks import FWorker
    from fireworks.core.rocket import Rocket

    from megabar.launchers.embedded_mongo import database_session
    from megabar.workflows.isolation import die_with_parent, fork_server, run_isolated, stop_running
    from megabar.workflows.runtime import Runtime, launchpad, use
    from megabar.workflows.store import ResultStore

    def stop(number: int, frame: FrameType | None) -> None:
        # Left as RUNNING, the firework is seen to be lost at once, since the lock of this worker is free then.
        stop_running()
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN if with_parent else stop)
    if with_parent:
        die_with_parent(signal.SIGTERM)
    name = f"{platform.node()}-{os.getpid()}-{int(time.time())}"
    context = fork_server(code)
    scratch = config.data / GONE_FILE
    with alive(config, name), database_session(config) as address:
        os.chdir(scratch)
        pad = launchpad(address.uri, address.name)
        use(
            Runtime(
                store=ResultStore.connect(address.uri, address.name),
                launchpad=pad,
                config=config,
                run=lambda folder, _: run_isolated(context, folder, config),
                owner=name,
            )
        )
        idle = IDLE_SECONDS
        while True:
            if Rocket(pad, FWorker(name=name), None).run():
                idle = IDLE_SECONDS
            else:
                time.sleep(idle)
                idle = min(LONGEST_IDLE_SECONDS, 1.5 * idle)


def main() -> None:
    """Start a worker of `megabar run`: configuration (JSON) on standard input, the code's name as argument."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--code", required=True)
    arguments = parser.parse_args()
    work(Config.model_validate_json(sys.stdin.read()), arguments.code, with_parent=True)
