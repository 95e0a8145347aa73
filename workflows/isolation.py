"""Runs a calculation in a child process, so that what kills a DFT code does not kill the worker.

A fork server that has imported the code once makes each child in milliseconds. Children die with their worker.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from megabar.workflows.codes.interface import CalculationFailed
from megabar.workflows.codes.registry import ADAPTERS
from megabar.workflows.config import Config
from megabar.workflows.execution import execute, finished
from megabar.workflows.files import read_json, write_json
from megabar.workflows.secrecy import SECRET_VARIABLES

MOST_ATTEMPTS = 3
ATTEMPTS = "attempts.json"
PR_SET_PDEATHSIG = 1

PRELOAD = (
    "megabar.workflows.execution",
    "ase.constraints",
    "ase.filters",
    "ase.optimize",
    "spglib",
    "scipy.linalg",
    "scipy.sparse.linalg",
)
PRELOAD_BY_CODE = {
    "emt": ("ase.calculators.emt",),
    "gpaw": ("gpaw.new.ase_interface", "gpaw.setup_data", "megabar.workflows.codes.gpaw_calculator"),
    "espresso": ("ase.calculators.espresso", "ase.io.espresso"),
}
"""Modules that calculations would otherwise import one by one, a second of CPU each time."""

_running: BaseProcess | None = None


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Ask the kernel to signal this process when its parent dies (Linux; elsewhere nothing happens)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(number))


def fork_server(code: str) -> ForkServerContext:
    """Return a context whose children start with everything that a code's calculations import."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOAD, ADAPTERS[code].split(":")[0], *PRELOAD_BY_CODE.get(code, ())])
    return context


def run_isolated(context: ForkServerContext, folder: Path, config: Config) -> dict[str, Any]:
    """Run the calculation prepared in a folder and return its result; a child that dies is started again.

    After ``MOST_ATTEMPTS`` deaths the calculation has failed, which is then its result.
    """
    global _running
    done = finished(folder)
    attempts: list[str] = read_json(folder / ATTEMPTS) or []
    while done is None:
        if len(attempts) >= MOST_ATTEMPTS:
            done = {
                "state": "failed",
                "cause": "killed",
                "detail": f"the process running it died {len(attempts)} times: {'; '.join(attempts)}",
            }
            write_json(folder / "result.json", done)
            break
        _running = context.Process(target=_child, args=(str(folder), config.model_dump_json(exclude={"database"})))
        _running.start()
        _running.join()
        code, _running = _running.exitcode, None
        done = finished(folder)
        if done is None:
            attempts.append(_words(code, folder))
            write_json(folder / ATTEMPTS, attempts)
    if attempts:
        done["mendings"] = [f"started again after: {attempt}" for attempt in attempts]
    return done


def stop_running() -> None:
    """Kill the calculation that runs now, if any, with all that it started; its last ionic step is on disk."""
    if _running is not None and _running.pid is not None:
        try:
            os.killpg(_running.pid, signal.SIGKILL)
        except ProcessLookupError:
            _running.kill()


def _child(folder: str, config: str) -> None:
    os.setsid()
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for name in SECRET_VARIABLES:
        os.environ.pop(name, None)  # codes and MPI launchers print and forward what they inherit
    os.chdir(folder)
    log = os.open("output.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        execute(Path(folder), Config.model_validate_json(config))
    except CalculationFailed:
        raise
    except OSError as error:
        # A full disk or a folder that vanished is no property of the calculation: the worker tries again.
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        os._exit(74)
    except Exception as error:
        import traceback

        traceback.print_exc()
        result = {"state": "failed", "cause": "internal-error", "detail": f"{type(error).__name__}: {error}"}
        write_json(Path(folder) / "result.json", result)


def _words(code: int | None, folder: Path) -> str:
    if code is not None and code < 0:
        return f"killed by signal {-code} ({signal.Signals(-code).name})"
    lines = (folder / "output.log").read_text(errors="replace").splitlines() if (folder / "output.log").exists() else []
    said = f", last output: {lines[-1]}" if lines else ""
    return f"ended with code {code}{said}"
