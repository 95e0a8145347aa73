"""Runs a program in its folder to its end: it dies with us, and it is told where it has to stop."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from megabar.structures.errors import SetupError
from megabar.structures.threads import outside

POLL_SECONDS = 0.5
PATIENCE_SECONDS = 20.0
"""How long a program that was sent TERM may take before it is killed."""
_PR_SET_PDEATHSIG = 1

Process = subprocess.Popen[bytes]


@dataclass(frozen=True)
class Stop:
    """How a running program is told to stop.

    wanted: whether it has to; looked at twice a second. tell: called once, with the process, when it has to.
    """

    wanted: Callable[[], bool]
    tell: Callable[[Process], None]


def terminate(process: Process) -> None:
    """End a program that has no gentler way: by TERM, and by KILL where it does not listen."""
    process.terminate()
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run_program(
    command: Sequence[str],
    folder: Path,
    output: Path,
    errors: Path | None = None,
    stop: Stop | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Run a program in a folder, its output in a file (errors in the same or their own), and return its exit code.

    The code is negative for the signal that ended it. Raises SetupError where the program cannot be started.
    """
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def die_with_parent() -> None:
        # A program that outlives its killed worker would write into the folder of the run that replaces it.
        # TERM, not KILL: mpirun passes it on to its processes, which would be left alone otherwise.
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))

    with output.open("wb") as stream, (errors or Path(os.devnull)).open("wb") as error_stream:
        try:
            process = subprocess.Popen(
                list(command),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=error_stream if errors else subprocess.STDOUT,
                env={"OMP_NUM_THREADS": "1", **outside(os.environ), **environment},
                preexec_fn=die_with_parent,
            )
        except OSError as error:
            raise SetupError(f"{command[0]} cannot be started: {error.strerror}") from None
        try:
            return _wait(process, stop)
        except BaseException:
            terminate(process)
            raise


def _wait(process: Process, stop: Stop | None) -> int:
    told = False
    while True:
        try:
            return process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if stop is not None and not told and stop.wanted():
                told = True
                stop.tell(process)


def wait_for_stop(wanted: Callable[[], bool], seconds: float = 2.0) -> bool:
    """Return whether a stop is wanted, waiting a little: what ends a program and what asks it to stop come together."""
    deadline = time.monotonic() + seconds
    while not wanted():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
