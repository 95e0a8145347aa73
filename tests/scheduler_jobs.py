"""Small jobs for the tests of schedulers, and how to wait for what they do."""

import sys
import time
from pathlib import Path
from typing import Any

from megabar.launchers.machines.description import Machine
from megabar.launchers.schedulers.interface import JobRequest
from megabar.launchers.schedulers.queue import own_jobs

LOOK = """
import json, os, sys, time
from dataclasses import asdict
from megabar.launchers.schedulers.allocation import allocation
here = allocation()
found = {"left": here.seconds_left(), "environment": dict(os.environ), "stdin": sys.stdin.read(), **asdict(here)}
print(json.dumps(found), flush=True)
"""
"""Writes what a job knows of itself."""

STAY = """
import signal, sys, time
from megabar.launchers.schedulers.allocation import allocation
def told(number, frame):
    print(signal.Signals(number).name, allocation().seconds_left(), flush=True)
    sys.exit(0)
for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, told)
print("up", flush=True)
time.sleep(300)
"""
"""Stays until it is told to stop, and writes by which signal and with how many seconds left."""


def request(folder: Path, source: str, machine: Machine, **changes: Any) -> JobRequest:
    """Return a job that runs a Python source."""
    return JobRequest("job", machine, (sys.executable, "-c", source), folder / "jobs", **changes)


def wait_for(condition, timeout_s: float = 30.0):
    """Wait until a condition holds, and return what it returned."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


def states(machine: Machine) -> dict[str, str]:
    """Return the states of the user's jobs."""
    return {job.identifier: job.state for job in own_jobs(machine)}


def written(log: Path) -> list[str]:
    """Return the lines that a job has written to their ends."""
    text = log.read_text() if log.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()
