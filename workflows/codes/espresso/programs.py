"""Quantum ESPRESSO's programs beside pw.x: where they are, how they are run and told to stop."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from megabar.structures.errors import SetupError
from megabar.workflows.codes.interface import CalculationFailed
from megabar.workflows.codes.running import Process, Stop, run_program, wait_for_stop
from megabar.workflows.config import Config
from megabar.workflows.files import text_of_file
from megabar.workflows.stopping import Stopped, stop_wanted

EXIT = "pwscf.EXIT"
"""pw.x and ph.x look for this file between k-points and between self-consistent steps: they write what they need to go
on, and end (Modules/check_stop.f90; versions 6.7 to 7.5)."""
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "GFORTRAN_UNBUFFERED_ALL": "1"}
"""Unbuffered: or their last messages are lost where they abort."""


def phonon_program(config: Config) -> str:
    """Return ph.x; raises SetupError that says how to get it where it is missing."""
    words = config.code("espresso").command
    beside = Path(words[0]).with_name("ph.x") if words and "/" in words[0] else None
    found = str(beside) if beside is not None and beside.is_file() else shutil.which("ph.x")
    if found is None:
        raise SetupError(
            "Quantum ESPRESSO: ph.x was not found beside pw.x or on the path; install it (Debian, Ubuntu: apt-get "
            "install quantum-espresso) or set MEGABAR_ESPRESSO_COMMAND to a pw.x that has ph.x beside it"
        )
    return found


def leave_exit_file(folder: Path) -> Callable[[Process], None]:
    """Return how a program in a folder is told to stop by itself."""
    return lambda process: (folder / EXIT).touch()


def launched(command: Sequence[str], folder: Path, output: str, tell: Callable[[Process], None]) -> int:
    """Run a program in a folder and return its exit code, negative for the signal that ended it.

    tell: how it is told to stop. Raises CalculationFailed where it cannot be started.
    """
    for name in ("CRASH", EXIT):
        (folder / name).unlink(missing_ok=True)
    stop = Stop(lambda: stop_wanted(folder), tell)
    try:
        return run_program(command, folder, folder / output, folder / "espresso.err", stop, ENVIRONMENT)
    except SetupError as error:
        raise CalculationFailed("cannot-start", str(error)) from None
    finally:
        (folder / EXIT).unlink(missing_ok=True)


def ended(command: Sequence[str], folder: Path, output: str, tell: Callable[[Process], None]) -> int:
    """Run a program to its end and return its exit code; raises Stopped where that was not its own end.

    tell: how it is told to stop. One that had been told and ended well, or stopped by itself, returns.
    """
    told = False

    def telling(process: Process) -> None:
        nonlocal told
        told = True
        tell(process)

    if stop_wanted(folder):
        raise Stopped
    code = launched(command, folder, output, telling)
    by_itself = code >= 0 and "JOB DONE" in text_of_file(folder / output)
    if (told and not by_itself) or (code < 0 and wait_for_stop(lambda: stop_wanted(folder))):
        raise Stopped
    return code
